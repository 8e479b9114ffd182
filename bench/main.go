// Command bench measures the server and prints one Markdown table:
//
//	go run ./bench
//	go run ./bench -peer bench/peers/pocketbase.json -peer bench/peers/better-auth.json
//
// It needs no configuration. It builds the server, runs it on the embedded database in a
// folder of its own, with the sandbox in another process, and removes all of that at the
// end. A peer gets the same requests in turn in the same run: see bench/peers. The other
// measurements are modes with flags of their own:
//
//	go run ./bench connections   memory of an open connection
//	go run ./bench crowds        logins beside a crowd that guesses passwords
//	go run ./bench restart       restarts behind nginx under load
//	go run ./bench soak          half an hour under faults
//	go run ./bench timing        whether times tell if an email has an account
//
// docs/operations/performance.md explains how to read the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/bench/connections"
	"cubegate/bench/crowds"
	"cubegate/bench/restart"
	"cubegate/bench/soak"
	"cubegate/bench/timing"
)

// modes are the other measurements, by name.
var modes = map[string]func(ctx context.Context, args []string) error{
	"connections":    connections.Run,
	"crowds":         crowds.Run,
	crowds.ProbeMode: crowds.RunProbe,
	"restart":        restart.Run,
	"soak":           soak.Run,
	"timing":         timing.Run,
	hashMode:         runHashes,
}

// main ends at Ctrl-C with what it has started; a second one ends it at
// once, and leaves only its folder.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && modes[args[0]] != nil {
		return modes[args[0]](ctx, args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return measure(ctx, o)
}

// settings are the flags of the table.
type settings struct {
	server      string
	peers       list
	during      time.Duration
	rounds      int
	connections []int
	users       []int // sizes of the database
	only        string
	short       bool // rows only: no growth, floods and pause
}

type list []string

func (l *list) String() string         { return strings.Join(*l, ",") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

const (
	minDuration    = 20 * time.Millisecond
	maxConnections = 256
	maxRounds      = 50
	maxUsers       = 1_000_000
)

func parse(args []string) (o settings, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.server, "server", "", "`file` of the server; without it, this module's is built")
	flags.Var(&o.peers, "peer", "`file` of requests for another server, which gets the same load in turn; may be repeated")
	flags.DurationVar(&o.during, "for", time.Second, "time for each row in each round, 20ms to 1m")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds; the table shows medians of the quieter half, 1 to 50")
	connections := flags.String("connections", "1,64", "connections of each row, 1 to 256")
	users := flags.String("users", "1000,50000", "sizes of the database, up to 1000000; about 100000 a minute are inserted")
	flags.StringVar(&o.only, "only", "", "measure only the rows whose name contains this `text`")
	flags.BoolVar(&o.short, "short", false, "measure only the rows")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		return o, fmt.Errorf("%w; a mode is one of connections, crowds, restart, soak and timing", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown mode %q: want connections, crowds, restart, soak or timing, or flags alone", flags.Arg(0))
	}
	var errs []error
	o.connections, err = numbers("-connections", *connections, maxConnections)
	errs = append(errs, err)
	o.users, err = numbers("-users", *users, maxUsers)
	errs = append(errs, err)
	if o.during < minDuration || o.during > time.Minute {
		errs = append(errs, errors.New("-for must be 20ms to 1m"))
	}
	if !slices.ContainsFunc(rowNames, func(name string) bool { return strings.Contains(name, o.only) }) {
		errs = append(errs, fmt.Errorf("-only: no row has %q in its name: the rows are %s", o.only, strings.Join(rowNames, "; ")))
	}
	if o.rounds < 1 || o.rounds > maxRounds {
		errs = append(errs, fmt.Errorf("-rounds must be 1 to %d", maxRounds))
	}
	return o, errors.Join(errs...)
}

// numbers reads ascending numbers between commas.
func numbers(name, text string, highest int) (found []int, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > highest || len(found) > 0 && n <= found[len(found)-1] {
			return nil, fmt.Errorf("%s must be ascending numbers from 1 to %d between commas, such as 1,64", name, highest)
		}
		found = append(found, n)
	}
	return found, nil
}

// measure prints the table.
func measure(ctx context.Context, o settings) (err error) {
	if _, err := benchserver.MachineCPU(); err != nil {
		return fmt.Errorf("the table needs Linux, whose files tell the CPU time of a process: %w", err)
	}
	folder, remove, err := benchserver.Workspace("bench", &o.server)
	if err != nil {
		return err
	}
	b := &bench{settings: o, stack: benchserver.Stack{Folder: folder, Binary: o.server}}
	defer func() { err = errors.Join(err, b.close(), remove()) }()
	return b.run(ctx)
}

// Command crowds shows whether honest users can log in while a crowd guesses passwords,
// and whether a rush of logins kills the server:
//
//	go build -o /tmp/cubegate . && go run ./bench/crowds -server /tmp/cubegate
//
// It starts a new server for each scenario and acts as the trusted proxy of all clients:
// their networks are client IPs in X-Forwarded-For. With two or more cores, the server
// runs on the first and the load on the second (taskset). With -memory, the server runs
// in a memory cgroup of that size, which needs root and version 1 of the kernel's cgroups.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	var b bench
	flag.StringVar(&b.server, "server", "", "file of the server")
	flag.IntVar(&b.attackers, "attackers", 300, "connections that guess passwords, at most 1000")
	flag.DurationVar(&b.during, "for", 15*time.Second, "time for each scenario, at most 1m")
	flag.IntVar(&b.memory, "memory", 0, "memory limit of the rush of logins in MiB; 0 is none")
	flag.IntVar(&b.rush, "rush", 1000, "logins at once, at most 2000; 0 skips the rush")
	url := flag.String("probe", "", "internal: requests this URL for the time of -for and prints percentiles")
	flag.Parse()
	if *url != "" {
		probe(*url, b.during)
		return
	}
	b.attackers, b.during, b.rush = min(b.attackers, 1000), min(b.during, time.Minute), min(b.rush, 2000)
	if err := b.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "crowds:", err)
		os.Exit(1)
	}
}

type bench struct {
	server    string
	attackers int
	during    time.Duration
	memory    int // MiB
	rush      int
}

// scenario is a crowd of attackers.
type scenario struct {
	name     string
	networks int  // of the crowd
	known    bool // the guessed emails have accounts
}

func (b *bench) run(ctx context.Context) error {
	if b.server == "" {
		return errors.New("-server is required: the file of the server")
	}
	fmt.Printf("%-34s %-34s %7s %7s %9s %9s\n", "crowd", "honest user", "tries", "served", "median", "p90")
	for _, s := range []scenario{
		{"1 network, unknown emails", 1, false},
		{"1 network, known emails", 1, true},
		{"50 networks, unknown emails", 50, false},
		{"50 networks, known emails", 50, true},
	} {
		if err := b.crowd(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if b.rush == 0 {
		return nil
	}
	return b.rushOfLogins(ctx)
}

// crowd lets honest users log in while a crowd guesses.
func (b *bench) crowd(ctx context.Context, s scenario) error {
	srv, err := startServer(ctx, b.server, 0)
	if err != nil {
		return err
	}
	defer srv.stop()
	users, err := srv.registerUsers(ctx, 20)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.during)
	defer cancel()
	guesses := guess(ctx, srv, b.attackers, s, users)
	time.Sleep(time.Second) // the crowd starts
	honest := []*honestUser{
		{name: "known device, own network", network: "198.51.100.7", user: users[0], known: true},
		{name: "known device, attackers' network", network: attackerNetwork(0), user: users[1], known: true},
		{name: "unknown device, own network", user: users[2]},
		{name: "unknown device, attackers' network", network: attackerNetwork(0), user: users[3]},
	}
	logInRepeatedly(ctx, srv, honest)
	for _, h := range honest {
		h.print(s.name)
	}
	fmt.Printf("%-34s %d guesses, responses by status: %v\n", "", guesses.total(), guesses.byStatus())
	return srv.Alive()
}

// rushOfLogins sends many logins at once and measures the verify route.
func (b *bench) rushOfLogins(ctx context.Context) error {
	srv, err := startServer(ctx, b.server, b.memory)
	if err != nil {
		return err
	}
	defer srv.stop()
	users, err := srv.registerUsers(ctx, 20)
	if err != nil {
		return err
	}
	idle, err := verifyFor(ctx, srv, users[0], 5*time.Second)
	if err != nil {
		return err
	}
	rush := make(chan *tally, 1)
	go func() { time.Sleep(time.Second); rush <- loginsAtOnce(ctx, srv, b.rush, users) }()
	busy, err := verifyFor(ctx, srv, users[0], 8*time.Second)
	if err != nil {
		return err
	}
	logins := <-rush
	fmt.Printf("\n%d logins at once, memory limit %d MiB (0 is none), responses by status: %v\n", b.rush, b.memory, logins.byStatus())
	fmt.Printf("verify: idle p50 %.1f ms, p99 %.1f ms; in the rush p50 %.1f ms, p99 %.1f ms: p99 ratio %.2f; %d of %d failed\n",
		idle.p50, idle.p99, busy.p50, busy.p99, busy.p99/idle.p99, idle.failed+busy.failed, idle.sent+busy.sent)
	fmt.Printf("peak memory of the server: %s\n", srv.peakMemory())
	return srv.Alive()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

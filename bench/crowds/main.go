// Command crowds shows whether honest users get in while a crowd guesses
// passwords, and whether a rush of logins kills the server:
//
//	go build -o /tmp/cubegate . && go run ./bench/crowds -server /tmp/cubegate
//
// It starts the server once for each scenario, in a folder of its own, behind
// itself as the one trusted proxy: the networks are addresses in
// X-Forwarded-For. With two or more cores the server runs on the first and the
// load on the second (taskset). With -memory the server runs in a memory cgroup
// of that size; that needs root, and version 1 of the kernel's cgroups.
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
	flag.StringVar(&b.server, "server", "", "the program to measure, as a file")
	flag.IntVar(&b.attackers, "attackers", 300, "connections that guess, at most 1000")
	flag.DurationVar(&b.during, "for", 15*time.Second, "time for each scenario, at most 1m")
	flag.IntVar(&b.memory, "memory", 0, "memory limit of the rush of logins in MiB; 0 is none")
	flag.IntVar(&b.rush, "rush", 1000, "logins at once, at most 2000; 0 leaves the rush out")
	probed := flag.String("probe", "", "the bench's own: asks this URL for the time of -for and prints percentiles")
	flag.Parse()
	if *probed != "" {
		probe(*probed, b.during)
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
	networks int  // that the crowd comes from
	known    bool // it guesses for emails that have accounts
}

func (b *bench) run(ctx context.Context) error {
	if b.server == "" {
		return errors.New("-server is missing: the program to measure")
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
	people, err := srv.registerPeople(ctx, 20)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.during)
	defer cancel()
	guessed := guess(ctx, srv, b.attackers, s, people)
	time.Sleep(time.Second) // until the crowd is at work
	honest := []*honestUser{
		{name: "known device", network: "198.51.100.7", person: people[0], known: true},
		{name: "known device, attackers' address", network: attackerNetwork(0), person: people[1], known: true},
		{name: "stranger, network of its own", person: people[2]},
		{name: "stranger, attackers' address", network: attackerNetwork(0), person: people[3]},
	}
	watch(ctx, srv, honest)
	for _, h := range honest {
		h.print(s.name)
	}
	fmt.Printf("%-34s %d guesses answered, by status %v\n", "", guessed.total(), guessed.byStatus())
	return srv.alive()
}

// rushOfLogins sends many logins at once and watches the verify route.
func (b *bench) rushOfLogins(ctx context.Context) error {
	srv, err := startServer(ctx, b.server, b.memory)
	if err != nil {
		return err
	}
	defer srv.stop()
	people, err := srv.registerPeople(ctx, 20)
	if err != nil {
		return err
	}
	idle, err := verifyFor(ctx, srv, people[0], 5*time.Second)
	if err != nil {
		return err
	}
	rush := make(chan *tally, 1)
	go func() { time.Sleep(time.Second); rush <- loginsAtOnce(ctx, srv, b.rush, people) }()
	busy, err := verifyFor(ctx, srv, people[0], 8*time.Second)
	if err != nil {
		return err
	}
	answers := <-rush
	fmt.Printf("\n%d logins at once, memory limit %d MiB (0 is none): answers by status %v\n", b.rush, b.memory, answers.byStatus())
	fmt.Printf("verify: idle p50 %.1f ms, p99 %.1f ms; in the rush p50 %.1f ms, p99 %.1f ms: p99 ratio %.2f; %d of %d failed\n",
		idle.p50, idle.p99, busy.p50, busy.p99, busy.p99/idle.p99, idle.failed+busy.failed, idle.asked+busy.asked)
	fmt.Printf("peak memory of the server: %s\n", srv.peak())
	return srv.alive()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

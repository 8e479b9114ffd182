// Package crowds shows whether honest users can log in while a crowd guesses passwords,
// and whether a rush of logins kills the server:
//
//	go run ./bench crowds
//
// It starts a new server for each scenario and acts as the trusted proxy of all clients:
// their networks are client IPs in X-Forwarded-For. With two or more cores, the server
// runs on the first and the load on the second (taskset). With -memory, the server runs
// in a memory cgroup of that size, which needs root and version 1 of the kernel's cgroups.
package crowds

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"cubegate/bench/benchserver"
)

// Run runs the measurement with the flags of the command line.
func Run(ctx context.Context, args []string) error {
	var o Options
	flags := flag.NewFlagSet("crowds", flag.ExitOnError)
	flags.StringVar(&o.Server, "server", "", "file of the server; without it, this module's is built")
	flags.IntVar(&o.Attackers, "attackers", 300, "connections that guess passwords, 1 to 1000")
	flags.DurationVar(&o.During, "for", 15*time.Second, "time for each scenario, at most 1m")
	flags.IntVar(&o.Memory, "memory", 0, "memory limit of the rush of logins in MiB; 0 is none")
	flags.IntVar(&o.Rush, "rush", 1000, "logins at once, at most 2000; 0 skips the rush")
	if err := benchserver.Parse(flags, args); err != nil {
		return err
	}
	if o.Attackers < 1 || o.Attackers > 1000 || o.During <= 0 || o.During > time.Minute || o.Memory < 0 || o.Rush < 0 || o.Rush > 2000 {
		return errors.New("want -attackers from 1 to 1000, -for up to 1m, -memory of at least 0, and -rush from 0 to 2000")
	}
	_, remove, err := benchserver.Workspace("crowds", &o.Server)
	if err != nil {
		return err
	}
	defer remove()
	return o.run(ctx)
}

// Options are the sizes of the measurement.
type Options struct {
	Server    string // file of the program
	Attackers int
	During    time.Duration // of each scenario
	Memory    int           // MiB; 0 = no limit
	Rush      int           // logins at once
}

// Scenario is a crowd of attackers.
type Scenario struct {
	Name     string
	networks int  // of the crowd
	known    bool // the guessed emails have accounts
}

// Scenarios are the crowds, the most dangerous one last.
var Scenarios = []Scenario{
	{"1 network, unknown emails", 1, false},
	{"1 network, known emails", 1, true},
	{"50 networks, unknown emails", 50, false},
	{"50 networks, known emails", 50, true},
}

func (o Options) run(ctx context.Context) error {
	fmt.Printf("%-34s %-34s %7s %7s %9s %9s\n", "crowd", "honest user", "tries", "served", "median", "p90")
	for _, s := range Scenarios {
		found, err := o.Crowd(ctx, s)
		if err != nil {
			return err
		}
		for _, h := range found {
			fmt.Printf("%-34s %-34s %7d %6.0f%% %6.0f ms %6.0f ms\n", s.Name, h.Name, h.Tries, h.Served, h.Median, h.P90)
		}
	}
	if o.Rush == 0 {
		return nil
	}
	r, err := o.RushOfLogins(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d logins at once, memory limit %d MiB (0 is none), responses by status: %v\n", o.Rush, o.Memory, r.Statuses)
	fmt.Printf("verify: idle p50 %.1f ms, p99 %.1f ms; in the rush p50 %.1f ms, p99 %.1f ms: p99 ratio %.2f; %d of %d failed\n",
		r.idle.p50, r.idle.p99, r.busy.p50, r.busy.p99, r.VerifyRatio(), r.idle.failed+r.busy.failed, r.idle.sent+r.busy.sent)
	fmt.Printf("peak memory of the server: %s\n", r.PeakMemory)
	return nil
}

// Honest is how an honest user fares.
type Honest struct {
	Name        string
	Tries       int
	Served      float64 // percent of the tries
	Median, P90 float64 // ms
}

// Crowd lets honest users log in while a crowd guesses.
func (o Options) Crowd(ctx context.Context, s Scenario) ([]Honest, error) {
	srv, err := startServer(o.Server, 0)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	users, err := srv.registerUsers(ctx, 20)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.During)
	defer cancel()
	guesses := guess(ctx, srv, o.Attackers, s, users)
	time.Sleep(time.Second) // the crowd starts
	honest := []*honestUser{
		{name: "known device, own network", network: "198.51.100.7", user: users[0], known: true},
		{name: "known device, attackers' network", network: attackerNetwork(0), user: users[1], known: true},
		{name: "unknown device, own network", user: users[2]},
		{name: "unknown device, attackers' network", network: attackerNetwork(0), user: users[3]},
	}
	logInRepeatedly(ctx, srv, honest)
	if guesses.total() == 0 {
		return nil, fmt.Errorf("%s: no guess had an answer", s.Name)
	}
	var found []Honest
	for _, h := range honest {
		found = append(found, h.result())
	}
	return found, srv.Alive()
}

// Rushed is what a rush of logins does.
type Rushed struct {
	Statuses   map[int]int // of the logins
	PeakMemory string
	idle, busy probed
}

// VerifyRatio returns the 99th percentile of the verify route in the rush, divided by that
// of an idle server.
func (r Rushed) VerifyRatio() float64 { return r.busy.p99 / r.idle.p99 }

// RushOfLogins sends many logins at once and measures the verify route.
func (o Options) RushOfLogins(ctx context.Context) (r Rushed, err error) {
	srv, err := startServer(o.Server, o.Memory)
	if err != nil {
		return r, err
	}
	defer srv.stop()
	users, err := srv.registerUsers(ctx, 20)
	if err != nil {
		return r, err
	}
	if r.idle, err = verifyFor(ctx, srv, users[0], 5*time.Second); err != nil {
		return r, err
	}
	rush := make(chan *tally, 1)
	go func() { time.Sleep(time.Second); rush <- loginsAtOnce(ctx, srv, o.Rush, users) }()
	if r.busy, err = verifyFor(ctx, srv, users[0], 8*time.Second); err != nil {
		return r, err
	}
	r.Statuses, r.PeakMemory = (<-rush).byStatus(), srv.peakMemory()
	return r, srv.Alive()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

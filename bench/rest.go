package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"cubegate/bench/connections"
	"cubegate/bench/crowds"
)

// Times at which the memory is read.
const (
	idlePause = 10 * time.Second // after the start of the last server, before any client
	restPause = 20 * time.Second // after the load
)

const mib = 1 << 20

// measureIdle reads the memory of the servers before they have clients.
func (b *bench) measureIdle(ctx context.Context) error {
	if !b.short {
		progress("waiting %v for the memory before the load", idlePause)
		pause(ctx, idlePause)
	}
	for _, t := range b.targets {
		u, err := t.process.Usage()
		if err != nil {
			return err
		}
		t.idle = u.Resident
	}
	return nil
}

// measureRest adds what the servers cost beside their answers.
func (b *bench) measureRest(ctx context.Context) error {
	b.addGoodput()
	idle := line{measurement: "resident memory", at: "idle, before the load", unit: "MiB", better: lower}
	after := line{measurement: "resident memory", at: "20 s after the load", unit: "MiB", better: lower}
	first := line{measurement: "start to first answer", at: "without data", unit: "ms", better: lower}
	start := line{measurement: "start to first answer", at: "with data", unit: "ms", better: lower}
	if b.short {
		after.at = "after the load"
	} else {
		progress("waiting %v for the memory after the load", restPause)
		pause(ctx, restPause)
	}
	for _, t := range b.targets {
		u, err := t.process.Usage()
		if err != nil {
			return err
		}
		idle.values = append(idle.values, float64(t.idle)/mib)
		after.values = append(after.values, float64(u.Resident)/mib)
		first.values = append(first.values, msOrNone(t.firstRun))
		start.values = append(start.values, msOrNone(t.toAnswer))
	}
	b.table.add(idle)
	b.table.add(after)
	b.table.add(first)
	b.table.add(start)
	info, err := os.Stat(b.stack.Binary)
	if err != nil {
		return err
	}
	b.table.single(line{measurement: "size of the program", at: "one file", unit: "MiB"}, float64(info.Size())/mib)
	return nil
}

// msOrNone returns NaN for 0: the bench has not started the server.
func msOrNone(d time.Duration) float64 {
	if d == 0 {
		return math.NaN()
	}
	return ms(d)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// The sizes of the floods in the table; the modes crowds and connections have larger ones.
const (
	attackers   = 100
	crowdTime   = 5 * time.Second
	rush        = 200
	floodMemory = 1000 // connections of one kind
)

// measureFloods adds short runs of the packages crowds and connections.
func (b *bench) measureFloods(ctx context.Context) error {
	o := crowds.Options{Server: b.stack.Binary, Attackers: attackers, During: crowdTime, Rush: rush}
	for _, s := range crowds.Scenarios {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		progress("a crowd: %s", s.Name)
		found, err := o.Crowd(ctx, s)
		if err != nil {
			return fmt.Errorf("a crowd, %s: %w", s.Name, err)
		}
		for _, h := range found {
			b.table.add(line{
				measurement: fmt.Sprintf("login beside %d guessers, %s", attackers, s.Name), at: h.Name, unit: "% served / median ms",
				texts: []string{number(h.Served) + " / " + number(h.Median)},
			})
		}
	}
	progress("%d logins at once", rush)
	r, err := o.RushOfLogins(ctx)
	if err != nil {
		return fmt.Errorf("a rush of logins: %w", err)
	}
	b.table.single(line{measurement: "p99 of verify", at: fmt.Sprintf("%d logins at once", rush), unit: "times that of an idle server"}, r.VerifyRatio())
	progress("memory of connections")
	memory, err := connections.Measure(b.stack.Binary, floodMemory, "silent", "all but a byte of 64 KB", "idle after a response")
	if err != nil {
		return fmt.Errorf("memory of connections: %w", err)
	}
	for _, m := range memory {
		b.table.single(line{measurement: "an open connection", at: m.Kind, unit: "KiB"}, m.KiB)
	}
	return nil
}

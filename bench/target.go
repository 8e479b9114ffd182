package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/bench/load"
)

const (
	readyLimit  = time.Minute      // from the start of a server to its first answer
	settleLimit = 15 * time.Second // in which a server must work off what its clients have left
)

// target is a server that the table shows.
type target struct {
	spec    *load.Spec
	folder  string // with its data
	here    string // folder of its file of requests
	core    string
	isPeer  bool
	process benchserver.Process
	server  *benchserver.Server // nil if the bench has not started it
	clients []*load.Client

	idle     int64         // bytes before the load
	firstRun time.Duration // from the start to the first answer, without data
	toAnswer time.Duration // the same with data, the median
}

// start starts the server, unless it runs already, and returns the time to its first answer.
func (t *target) start() (time.Duration, error) {
	if len(t.spec.Start) == 0 {
		var err error
		if t.process = benchserver.Process(t.spec.PID); t.process == 0 {
			t.process, err = benchserver.OnPort(t.spec.Port())
		}
		return 0, err
	}
	port, err := benchserver.FreePort()
	if err != nil {
		return 0, err
	}
	values := map[string]string{"port": strconv.Itoa(port), "folder": t.folder, "spec": t.here}
	line, err := load.Fill(t.spec.Start, values)
	if err != nil {
		return 0, fmt.Errorf("%s: start: %w", t.spec.Name, err)
	}
	env, err := load.Fill(t.spec.Env, values)
	if err != nil {
		return 0, fmt.Errorf("%s: env: %w", t.spec.Name, err)
	}
	began := time.Now()
	if t.server, err = benchserver.StartOther(t.folder, benchserver.On(t.core, line...), env...); err != nil {
		return 0, fmt.Errorf("%s: %w", t.spec.Name, err)
	}
	t.spec.URL = "http://127.0.0.1:" + values["port"]
	t.process = benchserver.Process(t.server.PID())
	if err := benchserver.Answers(t.spec.URL+t.spec.Ready, readyLimit); err != nil {
		log := t.server.LastLines()
		_ = t.stop()
		return 0, fmt.Errorf("%s: %w\n%s", t.spec.Name, err, log)
	}
	return time.Since(began), nil
}

// startOften starts the server several times, of which the first makes its data, and
// leaves the last one running.
func (t *target) startOften(times int) error {
	var took []float64
	for i := range times + 1 {
		d, err := t.start()
		if err != nil {
			return err
		}
		if t.server == nil {
			break // it ran before
		}
		if i > 0 {
			took = append(took, float64(d))
		} else {
			t.firstRun = d
		}
		if i < times {
			if err := t.stop(); err != nil {
				return fmt.Errorf("%s: %w", t.spec.Name, err)
			}
		}
	}
	if len(took) > 0 {
		t.toAnswer = time.Duration(median(took))
	}
	t.process.Settle(settleLimit)
	return nil
}

// stop ends a server that the bench has started.
func (t *target) stop() error {
	load.CloseAll(t.clients)
	if t.server == nil {
		return nil
	}
	server := t.server
	t.server = nil
	if err := server.Stop(); err != nil && !t.isPeer {
		return err
	}
	return nil // how a peer ends is its own affair
}

// newFolder creates a folder below that of the bench.
func (b *bench) newFolder(name string) (string, error) {
	folder := filepath.Join(b.stack.Folder, name)
	return folder, os.MkdirAll(folder, 0o700)
}

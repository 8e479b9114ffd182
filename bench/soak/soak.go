// Package soak lets a server run under load and faults for a long time, and judges
// whether its memory, goroutines and descriptors grow:
//
//	go run ./bench soak -for 30m
//
// The server, its database and the sandbox are a process each. Clients log in, refresh,
// ask, register and hang up; the sandbox answers with errors, stalls and lost answers; the
// database is killed and comes back, and so is the sandbox. At the end the server must stop
// within its deadline, and its successor must serve. Package e2e has a soak of
// the chat: e2e/soak.mjs.
package soak

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/bench/load"
	"cubegate/bench/peers"
)

// Run runs the soak with the flags of the command line.
func Run(ctx context.Context, args []string) error {
	var s soak
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	flags.StringVar(&s.stack.Binary, "server", "", "file of the server; without it, this module's is built")
	flags.DurationVar(&s.during, "for", 30*time.Minute, "time of the load, 20s to 24h")
	flags.IntVar(&s.clients, "clients", 16, "clients, 1 to 256")
	if err := benchserver.Parse(flags, args); err != nil {
		return err
	}
	if s.during < 20*time.Second || s.during > 24*time.Hour || s.clients < 1 || s.clients > 256 {
		return errors.New("want -for from 20s to 24h, and -clients from 1 to 256")
	}
	folder, remove, err := benchserver.Workspace("soak", &s.stack.Binary)
	if err != nil {
		return err
	}
	defer remove()
	s.stack.Folder = folder
	defer func() { _ = s.stack.Close() }() // after a failure; report stops the server itself
	if err := s.start(); err != nil {
		return err
	}
	return s.run(ctx)
}

type soak struct {
	stack   benchserver.Stack
	during  time.Duration
	clients int

	databasePort int
	database     *benchserver.Server
	mongoURI     string
	opsPort      int
	server       *benchserver.Server
	spec         *load.Spec

	answers, refused, hungUp, events atomic.Int64
}

func (s *soak) start() (err error) {
	if s.databasePort, err = benchserver.FreePort(); err != nil {
		return err
	}
	if s.opsPort, err = benchserver.FreePort(); err != nil {
		return err
	}
	if s.database, s.mongoURI, err = s.stack.StartDatabase(s.databasePort); err != nil {
		return err
	}
	if err := s.stack.StartSandbox(); err != nil {
		return err
	}
	if s.spec, err = peers.Cubegate(); err != nil {
		return err
	}
	return s.startServer()
}

// startServer starts the server with small hashes, so that the load is not mainly
// argon2id, and without the limits that clients of one network would meet.
func (s *soak) startServer() (err error) {
	s.server, err = s.stack.StartServer("server", "MONGO_URI="+s.mongoURI, "OPS_ADDR=127.0.0.1:"+strconv.Itoa(s.opsPort),
		"PASSWORD_MEMORY=1024", "PASSWORD_ITERATIONS=1", "LOG_LEVEL=error", "LOGIN_FAILURES=0", "CONNECTYCUBE_TIMEOUT=2s")
	if err != nil {
		return err
	}
	s.spec.URL = s.server.URL
	return s.stack.AskAt(s.server.URL)
}

func (s *soak) run(ctx context.Context) error {
	clients, err := s.spec.Clients(ctx, s.clients)
	if err != nil {
		return err
	}
	defer load.CloseAll(clients)
	whole := ctx
	ctx, stop := context.WithTimeout(ctx, s.during)
	defer stop()
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() { s.behave(ctx, c, i) })
	}
	troubled := make(chan error, 1)
	go func() { troubled <- s.trouble(ctx) }()
	figures := s.watch(ctx)
	all.Wait()
	if err := errors.Join(<-troubled, s.server.Alive()); err != nil {
		return err
	}
	if whole.Err() != nil {
		return errors.New("interrupted")
	}
	return errors.Join(s.report(figures), s.succeed(whole))
}

// behave lets a client use the server until the end. An error is no failure of the soak:
// the faults cause them. After one, the client logs in again, as an app does.
func (s *soak) behave(ctx context.Context, c *load.Client, number int) {
	rows := []string{"me", "verify", "hello", "refresh", "me", "login", "verify", "login_By_token", "me", "register", "login, refused"}
	for n := number; ctx.Err() == nil; n++ {
		r := s.spec.Rows[rows[n%len(rows)]]
		if n%23 == 0 {
			_ = c.HangUp(r)
			s.hungUp.Add(1)
			_ = c.Send(s.spec.Rows["login"])
		}
		if err := c.Send(r); err == nil {
			s.answers.Add(1)
		} else {
			s.refused.Add(1)
			time.Sleep(50 * time.Millisecond)
			_ = c.Send(s.spec.Rows["login"])
		}
		time.Sleep(30 * time.Millisecond) // the load leaves the machine idle in part
	}
}

// trouble causes faults, one after the other, until ctx ends. Their effects last
// for half of the time, so that each quarter of the soak has as much of both states.
func (s *soak) trouble(ctx context.Context) error {
	faults := []any{
		map[string]any{"kind": "status", "status": 500, "probability": 0.3},
		map[string]any{"kind": "status", "status": 429, "probability": 0.5},
		map[string]any{"kind": "slow", "delay_ms": 3000, "probability": 0.2},
		map[string]any{"kind": "lost-answer", "probability": 0.3},
		map[string]any{"kind": "reset", "probability": 0.3},
		map[string]any{"kind": "truncated", "probability": 0.3},
	}
	pause := max(s.during/64, time.Second)
	for n := 0; ; n++ {
		var err error
		switch n % (len(faults) + 2) {
		case 0:
			err = s.killDatabase(ctx, min(pause, 5*time.Second))
		case 1:
			err = s.restartSandbox()
		default:
			err = s.stack.Control(http.MethodPut, "faults", map[string]any{"faults": []any{faults[n%(len(faults)+2)-2]}})
		}
		if err != nil {
			return fmt.Errorf("fault %d: %w", n, err)
		}
		s.events.Add(1)
		if wait(ctx, pause) {
			return s.stack.Control(http.MethodDelete, "faults", nil)
		}
		if err := s.stack.Control(http.MethodDelete, "faults", nil); err != nil {
			return err
		}
		if wait(ctx, pause) {
			return nil
		}
	}
}

func (s *soak) killDatabase(ctx context.Context, away time.Duration) (err error) {
	s.database.Kill()
	wait(ctx, away)
	s.database, _, err = s.stack.StartDatabase(s.databasePort)
	return err
}

// restartSandbox ends the sandbox, which forgets all accounts, and starts it on its port.
func (s *soak) restartSandbox() error {
	port := s.stack.Sandbox.URL[strings.LastIndex(s.stack.Sandbox.URL, ":")+1:]
	s.stack.Sandbox.Kill()
	if err := s.stack.StartSandbox("SANDBOX_PORT=" + port); err != nil {
		return err
	}
	return s.stack.AskAt(s.server.URL)
}

// wait reports whether ctx ended within a time.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return true
	case <-time.After(d):
		return false
	}
}

// watch samples the server until ctx ends.
func (s *soak) watch(ctx context.Context) []series {
	figures := []series{
		{name: "resident memory", unit: "MiB", slack: 4},
		{name: "descriptors", slack: 8},
		{name: "threads", slack: 4},
		{name: "goroutines", slack: 8},
	}
	pause := max(s.during/720, 250*time.Millisecond)
	next := time.Now().Add(time.Minute)
	end, _ := ctx.Deadline()
	for !wait(ctx, pause) {
		u, err := benchserver.Process(s.server.PID()).Usage()
		if err != nil {
			break // run reports the end of the server
		}
		for i, v := range []float64{float64(u.Resident) / (1 << 20), float64(u.Descriptors), float64(u.Threads)} {
			figures[i].samples = append(figures[i].samples, v)
		}
		if n, err := goroutines(s.opsPort); err == nil {
			figures[3].samples = append(figures[3].samples, float64(n))
		}
		if time.Now().After(next) {
			next = next.Add(time.Minute)
			fmt.Fprintf(os.Stderr, "soak: %v left, %d answers, %d failed, %.1f MiB, %d descriptors, %d threads\n", time.Until(end).Round(time.Second),
				s.answers.Load(), s.refused.Load(), float64(u.Resident)/(1<<20), u.Descriptors, u.Threads)
		}
	}
	return figures
}

// goroutines asks the server's operations port. A server without one returns an error.
func goroutines(port int) (n int, err error) {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=1", port))
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	first, err := bufio.NewReader(io.LimitReader(answer.Body, 1<<10)).ReadString('\n')
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(first, "goroutine profile: total %d", &n)
	return n, err
}

// report prints the figures, and returns an error if one grows.
func (s *soak) report(figures []series) error {
	fmt.Printf("Soak of %v: %d clients, %d answers, %d failed, %d hung up, %d faults.\n\n", s.during, s.clients,
		s.answers.Load(), s.refused.Load(), s.hungUp.Load(), s.events.Load())
	fmt.Print("| mean of quarter | 1 | 2 | 3 | 4 | unit | from the second quarter on |\n| --- | ---: | ---: | ---: | ---: | --- | --- |\n")
	var errs []error
	for _, f := range figures {
		if len(f.samples) < 16 {
			fmt.Printf("| %s | | | | | | not measured: the server has no /debug/pprof at OPS_ADDR |\n", f.name)
			continue
		}
		fmt.Println(f.row())
		if f.judge().growing {
			errs = append(errs, fmt.Errorf("%s grows", f.name))
		}
	}
	if s.answers.Load() < int64(s.clients)*10 {
		errs = append(errs, fmt.Errorf("only %d requests had a good answer", s.answers.Load()))
	}
	return errors.Join(errs...)
}

// recovery is the time in which a new server must serve. The last fault may have ended the
// database a moment ago.
const recovery = time.Minute

// succeed stops the server and starts another one, which must serve.
func (s *soak) succeed(ctx context.Context) error {
	if err := s.server.Stop(); err != nil {
		return err
	}
	if err := s.startServer(); err != nil {
		return err
	}
	for end := time.Now().Add(recovery); ; {
		c, err := s.spec.Clients(ctx, 1)
		load.CloseAll(c)
		if err == nil {
			return s.stack.Close()
		}
		if time.Now().After(end) || wait(ctx, time.Second) {
			return fmt.Errorf("after the restart: %w", err)
		}
	}
}

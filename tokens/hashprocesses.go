package tokens

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// hashTimes are the durations of hashProcesses.
type hashTimes struct {
	start time.Duration // for the start of a process
	hash  time.Duration // for one hash; the costliest takes some seconds
	idle  time.Duration // until a process without work ends
	retry time.Duration // after a start that failed, until the next one
}

var defaultHashTimes = hashTimes{start: 10 * time.Second, hash: 30 * time.Second, idle: 10 * time.Second, retry: time.Minute}

var (
	errClosed     = errors.New("the hasher is closed")
	errNotStarted = errors.New("no hash process starts")
)

// hashProcesses computes hashes in child processes, one for each hash that runs at
// the same time. In this process a hash delays all requests: it is a long
// computation for the scheduler, and its memory makes the garbage collector run.
//
// If no process can be started, this process computes the hashes. If a process fails
// during a hash, a new one computes it once more.
type hashProcesses struct {
	command, environment []string
	times                hashTimes
	warn                 func(error)

	mu       sync.Mutex
	running  map[*hashProcess]struct{} // some may not be ready yet
	idle     []*hashProcess            // of running; the last one was used last
	failedAt time.Time                 // the last start; zero: it succeeded
	closed   bool
	all      sync.WaitGroup // of running
}

func newHashProcesses(p Params) *hashProcesses {
	return &hashProcesses{
		command:     p.Command,
		environment: hashProcessEnvironment(p),
		times:       defaultHashTimes,
		warn:        p.Warn,
		running:     map[*hashProcess]struct{}{},
	}
}

func (p *hashProcesses) compute(t hashTask) (hashResult, error) {
	c, err := p.take()
	for attempts := 1; err == nil; attempts++ {
		r, failed := c.ask(t, p.times.hash)
		if failed == nil {
			p.put(c)
			return r, nil
		}
		failed = fmt.Errorf("hash process failed: %w (%v)", failed, p.end(c))
		p.warn(failed)
		p.endIdle() // they may have failed, too, and the next attempt is the last
		if attempts == 2 {
			return hashResult{}, failed
		}
		c, err = p.start()
	}
	if errors.Is(err, errClosed) {
		return hashResult{}, err
	}
	return thisProcess{}.compute(t)
}

// take returns an idle process, or starts one.
func (p *hashProcesses) take() (*hashProcess, error) {
	p.mu.Lock()
	if last := len(p.idle) - 1; last >= 0 {
		defer p.mu.Unlock()
		c := p.idle[last]
		p.idle = p.idle[:last]
		c.expires.Stop()
		return c, nil
	}
	p.mu.Unlock()
	return p.start()
}

// put keeps a process for the next hash.
func (p *hashProcesses) put(c *hashProcess) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
	c.expires = time.AfterFunc(p.times.idle, func() { p.expire(c) })
	if p.closed {
		c.expires.Reset(0)
	}
}

// expire ends a process that is idle.
func (p *hashProcesses) expire(c *hashProcess) {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	if i >= 0 { // else a hash has begun at this moment
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		p.end(c)
	}
}

// endIdle ends all idle processes.
func (p *hashProcesses) endIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.expires.Stop()
		p.end(c)
	}
}

// start starts a process. The error is errClosed or errNotStarted. It warns of the first
// of several starts that fail.
func (p *hashProcesses) start() (*hashProcess, error) {
	c, err := p.launch()
	if errors.Is(err, errClosed) || errors.Is(err, errNotStarted) {
		return nil, err
	}
	if err == nil {
		if err = c.ready(p.times.start); err != nil {
			err = fmt.Errorf("%w (%v)", err, p.end(c))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.failedAt = time.Time{}
		return c, nil
	case p.closed:
		return nil, errClosed
	case p.failedAt.IsZero():
		p.warn(fmt.Errorf("%w, so the server computes hashes itself: %w", errNotStarted, err))
	}
	p.failedAt = time.Now()
	return nil, errNotStarted
}

// launch starts a process that may not be ready yet, unless the last start failed a
// short time ago.
func (p *hashProcesses) launch() (*hashProcess, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if !p.failedAt.IsZero() && time.Since(p.failedAt) < p.times.retry {
		return nil, errNotStarted
	}
	c, err := startHashProcess(p.command, p.environment)
	if err == nil {
		p.all.Add(1)
		p.running[c] = struct{}{}
	}
	return c, err
}

// end ends a process that is not idle, and returns how it ended.
func (p *hashProcesses) end(c *hashProcess) *os.ProcessState {
	defer p.all.Done()
	state := c.end()
	p.mu.Lock()
	delete(p.running, c)
	p.mu.Unlock()
	return state
}

func (p *hashProcesses) close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.endIdle()
	defer context.AfterFunc(ctx, p.killAll)()
	p.all.Wait()
}

// killAll makes the running hashes fail.
func (p *hashProcesses) killAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.running {
		c.kill()
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// closeTimeout bounds closing after a command, or after a start that failed.
const closeTimeout = 5 * time.Second

// tellAfter is how long background work may take to stop before the shutdown tells of it.
const tellAfter = 300 * time.Millisecond

// background is the work that runs beside the requests.
type background struct {
	work   []func(context.Context) // each runs until its context ends
	cancel context.CancelFunc      // tells the work to stop
	left   atomic.Int64            // parts of the work that have not stopped
	ended  chan struct{}           // closed when all of it has stopped
}

// add adds work that start will run.
func (b *background) add(run func(context.Context)) { b.work = append(b.work, run) }

// start starts the work, which runs until cancel is called or ctx ends.
func (b *background) start(ctx context.Context) {
	ctx, b.cancel = context.WithCancel(ctx)
	b.ended = make(chan struct{})
	var all sync.WaitGroup
	for _, run := range b.work {
		b.left.Add(1)
		all.Go(func() {
			defer b.left.Add(-1)
			run(ctx)
		})
	}
	go func() {
		all.Wait()
		close(b.ended)
	}()
}

// wait waits until all work has stopped, or until ctx ends. It reports whether the work
// has stopped; the leases of abandoned work expire.
func (b *background) wait(ctx context.Context) (stopped bool) {
	select {
	case <-b.ended:
	case <-ctx.Done():
	}
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// shutdown stops the server in order and takes at most ShutdownTimeout: all phases
// share one deadline. A phase that begins after it closes at once.
func (s *Server) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	s.health.stop()
	s.tellStop()
	s.background.cancel() // first, so that it ends while the requests do
	// The listener closes late: a running login waits for ConnectyCube's callback.
	// The sandbox closes after it, because requests and background work call it.
	s.drain(ctx)
	s.tellBackground(ctx)
	if !s.background.wait(ctx) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "shutdown deadline reached; abandoning background work")
	}
	s.api.stopAccepting(ctx)
	if len(s.cfg.HTTP.TrustedProxies) > 0 {
		s.api.linger(ctx)
	}
	err := errors.Join(s.api.server.Shutdown(ctx), s.requests.Close(ctx))
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "shutdown deadline reached; closing open requests")
		err = s.api.server.Close()
	}
	if s.sandbox != nil {
		err = errors.Join(err, s.sandbox.server.Close())
	}
	if s.ops != nil { // last, so that operators see the rest stop; it does not wait for a profile
		err = errors.Join(err, s.ops.server.Close())
	}
	return errors.Join(err, s.closeWithin(ctx))
}

// drain waits for the running requests, for half of the time that is left: in the other
// half those end that have begun meanwhile.
func (s *Server) drain(ctx context.Context) {
	s.requests.Begin(ctx) // sockets may take all of the time
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ShutdownTimeout/2)
	defer cancel()
	_ = s.requests.Close(ctx) // the shutdown of the HTTP server waits for the rest
}

// tellStop says what the shutdown waits for.
func (s *Server) tellStop() {
	requests, callbacks := s.requests.Running()
	var waits []string
	if requests > 0 {
		waits = append(waits, counted(requests, "open request"))
	}
	if callbacks > 0 {
		waits = append(waits, counted(callbacks, "callback"))
	}
	what := "background work"
	if len(waits) > 0 {
		what = strings.Join(waits, ", ") + " and " + what
	}
	s.tell("\nStopping. Waiting at most %s for %s.\nCtrl-C again ends at once.\n", s.cfg.ShutdownTimeout, what)
}

// tellBackground says what the shutdown waits for if only background work is left, unless
// that ends in a moment.
func (s *Server) tellBackground(ctx context.Context) {
	moment, cancel := context.WithTimeout(ctx, tellAfter)
	defer cancel()
	if !s.background.wait(moment) && ctx.Err() == nil {
		s.tell("Waiting for %s of background work.\n", counted(int(s.background.left.Load()), "part"))
	}
}

// tell prints a line for a person, if a person watches.
func (s *Server) tell(format string, args ...any) {
	if s.notes.out != nil {
		fmt.Fprintf(s.notes.out, format, args...)
	}
}

// counted returns "1 request" or "2 requests".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// onClose registers the function that closes the resource just opened.
func (s *Server) onClose(shut func(context.Context) error) { s.closers = append(s.closers, shut) }

// Close closes the resources that Open has opened. A server that ran has no more.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.closeWithin(ctx)
}

// closeWithin closes the resources in the reverse order of opening. Its errors do not
// include that of ctx: closing at the deadline is no failure.
func (s *Server) closeWithin(ctx context.Context) error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i](ctx); ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
			errs = append(errs, err)
		}
	}
	s.closers = nil
	return errors.Join(errs...)
}

package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// closeTimeout bounds closing after a command, or after a start that failed.
const closeTimeout = 5 * time.Second

// background is the work that runs beside the requests.
type background struct {
	work   []func(context.Context) // each runs until its context ends
	cancel context.CancelFunc      // tells the work to stop
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
		all.Go(func() { run(ctx) })
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
	s.background.cancel() // first, so that it ends while the requests do
	// The listener closes last: a running login waits for ConnectyCube's callback.
	// The sandbox closes after it, because requests and background work call it.
	err := s.requests.Close(ctx)
	if !s.background.wait(ctx) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "shutdown deadline reached; abandoning background work")
	}
	err = errors.Join(err, s.api.server.Shutdown(ctx))
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "shutdown deadline reached; closing open requests")
		err = s.api.server.Close()
	}
	if s.sandbox != nil {
		err = errors.Join(err, s.sandbox.server.Close())
	}
	return errors.Join(err, s.closeWithin(ctx))
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

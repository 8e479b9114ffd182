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
	cancel context.CancelFunc // tells the work to stop
	ended  <-chan struct{}    // closed when all of it has stopped
}

// startBackground starts the background work, which runs until shutdown.
func (p *program) startBackground(ctx context.Context) background {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, run := range p.background {
		all.Go(func() { run(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	return background{cancel, ended}
}

// wait waits for the end of the work. The error is that of ctx; the leases of
// work that has not ended by then expire.
func (b background) wait(ctx context.Context) error {
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shutdown stops the program in order and takes at most ShutdownTimeout: all
// phases share one deadline. A phase that gets no time any more closes by force.
func (p *program) shutdown(ctx context.Context, work background) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.ShutdownTimeout)
	defer cancel()
	p.health.Stop()
	work.cancel() // first, so that the work ends while the requests do
	// The listener closes last: a running login waits for ConnectyCube's
	// callback. The sandbox closes after it, because requests and background
	// work may still call it.
	err := p.requests.Close(ctx)
	if late := work.wait(ctx); late != nil {
		p.log.LogAttrs(ctx, slog.LevelWarn, "background work cut off at the shutdown deadline")
	}
	err = errors.Join(err, p.api.Shutdown(ctx))
	if errors.Is(err, context.DeadlineExceeded) {
		p.log.LogAttrs(ctx, slog.LevelWarn, "requests cut off at the shutdown deadline")
		err = p.api.Close()
	}
	if p.box != nil {
		err = errors.Join(err, p.box.Close())
	}
	return errors.Join(err, p.closeWithin(ctx))
}

// onClose notes how to close the resource that was just opened.
func (p *program) onClose(shut func(context.Context) error) { p.closers = append(p.closers, shut) }

// close closes what open has opened.
func (p *program) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return p.closeWithin(ctx)
}

// closeWithin closes in the reverse order of opening. When ctx ends, the
// database's connections in use are closed as well; that is no error, because
// the deadline is what ended them.
func (p *program) closeWithin(ctx context.Context) error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		if err := p.closers[i](ctx); ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
			errs = append(errs, err)
		}
	}
	p.closers = nil
	return errors.Join(errs...)
}

package embedded

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxListenConnections bounds the connections at Options.Listen. The bound is separate, so
	// that a tool that leaks connections cannot take the database from the process. Three
	// servers with the pools of the driver, of 100 each, fit in.
	maxListenConnections = 400

	// maxListenBytes bounds the bytes that all connections at Options.Listen hold together:
	// messages that are read or executed, and answers. The largest message takes half as
	// much again while its buffer grows, and still fits.
	maxListenBytes = 96 << 20

	budgetWait = 10 * time.Second // for free bytes, before the connection is closed
)

var errNoRoom = errors.New("too many bytes in flight on all connections")

// budget bounds the bytes that several connections hold at one time. A nil budget has no
// bound; the process's own driver has a nil budget on its pipe.
type budget struct {
	limit       int
	wait        time.Duration // for free bytes
	connections int           // that share the budget; guarded by the Server's mutex

	line chan struct{} // holds one: the share that is next to get bytes in order

	mu   sync.Mutex
	used int
	free chan struct{} // closed when used shrinks
}

func newBudget(limit int) *budget {
	return &budget{limit: limit, wait: budgetWait, line: make(chan struct{}, 1), free: make(chan struct{})}
}

// acquire waits for n free bytes. The error is errNoRoom after the longest wait; then
// acquire has taken none.
func (b *budget) acquire(ctx context.Context, n int) error {
	if b == nil || n == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.wait, errNoRoom)
	defer cancel()
	for {
		b.mu.Lock()
		if b.used+n <= b.limit {
			b.used += n
			b.mu.Unlock()
			return nil
		}
		free := b.free
		b.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// release returns n bytes.
func (b *budget) release(n int) {
	if b == nil || n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	close(b.free)
	b.free = make(chan struct{})
}

// share is the part of a budget that one connection holds.
type share struct {
	budget *budget
	held   int
}

// resize changes the share to n bytes.
func (s *share) resize(ctx context.Context, n int) error {
	if n > s.held {
		if err := s.budget.acquire(ctx, n-s.held); err != nil {
			return err
		}
	} else {
		s.budget.release(s.held - n)
	}
	s.held = n
	return nil
}

// resizeInOrder is resize after all earlier callers of resizeInOrder. Without an order, the newest
// of many callers tends to get the free bytes, and an old one none within its wait. Callers of
// resize do not wait in line: a small message fits beside what the first in line waits for.
func (s *share) resizeInOrder(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.budget.wait, errNoRoom)
	defer cancel()
	select {
	case s.budget.line <- struct{}{}: // senders on a channel are served in order
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.budget.line }()
	return s.resize(ctx, n)
}

// release returns all bytes of the share.
func (s *share) release() {
	s.budget.release(s.held)
	s.held = 0
}

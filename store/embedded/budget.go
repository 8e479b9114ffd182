package embedded

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxListenConnections bounds the connections at Options.Listen. They have a bound of
	// their own, so that a tool that leaks them leaves the process its database.
	maxListenConnections = 100

	// maxListenBytes bounds what all connections at Options.Listen hold together: messages
	// that are read or carried out, and answers. It has room for the largest message
	// while that grows, which takes half as much again.
	maxListenBytes = 96 << 20

	budgetWait = 10 * time.Second // for room, before the connection is closed
)

var errNoRoom = errors.New("too many bytes in flight on all connections")

// budget bounds the bytes that several connections hold at one time. A nil budget has no
// bound: the process's own driver, on its pipe, needs none.
type budget struct {
	limit       int
	wait        time.Duration // for room
	connections int           // that share it; guarded by the Server's mutex

	mu   sync.Mutex
	used int
	free chan struct{} // closed when used shrinks
}

func newBudget(limit int) *budget {
	return &budget{limit: limit, wait: budgetWait, free: make(chan struct{})}
}

// take waits for room for n bytes. The error is errNoRoom when there is none in time; then
// nothing is taken.
func (b *budget) take(ctx context.Context, n int) error {
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

// give returns n bytes.
func (b *budget) give(n int) {
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

// resize holds n bytes from now on.
func (s *share) resize(ctx context.Context, n int) error {
	if n > s.held {
		if err := s.budget.take(ctx, n-s.held); err != nil {
			return err
		}
	} else {
		s.budget.give(s.held - n)
	}
	s.held = n
	return nil
}

// drop gives everything back.
func (s *share) drop() {
	s.budget.give(s.held)
	s.held = 0
}

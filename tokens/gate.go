package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrBusy means that too many passwords are being hashed: try again later.
var ErrBusy = errors.New("too many passwords are being hashed")

// gate lets a few pieces of work run at once, a few more wait, and refuses the
// rest. Without it 200 sign-ins at once took 6.4 GB and were served at 21 a
// second; two at a time took 122 MB and were served at 57 (stack.md, section 6).
type gate struct {
	slots   chan struct{} // one element for each piece of work that runs
	waiting atomic.Int64
	queue   int64         // how many may wait
	maxWait time.Duration // how long each may wait
}

// do runs work, which cannot be interrupted, in the calling goroutine. It holds
// its slot until work returns, whatever becomes of ctx in the meantime: the
// memory is in use for so long. It returns ErrBusy or ctx's error, both wrapped,
// when work has not run.
func (g *gate) do(ctx context.Context, work func()) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer func() { <-g.slots }()
	work()
	return nil
}

func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil { // else a free slot might win over a client who has left
		return fmt.Errorf("hashing password: %w", err)
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return fmt.Errorf("%w: the queue is full", ErrBusy)
	}
	patience := time.NewTimer(g.maxWait)
	defer patience.Stop()
	select {
	case g.slots <- struct{}{}: // senders on a channel are served in the order they came
		return nil
	case <-patience.C:
		return fmt.Errorf("%w: none finished within %v", ErrBusy, g.maxWait)
	case <-ctx.Done():
		return fmt.Errorf("waiting to hash password: %w", ctx.Err())
	}
}

package store

import (
	"context"
	"fmt"
	"hash/maphash"
)

// turns lets those of this process who change the same document come one after
// the other. They would get there without it, by compare-and-set, but a hundred
// of them would read and lose a hundred times.
type turns struct {
	seed  maphash.Seed
	lanes [64]chan struct{} // a document always has the same one
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.lanes {
		t.lanes[i] = make(chan struct{}, 1)
	}
	return t
}

// take waits for the turn at a document; done gives it to the next one. The
// error wraps [ErrUnavailable] when ctx ends first.
func (t *turns) take(ctx context.Context, id string) (done func(), err error) {
	lane := t.lanes[maphash.String(t.seed, id)%uint64(len(t.lanes))]
	select {
	case lane <- struct{}{}:
		return func() { <-lane }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: too many others are before", ErrUnavailable)
	}
}

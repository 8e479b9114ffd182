package store

import (
	"context"
	"fmt"
	"hash/maphash"
)

// keyedLock serializes the changes of one document within this process. Compare-and-set alone
// is correct too, but each of a hundred concurrent changes would read and fail up to a
// hundred times.
type keyedLock struct {
	seed  maphash.Seed
	lanes [64]chan struct{} // a document always uses the same lane
}

func newKeyedLock() *keyedLock {
	k := &keyedLock{seed: maphash.MakeSeed()}
	for i := range k.lanes {
		k.lanes[i] = make(chan struct{}, 1)
	}
	return k
}

// lock locks a document; done unlocks it. The error wraps [ErrUnavailable] when
// ctx ends first.
func (k *keyedLock) lock(ctx context.Context, id string) (done func(), err error) {
	lane := k.lanes[maphash.String(k.seed, id)%uint64(len(k.lanes))]
	select {
	case lane <- struct{}{}:
		return func() { <-lane }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: too many concurrent changes of the document", ErrUnavailable)
	}
}

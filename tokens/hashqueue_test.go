package tokens

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// work is the time of one hash in the tests below, on the fake clock.
const work = 100 * time.Millisecond

func newQueue(slots int, maxWait time.Duration) *hashQueue {
	return newHashQueue(slots, maxWait, work)
}

func TestQueueBoundsRunningHashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, callers = 3, 30
		q := newQueue(slots, time.Hour)
		var running, most, done atomic.Int64
		var all sync.WaitGroup
		start := time.Now()
		for range callers {
			all.Go(func() {
				err := q.do(t.Context(), Turn{}, func() {
					now := running.Add(1)
					for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
					}
					time.Sleep(work)
					running.Add(-1)
					done.Add(1)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most.Load() != slots { // fewer is a fault, too
			t.Errorf("%d ran at once, want %d", most.Load(), slots)
		}
		if took := time.Since(start); took != work*callers/slots || done.Load() != callers {
			t.Errorf("%d done in %v, want all in %v", done.Load(), took, work*callers/slots)
		}
	})
}

func TestQueueRefusesAfterMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Second)
		release := occupy(t, q)
		defer release()
		start := time.Now()
		if err := q.do(t.Context(), Turn{}, ran(t)); !errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want ErrBusy", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("refused after %v, want 1s", took)
		}
		if got := q.classes[Strangers].waiting; got != 0 {
			t.Errorf("%d still counted as waiting", got)
		}
	})
}

// A client that disconnects must not block the queue.
func TestQueueRemovesCanceledWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Hour)
		release := occupy(t, q)
		ctx, hangUp := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- q.do(ctx, Turn{}, ran(t)) }()
		synctest.Wait()
		hangUp()
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want context.Canceled", err)
		}
		next := make(chan error)
		go func() { next <- q.do(t.Context(), Turn{}, func() {}) }()
		synctest.Wait()
		release()
		if err := <-next; err != nil {
			t.Errorf("the next in the queue: %v", err)
		}
		if err := q.do(ctx, Turn{}, ran(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("error with a free slot = %v, want context.Canceled", err)
		}
	})
}

// A hash uses its memory after its client has disconnected, so its slot stays occupied
// until it ends.
func TestHashKeepsItsSlotToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, work/2)
		ctx, hangUp := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- q.do(ctx, Turn{}, func() { time.Sleep(work) }) }()
		synctest.Wait()
		hangUp()
		if err := q.do(t.Context(), Turn{}, ran(t)); !errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want ErrBusy: the first still runs", err)
		}
		if err := <-done; err != nil {
			t.Errorf("the running hash ends with %v", err)
		}
		if err := q.do(t.Context(), Turn{}, func() {}); err != nil {
			t.Errorf("after the first: %v", err)
		}
	})
}

func TestPanicReturnsTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Second)
		func() {
			defer func() { _ = recover() }()
			_ = q.do(t.Context(), Turn{}, func() { panic("as a hash never should") })
		}()
		if err := q.do(t.Context(), Turn{}, func() {}); err != nil {
			t.Error(err)
		}
	})
}

// Hash and Compare use the queue, for rows of every kind.
func TestHasherUsesItsQueue(t *testing.T) {
	h, err := NewHasher(Params{Memory: 64, Iterations: 1, Concurrent: 1, MaxWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := h.Hash(t.Context(), Turn{}, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(context.Context) error{
		"Hash":                      func(ctx context.Context) error { _, err := h.Hash(ctx, Turn{}, "x"); return err },
		"Compare":                   func(ctx context.Context) error { _, err := h.Compare(ctx, Turn{}, "x", stored); return err },
		"Compare with bcrypt":       func(ctx context.Context) error { _, err := h.Compare(ctx, Turn{}, "x", "$2b$10$"); return err },
		"Compare with no such user": func(ctx context.Context) error { _, err := h.Compare(ctx, Turn{}, "x", ""); return err },
		"Compare with nonsense":     func(ctx context.Context) error { _, err := h.Compare(ctx, Turn{}, "x", "nonsense"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h.queue = newQueue(1, time.Second) // of this bubble
				release := occupy(t, h.queue)
				defer release()
				if err := call(t.Context()); !errors.Is(err, ErrBusy) {
					t.Errorf("error = %v, want ErrBusy", err)
				}
			})
		})
	}
}

// occupy takes one slot of q until release is called.
func occupy(t *testing.T, q *hashQueue) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	go func() {
		if err := q.do(t.Context(), Turn{}, func() { close(begun); <-end }); err != nil {
			t.Error(err)
		}
	}()
	<-begun
	return func() { close(end); synctest.Wait() }
}

// ran returns work that must not run.
func ran(t *testing.T) func() {
	return func() { t.Error("work ran") }
}

// A turn whose Start fails goes to the next waiter, and does not count as a hash.
func TestFailedStartPassesTheTurnOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Second)
		spent := errors.New("the budget is spent")
		if err := q.do(t.Context(), Turn{Start: func() error { return spent }}, ran(t)); err != spent {
			t.Errorf("error = %v, want the error of Start", err)
		}
		if q.mean != work || q.free != 1 {
			t.Errorf("mean %v, %d free", q.mean, q.free)
		}
		started := false
		if err := q.do(t.Context(), Turn{Start: func() error { started = true; return nil }}, func() {}); err != nil || !started {
			t.Errorf("started %v, %v", started, err)
		}
	})
}

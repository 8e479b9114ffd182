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

// work takes this long in the tests below, on a bubble's fake clock.
const work = 100 * time.Millisecond

func newGate(slots int, queue int64, maxWait time.Duration) *gate {
	return &gate{slots: make(chan struct{}, slots), queue: queue, maxWait: maxWait}
}

func TestGateLetsAtMostSoManyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, callers = 3, 30
		g := newGate(slots, callers, time.Hour)
		var running, most, done atomic.Int64
		var all sync.WaitGroup
		start := time.Now()
		for range callers {
			all.Go(func() {
				err := g.do(t.Context(), func() {
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
		if most.Load() != slots { // fewer would be as wrong as more
			t.Errorf("%d ran at once, want %d", most.Load(), slots)
		}
		if took := time.Since(start); took != work*callers/slots || done.Load() != callers {
			t.Errorf("%d done in %v, want all in %v", done.Load(), took, work*callers/slots)
		}
	})
}

func TestGateRefusesWhenTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 2, time.Hour)
		release := occupy(t, g)
		var waiting sync.WaitGroup
		for range 2 {
			waiting.Go(func() {
				if err := g.do(t.Context(), func() {}); err != nil {
					t.Errorf("in the queue: %v", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		if err := g.do(t.Context(), ran(t)); !errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want ErrBusy", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("refused after %v, want at once", took)
		}
		release()
		waiting.Wait()
		if err := g.do(t.Context(), func() {}); err != nil {
			t.Errorf("after the rush: %v", err)
		}
	})
}

func TestGateRefusesWhoWaitedTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 2, time.Second)
		release := occupy(t, g)
		defer release()
		start := time.Now()
		if err := g.do(t.Context(), ran(t)); !errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want ErrBusy", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("refused after %v, want 1s", took)
		}
		if got := g.waiting.Load(); got != 0 {
			t.Errorf("%d still counted as waiting", got)
		}
	})
}

// A client who hangs up must not keep others out of the queue.
func TestGateForgetsWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1, time.Hour)
		release := occupy(t, g)
		ctx, hangUp := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- g.do(ctx, ran(t)) }()
		synctest.Wait()
		hangUp()
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want context.Canceled", err)
		}
		next := make(chan error)
		go func() { next <- g.do(t.Context(), func() {}) }()
		synctest.Wait()
		release()
		if err := <-next; err != nil {
			t.Errorf("the next in the queue: %v", err)
		}
		if err := g.do(ctx, ran(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("error with a free slot = %v, want context.Canceled", err)
		}
	})
}

// The hash goes on using its memory when the client is gone, so the slot is not
// given to another before it ends.
func TestGateKeepsTheSlotToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1, work/2)
		ctx, hangUp := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.do(ctx, func() { time.Sleep(work) }) }()
		synctest.Wait()
		hangUp()
		if err := g.do(t.Context(), ran(t)); !errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want ErrBusy: the first still runs", err)
		}
		if err := <-done; err != nil {
			t.Errorf("what was begun ends with %v", err)
		}
		if err := g.do(t.Context(), func() {}); err != nil {
			t.Errorf("after the first: %v", err)
		}
	})
}

func TestGateGivesTheSlotBackAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1, time.Second)
		func() {
			defer func() { _ = recover() }()
			_ = g.do(t.Context(), func() { panic("as a hash never should") })
		}()
		if err := g.do(t.Context(), func() {}); err != nil {
			t.Error(err)
		}
	})
}

// Hash and Compare go through the gate, for whatever kind of row.
func TestHasherUsesItsGate(t *testing.T) {
	h, err := NewHasher(Params{Memory: 64, Iterations: 1, Concurrent: 1, Queue: 1, MaxWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(context.Context) error{
		"Hash":                      func(ctx context.Context) error { _, err := h.Hash(ctx, "x"); return err },
		"Compare":                   func(ctx context.Context) error { _, err := h.Compare(ctx, "x", stored); return err },
		"Compare with bcrypt":       func(ctx context.Context) error { _, err := h.Compare(ctx, "x", "$2b$10$"); return err },
		"Compare with no such user": func(ctx context.Context) error { _, err := h.Compare(ctx, "x", ""); return err },
		"Compare with nonsense":     func(ctx context.Context) error { _, err := h.Compare(ctx, "x", "nonsense"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h.gate = newGate(1, 1, time.Second) // of this bubble
				release := occupy(t, h.gate)
				defer release()
				if err := call(t.Context()); !errors.Is(err, ErrBusy) {
					t.Errorf("error = %v, want ErrBusy", err)
				}
			})
		})
	}
}

// occupy takes one slot of g until release is called.
func occupy(t *testing.T, g *gate) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	go func() {
		if err := g.do(t.Context(), func() { close(begun); <-end }); err != nil {
			t.Error(err)
		}
	}()
	<-begun
	return func() { close(end); synctest.Wait() }
}

// ran is work that must not run.
func ran(t *testing.T) func() {
	return func() { t.Error("work ran") }
}

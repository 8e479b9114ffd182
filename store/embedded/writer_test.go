package embedded

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
)

// batches is a writer that counts the commands of each transaction.
type batches struct {
	writer
	mu    sync.Mutex
	sizes map[*txn]int
	done  sync.WaitGroup
}

func newBatches(t *testing.T) *batches {
	f, err := openFile(Options{File: filepath.Join(t.TempDir(), "x.db"), NoSync: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	return &batches{writer: writer{file: f}, sizes: map[*txn]int{}}
}

// start starts a command that ends when hold is closed. It may be nil.
func (b *batches) start(t *testing.T, ctx context.Context, hold chan struct{}) {
	b.done.Go(func() {
		_, err := b.do(ctx, func(tx *txn) ([]byte, error) {
			if hold != nil {
				<-hold
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sizes[tx]++
			return nil, nil
		})
		if gaveUp := ctx.Err() != nil; gaveUp != (err != nil) {
			t.Errorf("do = %v; its context ended: %v", err, gaveUp)
		}
	})
}

func TestWaitingCommandsShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, hold := newBatches(t), make(chan struct{})
		b.start(t, t.Context(), hold)
		synctest.Wait() // it leads
		for range batchJobs + 50 {
			b.start(t, t.Context(), nil)
		}
		synctest.Wait()
		close(hold)
		b.done.Wait()
		var first, second int
		for _, n := range b.sizes {
			first, second = max(first, n), second+n
		}
		if second -= first; len(b.sizes) != 2 || first != batchJobs || second != 51 {
			t.Errorf("%d transactions, of %d and %d commands; want 2, of %d and 51", len(b.sizes), first, second, batchJobs)
		}
		b.start(t, t.Context(), nil)
		b.done.Wait()
		if len(b.waiting) != 0 || b.led {
			t.Errorf("%d commands wait; a command leads: %v; want none", len(b.waiting), b.led)
		}
	})
}

func TestACommandWhoseContextEndsWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, hold := newBatches(t), make(chan struct{})
		b.start(t, t.Context(), hold)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		b.start(t, ctx, nil)
		b.start(t, t.Context(), nil)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if len(b.waiting) != 1 {
			t.Errorf("%d commands wait, want 1", len(b.waiting))
		}
		close(hold)
		b.done.Wait()
		for _, n := range b.sizes {
			if n != 2 {
				t.Errorf("%d commands ran, want the leader and one", n)
			}
		}
	})
}

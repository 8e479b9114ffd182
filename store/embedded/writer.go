package embedded

import (
	"context"
	"slices"
	"sync"
	"time"
)

// writer runs every command that may write, one at a time, which makes each command atomic.
// There is no goroutine for it: the goroutine of one command leads, and runs the commands of
// those that wait, too, in one transaction with one fsync. All answers follow the commit.
// Commands that come during the fsync wait, and the first of them leads the next batch. So a
// command alone wakes no other goroutine, and every other one is woken once.
//
// A command checks each document before the first write to it, so it can fail without
// damage to a shared transaction. If bbolt refuses a write or a command panics, the
// transaction is broken. Then the writer rolls the batch back and runs each of its commands
// again, alone, so that one bad command does not affect the others.
type writer struct {
	file *datafile

	mu      sync.Mutex
	led     bool   // a command leads
	waiting []*job // in the order of their arrival
}

// job is one command waiting for its turn.
type job struct {
	ctx  context.Context
	run  func(*txn) ([]byte, error) // returns the answer; may run twice
	wake chan turn                  // never blocks

	answer []byte
	err    error
}

// turn is what a waiting command must do.
type turn int

const (
	readAnswer turn = iota
	leadBatch
)

const (
	batchJobs = 256                   // largest number in one transaction
	batchTime = 20 * time.Millisecond // no job joins a batch after that time
)

// do runs a command and returns its answer after the commit. Once the command is part of a
// batch, do ignores ctx, because only the leader knows whether the command ran.
func (w *writer) do(ctx context.Context, run func(*txn) ([]byte, error)) ([]byte, error) {
	j := &job{ctx: ctx, run: run, wake: make(chan turn, 1)}
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	next := leadBatch
	if !w.join(j) {
		select {
		case next = <-j.wake:
		case <-ctx.Done():
			if w.leave(j) {
				return nil, contextError(ctx)
			}
			next = <-j.wake
		}
	}
	if next == leadBatch {
		defer w.handOver()
		w.batch(j)
	}
	return j.answer, j.err
}

// join reports whether j leads now. Otherwise j waits.
func (w *writer) join(j *job) (leads bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.led {
		w.led = true
		return true
	}
	w.waiting = append(w.waiting, j)
	return false
}

// leave reports whether j waited, and does no longer.
func (w *writer) leave(j *job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.waiting, j)
	if i >= 0 {
		w.waiting = slices.Delete(w.waiting, i, i+1)
	}
	return i >= 0
}

// nextWaiting takes the command that has waited for the longest time, nil for none.
func (w *writer) nextWaiting() *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return nil
	}
	j := w.waiting[0]
	w.waiting = slices.Delete(w.waiting, 0, 1)
	return j
}

// handOver lets a waiting command lead, if there is one.
func (w *writer) handOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		w.led = false
		return
	}
	w.waiting[0].wake <- leadBatch
	w.waiting = slices.Delete(w.waiting, 0, 1)
}

// batch runs the command of the leader, and those that wait.
func (w *writer) batch(first *job) {
	began := time.Now()
	jobs := []*job{first}
	defer func() {
		for _, j := range jobs[1:] {
			j.wake <- readAnswer
		}
	}()
	t, err := w.file.begin(true)
	if err != nil {
		setErrors(jobs, err)
		return
	}
	for j := first; ; {
		w.run(t, j)
		if t.broken != nil {
			w.file.rollback(t)
			for _, j := range jobs {
				w.runAlone(j)
			}
			return
		}
		if len(jobs) == batchJobs || time.Since(began) > batchTime {
			break
		}
		if j = w.nextWaiting(); j == nil {
			break
		}
		jobs = append(jobs, j)
	}
	setErrors(jobs, w.finish(t))
}

// run runs one command. A panic breaks the transaction but not the process.
func (w *writer) run(t *txn, j *job) {
	if j.ctx.Err() != nil {
		j.answer, j.err = nil, contextError(j.ctx)
		return
	}
	panicked := true
	err := w.file.faults.run(func() error {
		j.answer, j.err = j.run(t)
		panicked = false
		return nil
	})
	if panicked {
		t.broken = err
	}
}

// runAlone runs one command in a transaction of its own.
func (w *writer) runAlone(j *job) {
	t, err := w.file.begin(true)
	if err == nil {
		w.run(t, j)
		if err = t.broken; err != nil {
			w.file.rollback(t)
		} else {
			err = w.finish(t)
		}
	}
	setErrors([]*job{j}, err)
}

// finish commits the writes. A batch without writes costs no fsync.
func (w *writer) finish(t *txn) error {
	if !t.dirty {
		w.file.rollback(t)
		return nil
	}
	return w.file.commit(t)
}

func setErrors(jobs []*job, err error) {
	if err == nil {
		return
	}
	for _, j := range jobs {
		j.answer, j.err = nil, err
	}
}

func contextError(ctx context.Context) error {
	if context.Cause(ctx) == errClosing {
		return fail(codeShutdown, "the server is closing")
	}
	return fail(codeMaxTimeExpired, "operation exceeded time limit")
}

package embedded

import (
	"context"
	"time"
)

// writer runs every command that may write, one at a time, on one goroutine, which makes
// each command atomic. Commands that wait at the same moment share one transaction and one
// fsync. All answers follow the commit.
//
// A command checks each document before the first write to it, so it can fail without
// damage to a shared transaction. If bbolt refuses a write or a command panics, the
// transaction is broken. Then the writer rolls the batch back and runs each of its commands
// again, alone, so that one bad command does not affect the others.
type writer struct {
	file *datafile
	jobs chan *job
}

// job is one command waiting for its turn.
type job struct {
	ctx  context.Context
	run  func(*txn) ([]byte, error) // returns the answer; may run twice
	done chan struct{}

	answer []byte
	err    error
}

const (
	batchJobs = 256                   // largest number in one transaction
	batchTime = 20 * time.Millisecond // no job joins a batch after that time
)

// do sends a command to the writer and waits for its answer. After the writer has accepted
// the command, do ignores ctx, because only the writer knows whether the command ran.
func (w *writer) do(ctx context.Context, run func(*txn) ([]byte, error)) ([]byte, error) {
	j := &job{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
	<-j.done
	return j.answer, j.err
}

// loop runs batches until ctx ends. It finishes the running batch. Commands that wait fail.
func (w *writer) loop(ctx context.Context) {
	for {
		select {
		case j := <-w.jobs:
			w.batch(j)
		case <-ctx.Done():
			return
		}
	}
}

func (w *writer) batch(first *job) {
	began := time.Now()
	jobs := []*job{first}
	defer func() {
		for _, j := range jobs {
			close(j.done)
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

func (w *writer) nextWaiting() *job {
	select {
	case j := <-w.jobs:
		return j
	default:
		return nil
	}
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

package embedded

import (
	"context"
	"log/slog"
	"time"
)

// writer runs every command that may write, one at a time, on one goroutine: that
// is what makes each of them atomic. The commands waiting at the same moment share
// one transaction and so one fsync; all answers go out after its commit.
//
// Inside a shared transaction a command either finishes, having checked each
// document before the first write for it, or has broken the transaction. Then the
// whole batch is rolled back and each of its commands is run again alone, so that
// a bad one takes nobody with it.
type writer struct {
	file *datafile
	log  *slog.Logger
	jobs chan *job
}

// job is one command waiting for its turn.
type job struct {
	ctx  context.Context
	run  func(*txn) ([]byte, error) // the answer; may be called twice
	done chan struct{}

	answer []byte
	err    error
}

const (
	batchJobs = 256                   // at most in one transaction
	batchTime = 20 * time.Millisecond // after which no further job joins
)

// do hands a command to the writer and waits for its answer, even beyond ctx once
// it has been accepted: only the writer knows whether it was done.
func (w *writer) do(ctx context.Context, run func(*txn) ([]byte, error)) ([]byte, error) {
	j := &job{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return nil, expired(ctx)
	}
	<-j.done
	return j.answer, j.err
}

// loop ends when ctx does, after the batch that is running; what still waits is refused.
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
		fillErrors(jobs, err)
		return
	}
	for j := first; ; {
		w.try(t, j)
		if t.broken != nil {
			w.file.rollback(t)
			for _, j := range jobs {
				w.alone(j)
			}
			return
		}
		if len(jobs) == batchJobs || time.Since(began) > batchTime {
			break
		}
		if j = w.waiting(); j == nil {
			break
		}
		jobs = append(jobs, j)
	}
	fillErrors(jobs, w.finish(t))
}

func (w *writer) waiting() *job {
	select {
	case j := <-w.jobs:
		return j
	default:
		return nil
	}
}

// try runs one command. A panic breaks the transaction but not the process.
func (w *writer) try(t *txn, j *job) {
	if j.ctx.Err() != nil {
		j.answer, j.err = nil, expired(j.ctx)
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

// alone runs one command in a transaction of its own.
func (w *writer) alone(j *job) {
	t, err := w.file.begin(true)
	if err == nil {
		w.try(t, j)
		if err = t.broken; err != nil {
			w.file.rollback(t)
		} else {
			err = w.finish(t)
		}
	}
	fillErrors([]*job{j}, err)
}

// finish commits what was written; a batch that wrote nothing costs no fsync.
func (w *writer) finish(t *txn) error {
	if !t.dirty {
		w.file.rollback(t)
		return nil
	}
	return w.file.commit(t)
}

func fillErrors(jobs []*job, err error) {
	if err == nil {
		return
	}
	for _, j := range jobs {
		j.answer, j.err = nil, err
	}
}

func expired(ctx context.Context) error {
	if context.Cause(ctx) == errClosing {
		return fail(codeShutdown, "the server is closing")
	}
	return fail(codeMaxTimeExpired, "operation exceeded time limit")
}

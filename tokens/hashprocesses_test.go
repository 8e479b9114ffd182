package tokens

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A process that ends while it is idle, or several at once, costs no hash.
func TestIdleProcessesThatAreKilled(t *testing.T) {
	t.Parallel()
	p, warned := startProcesses(t, patient, "serve")
	one, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	two, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	p.put(one)
	p.put(two)
	one.kill()
	two.kill()
	made(t, p, "correct horse")
	if len(warned.all()) != 1 || len(p.pids()) != 1 {
		t.Errorf("processes %v, warnings %q", p.pids(), warned.all())
	}
}

// An upgrade may remove the program for a moment. Then this process computes the
// hashes, until a process starts again.
func TestProcessesThatCannotStart(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, warned := startProcesses(t, patient, "serve")
	p.command[0] = filepath.Join(t.TempDir(), "cubegate")
	p.times.retry = time.Nanosecond
	for range 3 {
		made(t, p, "correct horse")
	}
	p.times.retry = time.Minute
	if list := warned.all(); len(list) != 1 || !strings.Contains(list[0], "no such file") || !strings.Contains(list[0], "itself") {
		t.Errorf("warnings %q, want one", list)
	}
	if err := os.Symlink(program, p.command[0]); err != nil {
		t.Fatal(err)
	}
	if made(t, p, "correct horse"); len(p.pids()) != 0 {
		t.Errorf("processes %v, want none before the time of the next start", p.pids())
	}
	p.times.retry = time.Nanosecond
	if made(t, p, "correct horse"); len(p.pids()) != 1 || len(warned.all()) != 1 {
		t.Errorf("processes %v, warnings %q: want one of each", p.pids(), warned.all())
	}
	if err := os.Remove(p.command[0]); err != nil {
		t.Fatal(err)
	}
	p.endIdle()
	if made(t, p, "correct horse"); len(warned.all()) != 2 {
		t.Errorf("warnings %q, want a second one after a success", warned.all())
	}
}

// A process stays while hashes come, and its memory is free soon after the last one.
func TestProcessesEndWhenIdle(t *testing.T) {
	t.Parallel()
	p, warned := startProcesses(t, patient, "serve")
	made(t, p, "correct horse")
	first := p.pids()
	made(t, p, "correct horse")
	if got := p.pids(); len(got) != 1 || got[0] != first[0] {
		t.Errorf("processes %v and then %v, want the same one", first, got)
	}
	p.times.idle = time.Millisecond
	made(t, p, "correct horse")
	eventually(t, "no process runs", func() bool { return len(p.pids()) == 0 })
	if isRunning(first[0]) {
		t.Errorf("process %d still exists", first[0])
	}
	if made(t, p, "correct horse"); len(warned.all()) != 0 {
		t.Errorf("warnings %q", warned.all())
	}
}

// Measure measures a process and not its start, and leaves none.
func TestMeasureOfProcesses(t *testing.T) {
	t.Parallel()
	p, warned := startProcesses(t, patient, "serve")
	h := newProcessHasher(t, p)
	if took, perSecond, err := h.Measure(t.Context()); err != nil || took <= 0 || perSecond <= 0 {
		t.Errorf("%v, %v, %v", took, perSecond, err)
	}
	if len(p.pids()) != 0 || len(warned.all()) != 0 {
		t.Errorf("processes %v, warnings %q: want none", p.pids(), warned.all())
	}
}

// A Hasher has at most as many processes as hashes at once.
func TestProcessesAreBounded(t *testing.T) {
	t.Parallel()
	const slots = 2
	p, warned := startProcesses(t, patient, "serve")
	h := newProcessHasher(t, p)
	h.queue = newHashQueue(slots, time.Minute, time.Microsecond)
	most := 0
	h.computer = computerFunc(func(task hashTask) (hashResult, error) {
		r, err := p.compute(task)
		p.mu.Lock()
		defer p.mu.Unlock()
		most = max(most, len(p.running))
		return r, err
	})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := h.Hash(t.Context(), Turn{}, "correct horse"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most == 0 || most > slots || len(warned.all()) != 0 {
		t.Errorf("%d processes at once, warnings %q: want at most %d", most, warned.all(), slots)
	}
}

// computerFunc is a hashComputer that holds nothing.
type computerFunc func(hashTask) (hashResult, error)

func (f computerFunc) compute(t hashTask) (hashResult, error) { return f(t) }
func (computerFunc) close(context.Context)                    {}
func (computerFunc) endIdle()                                 {}

// Close waits for a hash, and fails it when its context ends.
func TestCloseOfProcesses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "was here ")
	p, warned := startProcesses(t, patient, "hangs", file)
	idle, err := p.start() // it makes the file, and would hang if it were asked
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	h := newProcessHasher(t, p)
	failed := make(chan error)
	go func() {
		_, err := h.Hash(t.Context(), Turn{}, "correct horse")
		failed <- err
	}()
	eventually(t, "a process computes", func() bool { _, err := os.Stat(file + "asked"); return err == nil })
	p.put(idle)
	pids := p.pids()
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan struct{})
	go func() {
		h.Close(ctx)
		close(closed)
	}()
	eventually(t, "the idle process ends", func() bool { return len(p.pids()) == 1 })
	select {
	case <-closed:
		t.Error("Close does not wait for the hash")
	default:
	}
	cancel()
	if err := <-failed; !errors.Is(err, errClosed) {
		t.Errorf("the running hash ends with %v, want errClosed", err)
	}
	<-closed
	if list := warned.all(); len(list) != 1 || !strings.Contains(list[0], "EOF") {
		t.Errorf("warnings %q, want one of a process that ended", list)
	}
	for _, pid := range pids {
		if isRunning(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := h.Hash(t.Context(), Turn{}, "correct horse"); !errors.Is(err, errClosed) {
		t.Errorf("a hash after Close: %v, want errClosed", err)
	}
}

// Close does not wait for a process that does not get ready, nor takes its end for a
// failed start.
func TestCloseDuringAStart(t *testing.T) {
	t.Parallel()
	p, warned := startProcesses(t, patient, "is never ready")
	failed := make(chan error)
	go func() {
		_, err := p.compute(hashTask{Params: *quickHash.argon2id()})
		failed <- err
	}()
	eventually(t, "a process starts", func() bool { return len(p.pids()) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.close(ctx)
	if err := <-failed; !errors.Is(err, errClosed) || len(warned.all()) != 0 {
		t.Errorf("the hash ends with %v, want errClosed; warnings %q", err, warned.all())
	}
}

// A hash that begins before Close ends well.
func TestCloseLetsHashesEnd(t *testing.T) {
	t.Parallel()
	p, warned := startProcesses(t, patient, "serve")
	var all sync.WaitGroup
	begun := make(chan struct{}, 8)
	slow := quickHash
	slow.Memory = 32 << 10
	for range cap(begun) {
		all.Go(func() {
			c, err := p.take()
			begun <- struct{}{}
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.ask(hashTask{Params: *slow.argon2id()}, time.Minute); err != nil {
				t.Error(err)
			}
			p.put(c)
		})
	}
	for range cap(begun) {
		<-begun
	}
	p.close(context.Background())
	if all.Wait(); len(p.pids()) != 0 || len(warned.all()) != 0 {
		t.Errorf("processes %v, warnings %q", p.pids(), warned.all())
	}
}

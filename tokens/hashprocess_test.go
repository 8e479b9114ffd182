package tokens

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// quickHash are parameters for tests: a hash takes well under a millisecond.
var quickHash = Params{Memory: 64, Iterations: 1, Parallelism: 1}

// patient are times that no test waits for.
var patient = hashTimes{start: time.Minute, hash: time.Minute, idle: time.Hour, retry: time.Minute}

// warnings collects what is given to Params.Warn.
type warnings struct {
	mu   sync.Mutex
	list []string
}

func (w *warnings) add(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, err.Error())
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.list
}

// startProcesses returns processes of this program, see TestMain.
func startProcesses(t *testing.T, times hashTimes, arguments ...string) (*hashProcesses, *warnings) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var w warnings
	params := quickHash
	params.Command, params.Warn = append([]string{program}, arguments...), w.add
	p := newHashProcesses(params)
	p.times = times
	t.Cleanup(func() { p.close(t.Context()) }) // this context has ended
	return p, &w
}

// pids returns the processes that run.
func (p *hashProcesses) pids() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []int
	for c := range p.running {
		list = append(list, c.cmd.Process.Pid)
	}
	return list
}

func isRunning(pid int) bool {
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}

// eventually waits for an event. The minute is for a busy machine.
func eventually(t *testing.T, event string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute still not: %s", event)
		}
	}
}

func made(t *testing.T, c hashComputer, password string) string {
	t.Helper()
	r, err := c.compute(hashTask{Password: []byte(password), Params: *quickHash.argon2id()})
	if err != nil {
		t.Fatal(err)
	}
	return r.Made
}

// A Hasher gives the same results with and without processes.
func TestProcessesComputeTheSameHashes(t *testing.T) {
	t.Parallel()
	here, err := NewHasher(quickHash)
	if err != nil {
		t.Fatal(err)
	}
	processes, warned := startProcesses(t, patient, "serve")
	there := newProcessHasher(t, processes)

	passwords := []string{"correct horse", "", "\x00", "a\x00b", "a\nb", `"\u0000"`, "пароль-é🦀", "\xff\xfe\x80", strings.Repeat("a", 72), strings.Repeat("a", 73), strings.Repeat("🦀", 1024), strings.Repeat("x", 100_000)}
	damaged := []string{"", "nonsense", argon2idPrefix, "$2b$04$", strings.Repeat("A", maxHash+1)}
	stored := make([][]string, len(passwords))
	for i, password := range passwords {
		b, err := bcrypt.GenerateFromPassword([]byte(password)[:min(len(password), 72)], bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		stored[i] = append(slices.Clone(damaged), string(b), string(b[:30])+"!"+string(b[31:]))
		for _, c := range []hashComputer{thisProcess{}, processes} {
			hash := made(t, c, password)
			stored[i] = append(stored[i], hash, hash[:len(hash)-1], strings.Replace(hash, "m=64", "m=32", 1))
		}
	}
	matches := 0
	for i, password := range passwords {
		for _, hash := range slices.Concat(stored[i], stored[(i+1)%len(stored)]) { // its own and those of another one
			stale, err := here.Compare(t.Context(), Turn{}, password, hash)
			if err == nil {
				matches++
			}
			staleThere, errThere := there.Compare(t.Context(), Turn{}, password, hash)
			if stale != staleThere || fmt.Sprint(err) != fmt.Sprint(errThere) || errors.Is(err, ErrWrongPassword) != errors.Is(errThere, ErrWrongPassword) || errors.Is(err, ErrBadHash) != errors.Is(errThere, ErrBadHash) {
				t.Errorf("%.20q with %q: stale %t, %v here, and stale %t, %v there", password, hash, stale, err, staleThere, errThere)
			}
		}
	}
	if matches < 3*len(passwords) { // bcrypt confuses some passwords
		t.Errorf("%d matches, want at least %d", matches, 3*len(passwords))
	}
	if len(processes.pids()) != 1 || len(warned.all()) != 0 {
		t.Errorf("processes %v, warnings %q: want the one process that computed all", processes.pids(), warned.all())
	}
}

// A hash does not depend on the process that computes it, so another one repeats it.
func TestFailedProcessIsReplaced(t *testing.T) {
	t.Parallel()
	for behavior, reason := range map[string]string{
		"ends":               "exit status 3",
		"hangs":              "no reply within 3s",
		"does not read":      "no reply within 3s",
		"writes nonsense":    "not in the form",
		"writes no end":      "not in the form",
		"answers another":    "not in the form",
		"makes another hash": "not in the form",
		"makes no hash":      "not in the form",
	} {
		t.Run(behavior, func(t *testing.T) {
			t.Parallel()
			p, warned := startProcesses(t, patient, behavior, filepath.Join(t.TempDir(), "was here"))
			if strings.HasPrefix(reason, "no reply") {
				p.times.hash = 3 * time.Second
				p.warn = func(err error) {
					warned.add(err)
					p.times.hash = patient.hash // of the process that replaces it
				}
			}
			password := []byte(strings.Repeat("correct horse", 10_000)) // more than a pipe holds
			r, err := p.compute(hashTask{Password: password, Params: *quickHash.argon2id()})
			if err != nil {
				t.Fatal(err)
			}
			if match, err := (thisProcess{}).compute(hashTask{Password: password, Stored: r.Made}); err != nil || !match.Match {
				t.Errorf("made %q: %v, %v", r.Made, match, err)
			}
			if list := warned.all(); len(list) != 1 || !strings.Contains(list[0], reason) {
				t.Errorf("warnings %q, want one with %q", list, reason)
			}
			if got := len(p.pids()); got != 1 {
				t.Errorf("%d processes, want 1", got)
			}
		})
	}
}

// A process that fails says nothing about the password.
func TestFailureIsNoWrongPassword(t *testing.T) {
	t.Parallel()
	for behavior, wantAttempts := range map[string]int{
		"ends at once": 0, "is never ready": 0, "says other things": 0,
		"ends": 2, "hangs": 2, "does not read": 2, "writes nonsense": 2, "writes no end": 2, "answers another": 2,
	} {
		t.Run(behavior, func(t *testing.T) {
			t.Parallel()
			times := patient
			switch behavior {
			case "is never ready":
				times.start = time.Second
			case "hangs", "does not read":
				times.hash = time.Second
			}
			p, warned := startProcesses(t, times, behavior)
			h := newProcessHasher(t, p)
			password := strings.Repeat("correct horse", 10_000)
			stale, err := h.Compare(t.Context(), Turn{}, password, made(t, thisProcess{}, password))
			if stale || (err != nil) != (wantAttempts > 0) || errors.Is(err, ErrWrongPassword) || errors.As(err, new(*QueueError)) {
				t.Errorf("Compare = %t, %v", stale, err)
			}
			if got := len(warned.all()); got != max(wantAttempts, 1) {
				t.Errorf("warnings %q, want %d", warned.all(), max(wantAttempts, 1))
			}
			if got := p.pids(); len(got) != 0 {
				t.Errorf("processes %v are left", got)
			}
		})
	}
}

// newProcessHasher returns a Hasher that has not yet used the processes.
func newProcessHasher(t *testing.T, p *hashProcesses) *Hasher {
	t.Helper()
	h, err := NewHasher(quickHash)
	if err != nil {
		t.Fatal(err)
	}
	h.computer = p
	return h
}

func TestKilledProcessIsReplaced(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "was here ")
	p, warned := startProcesses(t, patient, "hangs", file)
	hash := make(chan string)
	go func() { hash <- made(t, p, "correct horse") }()
	eventually(t, "the process computes", func() bool { _, err := os.Stat(file + "asked"); return err == nil })
	p.killAll()
	if r, err := (thisProcess{}).compute(hashTask{Password: []byte("correct horse"), Stored: <-hash}); err != nil || !r.Match {
		t.Errorf("the hash does not match: %v", err)
	}
	if list := warned.all(); len(list) != 1 || !strings.Contains(list[0], "signal: killed") {
		t.Errorf("warnings %q, want one of the kill", list)
	}
}

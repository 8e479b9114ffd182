package lifecycle

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cubegate/server"
	"cubegate/server/servertest"

	"golang.org/x/sys/unix"
)

const hashingFailed = "hashing in another process failed"

var hashingMeasured = regexp.MustCompile(`"password hashing measured","at_once":[1-9]\d*,"logins_per_second":[1-9]`)

// procFile reads a file of a process; "" if the process is gone.
func procFile(pid int, name string) string {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	return string(raw)
}

// hashProcesses returns the processes that hash passwords for p.
func hashProcesses(t *testing.T, p *servertest.Process) []int {
	t.Helper()
	var found []int
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		raw, _ := os.ReadFile(list) // fails if the thread has ended
		for _, word := range strings.Fields(string(raw)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(procFile(pid, "cmdline"), "\x00"+server.HashCommand+"\x00") {
				found = append(found, pid)
			}
		}
	}
	return found
}

// stopHashing registers a user, and stops the process that hashed the password. The
// process is idle, and gets the next password. The one that the server measures ends before.
func stopHashing(t *testing.T, p *servertest.Process, email string) (pid int) {
	t.Helper()
	servertest.Eventually(t, "the server has measured its hashes", func() bool { return hashingMeasured.MatchString(p.Log.String()) })
	servertest.Eventually(t, "one process hashes", func() bool {
		p.Register(t, email)
		email = "x" + email
		found := hashProcesses(t, p)
		if len(found) == 1 {
			pid = found[0]
		}
		return len(found) == 1 && syscall.Kill(pid, syscall.SIGSTOP) == nil
	})
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // a stopped process does not notice that the server is gone
	servertest.Eventually(t, "all threads of the process have stopped", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		return err == nil && !slices.ContainsFunc(threads, func(thread string) bool {
			raw, err := os.ReadFile(thread + "/stat")
			return err == nil && !strings.Contains(string(raw), ") T ")
		})
	})
	return pid
}

// openFiles returns the targets of the file descriptors of a process.
func openFiles(t *testing.T, pid int) map[int]string {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[int]string{}
	for _, file := range files {
		number, err := strconv.Atoi(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		targets[number], _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, number)) // fails if it has been closed
	}
	return targets
}

// unread returns the number of bytes that a process has not read from its standard
// input, a pipe.
func unread(pid int) int {
	pipe, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", pid), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer pipe.Close()
	n, err := unix.IoctlGetInt(int(pipe.Fd()), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// A process that hashes has none of the server's secrets and none of its files, and its
// command line says nothing.
func TestHashProcessHasNoSecrets(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, map[string]string{"JWT_SECRET": servertest.JWTSecret}).WaitReady(t)
	pid := stopHashing(t, p, "ada@example.org")
	for variable := range strings.SplitSeq(strings.TrimSuffix(procFile(pid, "environ"), "\x00"), "\x00") {
		name, value, _ := strings.Cut(variable, "=")
		if _, err := strconv.Atoi(value); !slices.Contains([]string{"GOMAXPROCS", "GOMEMLIMIT", "GOGC"}, name) || err != nil && value != "off" {
			t.Errorf("the process has the variable %q", variable)
		}
	}
	if args := strings.Split(procFile(pid, "cmdline"), "\x00"); len(args) != 3 {
		t.Errorf("the process has the arguments %q", args)
	}
	inherited := openFiles(t, os.Getpid()) // by the server, from this process
	for number, target := range openFiles(t, pid) {
		isOurs := strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, p.Cmd.Dir) || strings.HasPrefix(target, "pipe:") && number > 1
		if isOurs && !slices.Contains(slices.Collect(maps.Values(inherited)), target) {
			t.Errorf("file descriptor %d is %s", number, target)
		}
	}
	if strings.Contains(p.Log.String(), hashingFailed) {
		t.Errorf("log: %s", p.Log)
	}
}

// Ctrl-C reaches all processes of a terminal, and a service manager may signal all
// processes of a service. A login that has begun is answered nevertheless.
func TestSignalsToAllProcessesLoseNoLogin(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := servertest.Spawn(t, nil).WaitReady(t)
		p.Register(t, "ada@example.org")
		pid := stopHashing(t, p, "bob@example.org")
		login := p.StartRequest(http.MethodPost, "/auth/login", `{"email":"ada@example.org","password":"correct horse"}`)
		servertest.Eventually(t, "the process has the password", func() bool { return unread(pid) > 0 })
		for _, to := range []int{pid, p.Cmd.Process.Pid} {
			if err := syscall.Kill(to, signal); err != nil {
				t.Fatal(err)
			}
		}
		servertest.Eventually(t, "the server shuts down", func() bool {
			got, err := servertest.Try(http.MethodGet, p.URL+"/readyz", "")
			return err == nil && got.Status == http.StatusServiceUnavailable
		})
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if got := <-login; got.Err != nil || got.Status != http.StatusOK {
			t.Errorf("%v: the login: %d %s, %v", signal, got.Status, got.Body, got.Err)
		}
		if code := p.ExitCode(t); code != 0 || strings.Contains(p.Log.String(), hashingFailed) {
			t.Errorf("%v: exit status %d, log: %s", signal, code, p.Log)
		}
	}
}

// A server that is killed leaves no process behind, and one that ends leaves none
// either, even if that process does not run.
func TestHashProcessesEndWithTheServer(t *testing.T) {
	t.Parallel()
	killed := servertest.Spawn(t, nil).WaitReady(t)
	pid := stopHashing(t, killed, "ada@example.org")
	killed.Kill(t)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the process ends", func() bool { return procFile(pid, "cmdline") == "" })

	ended := servertest.Spawn(t, nil).WaitReady(t)
	pid = stopHashing(t, ended, "ada@example.org")
	ended.Signal(t, syscall.SIGTERM)
	if code := ended.ExitCode(t); code != 0 || procFile(pid, "cmdline") != "" {
		t.Errorf("exit status %d; the process is %q", code, procFile(pid, "cmdline"))
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// A login is answered although the process that hashes is killed in the middle.
func TestKilledHashProcessLosesNoLogin(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, nil).WaitReady(t)
	p.Register(t, "ada@example.org")
	for password, want := range map[string]int{"correct horse": http.StatusOK, "wrong horse": http.StatusUnauthorized} {
		pid := stopHashing(t, p, "bob"+strconv.Itoa(want)+"@example.org")
		login := p.StartRequest(http.MethodPost, "/auth/login", fmt.Sprintf(`{"email":"ada@example.org","password":%q}`, password))
		servertest.Eventually(t, "the process has the password", func() bool { return unread(pid) > 0 })
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if got := <-login; got.Err != nil || got.Status != want {
			t.Errorf("%q: %d %s, %v", password, got.Status, got.Body, got.Err)
		}
	}
	p.WaitLog(t)
	log := p.Log.String()
	if n := strings.Count(log, hashingFailed); n != 2 || strings.Contains(log, "horse") {
		t.Errorf("%d warnings, want 2; log: %s", n, log)
	}
}

package servertest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cubegate/server"
	_ "cubegate/server/timers" // as in main
)

// asProgram is the environment variable that makes the test binary run the server
// in place of the tests. Tests of signals and exit statuses need a process, and
// the test binary needs no build.
const asProgram = "CUBEGATE_TEST_AS_PROGRAM"

// Process is the server as a process of its own. Its Server has no Parts: only the
// URLs and the log are visible from outside.
type Process struct {
	Server
	Cmd    *exec.Cmd
	Stdout *LogBuffer
	Exited chan struct{} // closed once the process is gone
}

// Spawn starts the server in an empty folder and does not wait until it is ready.
// The end of the test kills it.
func Spawn(t *testing.T, more map[string]string, args ...string) *Process {
	t.Helper()
	return SpawnOn(t, nil, more, args...)
}

// SpawnOn is Spawn with stderr, and so the log, at a file, such as a terminal, unless that
// is nil.
func SpawnOn(t *testing.T, stderr *os.File, more map[string]string, args ...string) *Process {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Cmd: exec.Command(binary, args...), Stdout: &LogBuffer{}, Exited: make(chan struct{})}
	p.Log = &LogBuffer{}
	p.Cmd.Dir, p.Cmd.Stdout, p.Cmd.Stderr = t.TempDir(), p.Stdout, p.Log
	if stderr != nil {
		p.Cmd.Stderr = stderr
	}
	p.Cmd.Env = []string{asProgram + "=1", "GORACE=atexit_sleep_ms=0"} // else -race lets each process end a second late
	for k, v := range Merge(Merge(QuickSettings, map[string]string{"DATA_DIR": p.Cmd.Dir + "/data"}), more) {
		p.Cmd.Env = append(p.Cmd.Env, k+"="+v)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Cmd.Wait() // ExitCode reports the status
		close(p.Exited)
	}()
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill()
		<-p.Exited
		checkLog(t, p.Log.String())
	})
	return p
}

var (
	bannerAPI     = regexp.MustCompile(`playground +(https?://[^ ]+)/api\n`)
	bannerSandbox = regexp.MustCompile(`sandbox at (https?://[^ ,]+),`)
)

// WaitReady waits until the server has printed its URLs.
func (p *Process) WaitReady(t *testing.T) *Process {
	t.Helper()
	Eventually(t, "the server is ready", func() bool {
		select {
		case <-p.Exited:
			t.Fatalf("the server ended: %s%s", p.Stdout, p.Log)
		default:
		}
		banner := p.Stdout.String()
		if !strings.Contains(banner, "Stop with Ctrl-C.") { // its last line
			return false
		}
		p.URL = bannerAPI.FindStringSubmatch(banner)[1]
		if found := bannerSandbox.FindStringSubmatch(banner); found != nil {
			p.SandboxURL = found[1]
		}
		return true
	})
	return p
}

// WaitLog waits until the log has all lines that the server has written. They come through
// a pipe of their own, so they may arrive after the banner or a reply.
func (p *Process) WaitLog(t *testing.T) {
	t.Helper()
	last := "/" + rand.Text()
	if _, err := Try(http.MethodGet, p.ResolveURL(last), ""); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the log has the line of the last request", func() bool { return strings.Contains(p.Log.String(), last) })
}

// Signal sends a signal to the process.
func (p *Process) Signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Kill sends SIGKILL and waits until the process has ended.
func (p *Process) Kill(t *testing.T) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	<-p.Exited
}

// ExitCode waits until the process has ended and returns its exit status.
func (p *Process) ExitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.Exited:
	case <-time.After(time.Minute):
		t.Fatalf("the server did not end: %s", p.Log)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Eventually waits until a condition holds, and ends the test after a minute. The
// minute is no expectation: it is longer than a busy machine needs. The pauses
// between two checks grow, because each check takes time from the server.
func Eventually(t *testing.T, condition string, holds func() bool) {
	t.Helper()
	pause := 5 * time.Millisecond
	for deadline := time.Now().Add(time.Minute); !holds(); pause = min(2*pause, time.Second) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", condition)
		}
		time.Sleep(pause)
	}
}

// StartRequest sends a request without waiting for the reply, which the channel
// delivers.
func (r *Server) StartRequest(method, url, body string) <-chan PendingReply {
	done := make(chan PendingReply, 1)
	go func() {
		got, err := Try(method, r.ResolveURL(url), body)
		done <- PendingReply{got, err}
	}()
	return done
}

// PendingReply is the result of StartRequest.
type PendingReply struct {
	Reply
	Err error // set if no reply arrived
}

// NewClient returns a client with connections of its own, as many as given.
func NewClient(t *testing.T, connections int) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// ReadReply reads a response to its end. It takes the two results of a client's
// method.
func ReadReply(a *http.Response, err error) (Reply, error) {
	if err != nil {
		return Reply{}, err
	}
	raw, err := io.ReadAll(a.Body)
	return Reply{a.StatusCode, a.Header, string(raw)}, errors.Join(err, a.Body.Close())
}

// Main runs the tests of a package, or the server in a process that Spawn has
// started.
func Main(m *testing.M) {
	hashes := len(os.Args) == 2 && os.Args[1] == server.HashCommand // has no environment variables
	if hashes || os.Getenv(asProgram) != "" {                       // the following lines do what main does
		ctx, stop := server.WithSignals(context.Background(), os.Stderr)
		code := server.Main(ctx, ConfigYAML, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

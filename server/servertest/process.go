package servertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cubegate/server"
)

// asProgram makes the test binary the program itself: signals, exit statuses
// and kill -9 need a process, and this one needs no build of its own.
const asProgram = "CUBEGATE_TEST_AS_PROGRAM"

// Process is the program as a process of its own. Of running it has what can
// be had from outside: addresses and log.
type Process struct {
	Server
	Cmd    *exec.Cmd
	Stdout *LogBuffer
	Exited chan struct{} // closed once the process is gone
}

// Spawn starts the program in an empty folder and does not wait for it. The
// test's end kills it.
func Spawn(t *testing.T, more map[string]string, args ...string) *Process {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Cmd: exec.Command(binary, args...), Stdout: &LogBuffer{}, Exited: make(chan struct{})}
	p.Log = &LogBuffer{}
	p.Cmd.Dir, p.Cmd.Stdout, p.Cmd.Stderr = t.TempDir(), p.Stdout, p.Log
	p.Cmd.Env = []string{asProgram + "=1"}
	env := map[string]string{"DATA_DIR": p.Cmd.Dir + "/data"}
	for _, m := range []map[string]string{QuickSettings, more} {
		for k, v := range m {
			env[k] = v
		}
	}
	for k, v := range env {
		p.Cmd.Env = append(p.Cmd.Env, k+"="+v)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Cmd.Wait() // exit tells more
		close(p.Exited)
	}()
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill()
		<-p.Exited
	})
	return p
}

var (
	bannerAPI     = regexp.MustCompile(`playground +(http://[^ ]+)/api\n`)
	bannerSandbox = regexp.MustCompile(`sandbox at (http://[^ ,]+),`)
)

// WaitReady waits until the program has said where it listens.
func (p *Process) WaitReady(t *testing.T) *Process {
	t.Helper()
	Eventually(t, "the program is ready", func() bool {
		select {
		case <-p.Exited:
			t.Fatalf("the program ended: %s%s", p.Stdout, p.Log)
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

// Signal sends one.
func (p *Process) Signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Kill is kill -9: nothing of the program runs afterwards.
func (p *Process) Kill(t *testing.T) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	<-p.Exited
}

// ExitCode waits for the end and returns the exit status.
func (p *Process) ExitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.Exited:
	case <-time.After(time.Minute):
		t.Fatalf("the program did not end: %s", p.Log)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Eventually waits for what comes by itself. The minute is how long a busy
// machine may take, and no expectation.
func Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute still not: %s", what)
		}
	}
}

// Later sends a request and hands over the answer when it has come; err tells
// that none came.
func (r *Server) Later(method, url, body string) <-chan LateReply {
	done := make(chan LateReply, 1)
	go func() {
		got, err := Try(method, r.At(url), body)
		done <- LateReply{got, err}
	}()
	return done
}

// LateReply is what Later hands over.
type LateReply struct {
	Reply
	Err error
}

// NewClient is a client whose connections nobody else uses or closes.
func NewClient(t *testing.T, connections int) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// ReadReply reads an answer to its end.
func ReadReply(a *http.Response, err error) (Reply, error) {
	if err != nil {
		return Reply{}, err
	}
	raw, err := io.ReadAll(a.Body)
	return Reply{a.StatusCode, a.Header, string(raw)}, errors.Join(err, a.Body.Close())
}

// Main runs the tests of a package, or the program in a process that spawn
// has started.
func Main(m *testing.M) {
	hashes := len(os.Args) == 2 && os.Args[1] == server.HashCommand
	if hashes || os.Getenv(asProgram) != "" { // as main does; a process that hashes has no variables
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		code := server.Main(ctx, ConfigYAML, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

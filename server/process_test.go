package server

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
)

// asProgram makes the test binary the program itself: signals, exit statuses
// and kill -9 need a process, and this one needs no build of its own.
const asProgram = "CUBEGATE_TEST_AS_PROGRAM"

// process is the program as a process of its own. Of running it has what can
// be had from outside: addresses and log.
type process struct {
	running
	cmd    *exec.Cmd
	out    *logBuffer
	exited chan struct{} // closed once the process is gone
}

// spawn starts the program in an empty folder and does not wait for it. The
// test's end kills it.
func spawn(t *testing.T, more map[string]string, args ...string) *process {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(binary, args...), out: &logBuffer{}, exited: make(chan struct{})}
	p.log = &logBuffer{}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = t.TempDir(), p.out, p.log
	p.cmd.Env = []string{asProgram + "=1"}
	env := map[string]string{"DATA_DIR": p.cmd.Dir + "/data"}
	for _, m := range []map[string]string{quick, more} {
		for k, v := range m {
			env[k] = v
		}
	}
	for k, v := range env {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // exit tells more
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	return p
}

var (
	bannerAPI     = regexp.MustCompile(`playground +(http://[^ ]+)/api\n`)
	bannerSandbox = regexp.MustCompile(`sandbox at (http://[^ ,]+),`)
)

// ready waits until the program has said where it listens.
func (p *process) ready(t *testing.T) *process {
	t.Helper()
	eventually(t, "the program is ready", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("the program ended: %s%s", p.out, p.log)
		default:
		}
		banner := p.out.String()
		if !strings.Contains(banner, "Stop with Ctrl-C.") { // its last line
			return false
		}
		p.url = bannerAPI.FindStringSubmatch(banner)[1]
		if found := bannerSandbox.FindStringSubmatch(banner); found != nil {
			p.box = found[1]
		}
		return true
	})
	return p
}

// signal sends one.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9: nothing of the program runs afterwards.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	<-p.exited
}

// exit waits for the end and returns the exit status.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		t.Fatalf("the program did not end: %s", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// eventually waits for what comes by itself. The minute is how long a busy
// machine may take, and no expectation.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute still not: %s", what)
		}
	}
}

// later sends a request and hands over the answer when it has come; err tells
// that none came.
func (r *running) later(method, url, body string) <-chan late {
	done := make(chan late, 1)
	go func() {
		got, err := try(method, r.at(url), body)
		done <- late{got, err}
	}()
	return done
}

type late struct {
	reply
	err error
}

// alone is a client whose connections nobody else uses or closes.
func alone(t *testing.T, connections int) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// whole reads an answer to its end.
func whole(a *http.Response, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	raw, err := io.ReadAll(a.Body)
	return reply{a.StatusCode, a.Header, string(raw)}, errors.Join(err, a.Body.Close())
}

// runMain runs the tests of a package, or the program in a process that spawn
// has started.
func runMain(m *testing.M) {
	if os.Getenv(asProgram) != "" { // as main does
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		code := Main(ctx, configYAML, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

package lifecycle

import (
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"cubegate/server/servertest"
)

// openLogin starts a server, and a login that waits for ConnectyCube.
func openLogin(t *testing.T) (*servertest.Process, <-chan servertest.PendingReply) {
	t.Helper()
	u := servertest.NewUpstream(t)
	p := servertest.Spawn(t, servertest.Merge(u.Settings(), map[string]string{"SHUTDOWN_TIMEOUT": "10m", "CONNECTYCUBE_TIMEOUT": "5m"})).WaitReady(t)
	p.Register(t, "ada@example.org")
	waits := make(chan struct{})
	u.Override(http.MethodPost, "/session", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		close(waits)
		<-r.Context().Done()
	})
	pending := p.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.LoginDocument, servertest.Credentials("ada@example.org")))
	<-waits
	return p, pending
}

// The first signal says what the server waits for and how long. The second ends the process
// at once, with the status that names the signal.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for s, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			p, pending := openLogin(t)
			p.Signal(t, s)
			servertest.Eventually(t, "the server says what it waits for", func() bool {
				return strings.Contains(p.Stdout.String(), "Stopping. Waiting at most 10m0s for 1 open request and background work.\nCtrl-C again ends at once.\n")
			})
			if got := p.Request(t, http.MethodGet, "/healthz", ""); got.Status != http.StatusOK {
				t.Errorf("healthz after the first signal: %d", got.Status)
			}
			p.Signal(t, s)
			if code := p.ExitCode(t); code != status {
				t.Errorf("exit status %d, want %d", code, status)
			}
			if got := <-pending; got.Err == nil {
				t.Errorf("the login has got %d %s", got.Status, got.Body)
			}
			if log := p.Log.String(); strings.Count(log, "ended at once by a second signal") != 1 {
				t.Errorf("stderr: %s", log)
			}
			// What the second signal has left behind does not stop the next start.
			again := servertest.Spawn(t, map[string]string{"DATA_DIR": p.Cmd.Dir + "/data", "JWT_SECRET": servertest.JWTSecret}).WaitReady(t)
			if got := again.Login(t, servertest.LoginDocument, "ada@example.org"); got.Token == "" {
				t.Error("no login after the restart")
			}
		})
	}
}

// One signal ends a server that has nothing to wait for, with status 0.
func TestOneSignalEndsAnIdleServer(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve"}, {"sandbox"}} {
		p := servertest.Spawn(t, nil, args...)
		servertest.Eventually(t, "the banner is complete", func() bool { return strings.Contains(p.Stdout.String(), "Stop with Ctrl-C.") })
		p.Signal(t, syscall.SIGINT)
		if code := p.ExitCode(t); code != 0 {
			t.Errorf("%q: exit status %d: %s", args, code, p.Log)
		}
		if !regexp.MustCompile(`\nStopping\. Waiting at most \d+s for background work\.\nCtrl-C again ends at once\.\n`).MatchString(p.Stdout.String()) {
			t.Errorf("%q: %s", args, p.Stdout)
		}
	}
}

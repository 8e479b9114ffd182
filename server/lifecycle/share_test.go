package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cubegate/server"
	"cubegate/server/servertest"
)

const usersDocument = `{ users(page: {}) { items { email roles } } }`

// commandsOf returns a function that runs a command with the settings of a process.
func commandsOf(t *testing.T, p *servertest.Process, more map[string]string) func(args ...string) servertest.Outcome {
	settings := servertest.Merge(servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": p.Cmd.Dir + "/data", "LOG_LEVEL": "warn"}), more)
	return func(args ...string) servertest.Outcome {
		t.Helper()
		return servertest.Run(t.Context(), settings, args...)
	}
}

// lookOut is an output that calls look when a text comes.
type lookOut struct {
	text string
	look func()
}

func (o lookOut) Write(p []byte) (int, error) {
	if strings.Contains(string(p), o.text) {
		o.look()
	}
	return len(p), nil
}

// A command finds the server from the moment at which that says it is ready.
func TestReadyServerSharesItsDatabase(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told := false
	out := lookOut{"cubegate is ready.", func() {
		told = true
		for _, name := range []string{"cubegate.sock", "running.json"} {
			if _, err := os.Lstat(filepath.Join(data, name)); err != nil {
				t.Error(err)
			}
		}
		stop()
	}}
	env := servertest.Getenv(servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": data}))
	if code := server.Main(ctx, servertest.ConfigYAML, nil, env, out, io.Discard); code != 0 || !told {
		t.Errorf("exit status %d, ready: %t", code, told)
	}
}

// Commands use the database of a running server, which sees each change at once: also for
// the tokens that it has issued before.
func TestCommandsBesideARunningServer(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, nil).WaitReady(t)
	run := commandsOf(t, p, nil)
	want := func(code int, text string, args ...string) {
		t.Helper()
		if got := run(args...); got.Code != code || !strings.Contains(got.Stdout+got.Stderr, text) || strings.Count(got.Stderr, "\n") > 1 {
			t.Errorf("%q: %+v, want status %d and %q", args, got, code, text)
		}
	}
	want(0, "There are no users.\n", "users")
	p.Register(t, "ada@example.org")
	p.Register(t, "bob@example.org")
	in := p.Login(t, servertest.LoginDocument, "ada@example.org")
	allowed := func() bool {
		return servertest.CodeOf(p.SendAs(t, in.Token, usersDocument, nil).Body) == ""
	}
	if allowed() {
		t.Fatal("ada is an administrator from the beginning")
	}
	want(0, "ada@example.org is admin.\n", "grant", "ADA@example.org", "admin")
	if !allowed() {
		t.Error("the server does not see the grant")
	}
	want(0, "ada@example.org is no longer admin.\n", "revoke", "ada@example.org", "admin")
	if allowed() {
		t.Error("the server does not see the revocation")
	}
	want(1, "ada@example.org is not admin; the user has no roles", "revoke", "ada@example.org", "admin")
	want(1, "no user has the email eve@example.org", "grant", "eve@example.org", "admin")
	want(1, "no user has the role admn; did you mean admin? To make a new role, add --new", "grant", "ada@example.org", "admn")
	want(1, "the known roles are admin", "grant", "ada@example.org", "moderator")
	want(0, "ada@example.org is moderator.\n", "grant", "ada@example.org", "moderator", "--new")
	want(0, "bob@example.org is moderator.\n", "grant", "bob@example.org", "moderator")
	want(1, "did you mean moderator?", "grant", "bob@example.org", "moderater")
	want(1, "a role must have", "grant", "bob@example.org", "Not A Role", "--new")
	want(0, "bob@example.org  Ada Lovelace  moderator  ", "users", "BOB")
	want(0, "And more: --limit 10 lists more.\n", "users", "--limit", "1")
	want(0, "No user has an email that begins with eve.\n", "users", "eve")
	want(0, "Each document in ", "check")
	want(0, "2 accounts were in step, 0 have a new password", "passwords")
	var user struct {
		Email, Name string
		Roles       []string
		Sessions    int
	}
	got := run("users", "ada", "--json")
	if err := json.Unmarshal([]byte(got.Stdout), &user); err != nil || user.Email != "ada@example.org" || user.Name != "Ada Lovelace" || fmt.Sprint(user.Roles) != "[moderator]" || user.Sessions != 2 || strings.Contains(got.Stdout, "argon2") {
		t.Errorf("users --json: %s, %v", got.Stdout, err)
	}
	if got := run("export"); got.Code != 0 || strings.Count(got.Stdout, "\n") != 2 || strings.Count(got.Stdout, "$argon2id$") != 2 {
		t.Errorf("export: %+v", got)
	}
	for _, name := range []string{"cubegate.sock", "running.json"} {
		if info, err := os.Lstat(filepath.Join(p.Cmd.Dir, "data", name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 {
		t.Errorf("exit status %d: %s", code, p.Log)
	}
	for _, name := range []string{"cubegate.sock", "running.json"} {
		if _, err := os.Lstat(filepath.Join(p.Cmd.Dir, "data", name)); !os.IsNotExist(err) {
			t.Errorf("%s after the stop: %v", name, err)
		}
	}
	want(0, "bob@example.org is no longer moderator.\n", "revoke", "bob@example.org", "moderator")
	want(0, "cubegate.db is in order.\n", "check")
}

// The password mode changes beside a running server with its sandbox, over TLS as well.
func TestPasswordsBesideARunningServer(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--tls"}} {
		p := servertest.Spawn(t, map[string]string{"CONNECTYCUBE_PASSWORD": "shared"}, append([]string{"serve"}, args...)...).WaitReady(t)
		run := commandsOf(t, p, map[string]string{"CONNECTYCUBE_PASSWORD": "derived"})
		if args == nil {
			p.Register(t, "ada@example.org")
		}
		want := fmt.Sprintf("%d get it at their user's next login, 0 failed", map[bool]int{true: 1}[args == nil])
		if got := run("passwords"); got.Code != 0 || !strings.Contains(got.Stdout, want) && !strings.Contains(got.Stdout, "1 have a new password, 0 get it") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// Several commands at once take turns without a server, and all of their changes are kept.
func TestCommandsAtOnce(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]bool{"beside a server": true, "without a server": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := servertest.Spawn(t, nil).WaitReady(t)
			p.Register(t, "ada@example.org")
			if !server {
				p.Kill(t) // leaves its socket
			}
			run := commandsOf(t, p, nil)
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() {
					role := fmt.Sprintf("role%d", i)
					if got := run("grant", "ada@example.org", role, "--new"); got.Code != 0 || got.Stdout != "ada@example.org is "+role+".\n" {
						t.Errorf("%+v", got)
					}
				})
			}
			all.Wait()
			got := run("users")
			for i := range 6 {
				if !strings.Contains(got.Stdout, fmt.Sprintf("role%d", i)) {
					t.Errorf("role%d is lost: %s", i, got.Stdout)
				}
			}
		})
	}
}

// A server starts although a killed one has left its socket, and although another file is
// in its place; the file stays.
func TestSocketInTheWay(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, nil).WaitReady(t)
	p.Register(t, "ada@example.org")
	p.Kill(t)
	socket := filepath.Join(p.Cmd.Dir, "data", "cubegate.sock")
	if info, err := os.Lstat(socket); err != nil || info.Mode()&fs.ModeSocket == 0 {
		t.Fatalf("a killed server leaves %v, %v", info, err)
	}
	settings := map[string]string{"DATA_DIR": p.Cmd.Dir + "/data"}
	run := commandsOf(t, p, nil)
	again := servertest.Spawn(t, settings).WaitReady(t)
	if got := run("grant", "ada@example.org", "admin"); got.Code != 0 {
		t.Errorf("%+v", got)
	}
	again.Kill(t)
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", socket); err != nil {
		t.Fatal(err)
	}
	again = servertest.Spawn(t, settings).WaitReady(t)
	servertest.Eventually(t, "the log says why commands cannot use the database", func() bool {
		return strings.Contains(again.Log.String(), "commands cannot use the database") && strings.Contains(again.Log.String(), "symbolic link")
	})
	if got := run("users"); got.Code != 1 || !strings.Contains(got.Stderr, "is a symbolic link, want a socket; remove it") {
		t.Errorf("%+v", got)
	}
	again.Signal(t, syscall.SIGTERM)
	if code := again.ExitCode(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if to, err := os.Readlink(socket); to != "/dev/null" || err != nil {
		t.Errorf("the link: %q, %v", to, err)
	}
}

// A server that is killed while a command uses its database: the command says so, and run
// again it does its work.
func TestServerEndsDuringACommand(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"CONNECTYCUBE_PASSWORD": "derived"})
	p := servertest.Spawn(t, settings).WaitReady(t)
	for i := range 3 {
		p.Register(t, fmt.Sprintf("ada%d@example.org", i))
	}
	rotated := servertest.Merge(settings, map[string]string{"JWT_SECRET": servertest.OtherJWTSecret, "JWT_PREVIOUS_SECRETS": servertest.JWTSecret})
	run := commandsOf(t, p, rotated)
	var once sync.Once
	u.OverrideAll(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			once.Do(func() { p.Kill(t) })
		}
		next.ServeHTTP(w, r)
	})
	got := run("passwords")
	if got.Code != 1 || !strings.Contains(got.Stderr, "cubegate: the server stopped while the command used its database; run the command again") {
		t.Errorf("%+v", got)
	}
	u.Restore()
	if got := run("passwords"); got.Code != 0 || !strings.Contains(got.Stdout, " 0 failed") {
		t.Errorf("again: %+v", got)
	}
	again := servertest.Spawn(t, servertest.Merge(settings, map[string]string{"DATA_DIR": p.Cmd.Dir + "/data", "JWT_SECRET": servertest.OtherJWTSecret})).WaitReady(t)
	for i := range 3 {
		if in := again.Login(t, servertest.LoginDocument, fmt.Sprintf("ada%d@example.org", i)); in.ChatStatus != "READY" {
			t.Errorf("ada%d: %s", i, in.ChatStatus)
		}
	}
}

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/server/servertest"
)

// The secret is replaced in three steps, and no user notices any of them.
func TestSecretIsReplaced(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": db.URI(), "CONNECTYCUBE_PASSWORD": "derived"})
	run := func(more map[string]string, use func(r *servertest.Server)) {
		t.Helper()
		r, stop := servertest.StartUntil(t, servertest.Configure(t, servertest.Merge(settings, more)))
		defer stop()
		r.SandboxURL = u.URL
		use(r)
	}
	var in servertest.LoginReply
	run(nil, func(r *servertest.Server) {
		in = *r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")).Data.Register
	})
	both := map[string]string{"JWT_SECRET": servertest.OtherJWTSecret, "JWT_PREVIOUS_SECRETS": servertest.JWTSecret}
	for _, want := range []string{"0 accounts were in step, 1 have a new password", "1 accounts were in step, 0 have a new password"} {
		if out, err := runCommand(t, "passwords", servertest.Merge(settings, both)); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("passwords: %q, %v; want %q", out, err, want)
		}
	}
	run(both, func(r *servertest.Server) {
		for credential, works := range r.WorkingCredentials(t, in) {
			if !works {
				t.Errorf("with both secrets, the %s does not work", credential)
			}
		}
	})
	run(map[string]string{"JWT_SECRET": servertest.OtherJWTSecret}, func(r *servertest.Server) {
		if got := r.Login(t, servertest.LoginDocument, "ada@example.org"); got.ChatStatus != "READY" {
			t.Errorf("a login with only the new secret: %s", got.ChatStatus)
		}
		for credential, works := range r.WorkingCredentials(t, in) {
			if works != (credential == servertest.PasswordAtAPI) {
				t.Errorf("with only the new secret, the %s works: %t", credential, works)
			}
		}
		if !u.WorkingCredentials(t, in)[servertest.CubeSession] {
			t.Error("the ConnectyCube session does not work")
		}
	})
}

// The mode of passwords changes from shared to derived and back. Only the user knows
// the own password, so each change is complete after the user's next login.
func TestPasswordModeIsChanged(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	const email, own = "ada@example.org", "correct horse"
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": db.URI()})
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	r.Register(t, email)
	stop()
	if !u.AcceptsPassword(t, email, own) {
		t.Fatal("shared: ConnectyCube does not accept the user's password")
	}
	for _, mode := range []string{"derived", "shared"} {
		settings["CONNECTYCUBE_PASSWORD"] = mode
		for range 2 { // the second run reports the same
			if out, err := runCommand(t, "passwords", settings); err != nil || !strings.Contains(out, "1 get it at their user's next login") {
				t.Errorf("to %s: %q, %v", mode, out, err)
			}
		}
		r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
		if got := r.Login(t, servertest.LoginDocument, email); got.ChatStatus != "READY" {
			t.Errorf("to %s: the login gets %s", mode, got.ChatStatus)
		}
		stop()
		if accepted := u.AcceptsPassword(t, email, own); accepted != (mode == "shared") {
			t.Errorf("%s: ConnectyCube accepts the user's own password: %t", mode, accepted)
		}
		if out, err := runCommand(t, "passwords", settings); err != nil || !strings.HasPrefix(out, "1 accounts were in step") {
			t.Errorf("after %s: %q, %v", mode, out, err)
		}
	}
}

// An interrupted migration of passwords keeps what it has done, and the next one
// does the rest.
func TestPasswordMigrationIsInterrupted(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": db.URI(), "CONNECTYCUBE_PASSWORD": "derived"})
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	const users = 8
	for i := range users {
		r.Register(t, fmt.Sprintf("ada%d@example.org", i))
	}
	stop()
	rotated := servertest.Merge(settings, map[string]string{"JWT_SECRET": servertest.OtherJWTSecret, "JWT_PREVIOUS_SECRETS": servertest.JWTSecret})
	ctx, interrupt := context.WithCancel(t.Context())
	var changes atomic.Int32
	u.OverrideAll(func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		if q.Method == http.MethodPut && changes.Add(1) == 3 {
			interrupt()
		}
		next.ServeHTTP(w, q)
	})
	if _, err := runCommandUntil(ctx, t, "passwords", rotated); err == nil {
		t.Fatal("an interrupted migration reports success")
	}
	u.Restore()
	out, err := runCommand(t, "passwords", rotated)
	if err != nil || !strings.Contains(out, " 0 failed") || strings.HasPrefix(out, "0 accounts") || strings.HasPrefix(out, fmt.Sprint(users)) {
		t.Errorf("the next migration: %q, %v", out, err)
	}
	r, stop = servertest.StartUntil(t, servertest.Configure(t, servertest.Merge(settings, map[string]string{"JWT_SECRET": servertest.OtherJWTSecret})))
	defer stop()
	for i := range users {
		if got := r.Login(t, servertest.LoginDocument, fmt.Sprintf("ada%d@example.org", i)); got.ChatStatus != "READY" {
			t.Errorf("ada%d: %s", i, got.ChatStatus)
		}
	}
}

// An operator rotates the signing keys while clients send requests all the time. No
// request fails.
func TestKeysRotateUnderLoad(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	settings := map[string]string{"JWT_KEYS": folder, "LOG_LEVEL": "error"}
	command := func(args ...string) string {
		t.Helper()
		out, err := runCommand(t, "keys", settings, args...)
		if err != nil {
			t.Fatalf("keys %v: %v", args, err)
		}
		return out
	}
	first, _, _ := strings.Cut(command("new", "--in", "0s"), " ")
	r := servertest.Start(t, settings)
	in := *r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")).Data.Register
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal([]byte(r.Request(t, http.MethodGet, "/.well-known/jwks.json", "").Body), &set); err != nil || len(set.Keys) != 1 || set.Keys[0].Kid != first {
		t.Fatalf("published: %+v, %v", set, err)
	}
	load := startLoad(t, r, in)
	second, _, _ := strings.Cut(command("new", "--alg", "ES256", "--in", "6s"), " ")
	servertest.Eventually(t, "the second key signs the tokens of all clients", func() bool { return load.all(second) || t.Failed() })
	before := load.replies.Load()
	command("retire", first)
	servertest.Eventually(t, "requests succeed after that", func() bool { return load.replies.Load() > before+200 || t.Failed() })
	servertest.Eventually(t, "the server refuses the tokens of the first key", func() bool {
		return servertest.CodeOf(r.SendAs(t, in.Token, `{ me { id } }`, nil).Body) == "UNAUTHENTICATED" || t.Failed()
	})
	load.stop()
	if code := servertest.CodeOf(r.SendAs(t, in.Token, `{ me { id } }`, nil).Body); code != "UNAUTHENTICATED" {
		t.Errorf("a token of the retired key: %q", code)
	}
	if out := command("list"); !strings.Contains(out, "retired") || !strings.Contains(out, "signs") {
		t.Errorf("keys list: %s", out)
	}
	for _, args := range [][]string{{}, {"x"}, {"retire"}, {"retire", "x"}, {"retire", second}, {"new", "--alg", "RS256"}, {"new", "x"}} {
		if out, err := runCommand(t, "keys", settings, args...); err == nil {
			t.Errorf("keys %v: %s", args, out)
		}
	}
	if _, err := runCommand(t, "keys", nil, "list"); err == nil {
		t.Error("keys without JWT_KEYS")
	}
}

// load is a number of clients that send requests with the latest access token of one
// user, until stop is called. One more client refreshes the token all the time.
type load struct {
	token   atomic.Value    // string
	held    [4]atomic.Value // string: the token of each client's present request
	replies atomic.Int64
	stop    func()
}

func startLoad(t *testing.T, r *servertest.Server, in servertest.LoginReply) *load {
	t.Helper()
	l := &load{}
	l.token.Store(in.Token)
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	l.stop = func() { cancel(); clients.Wait() }
	t.Cleanup(l.stop)
	for i := range l.held {
		l.held[i].Store(in.Token)
		clients.Go(func() {
			for ctx.Err() == nil {
				token := l.token.Load().(string)
				l.held[i].Store(token)
				if code := servertest.CodeOf(r.SendAs(t, token, `{ me { id } }`, nil).Body); code != "" {
					t.Errorf("after %d replies: %s", l.replies.Load(), code)
					return
				}
				l.replies.Add(1)
			}
		})
	}
	clients.Go(func() {
		refresh := in.RefreshToken
		for ctx.Err() == nil {
			var got struct {
				Data struct{ Refresh servertest.LoginReply }
			}
			body := r.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { token refreshToken } }`, refresh), nil).Body
			if err := json.Unmarshal([]byte(body), &got); err != nil || got.Data.Refresh.Token == "" {
				t.Errorf("refresh: %s", servertest.CodeOf(body))
				return
			}
			refresh = got.Data.Refresh.RefreshToken
			l.token.Store(got.Data.Refresh.Token)
		}
	})
	return l
}

// all reports whether the key of this ID has signed the latest token and the token
// of each request on its way.
func (l *load) all(key string) bool {
	signedByKey := func(token any) bool {
		header, _, _ := strings.Cut(token.(string), ".")
		return strings.Contains(servertest.DecodeSegment(header), key)
	}
	for i := range l.held {
		if !signedByKey(l.held[i].Load()) {
			return false
		}
	}
	return signedByKey(l.token.Load())
}

// A command makes the first administrator.
func TestGrant(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATA_DIR": t.TempDir()}
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	r.Register(t, "ada@example.org")
	stop()
	for _, args := range [][]string{{"ada@example.org"}, {"unknown@example.org", "admin"}, {"ada@example.org", "Not A Role"}} {
		if out, err := runCommand(t, "grant", settings, args...); err == nil {
			t.Errorf("grant %v: %s", args, out)
		}
	}
	for range 2 {
		if out, err := runCommand(t, "grant", settings, "ADA@example.org", "admin"); err != nil || out != "ada@example.org is admin.\n" {
			t.Errorf("grant: %q, %v", out, err)
		}
	}
	r, stop = servertest.StartUntil(t, servertest.Configure(t, settings))
	defer stop()
	in := r.Login(t, servertest.LoginDocument, "ada@example.org")
	if code := servertest.CodeOf(r.SendAs(t, in.Token, `{ users { next } }`, nil).Body); code != "" {
		t.Errorf("the administrator: %s", code)
	}
}

// If a proxy repeats the change of a password, ConnectyCube refuses the second request,
// because its old password has just been replaced.
func TestPasswordChangeThatArrivesTwice(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, map[string]string{"LOGIN_FAILURES": "0"})
	in := *r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")).Data.Register
	if err := u.AddFault(sandbox.Fault{Method: http.MethodPut, Path: "/users/*", Kind: sandbox.FaultDuplicate}); err != nil {
		t.Fatal(err)
	}
	password := "correct horse"
	for _, next := range []string{"another horse", "a third horse"} {
		r.MustDo(t, in.Token, fmt.Sprintf(`mutation { changePassword(current: %q, new: %q) { message } }`, password, next))
		password = next
		if !u.AcceptsPassword(t, "ada@example.org", password) {
			t.Errorf("ConnectyCube does not accept %q", password)
		}
	}
	got := r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": "ada@example.org", "password": password})
	if got.Code() != "" || got.Data.Answer.ChatStatus != "READY" {
		t.Errorf("login: %s %+v", got.Code(), got.Data.Answer)
	}
}

// runCommand runs a command with settings and returns its output. The error is the
// text that the command prints as an error.
func runCommand(t *testing.T, name string, settings map[string]string, args ...string) (string, error) {
	t.Helper()
	return runCommandUntil(t.Context(), t, name, settings, args...)
}

// runCommandUntil is runCommand, interrupted at the end of ctx.
func runCommandUntil(ctx context.Context, t *testing.T, name string, settings map[string]string, args ...string) (string, error) {
	t.Helper()
	env := servertest.Merge(servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": t.TempDir()}), settings)
	got := servertest.Run(ctx, env, append([]string{name}, args...)...)
	if got.Code != 0 {
		return got.Stdout, errors.New(got.Stderr)
	}
	return got.Stdout, nil
}

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
	"cubegate/server"
	"cubegate/server/servertest"
)

// A secret is replaced in three steps, and nobody notices any of them.
func TestSecretIsReplaced(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": db.URI(), "CONNECTYCUBE_PASSWORD": "derived"})
	life := func(more map[string]string, use func(r *servertest.Server)) {
		t.Helper()
		r, stop := servertest.StartUntil(t, servertest.Configure(t, servertest.Merge(settings, more)))
		defer stop()
		r.SandboxURL = u.URL
		use(r)
	}
	var in servertest.LoginReply
	life(nil, func(r *servertest.Server) {
		in = *r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")).Data.Register
	})
	both := map[string]string{"JWT_SECRET": servertest.OtherJWTSecret, "JWT_PREVIOUS_SECRETS": servertest.JWTSecret}
	for _, want := range []string{"0 accounts were in step, 1 have a new password", "1 accounts were in step, 0 have a new password"} {
		if out, err := operated(t, "passwords", servertest.Merge(settings, both)); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("passwords: %q, %v; want %q", out, err, want)
		}
	}
	life(both, func(r *servertest.Server) {
		for credential, lives := range r.WorkingCredentials(t, in) {
			if !lives {
				t.Errorf("with both secrets: %s is dead", credential)
			}
		}
	})
	life(map[string]string{"JWT_SECRET": servertest.OtherJWTSecret}, func(r *servertest.Server) {
		if got := r.Login(t, servertest.LoginDocument, "ada@example.org"); got.ChatStatus != "READY" {
			t.Errorf("with the new secret alone: %s", got.ChatStatus)
		}
		for credential, lives := range r.WorkingCredentials(t, in) {
			if lives != (credential == servertest.PasswordHere) {
				t.Errorf("with the new secret alone: %s lives: %t", credential, lives)
			}
		}
		if !u.WorkingCredentials(t, in)[servertest.CubeSession] {
			t.Error("the ConnectyCube session is dead")
		}
	})
}

// From shared passwords to derived ones and back. Only the users know their own,
// so each change is complete when they have logged in once.
func TestPasswordsAreSwitched(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	const address, own = "ada@example.org", "correct horse"
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": db.URI()})
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	r.Register(t, address)
	stop()
	if !u.AcceptsPassword(t, address, own) {
		t.Fatal("shared: ConnectyCube does not take the user's password")
	}
	for _, mode := range []string{"derived", "shared"} {
		settings["CONNECTYCUBE_PASSWORD"] = mode
		for range 2 { // the second time it has the same to say
			if out, err := operated(t, "passwords", settings); err != nil || !strings.Contains(out, "1 get it at their user's next login") {
				t.Errorf("to %s: %q, %v", mode, out, err)
			}
		}
		r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
		if got := r.Login(t, servertest.LoginDocument, address); got.ChatStatus != "READY" {
			t.Errorf("to %s: the login says %s", mode, got.ChatStatus)
		}
		stop()
		if takes := u.AcceptsPassword(t, address, own); takes != (mode == "shared") {
			t.Errorf("%s: ConnectyCube takes the user's own password: %t", mode, takes)
		}
		if out, err := operated(t, "passwords", settings); err != nil || !strings.HasPrefix(out, "1 accounts were in step") {
			t.Errorf("after %s: %q, %v", mode, out, err)
		}
	}
}

// A switch that is cut off has done what it has done, and the next one the rest.
func TestSwitchIsInterrupted(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": db.URI(), "CONNECTYCUBE_PASSWORD": "derived"})
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	const people = 8
	for i := range people {
		r.Register(t, fmt.Sprintf("ada%d@example.org", i))
	}
	stop()
	rotated := servertest.Merge(settings, map[string]string{"JWT_SECRET": servertest.OtherJWTSecret, "JWT_PREVIOUS_SECRETS": servertest.JWTSecret})
	ctx, cut := context.WithCancel(t.Context())
	var changes atomic.Int32
	u.OverrideAll(func(w http.ResponseWriter, q *http.Request, honest http.Handler) {
		if q.Method == http.MethodPut && changes.Add(1) == 3 {
			cut()
		}
		honest.ServeHTTP(w, q)
	})
	if _, err := operatedUntil(ctx, t, "passwords", rotated); err == nil {
		t.Fatal("a switch that was cut off says that it is done")
	}
	u.Restore()
	out, err := operated(t, "passwords", rotated)
	if err != nil || !strings.Contains(out, " 0 failed") || strings.HasPrefix(out, "0 accounts") || strings.HasPrefix(out, fmt.Sprint(people)) {
		t.Errorf("the next one: %q, %v", out, err)
	}
	r, stop = servertest.StartUntil(t, servertest.Configure(t, servertest.Merge(settings, map[string]string{"JWT_SECRET": servertest.OtherJWTSecret})))
	defer stop()
	for i := range people {
		if got := r.Login(t, servertest.LoginDocument, fmt.Sprintf("ada%d@example.org", i)); got.ChatStatus != "READY" {
			t.Errorf("ada%d: %s", i, got.ChatStatus)
		}
	}
}

// The commands of an operator, as typed, and a rotation of keys while people
// ask all the time.
func TestKeysRotateUnderLoad(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	settings := map[string]string{"JWT_KEYS": folder, "LOG_LEVEL": "error"}
	command := func(args ...string) string {
		t.Helper()
		out, err := operated(t, "keys", settings, args...)
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
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking sync.WaitGroup
	var answered atomic.Int64
	var token atomic.Value
	token.Store(in.Token)
	for range 4 {
		asking.Go(func() {
			for ctx.Err() == nil {
				if code := servertest.CodeOf(r.As(t, token.Load().(string), `{ me { id } }`, nil).Body); code != "" {
					t.Errorf("after %d answers: %s", answered.Load(), code)
					return
				}
				answered.Add(1)
			}
		})
	}
	asking.Go(func() { // somebody refreshes, so that the new key is used
		refresh := in.RefreshToken
		for ctx.Err() == nil {
			var got struct {
				Data struct{ Refresh servertest.LoginReply }
			}
			body := r.As(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { token refreshToken } }`, refresh), nil).Body
			if err := json.Unmarshal([]byte(body), &got); err != nil || got.Data.Refresh.Token == "" {
				t.Errorf("refresh: %s", servertest.CodeOf(body))
				return
			}
			refresh = got.Data.Refresh.RefreshToken
			token.Store(got.Data.Refresh.Token)
		}
	})
	second, _, _ := strings.Cut(command("new", "--alg", "ES256", "--in", "6s"), " ")
	servertest.Eventually(t, "the second key signs", func() bool {
		header, _, _ := strings.Cut(token.Load().(string), ".")
		return strings.Contains(servertest.DecodeSegment(header), second)
	})
	before := answered.Load()
	command("retire", first) // nobody holds a token of the first any more
	servertest.Eventually(t, "people go on after that", func() bool { return answered.Load() > before+200 || t.Failed() })
	servertest.Eventually(t, "the server refuses what the first key signed", func() bool {
		return servertest.CodeOf(r.As(t, in.Token, `{ me { id } }`, nil).Body) == "UNAUTHENTICATED" || t.Failed()
	})
	stop()
	asking.Wait()
	if code := servertest.CodeOf(r.As(t, in.Token, `{ me { id } }`, nil).Body); code != "UNAUTHENTICATED" {
		t.Errorf("a token of the retired key: %q", code)
	}
	if out := command("list"); !strings.Contains(out, "retired") || !strings.Contains(out, "signs") {
		t.Errorf("keys list: %s", out)
	}
	for _, args := range [][]string{{}, {"x"}, {"retire"}, {"retire", "x"}, {"retire", second}, {"new", "--alg", "RS256"}, {"new", "x"}} {
		if out, err := operated(t, "keys", settings, args...); err == nil {
			t.Errorf("keys %v: %s", args, out)
		}
	}
	if _, err := operated(t, "keys", nil, "list"); err == nil {
		t.Error("keys without JWT_KEYS")
	}
}

// The first administrator is made by a command.
func TestGrant(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATA_DIR": t.TempDir()}
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	r.Register(t, "ada@example.org")
	stop()
	for _, args := range [][]string{{"ada@example.org"}, {"nobody@example.org", "admin"}, {"ada@example.org", "Not A Role"}} {
		if out, err := operated(t, "grant", settings, args...); err == nil {
			t.Errorf("grant %v: %s", args, out)
		}
	}
	for range 2 {
		if out, err := operated(t, "grant", settings, "ADA@example.org", "admin"); err != nil || out != "ada@example.org is admin.\n" {
			t.Errorf("grant: %q, %v", out, err)
		}
	}
	r, stop = servertest.StartUntil(t, servertest.Configure(t, settings))
	defer stop()
	in := r.Login(t, servertest.LoginDocument, "ada@example.org")
	if code := servertest.CodeOf(r.As(t, in.Token, `{ users { next } }`, nil).Body); code != "" {
		t.Errorf("the administrator: %s", code)
	}
}

// A proxy that repeats requests makes ConnectyCube say that the old password is
// wrong, for it has just been replaced.
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
			t.Errorf("ConnectyCube does not take %q", password)
		}
	}
	got := r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": "ada@example.org", "password": password})
	if got.Code() != "" || got.Data.Answer.ChatStatus != "READY" {
		t.Errorf("login: %s %+v", got.Code(), got.Data.Answer)
	}
}

// operated runs a command of an operator with these settings and returns what it
// prints. The error is what it prints as one.
func operated(t *testing.T, name string, settings map[string]string, args ...string) (string, error) {
	t.Helper()
	return operatedUntil(t.Context(), t, name, settings, args...)
}

// operatedUntil is operated until ctx ends.
func operatedUntil(ctx context.Context, t *testing.T, name string, settings map[string]string, args ...string) (string, error) {
	t.Helper()
	env := servertest.Merge(servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": t.TempDir()}), settings)
	var out, log servertest.LogBuffer
	code := server.Main(ctx, servertest.ConfigYAML, append([]string{name}, args...), func(name string) (string, bool) { v, ok := env[name]; return v, ok }, &out, &log)
	if code != 0 {
		return out.String(), errors.New(log.String())
	}
	return out.String(), nil
}

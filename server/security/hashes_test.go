package security

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/resolvers"
	"cubegate/resolvers/identity"
	"cubegate/server"
	"cubegate/server/servertest"
	"cubegate/store"
	"cubegate/tokens"
)

// countedPasswords count the hashes that a program computes.
type countedPasswords struct {
	identity.PasswordHasher
	begun, running atomic.Int64
}

func (c *countedPasswords) Hash(ctx context.Context, t tokens.Turn, password string) (string, error) {
	c.begun.Add(1)
	c.running.Add(1)
	defer c.running.Add(-1)
	return c.PasswordHasher.Hash(ctx, t, password)
}

func (c *countedPasswords) Compare(ctx context.Context, t tokens.Turn, password, hash string) (bool, error) {
	c.begun.Add(1)
	c.running.Add(1)
	defer c.running.Add(-1)
	return c.PasswordHasher.Compare(ctx, t, password, hash)
}

// countHashes begins to count. No request may run.
func countHashes(r *servertest.Server) *countedPasswords {
	c := &countedPasswords{PasswordHasher: r.Flows.Passwords.Hasher}
	r.Flows.Passwords.Hasher = c
	return c
}

// since returns the hashes that run causes.
func (c *countedPasswords) since(run func()) int64 {
	before := c.begun.Load()
	run()
	return c.begun.Load() - before
}

// sdkLogin is the login of an SDK at the sandbox, which asks the server.
func sdkLogin(t *testing.T, r *servertest.Server, email, password string) servertest.Reply {
	t.Helper()
	body := fmt.Sprintf(`{"application_id":%d,"auth_key":%q,"user":{"email":%q,"password":%q}}`, sandbox.DefaultAppID, sandbox.DefaultAuthKey, email, password)
	return r.Request(t, http.MethodPost, r.SandboxURL+"/session", body)
}

// ConnectyCube asks about the password while the operation runs. That cost a
// second hash.
func TestCallbackOfALoginHashesNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"shared", "derived"} {
		r := servertest.Start(t, map[string]string{"CONNECTYCUBE_PASSWORD": mode})
		hashes := countHashes(r)
		for i := range 3 { // the server learns from the first that ConnectyCube asks it
			email := fmt.Sprintf("ada%d@example.org", i)
			if n := hashes.since(func() { r.Register(t, email) }); n != 1 {
				t.Errorf("%s: registration %d costs %d hashes, want 1", mode, i, n)
			}
			n := hashes.since(func() {
				if got := r.Login(t, servertest.LoginDocument, email); got.ChatStatus != "READY" {
					t.Errorf("%s: %s", mode, got.ChatStatus)
				}
			})
			if n != 1 {
				t.Errorf("%s: login %d costs %d hashes, want 1", mode, i, n)
			}
			if n := hashes.since(func() { r.Login(t, servertest.ByTokenDocument, email) }); n != 1 {
				t.Errorf("%s: login by token %d costs %d hashes, want 1", mode, i, n)
			}
		}
		// Nothing is left for a login that is not ours.
		n := hashes.since(func() {
			if got := sdkLogin(t, r, "ada0@example.org", "correct horse"); got.Status != http.StatusCreated {
				t.Errorf("%s: an SDK's login: %d %s", mode, got.Status, got.Body)
			}
		})
		if n != 1 {
			t.Errorf("%s: an SDK's login costs %d hashes, want 1", mode, n)
		}
	}
}

// The callback of a login waited in the same queue as all other hashes, behind
// any flood that came after the login.
func TestCallbackDoesNotWaitForAFlood(t *testing.T) {
	t.Parallel()
	const flood = 300
	u := servertest.NewUpstream(t)
	r := u.Start(t, true, map[string]string{
		"PASSWORD_CONCURRENT": "1", "PASSWORD_MEMORY": "8192", "PASSWORD_MAX_WAIT": "1m", "LOGIN_FAILURES": "0",
	})
	r.Register(t, "ada@example.org")
	hashes := countHashes(r)
	flooded := make(chan struct{})
	u.Override(http.MethodPost, "/session", func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
		<-flooded
		honest.ServeHTTP(w, r)
	})
	answered := make(chan servertest.GraphQLReply, 1)
	go func() { answered <- r.GraphQL(t, servertest.LoginDocument, servertest.Credentials("ada@example.org")) }()
	servertest.Eventually(t, "the login waits for ConnectyCube", func() bool { return len(u.Received(http.MethodPost, "/session")) > 0 && hashes.running.Load() == 0 })
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range flood {
		all.Go(func() {
			body := fmt.Sprintf(`{"email":"nobody%d@example.org","password":"guess"}`, i)
			q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+"/auth/login", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			q.Header.Set("Content-Type", "application/json")
			if got, err := http.DefaultClient.Do(q); err == nil {
				got.Body.Close()
			}
		})
	}
	servertest.Eventually(t, "the flood is in the queue", func() bool { return hashes.begun.Load() == flood+1 })
	close(flooded)
	got := <-answered
	left := hashes.running.Load()
	cancel()
	all.Wait()
	if got.Code() != "" || got.Data.Answer.ChatStatus != "READY" || left == 0 {
		t.Errorf("%d of the flood wait; the login: %s", left, got.Body)
	}
	if n := hashes.begun.Load(); n != flood+1 {
		t.Errorf("%d hashes, want %d", n, flood+1)
	}
}

// 100 wrong passwords, sent to the verify route from anywhere, shut a user's own
// SDK login, and the audit had nothing.
func TestCallbacksOfStrangersLockNoLogin(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "3"}) // 30 at the verify route
	ada := r.Register(t, "ada@example.org")
	hashes := countHashes(r)
	n := hashes.since(func() {
		for i := range 100 {
			var header []string
			if i%2 == 1 {
				header = []string{resolvers.CallbackSecretHeader, servertest.OwnCallbackSecret}
			}
			got := r.Request(t, http.MethodPost, server.VerifyPath, `{"email":"ada@example.org","password":"wrong horse"}`, header...)
			if got.Status != http.StatusForbidden || servertest.CodeOf(got.Body) != "FORBIDDEN" {
				t.Fatalf("stranger %d: %d %s", i, got.Status, got.Body)
			}
		}
	})
	if n != 0 {
		t.Errorf("strangers cost %d hashes", n)
	}
	if got := sdkLogin(t, r, "ada@example.org", "correct horse"); got.Status != http.StatusCreated {
		t.Errorf("the user's own SDK: %d %s", got.Status, got.Body)
	}
	if got := sdkLogin(t, r, "ada@example.org", "wrong horse"); got.Status != 422 {
		t.Errorf("a guess by SDK: %d %s", got.Status, got.Body)
	}
	servertest.Eventually(t, "the audit has what ConnectyCube asked", func() bool {
		list, err := r.Store.Audit().Page(t.Context(), store.EventFilter{Kind: "verify", UserID: ada.ID}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[store.Outcome]int{}
		for _, e := range list {
			outcomes[e.Outcome]++
		}
		return len(list) == 2 && outcomes["ok"] == 1 && outcomes["refused"] == 1
	})
}

// With a real application and no secret nobody is told about passwords. Logins
// here find another way.
func TestCallbacksWithoutASecretTakeNoPasswords(t *testing.T) {
	t.Parallel()
	const line = "the verify route takes tokens only"
	for secret, lines := range map[string]int{"": 1, servertest.OwnCallbackSecret: 0} {
		u := servertest.NewUpstream(t)
		r := u.Start(t, true, map[string]string{"CONNECTYCUBE_CIDP_SECRET": secret})
		r.Register(t, "ada@example.org")
		if got := r.Login(t, servertest.LoginDocument, "ada@example.org"); got.ChatStatus != "READY" {
			t.Errorf("%d: a login: %s", lines, got.ChatStatus)
		}
		if takes := u.AcceptsPassword(t, "ada@example.org", "correct horse"); takes != (lines == 0) {
			t.Errorf("%d: ConnectyCube takes the password: %t", lines, takes)
		}
		got := r.Request(t, http.MethodPost, server.VerifyPath, `{"email":"ada@example.org","password":"correct horse"}`, servertest.CallbackHeader...)
		if lines == 1 && (got.Status != http.StatusForbidden || !strings.Contains(got.Body, "CONNECTYCUBE_CIDP_SECRET")) || lines == 0 && got.Status != http.StatusOK {
			t.Errorf("%d: %d %s", lines, got.Status, got.Body)
		}
		if n := strings.Count(r.Log.String(), line); n != lines {
			t.Errorf("the start says so %d times, want %d", n, lines)
		}
	}
}

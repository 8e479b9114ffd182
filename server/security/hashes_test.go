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

// hashCounter counts the hashes that a server computes, and the requests that it refuses
// before, because the queue of hashes is too long.
type hashCounter struct {
	identity.PasswordHasher
	begun, running, refused atomic.Int64
}

func (c *hashCounter) Announce(t tokens.Turn) (arrived func(), err error) {
	arrived, err = c.PasswordHasher.Announce(t)
	if err != nil {
		c.refused.Add(1)
	}
	return arrived, err
}

func (c *hashCounter) Hash(ctx context.Context, t tokens.Turn, password string) (string, error) {
	c.begun.Add(1)
	c.running.Add(1)
	defer c.running.Add(-1)
	return c.PasswordHasher.Hash(ctx, t, password)
}

func (c *hashCounter) Compare(ctx context.Context, t tokens.Turn, password, hash string) (bool, error) {
	c.begun.Add(1)
	c.running.Add(1)
	defer c.running.Add(-1)
	return c.PasswordHasher.Compare(ctx, t, password, hash)
}

// countHashes starts the count. It must not be called during a request.
func countHashes(r *servertest.Server) *hashCounter {
	c := &hashCounter{PasswordHasher: r.Flows.Passwords.Hasher}
	r.Flows.Passwords.Hasher = c
	return c
}

// during returns the number of hashes that begin while run runs.
func (c *hashCounter) during(run func()) int64 {
	before := c.begun.Load()
	run()
	return c.begun.Load() - before
}

// sdkLogin logs in at the sandbox as an SDK does. The sandbox sends the callback.
func sdkLogin(t *testing.T, r *servertest.Server, email, password string) servertest.Reply {
	t.Helper()
	body := fmt.Sprintf(`{"application_id":%d,"auth_key":%q,"user":{"email":%q,"password":%q}}`, sandbox.DefaultAppID, sandbox.DefaultAuthKey, email, password)
	return r.Request(t, http.MethodPost, r.SandboxURL+"/session", body)
}

// The callback asks about the password while the operation runs. It once cost a second
// hash.
func TestCallbackOfALoginHashesNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"shared", "derived"} {
		r := servertest.Start(t, map[string]string{"CONNECTYCUBE_PASSWORD": mode})
		hashes := countHashes(r)
		for i := range 3 { // in the first round, the server learns that the identity provider is on
			email := fmt.Sprintf("ada%d@example.org", i)
			if n := hashes.during(func() { r.Register(t, email) }); n != 1 {
				t.Errorf("%s: registration %d costs %d hashes, want 1", mode, i, n)
			}
			n := hashes.during(func() {
				if got := r.Login(t, servertest.LoginDocument, email); got.ChatStatus != "READY" {
					t.Errorf("%s: %s", mode, got.ChatStatus)
				}
			})
			if n != 1 {
				t.Errorf("%s: login %d costs %d hashes, want 1", mode, i, n)
			}
			if n := hashes.during(func() { r.Login(t, servertest.ByTokenDocument, email) }); n != 1 {
				t.Errorf("%s: login by token %d costs %d hashes, want 1", mode, i, n)
			}
		}
		// The server has forgotten the results when an SDK logs in.
		n := hashes.during(func() {
			if got := sdkLogin(t, r, "ada0@example.org", "correct horse"); got.Status != http.StatusCreated {
				t.Errorf("%s: an SDK's login: %d %s", mode, got.Status, got.Body)
			}
		})
		if n != 1 {
			t.Errorf("%s: an SDK's login costs %d hashes, want 1", mode, n)
		}
	}
}

// heldGuesses holds each comparison of the password "guess" in its turn until release is
// closed, so that those behind it wait in the queue.
type heldGuesses struct {
	identity.PasswordHasher
	release <-chan struct{}
}

func (h heldGuesses) Compare(ctx context.Context, t tokens.Turn, password, hash string) (bool, error) {
	if start := t.Start; password == "guess" {
		t.Start = func() error {
			if <-h.release; start == nil {
				return nil
			}
			return start()
		}
	}
	return h.PasswordHasher.Compare(ctx, t, password, hash)
}

// The callback of a login once waited in the queue of hashes behind a flood that began
// after the login.
func TestCallbackDoesNotWaitForAFlood(t *testing.T) {
	t.Parallel()
	const flood = 50
	u := servertest.NewUpstream(t)
	r := u.Start(t, true, map[string]string{"PASSWORD_CONCURRENT": "1", "LOGIN_FAILURES": "0", "CONNECTYCUBE_TIMEOUT": "5m"})
	ends := make(chan struct{})
	end := sync.OnceFunc(func() { close(ends) })
	r.Flows.Passwords.Hasher = heldGuesses{r.Flows.Passwords.Hasher, ends}
	hashes := countHashes(r)
	r.Register(t, "ada@example.org")
	before := hashes.begun.Load()
	waits, flooded := make(chan struct{}), make(chan struct{})
	begin, release := sync.OnceFunc(func() { close(waits) }), sync.OnceFunc(func() { close(flooded) })
	t.Cleanup(func() { release(); end() }) // what waits would hold the end of a failed test
	u.Override(http.MethodPost, "/session", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		begin()
		<-flooded
		next.ServeHTTP(w, r)
	})
	login := r.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.LoginDocument, servertest.Credentials("ada@example.org")))
	<-waits // for ConnectyCube, with its own hash behind it
	var all []<-chan servertest.PendingReply
	for i := range flood {
		all = append(all, r.StartRequest(http.MethodPost, "/auth/login", fmt.Sprintf(`{"email":"unknown%d@example.org","password":"guess"}`, i)))
	}
	asked := func() int64 { return hashes.begun.Load() + hashes.refused.Load() - before } // a slow machine refuses some
	servertest.Eventually(t, "the flood has come to the queue", func() bool { return asked() == flood+1 })
	release()
	got := <-login
	left := hashes.running.Load()
	end()
	for _, one := range all {
		<-one
	}
	if got.Err != nil || !strings.Contains(got.Body, `"chatStatus":"READY"`) || left == 0 {
		t.Errorf("%d hashes of the flood wait; the login: %s, %v", left, got.Body, got.Err)
	}
	if n := asked(); n != flood+1 {
		t.Errorf("%d hashes were asked for, want %d", n, flood+1)
	}
}

// 100 wrong passwords at the verify route, sent by any client, once locked a user's SDK
// login, and the audit had no record of them.
func TestFalseCallbacksLockNoLogin(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "3"}) // 30 at the verify route
	ada := r.Register(t, "ada@example.org")
	hashes := countHashes(r)
	n := hashes.during(func() {
		for i := range 100 {
			var header []string
			if i%2 == 1 {
				header = []string{resolvers.CallbackSecretHeader, servertest.OwnCallbackSecret}
			}
			got := r.Request(t, http.MethodPost, server.VerifyPath, `{"email":"ada@example.org","password":"wrong horse"}`, header...)
			if got.Status != http.StatusForbidden || servertest.CodeOf(got.Body) != "FORBIDDEN" {
				t.Fatalf("false callback %d: %d %s", i, got.Status, got.Body)
			}
		}
	})
	if n != 0 {
		t.Errorf("false callbacks cost %d hashes", n)
	}
	if got := sdkLogin(t, r, "ada@example.org", "correct horse"); got.Status != http.StatusCreated {
		t.Errorf("the user's own SDK: %d %s", got.Status, got.Body)
	}
	if got := sdkLogin(t, r, "ada@example.org", "wrong horse"); got.Status != 422 {
		t.Errorf("a wrong password in the SDK: %d %s", got.Status, got.Body)
	}
	servertest.Eventually(t, "the audit has the callbacks of ConnectyCube", func() bool {
		list, err := r.Store.Audit().Page(t.Context(), store.EventFilter{Kind: "verify", UserID: ada.ID}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[store.Outcome]int{}
		for _, e := range list.Items {
			outcomes[e.Outcome]++
		}
		return len(list.Items) == 2 && outcomes["ok"] == 1 && outcomes["refused"] == 1
	})
}

// With a real application and no callback secret, the verify route answers no questions
// about passwords. Logins at the server work with a token.
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
		if accepted := u.AcceptsPassword(t, "ada@example.org", "correct horse"); accepted != (lines == 0) {
			t.Errorf("%d: ConnectyCube accepts the password: %t", lines, accepted)
		}
		got := r.Request(t, http.MethodPost, server.VerifyPath, `{"email":"ada@example.org","password":"correct horse"}`, servertest.CallbackHeader...)
		if lines == 1 && (got.Status != http.StatusForbidden || !strings.Contains(got.Body, "CONNECTYCUBE_CIDP_SECRET")) || lines == 0 && got.Status != http.StatusOK {
			t.Errorf("%d: %d %s", lines, got.Status, got.Body)
		}
		if n := strings.Count(r.Log.String(), line); n != lines {
			t.Errorf("the log has the warning %d times, want %d", n, lines)
		}
	}
}

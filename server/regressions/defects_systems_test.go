package regressions

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"cubegate/server/servertest"
)

// 15. The original created the account at ConnectyCube before its commit and did not
// undo it. If the reply was lost, the client left or the database failed in between,
// the account stayed and the user could never register: ConnectyCube reported "taken",
// the original "Failed to register user".
func TestDefect15OrphanLocksNoUserOut(t *testing.T) {
	t.Parallel()
	const lost = `{"method":"POST","path":"/users","kind":"lost-answer","times":1}`
	for _, cidp := range []bool{false, true} {
		t.Run(fmt.Sprintf("reply lost, cidp %t", cidp), func(t *testing.T) {
			r := servertest.NewUpstream(t).Start(t, cidp, nil)
			r.InjectFault(t, lost)
			r.Register(t, "ada@example.org")
			if found := r.CubeUsers(t, "ada@example.org"); len(found) != 1 {
				t.Errorf("ConnectyCube has %+v", found)
			}
		})
		t.Run(fmt.Sprintf("reply lost, and no session to look up the account, cidp %t", cidp), func(t *testing.T) {
			u := servertest.NewUpstream(t)
			r := u.Start(t, cidp, servertest.AllOrNothing)
			r.InjectFault(t, lost)
			r.InjectFault(t, `{"path":"/session","kind":"reset"}`)
			if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")); got.Code() != "UPSTREAM_UNAVAILABLE" {
				t.Fatalf("with the reply lost: %s", got.Body)
			}
			r.ClearFaults(t)
			r.Register(t, "ada@example.org")
			u.SetCallback(t, r.URL)
			r.RequireOneIdentity(t, "ada@example.org")
			// With an identity provider, the server cannot log in to the orphaned
			// account with a password, and creates another account.
			if all := r.AllCubeUsers(t); !cidp && len(all) != 1 {
				t.Errorf("ConnectyCube has %+v", all)
			}
		})
	}
	t.Run("client gone", func(t *testing.T) {
		u := servertest.NewUpstream(t)
		r := u.Start(t, true, nil)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		u.Override("POST", "/users", func(w http.ResponseWriter, q *http.Request, next http.Handler) {
			leave()
			<-left // the server continues although the client has closed the connection
			next.ServeHTTP(w, q)
		})
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.ResolveURL("/api"), strings.NewReader(servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org"))))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", "application/json")
		got, err := servertest.ReadReply(servertest.NewClient(t, 1).Do(q))
		r.Request(t, http.MethodGet, "/healthz", "") // while it replies, the server notices the closed connection
		close(left)
		if err == nil {
			t.Fatalf("the client did not leave: %+v", got)
		}
		servertest.Eventually(t, "the server knows the account", func() bool {
			found, err := r.Store.Users().ByEmail(t.Context(), "ada@example.org")
			return err == nil && found.CubeID != 0
		})
		r.RequireOneIdentity(t, "ada@example.org")
	})
	t.Run("database down in between", func(t *testing.T) {
		u := servertest.NewUpstream(t)
		relay := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
		r := u.Start(t, true, map[string]string{"MONGO_URI": relay.URI(), "MONGO_TIMEOUT": "2s"})
		var cut atomic.Bool
		u.Override("POST", "/users", func(w http.ResponseWriter, q *http.Request, next http.Handler) {
			relay.Set(servertest.Cut)
			cut.Store(true)
			next.ServeHTTP(w, q)
		})
		servertest.Eventually(t, "a registration has come to its sign-up", func() bool { // a busy machine may miss the timeout before
			got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org"))
			if got.Code() != "SERVICE_UNAVAILABLE" {
				t.Fatalf("with the database down: %s", got.Body)
			}
			return cut.Load()
		})
		relay.Set(servertest.Relaying)
		u.Restore()
		r.WaitRegistered(t, "ada@example.org")
		r.RequireOneIdentity(t, "ada@example.org")
		if found := r.CubeUsers(t, "ada@example.org"); len(found) != 1 {
			t.Errorf("ConnectyCube has %+v", found)
		}
	})
}

// 16. The sign-up sent no external_id, so a login through the identity provider created
// a second account (51942 beside 51941), which did not see the dialogs of the first.
// The database kept the first ID forever.
func TestDefect16BothLoginsOpenOneAccount(t *testing.T) {
	t.Parallel()
	t.Run("registered with the identity provider on", func(t *testing.T) {
		r := servertest.NewUpstream(t).Start(t, true, nil)
		r.Register(t, "ada@example.org")
		r.RequireOneIdentity(t, "ada@example.org")
		if all := r.AllCubeUsers(t); len(all) != 1 {
			t.Errorf("ConnectyCube has %+v", all)
		}
	})
	t.Run("registered before it was switched on", func(t *testing.T) {
		u := servertest.NewUpstream(t)
		r := u.Start(t, false, nil)
		r.Register(t, "ada@example.org")
		before := r.Login(t, servertest.LoginDocument, "ada@example.org")
		u.SetCallback(t, r.URL)
		if after := r.RequireOneIdentity(t, "ada@example.org"); *after.CcUserID != *before.CcUserID {
			t.Errorf("ccUserId was %.0f and is %.0f", *before.CcUserID, *after.CcUserID)
		}
		if all := r.AllCubeUsers(t); len(all) != 1 {
			t.Errorf("ConnectyCube has %+v", all)
		}
	})
	t.Run("user of the original", func(t *testing.T) {
		u, db := servertest.NewUpstream(t), servertest.StartDatabase(t)
		old := servertest.OriginalUser(t, "ada@example.org", "correct horse")
		old["connectyCubeId"] = servertest.SignUpAtUpstream(t, u, `{"user":{"email":"ada@example.org","password":"correct horse"}}`)
		servertest.InsertUsers(t, db, old)
		r := u.Start(t, false, map[string]string{"MONGO_URI": db.URI()})
		r.Login(t, servertest.LoginDocument, "ada@example.org") // sends the user's ID to ConnectyCube
		u.SetCallback(t, r.URL)
		if got := r.RequireOneIdentity(t, "ada@example.org"); *got.CcUserID != float64(old["connectyCubeId"].(int64)) {
			t.Errorf("ccUserId was %d and is %.0f", old["connectyCubeId"], *got.CcUserID)
		}
	})
}

// 17. A reply without an ID counted as success, and the original stored a user without
// an account.
func TestDefect17SignUpWithoutIDIsAFailure(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, true, servertest.AllOrNothing)
	for i, text := range []string{"{}", "null", "", "[]", `{"user":{}}`, `{"user":null}`, `{"user":{"id":null}}`, `{"user":{"id":"x"}}`, `{"user":{"id":0}}`, `{"user":{"id":1`} {
		email := fmt.Sprintf("ada%d@example.org", i)
		u.Respond("POST", "/users", 201, text) // ConnectyCube creates no account
		if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(email)); got.Code() != "UPSTREAM_UNAVAILABLE" {
			t.Errorf("%s: %s", text, got.Body)
		}
		u.Restore()
		r.Register(t, email)

		email = fmt.Sprintf("bob%d@example.org", i)
		u.Override("POST", "/users", func(w http.ResponseWriter, q *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), q) // ConnectyCube creates the account
			_, _ = io.WriteString(w, text)
		})
		r.Register(t, email)
		u.Restore()
		if found := r.CubeUsers(t, email); len(found) != 1 || found[0].ID != *r.RequireOneIdentity(t, email).CcUserID {
			t.Errorf("%s: ConnectyCube has %+v", text, found)
		}
	}
}

// 18. The original waited for ConnectyCube without a bound. If a reply never came or
// broke off, register and both logins hung forever, with an open database transaction.
func TestDefect18SilenceOfConnectyCubeEnds(t *testing.T) {
	t.Parallel()
	for name, silence := range map[string]func(w http.ResponseWriter, r *http.Request, next http.Handler){
		"no reply": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() },
		"headers only": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusCreated)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"half a reply": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"session":{"token":"`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := servertest.NewUpstream(t)
			r := u.Start(t, false, servertest.Merge(servertest.AllOrNothing, map[string]string{"CONNECTYCUBE_TIMEOUT": "300ms"}))
			user := registers(t, r, "ada@example.org")
			cubeID := *r.Login(t, servertest.LoginDocument, user.Email).CcUserID
			u.Override("POST", "/session", silence)
			r.RequireNoChat(t, name, user, cubeID)
			u.Override("POST", "/users", silence)
			pending := r.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("bob@example.org")))
			r.Login(t, servertest.LoginDocument, user.Email) // does not wait for the registration
			if got := <-pending; servertest.CodeOf(got.Body) != "UPSTREAM_UNAVAILABLE" {
				t.Errorf("register: %s, %v", got.Body, got.Err)
			}
			u.Restore()
			registers(t, r, "bob@example.org")
		})
	}
}

// registers registers a user, again and again where a busy machine misses the timeout.
func registers(t *testing.T, r *servertest.Server, email string) servertest.User {
	t.Helper()
	return succeeds(t, r, servertest.RegisterDocument, servertest.NewUser(email)).Data.Register.User
}

// succeeds sends a request again and again until its answer is no error.
func succeeds(t *testing.T, r *servertest.Server, document string, body map[string]string) (got servertest.GraphQLReply) {
	t.Helper()
	servertest.Eventually(t, document+" of "+body["email"]+" succeeds", func() bool {
		got = r.GraphQL(t, document, body)
		return got.Code() == ""
	})
	return got
}

// 19. The SDK had one session for all users: after a login, it sent the token of this
// user with the next user's sign-up and login.
func TestDefect19NoCallUsesAnotherUsersSession(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	for _, name := range []string{"ada", "bob", "eve"} {
		r.Register(t, name+"@example.org")
		r.Login(t, servertest.LoginDocument, name+"@example.org")
		r.Login(t, servertest.ByTokenDocument, name+"@example.org")
	}
	for _, kind := range []string{"/users", "/session"} {
		calls := u.Requests("POST", kind)
		if len(calls) < 3 {
			t.Fatalf("%d calls of POST %s", len(calls), kind)
		}
		for _, call := range calls {
			if call.Header.Get("CB-Token") != "" || call.Header.Get("Cookie") != "" {
				t.Errorf("the server sent POST %s with the session of a user", kind)
			}
			if key := call.Header.Get("CB-AuthKey"); kind == "/users" && key != servertest.OwnAuthKey {
				t.Errorf("the server sent POST /users with the key %q", key)
			}
		}
	}
}

// 20. When the shared session of defect 19 had expired, after two hours, no user could
// register until another user logged in.
func TestDefect20RegistrationNeedsNoSession(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	r.Register(t, "ada@example.org")
	session := r.Login(t, servertest.LoginDocument, "ada@example.org").ConnectySession
	if got := r.Request(t, http.MethodDelete, u.URL+"/session.json", "", "CB-Token", session); got.Status != 200 {
		t.Fatalf("ending the session: %d %s", got.Status, got.Body)
	}
	r.Register(t, "bob@example.org")
	if got := r.Login(t, servertest.LoginDocument, "bob@example.org"); got.ChatStatus != "READY" {
		t.Errorf("%+v", got)
	}
}

// 21. If ConnectyCube was down, refused the login or had another password, login
// returned "Login successful" with connectySession null, and no reason.
func TestDefect21MissingSessionHasAReason(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	user := r.Register(t, "ada@example.org")
	good := r.Login(t, servertest.LoginDocument, user.Email)
	for _, fault := range servertest.UpstreamFailures {
		r.InjectFault(t, `{"method":"POST","path":"/session",`+fault+`}`)
		r.RequireNoChat(t, fault, user, *good.CcUserID)
		r.ClearFaults(t)
	}
	// A 401 without a body says that the server's own key is wrong, which no user can
	// correct.
	for status, want := range map[string]string{"401": "UNAVAILABLE", "403": "REFUSED", "422": "REFUSED"} {
		r.InjectFault(t, `{"method":"POST","path":"/session","kind":"status","status":`+status+`}`)
		if got := r.Login(t, servertest.LoginDocument, user.Email); got.ChatStatus != want || got.Token == "" || got.ConnectySession != "" {
			t.Errorf("%s: %+v", status, got)
		}
		r.ClearFaults(t)
	}
	changed := r.Request(t, http.MethodPut, fmt.Sprintf("%s/users/%.0f.json", u.URL, *good.CcUserID),
		`{"user":{"password":"another horse","old_password":"correct horse"}}`, "CB-Token", good.ConnectySession)
	if changed.Status != 200 {
		t.Fatalf("changing the password at ConnectyCube: %d %s", changed.Status, changed.Body)
	}
	if got := r.Login(t, servertest.LoginDocument, user.Email); got.ChatStatus != "REFUSED" || got.Token == "" || got.ConnectySession != "" {
		t.Errorf("with another password at ConnectyCube: %+v", got)
	}
}

// 22. For a user without an account, login created one at ConnectyCube, and the
// original did not replace the stored ID of the old account.
func TestDefect22AccountCreatedAtLoginIsAdopted(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	user := r.Register(t, "ada@example.org")
	before := r.Login(t, servertest.LoginDocument, user.Email)
	gone := r.Request(t, http.MethodDelete, fmt.Sprintf("%s/users/%.0f.json", u.URL, *before.CcUserID), "", "CB-Token", before.ConnectySession)
	if gone.Status != 200 || len(r.CubeUsers(t, user.Email)) != 0 {
		t.Fatalf("deleting the account: %d %s", gone.Status, gone.Body)
	}
	after := r.Login(t, servertest.LoginDocument, user.Email)
	if after.CcUserID == nil || *after.CcUserID == *before.CcUserID {
		t.Fatalf("before %+v, after %+v", before, after)
	}
	found, err := r.Store.Users().ByID(t.Context(), user.ID)
	if err != nil || float64(found.CubeID) != *after.CcUserID {
		t.Errorf("the stored ID is %d, the login returned %.0f, %v", found.CubeID, *after.CcUserID, err)
	}
	u.SetCallback(t, r.URL)
	if again := r.RequireOneIdentity(t, user.Email); *again.CcUserID != *after.CcUserID {
		t.Errorf("ccUserId was %.0f and is %.0f", *after.CcUserID, *again.CcUserID)
	}
}

// 23. If ConnectyCube failed, login_By_token returned no token, although the password
// was right.
func TestDefect23TokenLoginReturnsItsTokenAnyway(t *testing.T) {
	t.Parallel()
	r := servertest.NewUpstream(t).Start(t, true, nil)
	user := r.Register(t, "ada@example.org")
	for _, fault := range append(servertest.UpstreamFailures, `"kind":"status","status":401`, `"kind":"status","status":422`) {
		r.InjectFault(t, `{"method":"POST","path":"/session",`+fault+`}`)
		got := r.Login(t, servertest.ByTokenDocument, user.Email)
		if got.ChatStatus == "READY" || got.ChatStatus == "" || got.ConnectySession != "" {
			t.Errorf("%s: %+v", fault, got)
		}
		r.RequireAccepted(t, got.Token)
		r.ClearFaults(t)
	}
	if got := r.Login(t, servertest.ByTokenDocument, user.Email); got.ChatStatus != "READY" {
		t.Errorf("without a fault: %+v", got)
	}
}

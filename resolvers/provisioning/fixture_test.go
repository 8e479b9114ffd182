package provisioning

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
	"cubegate/store"
	"cubegate/store/embedded"
	"cubegate/tokens"
)

// fixture is a Provisioner between the embedded database and a sandbox.
type fixture struct {
	*Provisioner
	store   *store.Store
	sandbox *sandbox.Sandbox
	cube    *connectycube.Client
	url     string                           // of the sandbox
	away    atomic.Pointer[http.HandlerFunc] // answers in the sandbox's place
}

// noTickets is for applications without an identity provider.
type noTickets struct{}

func (noTickets) ServiceTicket(tokens.ServiceGrant) (string, error) { return "ticket", nil }

func newFixture(t *testing.T, edit ...func(*Options)) *fixture {
	t.Helper()
	db, err := embedded.Start(embedded.Options{File: filepath.Join(t.TempDir(), "test.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Exchange: db.Exchange})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{store: s, sandbox: sandbox.New(sandbox.Options{AppID: 1, AuthKey: "key"})}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if away := f.away.Load(); away != nil {
			(*away)(rw, r)
			return
		}
		f.sandbox.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() {
		server.Close()
		_ = s.Close(context.Background())
		_ = db.Close()
	})
	f.url = server.URL
	f.cube, err = connectycube.New(connectycube.Options{
		BaseURL: server.URL, AppID: 1, AuthKey: "key", Timeout: time.Minute,
		Breaker: connectycube.BreakerOptions{OpenFor: time.Millisecond}, // tests heal ConnectyCube and continue at once
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.cube.Close)
	ring, err := tokens.NewSecretRing("a secret that is long enough: 5k2jf8Zq")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Cube: f.cube, CubeUsers: f.cube, UserAPI: f.cube,
		Database: Database{
			Accounts: s.Accounts(), Users: s.Users(), Sessions: s.Sessions(), Line: s.Accounts(),
			RemoveSession: s.Users().RemoveSession, ExpireSession: s.Sessions().Expire, RemoveRevoked: s.Sessions().RemoveRevoked,
			Evictions: s.Evictions(),
		},
		Queues: Queues{Accounts: s.AccountWork(), Sweeps: s.Sweeps(), Revocations: s.Revocations()},
		Sealer: ring, Tickets: noTickets{}, DerivePasswords: ring.DerivedPasswords, Settings: testSettings, Log: slog.New(slog.DiscardHandler),
	}
	for _, e := range edit {
		e(&o)
	}
	if f.Provisioner, err = New(o); err != nil {
		t.Fatal(err)
	}
	return f
}

// testSettings are the settings of a test that has no other.
var testSettings = Settings{
	PasswordMode: SharedPasswords, RegisterWhileAway: true, CIdPPassword: "x", UpstreamTimeout: time.Minute, ClockSkew: time.Second,
}

const password = "correct horse"

// create stores a user without an account.
func (f *fixture) create(t *testing.T, email string) store.User {
	t.Helper()
	user, err := f.store.Users().Create(t.Context(), store.User{FirstName: "Ada", LastName: "Lovelace", Email: email, PasswordHash: "hash"}, f.newLease())
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// register registers a user whose own password is the password.
func (f *fixture) register(t *testing.T, email, password string) (store.User, error) {
	t.Helper()
	return f.Register(t.Context(), store.User{FirstName: "Ada", LastName: "Lovelace", Email: email, PasswordHash: "hash"}, LoginMethod{Password: password})
}

// registered returns a user with an account.
func (f *fixture) registered(t *testing.T, email string) store.User {
	t.Helper()
	user, err := f.register(t, email, password)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func (f *fixture) read(t *testing.T, id string) store.User {
	t.Helper()
	user, err := f.store.Users().ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// signUp signs up an account that is no user's.
func (f *fixture) signUp(t *testing.T, email, password, externalID string) int64 {
	t.Helper()
	u, err := f.cube.SignUp(t.Context(), connectycube.NewUser{Email: email, Password: password, ExternalID: externalID})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func (f *fixture) acceptsPassword(t *testing.T, email, password string) bool {
	t.Helper()
	s, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Email: email, Password: password})
	if err != nil && !errors.Is(err, connectycube.ErrBadCredentials) {
		t.Fatal(err)
	}
	if err == nil {
		_ = f.cube.EndSession(t.Context(), s.Token)
	}
	return err == nil
}

// login begins a login session.
func (f *fixture) login(t *testing.T, user store.User, id string) store.Session {
	t.Helper()
	if _, err := f.store.Users().AddSession(t.Context(), store.SessionStart{UserID: user.ID, PasswordHash: user.PasswordHash, SessionID: id}); err != nil {
		t.Fatal(err)
	}
	login := store.Session{ID: id, UserID: user.ID, Expires: time.Now().Add(time.Hour)}
	if err := f.store.Sessions().Create(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	return login
}

// takeDown lets ConnectyCube reply 503 to every request until restore is called.
func (f *fixture) takeDown() (restore func()) {
	away := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	f.away.Store(&away)
	return func() { f.away.Store(nil) }
}

// due makes an account due now, as the end of its back-off will.
func (f *fixture) due(t *testing.T, id string) {
	t.Helper()
	user, err := f.store.AccountWork().Acquire(t.Context(), id, store.Lease{ID: "test", Until: time.Now().Add(-time.Second)})
	if err != nil {
		t.Fatalf("%v: %+v", err, user)
	}
}

// checkNoUsers checks that neither side has a user.
func (f *fixture) checkNoUsers(t *testing.T) {
	t.Helper()
	here, err := f.store.Users().All(t.Context(), "", 10)
	if there := f.sandbox.State().Users; err != nil || len(here.Items) != 0 || len(there) != 0 {
		t.Errorf("here %+v, there %+v, %v", here, there, err)
	}
}

// pending registers a user who gets no account.
func (f *fixture) pending(t *testing.T, email string) store.User {
	t.Helper()
	user, err := f.register(t, email, password)
	if !errors.Is(err, ErrPending) {
		t.Fatalf("%v, want %v", err, ErrPending)
	}
	return f.read(t, user.ID)
}

// discardWriter discards a response.
type discardWriter struct{ header http.Header }

func (n *discardWriter) Header() http.Header         { return n.header }
func (n *discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (n *discardWriter) WriteHeader(int)             {}

// loseReply lets ConnectyCube execute one more request without a reply, and then be away.
func (f *fixture) loseReply() (restore func()) {
	silent := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/session") { // the application's own
			f.sandbox.ServeHTTP(rw, r)
			return
		}
		f.sandbox.ServeHTTP(&discardWriter{header: http.Header{}}, r)
		f.takeDown()
		panic(http.ErrAbortHandler)
	})
	f.away.Store(&silent)
	return func() { f.away.Store(nil) }
}

func ofUsers(s sandbox.State) (n int) {
	for _, session := range s.LiveSessions {
		if session.UserID != 0 {
			n++
		}
	}
	return n
}

package provisioning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
	"cubegate/store"
	"cubegate/store/embedded"
	"cubegate/tokens"
)

// world is a keeper between the embedded database and a sandbox.
type world struct {
	*Provisioner
	store *store.Store
	box   *sandbox.Sandbox
	cube  *connectycube.Client
	url   string                           // of the sandbox
	away  atomic.Pointer[http.HandlerFunc] // answers in the sandbox's place
}

// tickets are never taken in these tests: the application asks nobody.
type tickets struct{}

func (tickets) ServiceTicket(tokens.ServiceGrant) (string, error) { return "ticket", nil }

func newWorld(t *testing.T, edit ...func(*Provisioner)) *world {
	t.Helper()
	db, err := embedded.Start(embedded.Options{File: filepath.Join(t.TempDir(), "test.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Dial: db.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: s, box: sandbox.New(sandbox.Options{AppID: 1, AuthKey: "key"})}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if away := w.away.Load(); away != nil {
			(*away)(rw, r)
			return
		}
		w.box.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() {
		server.Close()
		_ = s.Close(context.Background())
		_ = db.Close()
	})
	w.url = server.URL
	w.cube, err = connectycube.New(connectycube.Options{
		BaseURL: server.URL, AppID: 1, AuthKey: "key", Timeout: time.Second,
		Breaker: connectycube.BreakerOptions{OpenFor: time.Millisecond}, // tests heal ConnectyCube and go on at once
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cube.Close)
	ring, err := tokens.NewSecretRing("a secret that is long enough: 5k2jf8Zq")
	if err != nil {
		t.Fatal(err)
	}
	w.Provisioner = &Provisioner{
		Directory: w.cube, Cube: w.cube, Self: w.cube, Accounts: s.Accounts(), Users: s.Users(), Line: s.Accounts(),
		Work:     Work{Accounts: s.AccountWork(), Sweeps: s.Sweeps(), Revocations: s.Revocations()},
		Sessions: s.Sessions(), Ended: s.Sessions(), RemoveSession: s.Users().RemoveSession, Keys: ring, Tickets: tickets{}, CIdPPassword: "x", MakeLater: true,
		Patience: 5 * time.Second, Margin: time.Second, Log: slog.New(slog.DiscardHandler),
	}
	for _, e := range edit {
		e(w.Provisioner)
	}
	return w
}

const password = "correct horse"

// create stores a user whose account is ours to make.
func (w *world) create(t *testing.T, email string) store.User {
	t.Helper()
	user, err := w.store.Users().Create(t.Context(), store.User{FirstName: "Ada", LastName: "Lovelace", Email: email, PasswordHash: "hash"}, w.newLease())
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// register registers a user whose own password is the password.
func (w *world) register(t *testing.T, email, password string) (store.User, error) {
	t.Helper()
	return w.Register(t.Context(), store.User{FirstName: "Ada", LastName: "Lovelace", Email: email, PasswordHash: "hash"}, LoginMethod{Password: password})
}

// made is a user with an account.
func (w *world) made(t *testing.T, email string) store.User {
	t.Helper()
	user, err := w.register(t, email, password)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func (w *world) read(t *testing.T, id string) store.User {
	t.Helper()
	user, err := w.store.Users().ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// signUp makes an account without us.
func (w *world) signUp(t *testing.T, email, password, externalID string) int64 {
	t.Helper()
	u, err := w.cube.SignUp(t.Context(), connectycube.NewUser{Email: email, Password: password, ExternalID: externalID})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func (w *world) takes(t *testing.T, email, password string) bool {
	t.Helper()
	s, err := w.cube.CreateSession(t.Context(), connectycube.Credentials{Email: email, Password: password})
	if err != nil && !errors.Is(err, connectycube.ErrBadCredentials) {
		t.Fatal(err)
	}
	if err == nil {
		_ = w.cube.EndSession(t.Context(), s.Token)
	}
	return err == nil
}

func TestMakeTakesOverOnlyWhatIsTheUsers(t *testing.T) {
	for name, tt := range map[string]struct {
		there func(t *testing.T, w *world)
		want  error // nil: the account is made or taken over
	}{
		"nothing there":                    {func(*testing.T, *world) {}, nil},
		"an orphan with the same password": {func(t *testing.T, w *world) { w.signUp(t, "ada@x.org", password, "") }, nil},
		"one of a user who is gone":        {func(t *testing.T, w *world) { w.signUp(t, "ada@x.org", password, "0123456789abcdef01234567") }, nil},
		"an orphan with another password":  {func(t *testing.T, w *world) { w.signUp(t, "ada@x.org", "another horse", "") }, ErrForeignAccount},
		"another user's, by the same password": {func(t *testing.T, w *world) {
			// Bob has moved away from the address here, and not yet there.
			bob := w.made(t, "ada@x.org")
			if _, err := w.store.Users().ChangeEmail(t.Context(), store.EmailChange{UserID: bob.ID, Old: "ada@x.org", New: "bob@x.org"}, w.newLease()); err != nil {
				t.Fatal(err)
			}
		}, connectycube.ErrTaken},
		"that of a user who is just being deleted": {func(t *testing.T, w *world) {
			user := w.made(t, "ada@x.org")
			if _, err := w.store.Accounts().MarkDeleting(t.Context(), user.ID, "", w.newLease()); err != nil {
				t.Fatal(err)
			}
		}, ErrPending},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.there(t, w)
			user, err := w.register(t, "ada@x.org", password)
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if tt.want != nil {
				return
			}
			found, err := w.cube.UserByExternalID(t.Context(), user.ID)
			if err != nil || found.ID != user.CubeID || w.read(t, user.ID).CubeID != found.ID || found.FullName != "Ada Lovelace" {
				t.Errorf("account %d, found %+v, %v", user.CubeID, found, err)
			}
			if a := w.read(t, user.ID).Account; !a.Due.IsZero() || a.Lease != "" {
				t.Errorf("left open: %+v", a)
			}
		})
	}
}

// An account that is made while nobody knows the user's password gets a derived
// one, and the user's own at the next login.
func TestAccountIsMadeLaterAndAdopted(t *testing.T) {
	w := newWorld(t)
	come := w.leave()
	user, err := w.register(t, "ada@x.org", password)
	if !errors.Is(err, ErrPending) {
		t.Fatalf("while ConnectyCube is away: %v, want %v", err, ErrPending)
	}
	come()
	w.due(t, user.ID)
	if err := w.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	user = w.read(t, user.ID)
	if user.CubeID == 0 || w.takes(t, "ada@x.org", password) {
		t.Fatalf("made by the worker: account %d; it cannot know the user's password", user.CubeID)
	}
	chat, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "s"), LoginMethod{Password: password})
	if err != nil || chat.UserID != user.CubeID || chat.Token == "" {
		t.Fatalf("login: %+v, %v", chat, err)
	}
	if !w.takes(t, "ada@x.org", password) {
		t.Error("the account has not got the user's own password")
	}
	if got := len(w.box.State().LiveSessions); got < 1 {
		t.Errorf("%d sessions live", got)
	}
}

// login is a login session that has just begun.
func (w *world) login(t *testing.T, user store.User, id string) store.Session {
	t.Helper()
	if _, err := w.store.Users().AddSession(t.Context(), store.SessionStart{UserID: user.ID, PasswordHash: user.PasswordHash, SessionID: id}); err != nil {
		t.Fatal(err)
	}
	login := store.Session{ID: id, UserID: user.ID, Expires: time.Now().Add(time.Hour)}
	if err := w.store.Sessions().Create(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	return login
}

// leave lets ConnectyCube answer nothing but 503 until come.
func (w *world) leave() (come func()) {
	away := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	w.away.Store(&away)
	return func() { w.away.Store(nil) }
}

// due makes an account due at once, as its back-off will.
func (w *world) due(t *testing.T, id string) {
	t.Helper()
	user, err := w.store.AccountWork().Acquire(t.Context(), id, store.Lease{ID: "test", Until: time.Now().Add(-time.Second)})
	if err != nil {
		t.Fatalf("%v: %+v", err, user)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	w := newWorld(t)
	busy := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "90")
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	w.away.Store(&busy)
	user, err := w.register(t, "ada@x.org", password)
	if !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	a := w.read(t, user.ID).Account
	if wait := time.Until(a.Due); wait < 85*time.Second || wait > 95*time.Second || a.Lease != "" || a.LastError != "ConnectyCube does not answer" {
		t.Errorf("due in %v, %+v; want 90s", wait, a)
	}
}

func TestPauseGrowsAndIsBounded(t *testing.T) {
	for attempts, most := range map[int]time.Duration{-1: time.Second, 0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 9: 512 * time.Second, 10: store.MaxBackOff, 1000: store.MaxBackOff} {
		seen := map[time.Duration]bool{}
		for range 50 {
			d := pause(attempts, errors.New("x"))
			if seen[d] = true; d < most/2 || d > most {
				t.Fatalf("after %d attempts %v, want %v to %v", attempts, d, most/2, most)
			}
		}
		if len(seen) < 10 {
			t.Errorf("after %d attempts there are %d different pauses", attempts, len(seen))
		}
	}
}

// When somebody else has the new address at ConnectyCube, the change is undone
// on our side.
func TestTakenAddressIsGivenBack(t *testing.T) {
	w := newWorld(t)
	user := w.made(t, "ada@x.org")
	w.signUp(t, "new@x.org", "another horse", "")
	_, err := w.ChangeEmail(t.Context(), user, EmailChange{Email: "new@x.org", Password: password})
	if !errors.Is(err, ErrForeignAccount) {
		t.Errorf("%v, want %v", err, ErrForeignAccount)
	}
	found, err := w.cube.UserByExternalID(t.Context(), user.ID)
	if got := w.read(t, user.ID); err != nil || got.Email != "ada@x.org" || found.Email != "ada@x.org" {
		t.Errorf("here %s, there %s, %v", got.Email, found.Email, err)
	}
}

func TestNothingIsDeletedThatCannotBe(t *testing.T) {
	w := newWorld(t)
	user := w.made(t, "ada@x.org")
	if err := w.Delete(t.Context(), user, LoginMethod{}); !errors.Is(err, ErrPasswordRequired) {
		t.Errorf("without any means: %v, want %v", err, ErrPasswordRequired)
	}
	come := w.leave()
	if err := w.Delete(t.Context(), user, LoginMethod{Password: password}); !errors.Is(err, connectycube.ErrUnavailable) {
		t.Errorf("while ConnectyCube is away: %v", err)
	}
	come()
	if got := w.read(t, user.ID); got.Deleting || got.Email != "ada@x.org" || got.Account.Lease != "" {
		t.Errorf("something has changed: %+v", got)
	}
	if err := w.Delete(t.Context(), user, LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Users().ByID(t.Context(), user.ID); !errors.Is(err, store.ErrNotFound) || len(w.box.State().Users) != 0 {
		t.Errorf("afterwards: %v, and %d accounts", err, len(w.box.State().Users))
	}
}

// Visits leave no ConnectyCube session behind that nobody knows.
func TestVisitsCloseTheirSessions(t *testing.T) {
	w := newWorld(t)
	user := w.made(t, "ada@x.org")
	for i := range 5 {
		change := EmailChange{Email: fmt.Sprintf("ada%d@x.org", i), Password: password}
		if _, err := w.ChangeEmail(t.Context(), w.read(t, user.ID), change); err != nil {
			t.Fatal(err)
		}
	}
	if living := ofUsers(w.box.State()); living != 0 {
		t.Errorf("%d sessions live at ConnectyCube", living)
	}
}

package provisioning

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
	"cubegate/store"
)

// nobody checks that neither side has anybody.
func (w *world) nobody(t *testing.T) {
	t.Helper()
	here, err := w.store.Users().All(t.Context(), "", 10)
	if there := w.box.State().Users; err != nil || len(here) != 0 || len(there) != 0 {
		t.Errorf("here %+v, there %+v, %v", here, there, err)
	}
}

// Where nobody may wait for an account, a registration that got none is taken
// back: with what an unanswered sign-up has made, and at the latest when the
// person tries again, with whichever password.
func TestRegistrationIsTakenBack(t *testing.T) {
	for _, again := range []bool{false, true} {
		w := newWorld(t, func(k *Provisioner) { k.MakeLater = false })
		come := w.silence()
		user := w.pending(t, "ada@x.org")
		if n := len(w.box.State().Users); n != 1 {
			t.Fatalf("ConnectyCube has %d accounts; one was to be made without an answer", n)
		}
		come()
		if !again {
			w.due(t, user.ID)
			if err := w.ReconcileNext(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.nobody(t)
			continue
		}
		made, err := w.register(t, "ada@x.org", "another horse")
		if err != nil || made.CubeID == 0 || len(w.box.State().Users) != 1 || !w.takes(t, "ada@x.org", "another horse") {
			t.Errorf("again: %+v, %v; there %+v", made, err, w.box.State().Users)
		}
	}
}

// A sign-up that reaches ConnectyCube when its user is gone already leaves nobody
// there; and when none comes, the tombstone that waits for it does not stay.
func TestLateSignUpIsTakenBack(t *testing.T) {
	for _, comes := range []bool{true, false} {
		w := newWorld(t, func(k *Provisioner) { k.Derived = true })
		var late *http.Request
		slow := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.Path != "/users.json" {
				w.box.ServeHTTP(rw, r)
				return
			}
			body, _ := io.ReadAll(r.Body)
			late = r.Clone(context.Background())
			late.Body = io.NopCloser(bytes.NewReader(body))
			panic(http.ErrAbortHandler)
		})
		w.away.Store(&slow)
		user := w.pending(t, "ada@x.org")
		if err := w.Delete(t.Context(), user, LoginMethod{Password: password}); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(w.read(t, user.ID).Account.Due); left < lateness-10*time.Second || left > lateness {
			t.Errorf("the tombstone is due in %v, want %v", left, lateness)
		}
		w.Work.Accounts = older{w.Work.Accounts}
		if comes {
			w.box.ServeHTTP(httptest.NewRecorder(), late)
			if n := len(w.box.State().Users); n != 1 {
				t.Fatalf("ConnectyCube has %d accounts; one was to come late", n)
			}
		}
		w.due(t, user.ID)
		if err := w.ReconcileNext(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.nobody(t)
	}
}

// older is a queue of users who were changed long ago.
type older struct{ WorkQueue[store.User] }

func (o older) Claim(ctx context.Context, l store.Lease) (store.User, error) {
	user, err := o.WorkQueue.Claim(ctx, l)
	user.Updated = user.Updated.Add(-lateness)
	return user, err
}

// nowhere takes an answer that nobody gets.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

// ConnectyCube is not asked about a password that it does not have, and who
// leaves need not wait for it where the server can log in by itself: whether the
// account is there, is not, or is there and nobody has heard of it.
func TestDerivedAccountsWaitForNobody(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, *world) store.User{
		"made":     func(t *testing.T, w *world) store.User { return w.made(t, "ada@x.org") },
		"not made": func(t *testing.T, w *world) store.User { w.leave(); return w.pending(t, "ada@x.org") },
		"unheard of": func(t *testing.T, w *world) store.User {
			w.silence()
			return w.pending(t, "ada@x.org")
		},
	} {
		for _, leaves := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, leaves %t", name, leaves), func(t *testing.T) {
				w := newWorld(t, func(k *Provisioner) { k.Derived = true })
				user := begin(t, w)
				come := w.leave()
				err := w.ChangePassword(t.Context(), user, PasswordChange{Old: password, New: "another horse", NewHash: "another hash"})
				if now := w.read(t, user.ID); err != nil || now.PasswordHash != "another hash" {
					t.Errorf("changing the password: %v, the hash is %q", err, now.PasswordHash)
				}
				if leaves {
					if err := w.Delete(t.Context(), w.read(t, user.ID), LoginMethod{Password: "another horse"}); err != nil {
						t.Fatal(err)
					}
				}
				come()
				w.Work.Accounts = older{w.Work.Accounts}
				w.due(t, user.ID)
				if err := w.ReconcileNext(t.Context()); err != nil {
					t.Fatal(err)
				}
				if leaves {
					w.nobody(t)
					return
				}
				now := w.read(t, user.ID)
				if now.CubeID == 0 || !now.Account.Due.IsZero() || len(w.box.State().Users) != 1 {
					t.Fatalf("%+v; there %+v", now, w.box.State().Users)
				}
				if _, err := w.OpenCubeSession(t.Context(), now, w.login(t, now, "s"), LoginMethod{}); err != nil {
					t.Errorf("opening a session without a password: %v", err)
				}
			})
		}
	}
}

// pending is a user without an account.
func (w *world) pending(t *testing.T, email string) store.User {
	t.Helper()
	user, err := w.register(t, email, password)
	if !errors.Is(err, ErrPending) {
		t.Fatalf("%v, want %v", err, ErrPending)
	}
	return w.read(t, user.ID)
}

// silence makes ConnectyCube do one thing more without an answer, and then be away.
func (w *world) silence() (come func()) {
	silent := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/session") { // the application's own
			w.box.ServeHTTP(rw, r)
			return
		}
		w.box.ServeHTTP(&nowhere{header: http.Header{}}, r)
		w.leave()
		panic(http.ErrAbortHandler)
	})
	w.away.Store(&silent)
	return func() { w.away.Store(nil) }
}

// An account whose password was changed at ConnectyCube keeps nobody from
// changing the own one here, or from leaving while a session of it lives.
func TestPasswordChangedElsewhere(t *testing.T) {
	w := newWorld(t)
	user := w.made(t, "ada@x.org")
	login := w.login(t, user, "s")
	if _, err := w.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	session, err := w.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
	if err == nil {
		err = w.cube.UpdateUser(t.Context(), session, connectycube.UserUpdate{Password: "elsewhere", OldPassword: password})
	}
	if err != nil {
		t.Fatal(err)
	}
	change := PasswordChange{Old: password, New: "another horse", NewHash: "another hash", KeepSession: login.ID}
	if err := w.ChangePassword(t.Context(), w.read(t, user.ID), change); err != nil {
		t.Errorf("changing the password: %v", err)
	}
	if err := w.Delete(t.Context(), w.read(t, user.ID), LoginMethod{Password: password}); err != nil {
		t.Fatalf("leaving: %v", err)
	}
	w.nobody(t)
}

// What a login session has at ConnectyCube ends with it, also when its time is
// over while ConnectyCube is away.
func TestExpiredLoginEndsThere(t *testing.T) {
	w := newWorld(t)
	user := w.made(t, "ada@x.org")
	if _, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Sessions().Update(t.Context(), "s", func(s *store.Session) error { s.Expires = time.Now(); return nil }); err != nil {
		t.Fatal(err)
	}
	come := w.leave()
	for _, what := range []string{"expiring", "trying"} {
		if err := w.RevokeNext(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	come()
	if err := w.store.Revocations().ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.RevokeNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.read(t, user.ID).Sessions; len(got) != 0 {
		t.Errorf("the user still has %v", got)
	}
	if living := ofUsers(w.box.State()); living != 0 {
		t.Errorf("%d sessions live at ConnectyCube", living)
	}
	if err := w.RevokeNext(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("more to do: %v", err)
	}
}

// When ConnectyCube has used up all our patience, there is still time to note when
// it is asked again.
func TestEndingOutlastsASlowConnectyCube(t *testing.T) {
	w := newWorld(t, func(k *Provisioner) { k.Patience = 100 * time.Millisecond })
	user := w.made(t, "ada@x.org")
	if _, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Sessions().End(t.Context(), "s", "logout"); err != nil {
		t.Fatal(err)
	}
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w.away.Store(&slow)
	if err := w.RevokeNext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func ofUsers(s sandbox.State) (n int) {
	for _, session := range s.LiveSessions {
		if session.UserID != 0 {
			n++
		}
	}
	return n
}

// A login session that ended while it began gets no chat, and its record, which
// may be younger than the sweep, does not stay.
func TestLoginThatEndedMeanwhileGetsNoChat(t *testing.T) {
	w := newWorld(t)
	user := w.made(t, "ada@x.org")
	login := w.login(t, user, "s")
	if _, err := w.store.Users().RemoveAllSessions(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	if chat, err := w.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); !errors.Is(err, ErrLoginSessionEnded) || chat.Token != "" {
		t.Errorf("%+v, %v; want %v", chat, err, ErrLoginSessionEnded)
	}
	if _, err := w.store.Sessions().ByID(t.Context(), "s"); !errors.Is(err, store.ErrNotFound) || ofUsers(w.box.State()) != 0 {
		t.Errorf("its record: %v, and %d sessions live", err, ofUsers(w.box.State()))
	}
}

// A database that fails when a ConnectyCube session is noted does not cost the
// session: where the password is shared, only the user could open another one.
func TestSessionOutlivesTheDatabase(t *testing.T) {
	for _, written := range []bool{false, true} {
		w := newWorld(t)
		user := w.made(t, "ada@x.org")
		login := w.login(t, user, "s")
		honest := w.Sessions
		if written { // the first note is made, and its answer lost
			w.Sessions = failing{honest, true}
			if chat, err := w.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); err == nil {
				t.Errorf("a chat that may not be on record is given: %+v", chat)
			}
		} else {
			if _, err := w.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); err != nil {
				t.Fatal(err)
			}
			w.Sessions = failing{honest, false}
			login = w.current(t, user)
			if chat, err := w.OpenCubeSession(t.Context(), user, login, LoginMethod{}); err != nil || chat.Token == "" {
				t.Errorf("prolonging: %+v, %v", chat, err)
			}
		}
		w.Sessions = honest
		chat, err := w.OpenCubeSession(t.Context(), user, w.current(t, user), LoginMethod{})
		if err != nil || chat.UserID != user.CubeID {
			t.Errorf("written %t: %+v, %v", written, chat, err)
		}
		if n := ofUsers(w.box.State()); n != 1 {
			t.Errorf("written %t: %d sessions live at ConnectyCube", written, n)
		}
	}
}

// current is the one login session of a user, as it is now.
func (w *world) current(t *testing.T, user store.User) store.Session {
	t.Helper()
	list, err := w.store.Sessions().OfUser(t.Context(), user.ID)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d login sessions, %v", len(list), err)
	}
	return list[0]
}

// failing are login sessions in a database that answers no change.
type failing struct {
	LoginSessions
	written bool // it makes the change all the same
}

func (f failing) Update(ctx context.Context, id string, change func(*store.Session) error) (store.Session, error) {
	if f.written {
		_, _ = f.LoginSessions.Update(ctx, id, change)
	}
	return store.Session{}, store.ErrUnavailable
}

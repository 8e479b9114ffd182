package provisioning

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
)

// forget makes ConnectyCube lose all users, as the sandbox does when it is reset.
func (f *fixture) forget(t *testing.T) {
	t.Helper()
	f.sandbox.Reset()
	f.provider(t)
}

// account returns the account of a user at ConnectyCube, and checks that there are so
// many accounts.
func (f *fixture) account(t *testing.T, user store.User, all int) connectycube.User {
	t.Helper()
	found, err := f.cube.UserByExternalID(t.Context(), user.ID)
	if n := len(f.sandbox.State().Users); err != nil || n != all {
		t.Fatalf("%v among %d accounts; want one of %d", err, n, all)
	}
	return found
}

// refuse lets ConnectyCube answer 503 to each change of a user until heal is called.
func (f *fixture) refuseChanges() (heal func()) {
	refuse := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/users/") {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		f.sandbox.ServeHTTP(rw, r)
	})
	f.away.Store(&refuse)
	return func() { f.away.Store(nil) }
}

var (
	byTicket   = LoginMethod{Password: password, ViaIdentityProvider: true}
	byPassword = LoginMethod{Password: password}
)

// An account that ConnectyCube makes for a login has neither email nor name. The login
// completes it, and so does one of an account that was linked before servers did so.
func TestAccountThatConnectyCubeMadeIsCompleted(t *testing.T) {
	for _, mode := range []PasswordMode{SharedPasswords, DerivedPasswords} {
		for name, login := range map[string]LoginMethod{"ticket": byTicket, "password": byPassword} {
			t.Run(string(mode)+", "+name, func(t *testing.T) {
				f := newFixture(t, func(o *Options) { o.Settings.PasswordMode = mode })
				user := f.registered(t, "ada@x.org")
				for _, id := range []string{"lost", "linked before"} {
					if id == "lost" {
						f.forget(t)
					} else {
						f.strip(t, user.ID)
					}
					chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, id), login)
					if err != nil || chat.Token == "" {
						t.Fatalf("%s: %+v, %v", id, chat, err)
					}
					want := connectycube.User{ID: chat.UserID, Email: "ada@x.org", FullName: "Ada Lovelace", ExternalID: user.ID}
					got := f.account(t, user, 1)
					got.Login = ""
					if got != want {
						t.Errorf("%s: %+v, want %+v", id, got, want)
					}
					here := f.read(t, user.ID)
					if a := here.Account; here.CubeID != chat.UserID || a.Email != want.Email || a.Name != want.FullName || a.Lease != "" || !a.Due.IsZero() {
						t.Errorf("%s: known of account %d: %+v", id, here.CubeID, a)
					}
					if found, err := f.cube.UserByEmail(t.Context(), "ada@x.org"); err != nil || found.ID != chat.UserID {
						t.Errorf("%s: found by email: %+v, %v", id, found, err)
					}
				}
			})
		}
	}
}

// strip replaces the account by one that ConnectyCube made for a login, and that is
// linked and not completed.
func (f *fixture) strip(t *testing.T, userID string) {
	t.Helper()
	f.forget(t)
	s, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Login: userID, Password: "x"})
	if err != nil {
		t.Fatal(err)
	}
	leased, err := f.store.AccountWork().Acquire(t.Context(), userID, f.newLease())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Accounts().Save(t.Context(), leased.Account.Held(), store.User{ID: userID, CubeID: s.UserID}); err != nil {
		t.Fatal(err)
	}
	if err := f.store.AccountWork().Complete(t.Context(), userID, leased.Account.Held(), leased.Account.Version); err != nil {
		t.Fatal(err)
	}
}

// If another account has the email, the chat works without it, and the rest is complete.
// A login after the email is free completes the account.
func TestChatWorksWithoutATakenEmail(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		f := newFixture(t)
		user := f.registered(t, "ada@x.org")
		f.forget(t)
		f.signUp(t, "ada@x.org", "another horse", "")
		for _, id := range []string{"first", "second"} {
			chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, id), byTicket)
			if err != nil || chat.Token == "" {
				t.Fatalf("%s: %+v, %v", id, chat, err)
			}
			want := f.read(t, user.ID).FullName()
			if got := f.account(t, user, 2); got.ID != chat.UserID || got.FullName != want || got.Email != "" {
				t.Errorf("%s: %+v, want the name %s and no email", id, got, want)
			}
			here := f.read(t, user.ID)
			if a := here.Account; here.Email != "ada@x.org" || a.Email != "" || !a.Due.IsZero() || a.LastError != errorClass(connectycube.ErrTaken) {
				t.Errorf("%s: %s, known %+v", id, here.Email, a)
			}
			if renamed { // the change of a name reaches the account all the same
				if _, err := f.Rename(t.Context(), here, Name{First: "Ada", Last: "Byron"}); err != nil {
					t.Errorf("renaming: %v", err)
				}
				if got := f.account(t, user, 2); got.FullName != "Ada Byron" {
					t.Errorf("renamed: %+v", got)
				}
			}
		}
		f.forget(t)
		if chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "third"), byTicket); err != nil || chat.Token == "" {
			t.Fatalf("the email is free: %+v, %v", chat, err)
		}
		if got := f.account(t, user, 1); got.Email != "ada@x.org" || f.read(t, user.ID).Account.Email != "ada@x.org" {
			t.Errorf("the email is free: %+v", got)
		}
	}
}

// The email of a user who is being deleted is free soon, so the worker tries again.
func TestTakenEmailOfADeletedUserIsAwaited(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	f.forget(t)
	gone := f.create(t, "gone@x.org")
	f.signUp(t, "ada@x.org", "another horse", gone.ID)
	if _, err := f.store.Accounts().MarkDeleting(t.Context(), gone.ID, "", f.newLease()); err != nil {
		t.Fatal(err)
	}
	chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "s"), byTicket)
	if err != nil || chat.Token == "" {
		t.Fatalf("%+v, %v", chat, err)
	}
	if a := f.read(t, user.ID).Account; a.Email != "" || a.Due.IsZero() {
		t.Errorf("known %+v; want work that is due", a)
	}
}

// A login completes only a part if ConnectyCube fails meanwhile. The worker does the
// rest, in the login's session, or by a ticket once that session has expired.
func TestWorkerCompletesAnAccount(t *testing.T) {
	for name, over := range map[string]bool{"in the session of a login": false, "by a ticket": true} {
		f := newFixture(t)
		user := f.registered(t, "ada@x.org")
		f.forget(t)
		heal := f.refuseChanges()
		chat, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), byTicket)
		if err != nil || chat.Token == "" {
			t.Fatalf("%s: %+v, %v", name, chat, err)
		}
		heal()
		if over {
			if err := f.cube.EndSession(t.Context(), chat.Token); err != nil {
				t.Fatal(err)
			}
		}
		f.due(t, user.ID)
		if err := f.ReconcileNext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.account(t, user, 1); got.ID != chat.UserID || got.Email != "ada@x.org" || got.FullName != "Ada Lovelace" {
			t.Errorf("%s: %+v", name, got)
		}
		if a := f.read(t, user.ID).Account; a.Email != "ada@x.org" || !a.Due.IsZero() {
			t.Errorf("%s: known %+v", name, a)
		}
	}
}

// Without a session and an identity provider, the account waits for its user. The
// password of an account without an email would open another account.
func TestCompletionOpensNoOtherAccount(t *testing.T) {
	u := newUnit(t)
	u.cube.create = func(c connectycube.Credentials) (connectycube.Session, error) {
		if c.Email != "" {
			t.Errorf("a login by %s", c.Email)
		}
		return connectycube.Session{}, connectycube.ErrBadCredentials
	}
	r := u.begin(newUser(), LoginMethod{Password: password})
	r.account.learn(connectycube.User{ID: 7, ExternalID: newUser().ID}, &r.user.Account)
	if err := r.reconcile(t.Context()); !errors.Is(err, ErrPasswordRequired) || len(u.userAPI.updates) != 0 {
		t.Errorf("%v, updates %+v; want %v", err, u.userAPI.updates, ErrPasswordRequired)
	}
	r = u.begin(newUser(), LoginMethod{})
	r.session = connectycube.Session{Token: "token", UserID: 8}
	r.account.learn(connectycube.User{ID: 7, ExternalID: newUser().ID}, &r.user.Account)
	if err := r.reconcile(t.Context()); !errors.Is(err, errUnlinked) || len(u.userAPI.updates) != 0 {
		t.Errorf("in the session of another account: %v, updates %+v", err, u.userAPI.updates)
	}
}

// An external ID that another account has prevents neither the name nor the email.
func TestTakenExternalIDPreventsNothingElse(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	chat, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), byPassword)
	if err != nil {
		t.Fatal(err)
	}
	f.changeID(t, chat, "mine")
	other := f.signUp(t, "other@x.org", "another horse", user.ID)
	again, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "again"), byPassword)
	if all := f.accounts(); err != nil || again.UserID != chat.UserID || all[chat.UserID] != "mine" || all[other] != user.ID {
		t.Errorf("%+v, %v; there %v", again, err, all)
	}
	if a := f.read(t, user.ID).Account; !a.Due.IsZero() || a.Email != "ada@x.org" {
		t.Errorf("known %+v", a)
	}
}

// Before the name of an account of which nothing is known is changed, the reconciliation
// asks ConnectyCube. An email that the account has stays as it is there.
func TestChangeAsksWhatTheAccountHas(t *testing.T) {
	u := newUnit(t)
	u.cubeUsers.user = connectycube.User{ID: 7, Email: "ada@example.org", FullName: "A. Lovelace", ExternalID: newUser().ID}
	r := u.begin(newUser(func(u *store.User) { u.Account.Email, u.Account.Name, u.Account.Version = "", "", 1 }), LoginMethod{})
	r.session = connectycube.Session{Token: "token", UserID: 7}
	want := connectycube.UserUpdate{FullName: "Ada Lovelace"}
	if err := r.reconcile(t.Context()); err != nil || len(u.userAPI.updates) != 1 || u.userAPI.updates[0] != want {
		t.Errorf("%v, %+v; want %+v", err, u.userAPI.updates, want)
	}
}

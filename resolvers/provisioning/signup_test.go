package provisioning

import (
	"errors"
	"net/http"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
)

func TestRegisterAdoptsOnlyTheUsersAccount(t *testing.T) {
	for name, tt := range map[string]struct {
		there func(t *testing.T, f *fixture)
		want  error // nil: the account is made or taken over
	}{
		"no account":                       {func(*testing.T, *fixture) {}, nil},
		"an orphan with the same password": {func(t *testing.T, f *fixture) { f.signUp(t, "ada@x.org", password, "") }, nil},
		"one of a deleted user":            {func(t *testing.T, f *fixture) { f.signUp(t, "ada@x.org", password, "0123456789abcdef01234567") }, nil},
		"an orphan with another password":  {func(t *testing.T, f *fixture) { f.signUp(t, "ada@x.org", "another horse", "") }, ErrForeignAccount},
		"another user's, by the same password": {func(t *testing.T, f *fixture) {
			// Bob has changed the email here, and not yet there.
			bob := f.registered(t, "ada@x.org")
			if _, err := f.store.Users().ChangeEmail(t.Context(), store.EmailChange{UserID: bob.ID, Old: "ada@x.org", New: "bob@x.org"}, f.newLease()); err != nil {
				t.Fatal(err)
			}
		}, connectycube.ErrTaken},
		"that of a user that is being deleted": {func(t *testing.T, f *fixture) {
			user := f.registered(t, "ada@x.org")
			if _, err := f.store.Accounts().MarkDeleting(t.Context(), user.ID, "", f.newLease()); err != nil {
				t.Fatal(err)
			}
		}, ErrPending},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			tt.there(t, f)
			user, err := f.register(t, "ada@x.org", password)
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if tt.want != nil {
				return
			}
			found, err := f.cube.UserByExternalID(t.Context(), user.ID)
			if err != nil || found.ID != user.CubeID || f.read(t, user.ID).CubeID != found.ID || found.FullName != "Ada Lovelace" {
				t.Errorf("account %d, found %+v, %v", user.CubeID, found, err)
			}
			if a := f.read(t, user.ID).Account; !a.Due.IsZero() || a.Lease != "" {
				t.Errorf("left open: %+v", a)
			}
		})
	}
}

// An account that the worker signs up gets a derived password, and the user's own at the
// next login.
func TestWorkerSignsUpAndLoginSharesPassword(t *testing.T) {
	f := newFixture(t)
	restore := f.takeDown()
	user, err := f.register(t, "ada@x.org", password)
	if !errors.Is(err, ErrPending) {
		t.Fatalf("while ConnectyCube is away: %v, want %v", err, ErrPending)
	}
	restore()
	f.due(t, user.ID)
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	user = f.read(t, user.ID)
	if user.CubeID == 0 || f.acceptsPassword(t, "ada@x.org", password) {
		t.Fatalf("the worker signed up account %d; it cannot know the user's password", user.CubeID)
	}
	chat, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password})
	if err != nil || chat.UserID != user.CubeID || chat.Token == "" {
		t.Fatalf("login: %+v, %v", chat, err)
	}
	if !f.acceptsPassword(t, "ada@x.org", password) {
		t.Error("the account has not got the user's own password")
	}
	if got := len(f.sandbox.State().LiveSessions); got < 1 {
		t.Errorf("%d sessions live", got)
	}
}

// Without RegisterWhileAway, a registration without an account is rolled back, together
// with the account of a sign-up that got no reply: by the worker, or when the same email
// registers again, with any password.
func TestRegistrationIsRolledBack(t *testing.T) {
	for _, again := range []bool{false, true} {
		f := newFixture(t, func(o *Options) { o.Settings.RegisterWhileAway = false })
		restore := f.loseReply()
		user := f.pending(t, "ada@x.org")
		if n := len(f.sandbox.State().Users); n != 1 {
			t.Fatalf("ConnectyCube has %d accounts; want the one without a reply", n)
		}
		restore()
		if !again {
			f.due(t, user.ID)
			if err := f.ReconcileNext(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.checkNoUsers(t)
			continue
		}
		made, err := f.register(t, "ada@x.org", "another horse")
		if err != nil || made.CubeID == 0 || len(f.sandbox.State().Users) != 1 || !f.acceptsPassword(t, "ada@x.org", "another horse") {
			t.Errorf("again: %+v, %v; there %+v", made, err, f.sandbox.State().Users)
		}
	}
}

// The kind of a derived password is saved before the sign-up, so that the server can
// open the account even if the reply is lost.
func TestSignUpSavesDerivedPasswordFirst(t *testing.T) {
	u := newUnit(t, func(o *Options) { o.Settings.PasswordMode = DerivedPasswords })
	u.cube.signUp = func(n connectycube.NewUser) (connectycube.User, error) {
		if len(u.accounts.saved) != 1 || u.accounts.saved[0].Account.PasswordKind != store.PasswordDerived("new") || n.Password != "password of the new key" {
			t.Errorf("sign-up with %q after %+v", n.Password, u.accounts.saved)
		}
		return connectycube.User{ID: 7}, nil
	}
	r := u.begin(newUser(func(u *store.User) { u.CubeID, u.Account = 0, store.Account{Lease: "lease"} }), LoginMethod{Password: password})
	r.firstAttempt = true
	if err := r.reconcile(t.Context()); err != nil || r.user.CubeID != 7 {
		t.Errorf("account %d, %v", r.user.CubeID, err)
	}
}

// A later attempt asks first, and does not know the password of an account that it
// finds.
func TestFindComesBeforeSignUp(t *testing.T) {
	u := newUnit(t) // a sign-up would panic
	u.cubeUsers.user = connectycube.User{ID: 7, Email: "ada@example.org", FullName: "Ada Lovelace", ExternalID: newUser().ID}
	r := u.begin(newUser(func(u *store.User) { u.CubeID, u.Account = 0, store.Account{Lease: "lease", Attempts: 1} }), LoginMethod{})
	if err := r.reconcile(t.Context()); err != nil || r.user.CubeID != 7 || r.user.Account.PasswordKind != store.PasswordUnknown {
		t.Errorf("account %d with password %q, %v", r.user.CubeID, r.user.Account.PasswordKind, err)
	}
	if u.cubeUsers.byID != 0 {
		t.Error("what was just found is looked up again")
	}
}

// After a lost reply, the sign-up asks whether the account exists all the same.
func TestSignUpFindsAccountAfterLostReply(t *testing.T) {
	u := newUnit(t)
	u.cube.signUp = func(n connectycube.NewUser) (connectycube.User, error) {
		u.cubeUsers.user = connectycube.User{ID: 7, Email: n.Email, FullName: n.FullName, ExternalID: n.ExternalID}
		return connectycube.User{}, connectycube.ErrUnavailable
	}
	r := u.begin(newUser(func(u *store.User) { u.CubeID, u.Account = 0, store.Account{Lease: "lease"} }), LoginMethod{Password: password})
	r.firstAttempt = true
	if err := r.reconcile(t.Context()); err != nil || r.user.CubeID != 7 || r.user.Account.PasswordKind != store.PasswordShared {
		t.Errorf("account %d with password %q, %v", r.user.CubeID, r.user.Account.PasswordKind, err)
	}
}

// While ConnectyCube does not accept the server's settings, a registration fails and leaves
// nothing: the account might never follow. The email is free for the next attempt. The
// account of a user who is there already waits for the right settings.
func TestRegisterFailsWhileSettingsAreWrong(t *testing.T) {
	for _, registerWhileAway := range []bool{true, false} {
		f := newFixture(t, func(o *Options) { o.Settings.RegisterWhileAway = registerWhileAway })
		away := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			http.Error(rw, `{"errors":["Unauthorized"]}`, http.StatusUnauthorized)
		})
		f.away.Store(&away)
		if user, err := f.register(t, "ada@x.org", password); !errors.Is(err, connectycube.ErrMisconfigured) || errors.Is(err, ErrPending) {
			t.Errorf("user %+v, %v, want %v and not %v", user, err, connectycube.ErrMisconfigured, ErrPending)
		}
		f.checkNoUsers(t)
		f.away.Store(nil)
		f.registered(t, "ada@x.org")
	}
	f := newFixture(t)
	restore := f.takeDown()
	user, err := f.register(t, "ada@x.org", password)
	if !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	restore()
	wrong := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		http.Error(rw, `{"errors":["Unauthorized"]}`, http.StatusUnauthorized)
	})
	f.away.Store(&wrong)
	f.due(t, user.ID)
	_ = f.ReconcileNext(t.Context())
	if a := f.read(t, user.ID).Account; a.Due.IsZero() || a.LastError != "ConnectyCube does not accept this server" {
		t.Errorf("the account does not wait for its next attempt: %+v", a)
	}
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password}); ChatStatusOf(err) != ChatUnavailable {
		t.Errorf("login: %s, %v, want %s", ChatStatusOf(err), err, ChatUnavailable)
	}
	restore()
	f.due(t, user.ID)
	if err := f.ReconcileNext(t.Context()); err != nil || f.read(t, user.ID).CubeID == 0 {
		t.Errorf("with the right settings there is still no account: %v", err)
	}
}

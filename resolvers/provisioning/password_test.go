package provisioning

import (
	"errors"
	"slices"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// A password that was changed at ConnectyCube does not prevent a change of the password
// here, or the deletion as long as a session of the account is alive.
func TestPasswordChangedAtConnectyCube(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	login := f.login(t, user, "s")
	if _, err := f.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	session, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
	if err == nil {
		err = f.cube.UpdateUser(t.Context(), session, connectycube.UserUpdate{Password: "elsewhere", OldPassword: password})
	}
	if err != nil {
		t.Fatal(err)
	}
	change := PasswordChange{Old: password, New: "another horse", NewHash: "another hash", KeepSession: login.ID}
	if err := f.ChangePassword(t.Context(), f.read(t, user.ID), change); err != nil {
		t.Errorf("changing the password: %v", err)
	}
	if err := f.Delete(t.Context(), f.read(t, user.ID), LoginMethod{Password: password}); err != nil {
		t.Fatalf("deleting: %v", err)
	}
	f.checkNoUsers(t)
}

// While ConnectyCube may have the user's own password and does not reply, the password
// cannot change.
func TestChangePasswordNeedsConnectyCube(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	restore := f.takeDown()
	change := PasswordChange{Old: password, New: "another horse", NewHash: "another hash"}
	if err := f.ChangePassword(t.Context(), user, change); !errors.Is(err, connectycube.ErrUnavailable) {
		t.Errorf("%v, want %v", err, connectycube.ErrUnavailable)
	}
	if got := f.read(t, user.ID); got.PasswordHash != user.PasswordHash || got.Account.Lease != "" {
		t.Errorf("something has changed: %+v", got)
	}
	restore()
	stale := user
	stale.PasswordHash = "a hash of before"
	if err := f.ChangePassword(t.Context(), stale, change); !errors.Is(err, store.ErrChanged) || !f.acceptsPassword(t, "ada@x.org", password) {
		t.Errorf("with another hash: %v, want %v and the old password", err, store.ErrChanged)
	}
}

func TestPasswords(t *testing.T) {
	oldKey, newKey := store.PasswordDerived("old"), store.PasswordDerived("new")
	for _, tt := range []struct {
		name       string
		mode       PasswordMode
		kind       store.PasswordKind
		own        string
		candidates []store.PasswordKind
		desired    store.PasswordKind
	}{
		{"shared, at hand", SharedPasswords, store.PasswordShared, password, []store.PasswordKind{store.PasswordShared, newKey, oldKey}, store.PasswordShared},
		{"shared, not at hand", SharedPasswords, store.PasswordShared, "", []store.PasswordKind{newKey, oldKey}, store.PasswordShared},
		{"shared, too long", SharedPasswords, oldKey, password + password + password + password, []store.PasswordKind{oldKey, newKey, store.PasswordShared}, newKey},
		{"derived by the worker", SharedPasswords, newKey, password, []store.PasswordKind{newKey, oldKey, store.PasswordShared}, store.PasswordShared},
		{"unknown", SharedPasswords, store.PasswordUnknown, "", []store.PasswordKind{newKey, oldKey}, store.PasswordUnknown},
		{"derived, old key", DerivedPasswords, oldKey, password, []store.PasswordKind{oldKey, newKey, store.PasswordShared}, newKey},
		{"to be derived", DerivedPasswords, store.PasswordShared, "", []store.PasswordKind{newKey, oldKey}, newKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := passwords{mode: tt.mode, kind: tt.kind, own: tt.own, derived: func() []tokens.DerivedPassword {
				return []tokens.DerivedPassword{{Key: "new"}, {Key: "old"}}
			}}
			var kinds []store.PasswordKind
			for _, c := range p.candidates() {
				kinds = append(kinds, c.kind)
			}
			if !slices.Equal(kinds, tt.candidates) {
				t.Errorf("candidates %q, want %q", kinds, tt.candidates)
			}
			if got := p.desired().kind; got != tt.desired {
				t.Errorf("desired %q, want %q", got, tt.desired)
			}
		})
	}
}

// From a derived password to the user's own, a crash in between must leave a note that
// the account may have either.
func TestRotatePasswordSavesUnknownFirst(t *testing.T) {
	u := newUnit(t)
	u.cube.create = func(c connectycube.Credentials) (connectycube.Session, error) {
		return connectycube.Session{Token: "token", UserID: 7}, nil
	}
	r := u.begin(newUser(func(u *store.User) { u.Account.PasswordKind = store.PasswordDerived("old") }), LoginMethod{Password: password})
	if err := r.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := connectycube.UserUpdate{Password: password, OldPassword: "password of the old key"}
	if len(u.userAPI.updates) != 1 || u.userAPI.updates[0] != want {
		t.Errorf("updates %+v, want %+v", u.userAPI.updates, want)
	}
	var kinds []store.PasswordKind
	for _, saved := range u.accounts.saved {
		kinds = append(kinds, saved.Account.PasswordKind)
	}
	if !slices.Equal(kinds, []store.PasswordKind{store.PasswordUnknown, store.PasswordShared}) {
		t.Errorf("saved %q", kinds)
	}
}

// A password that ConnectyCube refuses is no failure: the account keeps the one that it
// has, and the reconciliation ends.
func TestRefusedPasswordIsKept(t *testing.T) {
	u := newUnit(t)
	u.userAPI.err = connectycube.ErrRefused
	u.cube.create = func(connectycube.Credentials) (connectycube.Session, error) {
		return connectycube.Session{Token: "token", UserID: 7}, nil
	}
	r := u.begin(newUser(func(u *store.User) { u.Account.PasswordKind = store.PasswordDerived("old") }), LoginMethod{Password: password})
	if err := r.reconcile(t.Context()); err != nil || len(u.userAPI.updates) != 1 {
		t.Errorf("%v after %d updates, want one", err, len(u.userAPI.updates))
	}
	if got := r.user.Account.PasswordKind; got != store.PasswordDerived("old") {
		t.Errorf("password %q, want the old one", got)
	}
}

// A rotation may run twice: if ConnectyCube does not know the old password, the new one
// may already be the account's.
func TestRotatePasswordAcceptsAnEarlierRotation(t *testing.T) {
	for name, tt := range map[string]struct {
		newWorks error
		want     store.PasswordKind
	}{
		"rotated before":               {nil, store.PasswordShared},
		"changed to another one":       {connectycube.ErrBadCredentials, store.PasswordUnknown},
		"ConnectyCube asks a provider": {connectycube.ErrIdentityProvider, store.PasswordUnknown},
	} {
		u := newUnit(t)
		u.userAPI.err = connectycube.ErrBadCredentials
		u.cube.create = func(c connectycube.Credentials) (connectycube.Session, error) {
			if c.Password == password {
				return connectycube.Session{Token: "token"}, tt.newWorks
			}
			return connectycube.Session{Token: "token", UserID: 7}, nil
		}
		r := u.begin(newUser(func(u *store.User) { u.Account.PasswordKind = store.PasswordDerived("old") }), LoginMethod{Password: password})
		err := r.reconcile(t.Context())
		if got := r.user.Account.PasswordKind; got != tt.want || errors.Is(err, connectycube.ErrBadCredentials) != errors.Is(tt.newWorks, connectycube.ErrBadCredentials) {
			t.Errorf("%s: password %q, %v; want %q", name, got, err, tt.want)
		}
		if got := u.seenProviderOn.Load(); got != errors.Is(tt.newWorks, connectycube.ErrIdentityProvider) {
			t.Errorf("%s: the provider was seen: %t", name, got)
		}
	}
}

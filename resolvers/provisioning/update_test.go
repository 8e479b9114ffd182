package provisioning

import (
	"errors"
	"fmt"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
)

// If another account has the new email at ConnectyCube, the change is undone here.
func TestTakenEmailIsReverted(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	f.signUp(t, "new@x.org", "another horse", "")
	_, err := f.ChangeEmail(t.Context(), user, EmailChange{Email: "new@x.org", Password: password})
	if !errors.Is(err, ErrForeignAccount) {
		t.Errorf("%v, want %v", err, ErrForeignAccount)
	}
	found, err := f.cube.UserByExternalID(t.Context(), user.ID)
	if got := f.read(t, user.ID); err != nil || got.Email != "ada@x.org" || found.Email != "ada@x.org" {
		t.Errorf("here %s, there %s, %v", got.Email, found.Email, err)
	}
}

// Reconciliations leave no unused ConnectyCube session behind.
func TestReconciliationsEndTheirSessions(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	for i := range 5 {
		change := EmailChange{Email: fmt.Sprintf("ada%d@x.org", i), Password: password}
		if _, err := f.ChangeEmail(t.Context(), f.read(t, user.ID), change); err != nil {
			t.Fatal(err)
		}
	}
	if living := ofUsers(f.sandbox.State()); living != 0 {
		t.Errorf("%d sessions live at ConnectyCube", living)
	}
}

func TestRename(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Rename(t.Context(), f.read(t, user.ID), Name{First: "Ada", Last: "Byron"}); err != nil {
		t.Fatal(err)
	}
	found, err := f.cube.UserByExternalID(t.Context(), user.ID)
	if got := f.read(t, user.ID); err != nil || got.FullName() != "Ada Byron" || found.FullName != "Ada Byron" || !got.Account.Due.IsZero() {
		t.Errorf("here %s, there %s, %v; %+v", got.FullName(), found.FullName, err, got.Account)
	}
}

// A name that does not reach ConnectyCube changes here, and the worker brings it there.
func TestRenameWhileConnectyCubeIsAway(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Settings.PasswordMode = DerivedPasswords })
	user := f.registered(t, "ada@x.org")
	restore := f.takeDown()
	renamed, err := f.Rename(t.Context(), user, Name{First: "Ada", Last: "Byron"})
	if err != nil || renamed.FullName() != "Ada Byron" || f.read(t, user.ID).Account.Due.IsZero() {
		t.Fatalf("%+v, %v; want the new name and an account that is due", renamed, err)
	}
	restore()
	f.due(t, user.ID)
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := f.cube.UserByExternalID(t.Context(), user.ID); err != nil || found.FullName != "Ada Byron" {
		t.Errorf("ConnectyCube has %q, %v", found.FullName, err)
	}
}

func TestUpdateSendsOnlyWhatDiffers(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*store.User)
		want connectycube.UserUpdate
	}{
		"the name":  {func(u *store.User) { u.LastName = "Byron" }, connectycube.UserUpdate{FullName: "Ada Byron"}},
		"the email": {func(u *store.User) { u.Email = "new@example.org" }, connectycube.UserUpdate{Email: "new@example.org"}},
		"both": {func(u *store.User) { u.LastName, u.Email = "Byron", "new@example.org" },
			connectycube.UserUpdate{FullName: "Ada Byron", Email: "new@example.org"}},
	} {
		u := newUnit(t)
		r := u.begin(newUser(tt.edit), LoginMethod{})
		r.session = connectycube.Session{Token: "token", UserID: 7}
		if err := r.reconcile(t.Context()); err != nil || len(u.userAPI.updates) != 1 || u.userAPI.updates[0] != tt.want {
			t.Errorf("%s: %v, %+v; want %+v", name, err, u.userAPI.updates, tt.want)
		}
	}
}

// An email that the account of a deleted user still has will soon be free, so the change
// waits.
func TestEmailOfADeletedUserIsAwaited(t *testing.T) {
	u := newUnit(t)
	u.userAPI.err = connectycube.ErrTaken
	u.cubeUsers.user = connectycube.User{ID: 8, ExternalID: "a user"}
	u.accounts.user = store.User{ID: "a user", Deleting: true}
	r := u.begin(newUser(func(u *store.User) { u.Email = "new@example.org" }), LoginMethod{})
	r.session = connectycube.Session{Token: "token", UserID: 7}
	if err := r.reconcile(t.Context()); !errors.Is(err, ErrPending) || r.user.Email != "new@example.org" {
		t.Errorf("%v, email %s; want %v and the new one", err, r.user.Email, ErrPending)
	}
}

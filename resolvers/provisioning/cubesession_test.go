package provisioning

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// A login session that ended while it began gets no ConnectyCube session. Its record,
// which may be younger than the sweep, is removed.
func TestEndedLoginSessionGetsNoCubeSession(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	login := f.login(t, user, "s")
	if _, err := f.store.Users().RemoveAllSessions(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	if chat, err := f.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); !errors.Is(err, ErrLoginSessionEnded) || chat.Token != "" {
		t.Errorf("%+v, %v; want %v", chat, err, ErrLoginSessionEnded)
	}
	if _, err := f.store.Sessions().ByID(t.Context(), "s"); !errors.Is(err, store.ErrNotFound) || ofUsers(f.sandbox.State()) != 0 {
		t.Errorf("its record: %v, and %d sessions live", err, ofUsers(f.sandbox.State()))
	}
}

// A ConnectyCube session survives a database that fails when the session is saved:
// where the password is shared, only the user could open another one.
func TestCubeSessionSurvivesFailedSave(t *testing.T) {
	for _, written := range []bool{false, true} {
		f := newFixture(t)
		user := f.registered(t, "ada@x.org")
		login := f.login(t, user, "s")
		honest := f.db.Sessions
		if written { // the first save is made, and its reply lost
			f.db.Sessions = failing{honest, true}
			if chat, err := f.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); err == nil {
				t.Errorf("got a session that may not be saved: %+v", chat)
			}
		} else {
			if _, err := f.OpenCubeSession(t.Context(), user, login, LoginMethod{Password: password}); err != nil {
				t.Fatal(err)
			}
			f.db.Sessions = failing{honest, false}
			login = f.current(t, user)
			if chat, err := f.OpenCubeSession(t.Context(), user, login, LoginMethod{}); err != nil || chat.Token == "" {
				t.Errorf("extending: %+v, %v", chat, err)
			}
		}
		f.db.Sessions = honest
		chat, err := f.OpenCubeSession(t.Context(), user, f.current(t, user), LoginMethod{})
		if err != nil || chat.UserID != user.CubeID {
			t.Errorf("written %t: %+v, %v", written, chat, err)
		}
		if n := ofUsers(f.sandbox.State()); n != 1 {
			t.Errorf("written %t: %d sessions live at ConnectyCube", written, n)
		}
	}
}

// current is the one login session of a user, as it is now.
func (f *fixture) current(t *testing.T, user store.User) store.Session {
	t.Helper()
	list, err := f.store.Sessions().OfUser(t.Context(), user.ID)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d login sessions, %v", len(list), err)
	}
	return list[0]
}

// failing are the records of a database that replies to no change.
type failing struct {
	SessionRecords
	written bool // it makes the change all the same
}

func (f failing) Update(ctx context.Context, seen store.Session, change func(*store.Session) error) (store.Session, error) {
	if f.written {
		_, _ = f.SessionRecords.Update(ctx, seen, change)
	}
	return store.Session{}, store.ErrUnavailable
}

// A session that was opened while its user was deleted may be that of an account that
// ConnectyCube has created again. That account is deleted.
func TestDeletedUserGetsNoCubeSession(t *testing.T) {
	u := newUnit(t)
	u.cube.create = func(connectycube.Credentials) (connectycube.Session, error) {
		return connectycube.Session{Token: "token", UserID: 7}, nil
	}
	user := newUser(func(u *store.User) { u.Account.Due = time.Time{} })
	session, err := u.OpenCubeSession(t.Context(), user, store.Session{ID: "s1"}, LoginMethod{Password: password})
	if !errors.Is(err, ErrLoginSessionEnded) || session.Token != "" || !slices.Equal(u.userAPI.deleted, []int64{7}) {
		t.Errorf("%+v, %v, deleted %v; want %v and account 7 deleted", session, err, u.userAPI.deleted, ErrLoginSessionEnded)
	}
}

// A reconciliation may reuse the session of another login session. The login that caused
// it gets a session of its own all the same.
func TestLoginSessionsDoNotShareCubeSessions(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Settings.PasswordMode = DerivedPasswords })
	user := f.registered(t, "ada@x.org")
	first, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s1"), LoginMethod{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Users().ChangeName(t.Context(), store.NameChange{UserID: user.ID, FirstName: "Ada", LastName: "Byron"}, f.newLease()); err != nil {
		t.Fatal(err)
	}
	if err := f.store.AccountWork().ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "s2"), LoginMethod{})
	if err != nil || second.Token == "" || second.Token == first.Token {
		t.Errorf("%+v, %v; the other login session has %+v", second, err, first)
	}
}

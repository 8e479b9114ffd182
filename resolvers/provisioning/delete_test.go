package provisioning

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// A sign-up that reaches ConnectyCube after the deletion of its user leaves no account.
// If none arrives, the tombstone that waits for it is removed.
func TestDeleteWaitsForLateSignUp(t *testing.T) {
	for _, comes := range []bool{true, false} {
		f := newFixture(t, func(o *Options) { o.Settings.PasswordMode = DerivedPasswords })
		var late *http.Request
		slow := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.Path != "/users.json" {
				f.sandbox.ServeHTTP(rw, r)
				return
			}
			body, _ := io.ReadAll(r.Body)
			late = r.Clone(context.Background())
			late.Body = io.NopCloser(bytes.NewReader(body))
			panic(http.ErrAbortHandler)
		})
		f.away.Store(&slow)
		begun := time.Now()
		user := f.pending(t, "ada@x.org")
		if err := f.Delete(t.Context(), user, LoginMethod{Password: password}); err != nil {
			t.Fatal(err)
		}
		if a := f.read(t, user.ID).Account; !dueAfter(a, begun, lateSignUpWindow) {
			t.Errorf("the tombstone is due in %v, want %v", time.Until(a.Due), lateSignUpWindow)
		}
		f.queues.Accounts = older{f.queues.Accounts}
		if comes {
			f.sandbox.ServeHTTP(httptest.NewRecorder(), late)
			if n := len(f.sandbox.State().Users); n != 1 {
				t.Fatalf("ConnectyCube has %d accounts; want the late one", n)
			}
		}
		f.due(t, user.ID)
		if err := f.ReconcileNext(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.checkNoUsers(t)
	}
}

// older is a queue of users that were changed long ago.
type older struct{ WorkQueue[store.User] }

func (o older) Claim(ctx context.Context, l store.Lease) (store.User, error) {
	user, err := o.WorkQueue.Claim(ctx, l)
	user.Updated = user.Updated.Add(-lateSignUpWindow)
	return user, err
}

// With derived passwords, a change of the user's own password does not need
// ConnectyCube, and a deletion does not wait for it: whether the account exists, does
// not, or was signed up without a reply.
func TestDerivedAccountsNeedNoReply(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, *fixture) store.User{
		"signed up":     func(t *testing.T, f *fixture) store.User { return f.registered(t, "ada@x.org") },
		"not signed up": func(t *testing.T, f *fixture) store.User { f.takeDown(); return f.pending(t, "ada@x.org") },
		"no reply": func(t *testing.T, f *fixture) store.User {
			f.loseReply()
			return f.pending(t, "ada@x.org")
		},
	} {
		for _, leaves := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deleted %t", name, leaves), func(t *testing.T) {
				f := newFixture(t, func(o *Options) { o.Settings.PasswordMode = DerivedPasswords })
				user := begin(t, f)
				restore := f.takeDown()
				err := f.ChangePassword(t.Context(), user, PasswordChange{Old: password, New: "another horse", NewHash: "another hash"})
				if now := f.read(t, user.ID); err != nil || now.PasswordHash != "another hash" {
					t.Errorf("changing the password: %v, the hash is %q", err, now.PasswordHash)
				}
				if leaves {
					if err := f.Delete(t.Context(), f.read(t, user.ID), LoginMethod{Password: "another horse"}); err != nil {
						t.Fatal(err)
					}
				}
				restore()
				f.queues.Accounts = older{f.queues.Accounts}
				f.due(t, user.ID)
				if err := f.ReconcileNext(t.Context()); err != nil {
					t.Fatal(err)
				}
				if leaves {
					f.checkNoUsers(t)
					return
				}
				now := f.read(t, user.ID)
				if now.CubeID == 0 || !now.Account.Due.IsZero() || len(f.sandbox.State().Users) != 1 {
					t.Fatalf("%+v; there %+v", now, f.sandbox.State().Users)
				}
				if _, err := f.OpenCubeSession(t.Context(), now, f.login(t, now, "s"), LoginMethod{}); err != nil {
					t.Errorf("opening a session without a password: %v", err)
				}
			})
		}
	}
}

func TestDeleteChangesNothingIfItCannotFinish(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	if err := f.Delete(t.Context(), user, LoginMethod{}); !errors.Is(err, ErrPasswordRequired) {
		t.Errorf("without a login: %v, want %v", err, ErrPasswordRequired)
	}
	restore := f.takeDown()
	if err := f.Delete(t.Context(), user, LoginMethod{Password: password}); !errors.Is(err, connectycube.ErrUnavailable) {
		t.Errorf("while ConnectyCube is away: %v", err)
	}
	restore()
	if got := f.read(t, user.ID); got.Deleting || got.Email != "ada@x.org" || got.Account.Lease != "" {
		t.Errorf("something has changed: %+v", got)
	}
	if err := f.Delete(t.Context(), user, LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Users().ByID(t.Context(), user.ID); !errors.Is(err, store.ErrNotFound) || len(f.sandbox.State().Users) != 0 {
		t.Errorf("afterwards: %v, and %d accounts", err, len(f.sandbox.State().Users))
	}
}

func TestDeletionWithAdminKey(t *testing.T) {
	u := newUnit(t, func(o *Options) { o.Settings.HasAdminKey = true })
	u.cubeUsers.user = connectycube.User{ID: 7}
	u.records.list = []store.Session{{ID: "s1"}}
	user := newUser(func(u *store.User) { u.Deleting = true })
	if err := u.begin(user, LoginMethod{}).reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(u.cubeUsers.deleted, []int64{7}) || !slices.Equal(u.records.removed, []string{"s1"}) || !slices.Equal(u.accounts.removed, []string{user.ID}) {
		t.Errorf("deleted account %v, records %v, user %v", u.cubeUsers.deleted, u.records.removed, u.accounts.removed)
	}
}

// Without the administration key and without a login, an account with a shared password
// cannot be deleted, and stays for a later attempt.
func TestDeletionNeedsASession(t *testing.T) {
	u := newUnit(t, func(o *Options) { o.Sealer = sealedByAnother{} })
	u.cubeUsers.user = connectycube.User{ID: 7, Email: "ada@example.org"}
	u.cube.create = func(connectycube.Credentials) (connectycube.Session, error) {
		return connectycube.Session{}, connectycube.ErrBadCredentials
	}
	err := u.begin(newUser(func(u *store.User) { u.Deleting = true }), LoginMethod{}).reconcile(t.Context())
	if !errors.Is(err, ErrCannotDelete) || len(u.accounts.removed) != 0 {
		t.Errorf("%v, removed %v; want %v and none", err, u.accounts.removed, ErrCannotDelete)
	}
}

// A deletion uses the session that was saved for it. If that session is of another
// account, which ConnectyCube has created at a login, that account is deleted first.
func TestDeletionUsesTheSavedSession(t *testing.T) {
	for name, tt := range map[string]struct {
		owner int64 // of the saved session
		want  error
	}{
		"the user's account": {7, nil},
		"another account":    {8, ErrPending},
	} {
		u := newUnit(t)
		u.cubeUsers.user = connectycube.User{ID: 7, Email: "ada@example.org"}
		u.cube.owners = map[string]int64{"saved": tt.owner}
		user := newUser(func(u *store.User) { u.Deleting, u.Account.Token = true, "saved" })
		err := u.begin(user, LoginMethod{}).reconcile(t.Context())
		if !errors.Is(err, tt.want) || !slices.Equal(u.userAPI.deleted, []int64{tt.owner}) || (len(u.accounts.removed) == 1) != (tt.want == nil) {
			t.Errorf("%s: %v, deleted accounts %v, removed users %v; want %v", name, err, u.userAPI.deleted, u.accounts.removed, tt.want)
		}
	}
}

// The deletion of a user without an account leaves an account alone that has the user's
// ID and another email.
func TestDeletionLeavesAForeignAccount(t *testing.T) {
	u := newUnit(t, func(o *Options) { o.Settings.HasAdminKey = true })
	u.cubeUsers.user = connectycube.User{ID: 8, Email: "mallory@example.org"}
	user := newUser(func(u *store.User) { u.CubeID, u.Deleting, u.Email = 0, true, "deleted" })
	if err := u.begin(user, LoginMethod{}).reconcile(t.Context()); err != nil || len(u.cubeUsers.deleted) != 0 || len(u.accounts.removed) != 1 {
		t.Errorf("%v, deleted accounts %v, removed users %v; want none and one", err, u.cubeUsers.deleted, u.accounts.removed)
	}
}

// sealedByAnother opens nothing.
type sealedByAnother struct{ Sealer }

func (sealedByAnother) Open(string, string) (string, error) { return "", tokens.ErrSealed }

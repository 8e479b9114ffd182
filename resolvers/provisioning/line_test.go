package provisioning

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// spent is a budget whose one token is gone for an hour.
func spent(t *testing.T) *SignUpBudget {
	t.Helper()
	b := NewSignUpBudget(1, 1, networksOf)
	if err := b.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// plenty is a budget with tokens.
func plenty() *SignUpBudget { return NewSignUpBudget(1, 100, networksOf) }

// overBudget is a world whose budget is spent.
func overBudget(t *testing.T, edit ...func(*Provisioner)) *world {
	t.Helper()
	w := newWorld(t, edit...)
	w.SignUps = spent(t)
	return w
}

// stands checks that an account stands in line as if nothing had failed.
func (w *world) stands(t *testing.T, id string) store.User {
	t.Helper()
	user := w.read(t, id)
	if a := user.Account; user.CubeID != 0 || a.Turn.IsZero() || !a.Due.IsZero() || a.Lease != "" || a.Attempts != 0 || a.LastError != "" {
		t.Fatalf("account %d, %+v; want it in line", user.CubeID, a)
	}
	return user
}

// ready checks that one account was made, and that nothing is left to do.
func (w *world) ready(t *testing.T, id string) store.User {
	t.Helper()
	user := w.read(t, id)
	a := user.Account
	if user.CubeID == 0 || !a.Turn.IsZero() || !a.Due.IsZero() || a.Lease != "" || a.Attempts != 0 || len(w.box.State().Users) != 1 {
		t.Fatalf("account %d, %+v, and %d at ConnectyCube; want one, and nothing to do", user.CubeID, a, len(w.box.State().Users))
	}
	return user
}

func TestRegistrationOverBudgetIsMadeInItsTurn(t *testing.T) {
	w := overBudget(t)
	user := w.pending(t, "ada@x.org")
	if len(w.box.State().Users) != 0 {
		t.Fatal("an account was made")
	}
	w.stands(t, user.ID)
	if err := w.ReconcileNext(t.Context()); !isOverBudget(err) {
		t.Errorf("the worker without a token: %v", err)
	}
	w.stands(t, user.ID)
	w.SignUps = plenty()
	if err := w.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	user = w.ready(t, user.ID)
	if err := w.ReconcileNext(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("there is more: %v", err)
	}
	if _, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "s"), LoginMethod{}); err != nil {
		t.Errorf("a refresh: %v", err)
	}
	if _, err := w.OpenCubeSession(t.Context(), w.read(t, user.ID), w.login(t, user, "s2"), LoginMethod{Password: password}); err != nil || !w.takes(t, "ada@x.org", password) {
		t.Errorf("after a login, the account has the user's own password: %t, %v", w.takes(t, "ada@x.org", password), err)
	}
}

// A line that a former process has left is served even when the settings know no limit any more.
func TestLineIsServedWithoutABudget(t *testing.T) {
	w := overBudget(t)
	user := w.pending(t, "ada@x.org")
	w.SignUps = nil
	if err := w.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.ready(t, user.ID)
}

// Where no account may be made later, a registration over budget leaves nothing, not even
// a tombstone.
func TestRegistrationOverBudgetIsRefused(t *testing.T) {
	w := overBudget(t, func(k *Provisioner) { k.MakeLater = false })
	_, err := w.register(t, "ada@x.org", password)
	if over, ok := errors.AsType[*OverBudgetError](err); !ok || over.RetryAfter <= 0 || over.RetryAfter > time.Minute {
		t.Errorf("%v, want an over-budget error", err)
	}
	w.nobody(t)
}

// A login of a user in line takes a token when one is to be had, and otherwise leaves the
// user's place as it is.
func TestLoginInLine(t *testing.T) {
	w := overBudget(t)
	user := w.pending(t, "ada@x.org")
	turn := user.Account.Turn
	for i := range 3 {
		if _, err := w.OpenCubeSession(t.Context(), w.read(t, user.ID), w.login(t, user, fmt.Sprint(i)), LoginMethod{Password: password}); !isOverBudget(err) {
			t.Fatalf("a login without a token: %v", err)
		}
		if got := w.stands(t, user.ID).Account.Turn; !got.Equal(turn) {
			t.Errorf("login %d has moved the user from %v to %v", i, turn, got)
		}
	}
	w.SignUps = plenty()
	chat, err := w.OpenCubeSession(t.Context(), w.read(t, user.ID), w.login(t, user, "s"), LoginMethod{Password: password})
	if err != nil || chat.Token == "" {
		t.Fatalf("a login with a token: %+v, %v", chat, err)
	}
	w.ready(t, user.ID)
	if !w.takes(t, "ada@x.org", password) {
		t.Error("the account has not got the user's own password")
	}
}

// What exists needs no token: an account that a lost answer, or ConnectyCube by itself, has
// left is found and opened.
func TestFoundAccountsNeedNoToken(t *testing.T) {
	for name, m := range map[string]LoginMethod{"by password": {Password: password}, "by ticket": {ViaIdentityProvider: true}} {
		t.Run(name, func(t *testing.T) {
			w := overBudget(t)
			user := w.pending(t, "ada@x.org")
			w.signUp(t, "ada@x.org", password, user.ID)
			if m.ViaIdentityProvider {
				w.provider(t)
			}
			chat, err := w.OpenCubeSession(t.Context(), w.read(t, user.ID), w.login(t, user, "s"), m)
			if err != nil || chat.Token == "" {
				t.Fatalf("%+v, %v", chat, err)
			}
			w.ready(t, user.ID)
		})
	}
}

// A login by ticket at which ConnectyCube would make the account takes a token; one at
// which it finds it does not.
func TestLoginByTicketTakesATokenForANewAccount(t *testing.T) {
	w := overBudget(t)
	w.provider(t)
	user := w.pending(t, "ada@x.org")
	login := w.login(t, user, "s")
	if _, err := w.OpenCubeSession(t.Context(), user, login, LoginMethod{ViaIdentityProvider: true}); !isOverBudget(err) || len(w.box.State().Users) != 0 {
		t.Fatalf("without a token: %v, %d accounts", err, len(w.box.State().Users))
	}
	w.stands(t, user.ID)
	w.SignUps = NewSignUpBudget(1, 1, networksOf)
	if chat, err := w.OpenCubeSession(t.Context(), w.read(t, user.ID), login, LoginMethod{ViaIdentityProvider: true}); err != nil || chat.Token == "" {
		t.Fatalf("with a token: %+v, %v", chat, err)
	}
	w.ready(t, user.ID)
	if err := w.SignUps.take(t.Context()); err == nil {
		t.Error("the token was not used")
	}
}

// A worker that finds the account which it was to make gives its token back.
func TestUnusedTokenComesBack(t *testing.T) {
	w := overBudget(t)
	user := w.pending(t, "ada@x.org")
	w.signUp(t, "ada@x.org", password, user.ID)
	w.SignUps = NewSignUpBudget(1, 1, networksOf)
	w.SignUps.stands() // so that the worker takes its token first
	if err := w.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.read(t, user.ID).CubeID == 0 {
		t.Error("the account was not found")
	}
	if err := w.SignUps.takeForLine(); err != nil {
		t.Error(err)
	}
}

// Users in line are users: they may change their password, and leave.
func TestUsersInLineAreUsers(t *testing.T) {
	w := overBudget(t)
	user := w.pending(t, "ada@x.org")
	err := w.ChangePassword(t.Context(), user, PasswordChange{Old: password, New: "another horse", NewHash: "another hash"})
	if now := w.read(t, user.ID); err != nil || now.PasswordHash != "another hash" {
		t.Errorf("changing the password: %v, the hash is %q", err, now.PasswordHash)
	}
	w.stands(t, user.ID)
	if err := w.Delete(t.Context(), w.read(t, user.ID), LoginMethod{Password: "another horse"}); err != nil {
		t.Fatal(err)
	}
	w.SignUps, w.Work.Accounts = plenty(), older{w.Work.Accounts}
	w.due(t, user.ID)
	if err := w.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.nobody(t)
	if err := w.ReconcileNext(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something is left in line: %v", err)
	}
}

// An account that is gone at ConnectyCube is made again in its turn, too.
func TestRemadeAccountWaitsForItsTurn(t *testing.T) {
	w := newWorld(t)
	user := w.made(t, "ada@x.org")
	session, err := w.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
	if err == nil {
		err = w.cube.DeleteUser(t.Context(), session)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.SignUps = spent(t)
	v := w.visit(user, LoginMethod{Password: password})
	if err := v.remake(t.Context()); !isOverBudget(err) {
		t.Fatalf("without a token: %v", err)
	}
	if a := w.read(t, user.ID).Account; a.Turn.IsZero() || !a.Due.IsZero() {
		t.Fatalf("%+v; want it in line", a)
	}
	w.SignUps = plenty()
	if err := w.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := w.ready(t, user.ID); now.CubeID == user.CubeID {
		t.Error("the account was not made again")
	}
}

// An account whose sign-up fails backs off longer and longer, although it stands in line
// between its attempts: it must not take one token after the other.
func TestFailingSignUpBacksOffInLine(t *testing.T) {
	w := overBudget(t)
	user := w.pending(t, "ada@x.org")
	fails := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/users.json" {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.box.ServeHTTP(rw, r)
	})
	w.away.Store(&fails)
	for attempt := 1; attempt < 6; attempt++ {
		w.SignUps = plenty()
		begun := time.Now()
		if err := w.ReconcileNext(t.Context()); err != nil { // from the line, with a token
			t.Fatal(err)
		}
		a := w.read(t, user.ID).Account
		if least := (store.FirstBackOff << attempt) / 2; a.Attempts != attempt || a.Due.Before(begun.Add(least-time.Second)) || a.Turn.IsZero() {
			t.Fatalf("after attempt %d: %+v, due in %v; want %v at least", attempt, a, a.Due.Sub(begun), least)
		}
		w.SignUps = spent(t)
		w.due(t, user.ID)
		if err := w.ReconcileNext(t.Context()); err != nil { // back to the line, without one
			t.Fatal(err)
		}
		if a := w.read(t, user.ID).Account; a.Attempts != attempt || !a.Due.IsZero() {
			t.Fatalf("back in line after attempt %d: %+v", attempt, a)
		}
	}
	w.away.Store(nil)
	w.SignUps = plenty()
	if err := w.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.ready(t, user.ID)
}

// errDied is how a dead process looks to the code that runs after its death.
var errDied = fmt.Errorf("the process died: %w", errors.Join(store.ErrUnavailable, connectycube.ErrUnavailable))

// dying is what a keeper talks to, until the process dies at one of the calls: before it
// or, when late, after it.
type dying struct {
	AccountStore
	WorkQueue[store.User]
	Line
	Cube
	calls int
	late  bool
}

func (d *dying) call(do func() error) error {
	d.calls--
	if d.calls < 0 || d.calls == 0 && !d.late {
		return errDied
	}
	if err := do(); d.calls > 0 {
		return err
	}
	return errDied
}

func (d *dying) Acquire(ctx context.Context, id string, l store.Lease) (u store.User, err error) {
	err = d.call(func() (err error) { u, err = d.WorkQueue.Acquire(ctx, id, l); return err })
	return u, err
}

func (d *dying) Save(ctx context.Context, l store.Lease, u store.User) error {
	return d.call(func() error { return d.AccountStore.Save(ctx, l, u) })
}

func (d *dying) Complete(ctx context.Context, id string, l store.Lease, version int64) error {
	return d.call(func() error { return d.WorkQueue.Complete(ctx, id, l, version) })
}

func (d *dying) Retry(ctx context.Context, id string, l store.Lease, due time.Time, lastError string) error {
	return d.call(func() error { return d.WorkQueue.Retry(ctx, id, l, due, lastError) })
}

func (d *dying) Wait(ctx context.Context, id string, l store.Lease, turn time.Time, attempts int) error {
	return d.call(func() error { return d.Line.Wait(ctx, id, l, turn, attempts) })
}

func (d *dying) ClaimTurn(ctx context.Context, l store.Lease) (u store.User, err error) {
	err = d.call(func() (err error) { u, err = d.Line.ClaimTurn(ctx, l); return err })
	return u, err
}

func (d *dying) SignUp(ctx context.Context, n connectycube.NewUser) (u connectycube.User, err error) {
	err = d.call(func() (err error) { u, err = d.Cube.SignUp(ctx, n); return err })
	return u, err
}

// A process dies at each call, before it and after it, while an account gets into the line
// and out of it. The next process makes one account and leaves nothing to do.
func TestLineSurvivesDeath(t *testing.T) {
	for _, late := range []bool{false, true} {
		for calls := 1; calls <= 8; calls++ {
			t.Run(fmt.Sprintf("at call %d, late %t", calls, late), func(t *testing.T) {
				w := overBudget(t)
				accounts, work, line, cube := w.Accounts, w.Work.Accounts, w.Line, w.Cube
				d := &dying{AccountStore: accounts, WorkQueue: work, Line: line, Cube: cube, calls: calls, late: late}
				w.Accounts, w.Work.Accounts, w.Line, w.Cube = d, d, d, d
				user, _ := w.register(t, "ada@x.org", password)
				w.SignUps = plenty()
				_ = w.ReconcileNext(t.Context())
				if d.calls > 0 && calls <= 6 {
					t.Fatalf("%d calls are left", d.calls)
				}
				w.Accounts, w.Work.Accounts, w.Line, w.Cube = accounts, work, line, cube
				w.SignUps = spent(t)
				if err := w.store.AccountWork().ReleaseAll(t.Context()); err != nil {
					t.Fatal(err)
				}
				_ = w.ReconcileNext(t.Context()) // what is due goes into the line, or is found
				w.SignUps = plenty()
				for range 3 {
					if err := w.ReconcileNext(t.Context()); errors.Is(err, store.ErrNotFound) {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				w.ready(t, user.ID)
			})
		}
	}
}

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

// overBudget is a fixture whose budget is spent.
func overBudget(t *testing.T, edit ...func(*Options)) *fixture {
	t.Helper()
	f := newFixture(t, edit...)
	f.signUps = spent(t)
	return f
}

// stands checks that an account stands in line as if nothing had failed.
func (f *fixture) stands(t *testing.T, id string) store.User {
	t.Helper()
	user := f.read(t, id)
	if a := user.Account; user.CubeID != 0 || a.Turn.IsZero() || !a.Due.IsZero() || a.Lease != "" || a.Attempts != 0 || a.LastError != "" {
		t.Fatalf("account %d, %+v; want it in line", user.CubeID, a)
	}
	return user
}

// ready checks that one account was made, and that nothing is left to do.
func (f *fixture) ready(t *testing.T, id string) store.User {
	t.Helper()
	user := f.read(t, id)
	a := user.Account
	if user.CubeID == 0 || !a.Turn.IsZero() || !a.Due.IsZero() || a.Lease != "" || a.Attempts != 0 || len(f.sandbox.State().Users) != 1 {
		t.Fatalf("account %d, %+v, and %d at ConnectyCube; want one, and nothing to do", user.CubeID, a, len(f.sandbox.State().Users))
	}
	return user
}

func TestRegistrationOverBudgetWaitsForItsTurn(t *testing.T) {
	f := overBudget(t)
	user := f.pending(t, "ada@x.org")
	if len(f.sandbox.State().Users) != 0 {
		t.Fatal("an account was made")
	}
	f.stands(t, user.ID)
	if err := f.ReconcileNext(t.Context()); !isOverBudget(err) {
		t.Errorf("the worker without a token: %v", err)
	}
	f.stands(t, user.ID)
	f.signUps = plenty()
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	user = f.ready(t, user.ID)
	if err := f.ReconcileNext(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("there is more: %v", err)
	}
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{}); err != nil {
		t.Errorf("a refresh: %v", err)
	}
	if _, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "s2"), LoginMethod{Password: password}); err != nil || !f.acceptsPassword(t, "ada@x.org", password) {
		t.Errorf("after a login, the account has the user's own password: %t, %v", f.acceptsPassword(t, "ada@x.org", password), err)
	}
}

// A line from a former process is served even if the settings no longer have a limit.
func TestLineIsServedWithoutABudget(t *testing.T) {
	f := overBudget(t)
	user := f.pending(t, "ada@x.org")
	f.signUps = nil
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.ready(t, user.ID)
}

// Without RegisterWhileAway, a registration over budget leaves nothing, not even a
// tombstone.
func TestRegistrationOverBudgetIsRefused(t *testing.T) {
	f := overBudget(t, func(o *Options) { o.Settings.RegisterWhileAway = false })
	_, err := f.register(t, "ada@x.org", password)
	if over, ok := errors.AsType[*OverBudgetError](err); !ok || over.RetryAfter <= 0 || over.RetryAfter > time.Minute {
		t.Errorf("%v, want an over-budget error", err)
	}
	f.checkNoUsers(t)
}

// A login of a user in line takes a token if there is one, and otherwise keeps the
// user's place.
func TestLoginInLine(t *testing.T) {
	f := overBudget(t)
	user := f.pending(t, "ada@x.org")
	turn := user.Account.Turn
	for i := range 3 {
		if _, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, fmt.Sprint(i)), LoginMethod{Password: password}); !isOverBudget(err) {
			t.Fatalf("a login without a token: %v", err)
		}
		if got := f.stands(t, user.ID).Account.Turn; !got.Equal(turn) {
			t.Errorf("login %d has moved the user from %v to %v", i, turn, got)
		}
	}
	f.signUps = plenty()
	chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "s"), LoginMethod{Password: password})
	if err != nil || chat.Token == "" {
		t.Fatalf("a login with a token: %+v, %v", chat, err)
	}
	f.ready(t, user.ID)
	if !f.acceptsPassword(t, "ada@x.org", password) {
		t.Error("the account has not got the user's own password")
	}
}

// An account that exists needs no token. It may exist because a reply was lost, or because
// ConnectyCube created it by itself.
func TestFoundAccountsNeedNoToken(t *testing.T) {
	for name, m := range map[string]LoginMethod{"by password": {Password: password}, "by ticket": {ViaIdentityProvider: true}} {
		t.Run(name, func(t *testing.T) {
			f := overBudget(t)
			user := f.pending(t, "ada@x.org")
			f.signUp(t, "ada@x.org", password, user.ID)
			if m.ViaIdentityProvider {
				f.provider(t)
			}
			chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "s"), m)
			if err != nil || chat.Token == "" {
				t.Fatalf("%+v, %v", chat, err)
			}
			f.ready(t, user.ID)
		})
	}
}

// A login by ticket takes a token if ConnectyCube would create the account, and none if
// the account exists.
func TestLoginByTicketTakesATokenForANewAccount(t *testing.T) {
	f := overBudget(t)
	f.provider(t)
	user := f.pending(t, "ada@x.org")
	login := f.login(t, user, "s")
	if _, err := f.OpenCubeSession(t.Context(), user, login, LoginMethod{ViaIdentityProvider: true}); !isOverBudget(err) || len(f.sandbox.State().Users) != 0 {
		t.Fatalf("without a token: %v, %d accounts", err, len(f.sandbox.State().Users))
	}
	f.stands(t, user.ID)
	f.signUps = NewSignUpBudget(1, 1, networksOf)
	if chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), login, LoginMethod{ViaIdentityProvider: true}); err != nil || chat.Token == "" {
		t.Fatalf("with a token: %+v, %v", chat, err)
	}
	f.ready(t, user.ID)
	if err := f.signUps.take(t.Context()); err == nil {
		t.Error("the token was not used")
	}
}

// A worker that finds the account instead of signing it up returns its token.
func TestUnusedTokenComesBack(t *testing.T) {
	f := overBudget(t)
	user := f.pending(t, "ada@x.org")
	f.signUp(t, "ada@x.org", password, user.ID)
	f.signUps = NewSignUpBudget(1, 1, networksOf)
	f.signUps.stands() // the worker takes its token first now
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.read(t, user.ID).CubeID == 0 {
		t.Error("the account was not found")
	}
	if err := f.signUps.takeForLine(); err != nil {
		t.Error(err)
	}
}

// Users in line can change their password, and can be deleted.
func TestUsersInLineCanChange(t *testing.T) {
	f := overBudget(t)
	user := f.pending(t, "ada@x.org")
	err := f.ChangePassword(t.Context(), user, PasswordChange{Old: password, New: "another horse", NewHash: "another hash"})
	if now := f.read(t, user.ID); err != nil || now.PasswordHash != "another hash" {
		t.Errorf("changing the password: %v, the hash is %q", err, now.PasswordHash)
	}
	f.stands(t, user.ID)
	if err := f.Delete(t.Context(), f.read(t, user.ID), LoginMethod{Password: "another horse"}); err != nil {
		t.Fatal(err)
	}
	f.signUps, f.queues.Accounts = plenty(), older{f.queues.Accounts}
	f.due(t, user.ID)
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.checkNoUsers(t)
	if err := f.ReconcileNext(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something is left in line: %v", err)
	}
}

// An account that is gone at ConnectyCube waits for its turn to be signed up again, too.
func TestRemadeAccountWaitsForItsTurn(t *testing.T) {
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	session, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
	if err == nil {
		err = f.cube.DeleteUser(t.Context(), session)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.signUps = spent(t)
	s := sessionStep{r: f.begin(user, LoginMethod{Password: password})}
	if err := s.recreate(t.Context()); !isOverBudget(err) {
		t.Fatalf("without a token: %v", err)
	}
	if a := f.read(t, user.ID).Account; a.Turn.IsZero() || !a.Due.IsZero() {
		t.Fatalf("%+v; want it in line", a)
	}
	f.signUps = plenty()
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := f.ready(t, user.ID); now.CubeID == user.CubeID {
		t.Error("the account was not made again")
	}
}

// An account whose sign-up fails backs off longer and longer, although it stands in line
// between its attempts. It must not take one token after the other.
func TestFailingSignUpBacksOffInLine(t *testing.T) {
	f := overBudget(t)
	user := f.pending(t, "ada@x.org")
	fails := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/users.json" {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		f.sandbox.ServeHTTP(rw, r)
	})
	f.away.Store(&fails)
	for attempt := 1; attempt < 6; attempt++ {
		f.signUps = plenty()
		begun := time.Now()
		if err := f.ReconcileNext(t.Context()); err != nil { // from the line, with a token
			t.Fatal(err)
		}
		a := f.read(t, user.ID).Account
		if least := (store.FirstBackOff << attempt) / 2; a.Attempts != attempt || a.Due.Before(begun.Add(least-time.Second)) || a.Turn.IsZero() {
			t.Fatalf("after attempt %d: %+v, due in %v; want %v at least", attempt, a, a.Due.Sub(begun), least)
		}
		f.signUps = spent(t)
		f.due(t, user.ID)
		if err := f.ReconcileNext(t.Context()); err != nil { // back to the line, without one
			t.Fatal(err)
		}
		if a := f.read(t, user.ID).Account; a.Attempts != attempt || !a.Due.IsZero() {
			t.Fatalf("back in line after attempt %d: %+v", attempt, a)
		}
	}
	f.away.Store(nil)
	f.signUps = plenty()
	if err := f.ReconcileNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.ready(t, user.ID)
}

// errDied is what the code of a dead process gets from each call.
var errDied = fmt.Errorf("the process died: %f", errors.Join(store.ErrUnavailable, connectycube.ErrUnavailable))

// dying is the environment of a process that dies at one of its calls: before it or, if
// late, after it.
type dying struct {
	AccountStore
	WorkQueue[store.User]
	SignUpLine
	CubeClient
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
	return d.call(func() error { return d.SignUpLine.Wait(ctx, id, l, turn, attempts) })
}

func (d *dying) ClaimTurn(ctx context.Context, l store.Lease) (u store.User, err error) {
	err = d.call(func() (err error) { u, err = d.SignUpLine.ClaimTurn(ctx, l); return err })
	return u, err
}

func (d *dying) SignUp(ctx context.Context, n connectycube.NewUser) (u connectycube.User, err error) {
	err = d.call(func() (err error) { u, err = d.CubeClient.SignUp(ctx, n); return err })
	return u, err
}

// A process dies at each call, before it and after it, while an account enters the line and
// leaves it. The next process signs up one account and leaves nothing to do.
func TestLineSurvivesDeath(t *testing.T) {
	for _, late := range []bool{false, true} {
		for calls := 1; calls <= 8; calls++ {
			t.Run(fmt.Sprintf("at call %d, late %t", calls, late), func(t *testing.T) {
				f := overBudget(t)
				p := f.Provisioner
				accounts, work, line, cube := p.db.Accounts, p.queues.Accounts, p.db.Line, p.cube
				d := &dying{AccountStore: accounts, WorkQueue: work, SignUpLine: line, CubeClient: cube, calls: calls, late: late}
				p.db.Accounts, p.queues.Accounts, p.db.Line, p.cube = d, d, d, d
				user, _ := f.register(t, "ada@x.org", password)
				f.signUps = plenty()
				_ = f.ReconcileNext(t.Context())
				if d.calls > 0 && calls <= 6 {
					t.Fatalf("%d calls are left", d.calls)
				}
				p.db.Accounts, p.queues.Accounts, p.db.Line, p.cube = accounts, work, line, cube
				f.signUps = spent(t)
				if err := f.store.AccountWork().ReleaseAll(t.Context()); err != nil {
					t.Fatal(err)
				}
				_ = f.ReconcileNext(t.Context()) // what is due goes into the line, or is found
				f.signUps = plenty()
				for range 3 {
					if err := f.ReconcileNext(t.Context()); errors.Is(err, store.ErrNotFound) {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				f.ready(t, user.ID)
			})
		}
	}
}

package identity

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/store"
	"cubegate/tokens"
)

// While the hash queue is full, a stranger that it would refuse costs no look-up, with
// the same error for an account and for an unknown email.
func TestFullQueueRefusesStrangersBeforeTheLookUp(t *testing.T) {
	f := newFlows(t)
	f.stored()
	f.passwords.Full, f.users.LookUps = true, 0
	for _, email := range []string{ada.Email, "unknown@example.org"} {
		if e := f.guesses(t, 1, email, nil); e.Code != apierror.RateLimited {
			t.Errorf("%s: %s", email, e.Code)
		}
	}
	if f.users.LookUps != 0 || f.sessions.LookUps != 0 || len(f.passwords.Turns) != 0 {
		t.Errorf("%d look-ups of the user, %d of login sessions, %d turns", f.users.LookUps, f.sessions.LookUps, len(f.passwords.Turns))
	}
}

func TestFullQueueAdmitsKnownClients(t *testing.T) {
	f := newFlows(t)
	f.stored()
	f.from("203.0.113.5")
	in := f.loggedIn(t)
	f.passwords.Full = true
	if err := f.loginFrom(t, nil); err != nil {
		t.Errorf("from the network of the last login: %v", err)
	}
	if e := f.guesses(t, 1, "unknown@example.org", nil); e.Code != apierror.RateLimited {
		t.Errorf("another account from that network: %s", e.Code)
	}
	f.from("198.51.100.1")
	if err := f.loginFrom(t, nil); outward(err).Code != apierror.RateLimited {
		t.Errorf("from an unknown network: %v", err)
	}
	if _, err := f.refresh(t.Context(), in.RefreshToken); err != nil {
		t.Fatal(err)
	}
	if err := f.loginFrom(t, nil); err != nil {
		t.Errorf("from the network of the last refresh: %v", err)
	}
	f.from("192.0.2.77")
	phone := f.knownDeviceInput()
	if err := f.loginFrom(t, phone); err != nil {
		t.Errorf("a known device: %v", err)
	}
	f.from("192.0.2.79")
	forged := f.knownDeviceInput(func(d *tokens.KnownDevice) { d.EmailKey = "eve@example.org" })
	if err := f.loginFrom(t, forged); outward(err).Code != apierror.RateLimited {
		t.Errorf("a device of another account: %v", err)
	}
	f.guesses(t, 3, ada.Email, phone)
	looked := f.sessions.LookUps
	f.from("192.0.2.78")
	if e := f.guesses(t, 1, ada.Email, phone); e.Code != apierror.RateLimited || f.sessions.LookUps != looked {
		t.Errorf("a device without a budget: %s after %d look-ups", e.Code, f.sessions.LookUps-looked)
	}
}

// failingUsers are a database whose look-up fails with an error, or panics.
type failingUsers struct {
	UserStore
	err error // nil: the look-up panics
	see func()
}

func (u failingUsers) ByEmail(context.Context, string) (store.User, error) {
	u.see()
	if u.err == nil {
		panic("look-up")
	}
	return store.User{}, u.err
}

// An announcement lasts for the look-up, and ends however that ends. One that stayed would count as a waiter
// until the process ends.
func TestAnnouncementsEndWithTheLookUp(t *testing.T) {
	for name, err := range map[string]error{"an error": store.ErrUnavailable, "a panic": nil} {
		var hasher *identitytest.Hasher
		during := 0
		f := newFlows(t, func(o *Options) {
			o.Stores.Users = failingUsers{o.Stores.Users, err, func() { during = hasher.Arriving }}
		})
		hasher = f.passwords
		func() {
			defer func() { _ = recover() }()
			if _, got := f.login(t.Context(), adaLogin); !errors.Is(got, err) {
				t.Errorf("%s: %v", name, got)
			}
		}()
		if during != 1 || f.passwords.Arriving != 0 {
			t.Errorf("%s: %d announcements during the look-up, %d after it, want 1 and 0", name, during, f.passwords.Arriving)
		}
	}
	f := newFlows(t)
	f.stored()
	f.loggedIn(t)
	f.guesses(t, 1, "unknown@example.org", nil)
	if f.passwords.Arriving != 0 {
		t.Errorf("after a login and a guess, %d announcements stay", f.passwords.Arriving)
	}
}

// observed replaces the budgets by ones that note which of them refuse.
func observed(t *testing.T, observe bool, refused *[]string) func(*Options) {
	return func(o *Options) {
		var err error
		o.Budgets, err = NewBudgets(BudgetOptions{
			LoginFailures: BudgetBound{3, time.Minute}, PerAccount: BudgetBound{3, time.Minute}, KnownTurns: BudgetBound{30, time.Minute}, Observe: observe, Log: slog.New(slog.DiscardHandler),
			New:     func(b BudgetBound) (Budget, error) { return identitytest.NewBudget(b.Burst), nil },
			Refused: func(name string) { *refused = append(*refused, name) },
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A known device that has spent its budget logs in as a stranger: no budget refuses it, so
// none counts a refusal.
func TestSpentDeviceThatLogsInIsNoRefusal(t *testing.T) {
	var refused []string
	f := newFlows(t, observed(t, false, &refused))
	f.stored()
	f.from("192.0.2.77")
	phone := f.knownDeviceInput()
	f.guesses(t, 3, ada.Email, phone)
	if err := f.loginFrom(t, phone); err != nil {
		t.Errorf("login = %v", err)
	}
	if turn := f.passwords.Turns[len(f.passwords.Turns)-1]; turn.Class == tokens.Known {
		t.Errorf("the login had the turn %+v, want a stranger's", turn)
	}
	if len(refused) != 0 {
		t.Errorf("refusals by %v, want none", refused)
	}
}

// If limits are only observed, a known device stays one after its budget is spent, also
// while the queue is full.
func TestObservedLimitsKeepDevicesKnown(t *testing.T) {
	var refused []string
	f := newFlows(t, observed(t, true, &refused))
	f.stored()
	f.from("192.0.2.77")
	phone := f.knownDeviceInput()
	f.guesses(t, 3, ada.Email, phone)
	f.passwords.Full = true
	if err := f.loginFrom(t, phone); err != nil {
		t.Errorf("login = %v", err)
	}
	if turn := f.passwords.Turns[len(f.passwords.Turns)-1]; turn.Class != tokens.Known {
		t.Errorf("the login had the turn %+v, want a known device's", turn)
	}
	if !slices.Equal(refused, []string{string(budgetDevice)}) {
		t.Errorf("counted refusals %v, want one by %s", refused, budgetDevice)
	}
}

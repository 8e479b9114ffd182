package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

func (f flows) reregister(ctx context.Context, in RegisterInput) (LoginResult, error) {
	return f.Logins.Register(ctx, f.stranger(store.AuditRegister, CostRegistration, CostGuess), in)
}

// Each row sends Ada's registration again after a change.
func TestARegistrationSentAgain(t *testing.T) {
	another := func(edit func(*RegisterInput)) func(*RegisterInput) { return edit }
	tests := []struct {
		name   string
		wait   time.Duration
		before func(*testing.T, flows)
		again  func(*RegisterInput)
		same   bool
	}{
		{"at once", 0, nil, nil, true},
		{"after a time-out", 30 * time.Second, nil, nil, true},
		{"within ten minutes", 10 * time.Minute, nil, nil, true},
		{"after ten minutes", 10*time.Minute + time.Second, nil, nil, false},
		{"another spelling of the email", 0, nil, another(func(in *RegisterInput) { in.Email = " aDA@example.ORG " }), true},
		{"another name", 0, nil, another(func(in *RegisterInput) { in.FirstName = "Augusta" }), true},
		{"another password", 0, nil, another(func(in *RegisterInput) { in.Password = "another horse" }), false},
		{"the password in upper case", 0, nil, another(func(in *RegisterInput) { in.Password = strings.ToUpper(in.Password) }), false},
		{"the user has logged in", time.Minute, func(t *testing.T, f flows) {
			if _, err := f.login(t.Context(), adaLogin); err != nil {
				t.Error(err)
			}
		}, nil, true},
		{"the user has logged out everywhere", time.Minute, func(_ *testing.T, f flows) { f.users.User.Sessions = nil }, nil, true},
		{"the password was changed", time.Minute, func(_ *testing.T, f flows) { f.users.User.PasswordHash = "hash of another horse" }, nil, false},
		{"the user was disabled", time.Minute, func(_ *testing.T, f flows) { f.users.User.Disabled = true }, nil, false},
		{"the password from another keyboard", 0, func(_ *testing.T, f flows) { f.users.User.PasswordHash = "hash of ma\u00f1ana1" }, another(func(in *RegisterInput) { in.Password = "man\u0303ana1" }), true},
		{"the original has registered the user", 0, func(_ *testing.T, f flows) {
			f.users.User.PasswordForm, f.users.User.PasswordHash = "", "hash of man\u0303ana1"
		}, another(func(in *RegisterInput) { in.Password = "man\u0303ana1" }), true},
		{"from another network", time.Minute, func(_ *testing.T, f flows) { f.from("198.51.100.7") }, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlows(t)
				first, err := f.reregister(t.Context(), ada)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.wait)
				if tt.before != nil {
					tt.before(t, f)
				}
				in, hashes, sessions := ada, f.passwords.Hashes(), len(f.sessions.All)
				if tt.again != nil {
					tt.again(&in)
				}
				got, err := f.reregister(t.Context(), in)
				if n := f.passwords.Hashes() - hashes; n != 1 {
					t.Errorf("it takes %d hashes, want 1", n)
				}
				if !tt.same {
					if outward(err).Code != apierror.Conflict || err.Error() != errEmailTaken.Error() || len(f.sessions.All) != sessions {
						t.Errorf("%v, %d sessions; want a conflict", err, len(f.sessions.All)-sessions)
					}
					return
				}
				if err != nil || got.User.ID != first.User.ID || got.User.FirstName != "Ada" || got.RefreshToken == "" || got.ChatStatus != provisioning.ChatReady || len(f.sessions.All) != sessions+1 {
					t.Errorf("%+v, %v", got, err)
				}
			})
		})
	}
}

// oneRegistration lets each network register once, and each account be guessed at twice.
func oneRegistration(o *Options) {
	o.Budgets, _ = NewBudgets(BudgetOptions{
		LoginFailures: BudgetBound{2, time.Minute}, Registrations: BudgetBound{1, time.Minute},
		Log: o.Log, New: func(b BudgetBound) (Budget, error) { return identitytest.NewBudget(b.Burst), nil },
	})
}

// A repeated registration takes nothing of the network's registrations, and a wrong
// password counts as one at a login.
func TestARepeatedRegistrationCountsAsALogin(t *testing.T) {
	f := newFlows(t, oneRegistration)
	if _, err := f.reregister(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := f.reregister(t.Context(), ada); err != nil {
			t.Fatalf("the only registration of the network, again: %v", err)
		}
	}
	bob := ada
	bob.Email = "bob@example.org"
	if _, err := f.reregister(t.Context(), bob); outward(err).Code != apierror.RateLimited {
		t.Errorf("another registration: %v", err)
	}
	wrong := ada
	wrong.Password = "another horse"
	for range 2 {
		if _, err := f.reregister(t.Context(), wrong); outward(err).Code != apierror.Conflict {
			t.Errorf("a wrong password: %v", err)
		}
	}
	if _, err := f.login(t.Context(), adaLogin); outward(err).Code != apierror.RateLimited {
		t.Errorf("a login after two wrong passwords: %v", err)
	}
	hashes := f.passwords.Hashes()
	if _, err := f.reregister(t.Context(), ada); outward(err).Code != apierror.RateLimited || f.passwords.Hashes() != hashes {
		t.Errorf("the registration again, after two wrong passwords: %v", err)
	}
	f.from("198.51.100.7") // whose registration is not spent
	if _, err := f.reregister(t.Context(), ada); err != nil {
		t.Errorf("from another network: %v", err)
	}
}

// To a client without the password, an email that was registered a moment ago looks as
// one that was registered long ago: the answer, its price, and what it leaves of the
// budgets.
func TestAStrangerLearnsNothingAboutARegistration(t *testing.T) {
	type outcome struct {
		code    apierror.Code
		message string
		hashes  int
	}
	var seen [2][]outcome
	for i, age := range []time.Duration{0, time.Hour} {
		f := newFlows(t)
		f.from("203.0.113.1")
		if _, err := f.reregister(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		f.users.User.Created = time.Now().Add(-age)
		f.from("198.51.100.7")
		for n := range 8 { // more than the budgets of registrations and of wrong passwords
			in := ada
			in.Password = fmt.Sprint("a guess ", n)
			before := f.passwords.Hashes()
			_, err := f.reregister(t.Context(), in)
			if err == nil {
				t.Fatal("a guess succeeds")
			}
			seen[i] = append(seen[i], outcome{outward(err).Code, errors.Unwrap(fmt.Errorf("%w", err)).Error(), f.passwords.Hashes() - before})
		}
	}
	for n := range seen[0] {
		if seen[0][n] != seen[1][n] {
			t.Errorf("attempt %d: %+v just after the registration, %+v long after", n, seen[0][n], seen[1][n])
		}
	}
}

// The first request still waits for ConnectyCube.
func TestARegistrationSentWhileTheFirstRuns(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprint("refused ", refused), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlows(t)
				signedUp := make(chan struct{})
				f.accounts.OnRegister = func(store.User) error {
					f.users.Edit(func(u *store.User) { u.Account.Lease = "first" })
					<-signedUp
					f.accounts.OnRegister = nil
					if refused { // the user never is without the lease
						f.users.Remove()
						return connectycube.ErrRefused
					}
					f.users.Edit(func(u *store.User) { u.Account.Lease, u.CubeID = "", adaCubeID })
					return nil
				}
				results := make(chan error, 2)
				ids := make(chan string, 2)
				send := func() {
					got, err := f.reregister(t.Context(), ada)
					ids <- got.User.ID
					results <- err
				}
				go send()
				synctest.Wait()
				go send()
				time.Sleep(5 * time.Second)
				if len(results) != 0 {
					t.Error("the second request does not wait for the first")
				}
				close(signedUp)
				first, second := <-results, <-results
				if refused { // the second one registers by itself
					if (first == nil) == (second == nil) || f.users.User == nil {
						t.Errorf("%v and %v; want one refusal", first, second)
					}
					return
				}
				one, other := <-ids, <-ids
				if first != nil || second != nil || one != other || len(f.users.User.Sessions) != 2 {
					t.Errorf("%v, %v; want one user twice", first, second)
				}
			})
		})
	}
}

// Both requests find the email free, and both hash. The slower one takes no second hash
// while the faster one runs.
func TestTwoRegistrationsAtOnce(t *testing.T) {
	for name, sameProcess := range map[string]bool{"one process": true, "two processes": false} {
		f := newFlows(t, oneRegistration)
		f.accounts.OnCreate = func(u *store.User) { // another request is faster
			f.accounts.OnCreate = nil
			faster := *u
			faster.ID, faster.PasswordHash, faster.CubeID, faster.Created = adaID, "hash of "+ada.Password, adaCubeID, time.Now()
			f.users.User = &faster
			if sameProcess {
				t.Cleanup(f.Logins.proven.Prove(faster, ada.Password))
			}
		}
		got, err := f.reregister(t.Context(), ada)
		want := 1
		if !sameProcess {
			want = 2
		}
		if err != nil || got.User.ID != adaID || f.passwords.Hashes() != want {
			t.Errorf("%s: %+v, %v, %d hashes; want %d", name, got.User, err, f.passwords.Hashes(), want)
		}
		bob := ada
		bob.Email = "bob@example.org"
		if _, err := f.reregister(t.Context(), bob); outward(err).Code != apierror.Conflict { // the fake store has one user
			t.Errorf("%s: the next registration of the network: %v", name, err)
		}
	}
	f := newFlows(t)
	f.accounts.OnCreate = func(u *store.User) {
		f.accounts.OnCreate = nil
		faster := *u
		faster.ID, faster.PasswordHash, faster.Created = adaID, "hash of another horse", time.Now()
		f.users.User = &faster
	}
	if _, err := f.reregister(t.Context(), ada); outward(err).Code != apierror.Conflict {
		t.Errorf("with another password: %v", err)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		for i := range maxAttempts + 5 {
			a.add(fmt.Sprint(i))
		}
		if len(a.at) != maxAttempts || !a.has("0") || a.has(fmt.Sprint(maxAttempts)) {
			t.Errorf("%d attempts are remembered", len(a.at))
		}
		time.Sleep(repeatWindow + time.Second)
		if a.has("0") {
			t.Error("an attempt is remembered after its window")
		}
		a.add("new")
		if !a.has("new") || len(a.at) != 1 {
			t.Errorf("%d attempts are remembered later", len(a.at))
		}
	})
}

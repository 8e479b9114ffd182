package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// One password in the forms of two keyboards.
const (
	ofMac   = "man\u0303ana1"
	ofPhone = "ma\u00f1ana1"
)

// withHash puts Ada into the store with the hash of a password in a form.
func (f flows) withHash(hash, form string) {
	f.stored(func(u *store.User) { u.PasswordHash, u.PasswordForm = hash, form })
}

// Not the number of hashes, their lanes or what they cost may tell whether an email has
// a user, and of which kind its hash is. A guess that is sent in another form than the
// normalized one costs and waits like two.
func TestWrongPasswordCostsTheSameForAllUsers(t *testing.T) {
	kinds := map[string]func(f flows){
		"unknown":     func(flows) {},
		"old hash":    func(f flows) { f.withHash("hash of another", "") },
		"bcrypt":      func(f flows) { f.withHash("old hash of another", "") },
		"another age": func(f flows) { f.withHash("hash of another", "opaque-1.0.0") },
		"new hash":    func(f flows) { f.withHash("hash of another", tokens.PasswordForm) },
		"no hash":     func(f flows) { f.withHash("", "") },
		"disabled":    func(f flows) { f.withHash("hash of another", ""); f.users.User.Disabled = true },
	}
	for name, there := range kinds {
		for guess, want := range map[string]int{"guess": 1, ofPhone: 1, ofMac: 2, "guess\u00a0": 2, "👩\u200d👧n\u0303": 1} {
			f := newFlows(t, roomyBudgets(t))
			there(f)
			_, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: guess})
			if !errors.Is(err, tokens.ErrWrongPassword) {
				t.Fatalf("%s: %v", name, err)
			}
			if got := f.passwords.Hashes(); got != want {
				t.Errorf("%s: %+q costs %d hashes, want %d", name, guess, got, want)
			}
			if got := len(f.passwords.Turns); got != want {
				t.Errorf("%s: %+q takes %d turns, want %d", name, guess, got, want)
			}
			for _, charge := range charges([]Cost{CostGuess}, budgetKeys{email: store.EmailKey(ada.Email), networks: f.client.Networks}) {
				if got := f.spent(charge); got != want {
					t.Errorf("%s: %+q takes %d of the budget %q, want %d", name, guess, got, charge.budget, want)
				}
			}
		}
	}
}

// roomyBudgets gives the flows budgets whose rest a test can count.
func roomyBudgets(t *testing.T) func(*Options) {
	return func(o *Options) {
		for name := range o.Budgets.byName {
			o.Budgets.byName[name] = &countingBudget{spent: map[string]int{}}
		}
	}
}

type countingBudget struct{ spent map[string]int }

func (b *countingBudget) Check(string) time.Duration { return 0 }
func (b *countingBudget) Take(key string) time.Duration {
	b.spent[key]++
	return 0
}
func (b *countingBudget) Return(key string) { b.spent[key]-- }

func (f flows) spent(c charge) int { return f.budgets.byName[c.budget].(*countingBudget).spent[c.key] }

func TestSecondHashOfAGuessNeedsItsOwnBudget(t *testing.T) {
	f := newFlows(t) // three failures of one account from one network
	f.withHash("hash of "+ofMac, "")
	for range 3 {
		_, _ = f.login(t.Context(), LoginInput{Email: ada.Email, Password: "n\u0303"})
	}
	if got := f.passwords.Hashes(); got != 3 {
		t.Errorf("%d hashes, want the 3 that the budget allows", got)
	}
	_, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: ofMac})
	if outward(err).Code != apierror.RateLimited {
		t.Errorf("%v, want %s", err, apierror.RateLimited)
	}
}

// A known device waits ahead of strangers, a bounded number of times. Two hashes are
// two times.
func TestSecondHashOfAKnownDeviceTakesAKnownTurn(t *testing.T) {
	f := newFlows(t, roomyBudgets(t))
	f.withHash("hash of another", "")
	_, _ = f.login(t.Context(), LoginInput{Email: ada.Email, Password: ofMac, Device: f.knownDeviceInput()})
	if got := f.spent(charge{budgetKnownTurns, adaID}); got != 2 {
		t.Errorf("%d known turns, want 2", got)
	}
	for _, turn := range f.passwords.Turns {
		if turn.Class != tokens.Known {
			t.Errorf("turn %+v, want a known one", turn)
		}
	}
}

func TestLoginWithBothForms(t *testing.T) {
	long := ofMac + fmt.Sprintf("%070d", 0) // bcrypt reads 72 bytes of it
	for _, tt := range []struct {
		name, hash, form string
		typed            string
		hashes           int
		wantHash         string // "" = the login is refused
		wantForm         string
	}{
		{"new hash, other keyboard", "hash of " + ofPhone, tokens.PasswordForm, ofMac, 1, "hash of " + ofPhone, tokens.PasswordForm},
		{"new hash, same keyboard", "hash of " + ofPhone, tokens.PasswordForm, ofPhone, 1, "hash of " + ofPhone, tokens.PasswordForm},
		{"old hash of a Mac: as sent, then normalized", "hash of " + ofMac, "", ofMac, 3, "hash of " + ofPhone, tokens.PasswordForm},
		{"old and stale hash of a Mac", "old hash of " + ofMac, "", ofMac, 3, "hash of " + ofPhone, tokens.PasswordForm},
		{"hash of a Mac under another version of Unicode", "hash of " + ofMac, "opaque-1.0.0", ofMac, 3, "hash of " + ofPhone, tokens.PasswordForm},
		{"old hash of a phone, on a Mac: only marked", "hash of " + ofPhone, "", ofMac, 1, "hash of " + ofPhone, tokens.PasswordForm},
		{"old hash of a phone, on a phone: nothing to learn", "hash of " + ofPhone, "", ofPhone, 1, "hash of " + ofPhone, ""},
		{"stale hash, one form", "old hash of " + ofPhone, "", ofPhone, 2, "hash of " + ofPhone, tokens.PasswordForm},
		{"old hash of a Mac, on a phone", "hash of " + ofMac, "", ofPhone, 1, "", ""},
		{"new hashes are never as sent", "hash of " + ofMac, tokens.PasswordForm, ofMac, 2, "", tokens.PasswordForm},
		{"refused by precis: one form", "hash of 👩\u200d👧n\u0303", "", "👩\u200d👧n\u0303", 1, "hash of 👩\u200d👧n\u0303", ""},
		{"longer than bcrypt reads", "$2b$10$ of " + long, "", long, 2, "$2b$10$ of " + long, ""},
	} {
		f := newFlows(t, func(o *Options) { o.Hasher = bcryptToo{o.Hasher} })
		f.withHash(tt.hash, tt.form)
		_, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: tt.typed})
		if (err == nil) != (tt.wantHash != "") || err != nil && !errors.Is(err, tokens.ErrWrongPassword) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := f.passwords.Hashes(); got != tt.hashes {
			t.Errorf("%s: %d hashes, want %d", tt.name, got, tt.hashes)
		}
		if u := f.users.User; err == nil && u.PasswordHash != tt.wantHash || u.PasswordForm != tt.wantForm {
			t.Errorf("%s: now %+q in the form %q, want %+q in %q", tt.name, u.PasswordHash, u.PasswordForm, tt.wantHash, tt.wantForm)
		}
	}
}

// bcryptToo lets the fake hasher know hashes of bcrypt.
type bcryptToo struct{ PasswordHasher }

func (h bcryptToo) Compare(ctx context.Context, t tokens.Turn, password, hash string) (bool, error) {
	if hash == "$2b$10$ of "+password {
		hash = "hash of " + password
	}
	return h.PasswordHasher.Compare(ctx, t, password, hash)
}

// A login whose first comparison fails and whose second succeeds is no guess.
func TestLoginAsSentIsNotCharged(t *testing.T) {
	f := newFlows(t)
	f.users.UpgradeErr = errors.New("odd")
	f.withHash("hash of "+ofMac, "")
	for i := range 10 {
		if _, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: ofMac}); err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
	}
}

// Another login has normalized the hash since this one read it.
func TestLoginAsSentWhileAnotherLoginNormalizes(t *testing.T) {
	for next, want := range map[string]apierror.Code{"hash of " + ofPhone: "", "hash of another": apierror.Unauthenticated, "hash of " + ofMac: apierror.Unauthenticated} {
		f := newFlows(t)
		f.withHash("hash of "+ofMac, "")
		f.Passwords.replaceHash = func(context.Context, store.HashUpgrade) error {
			f.users.User.PasswordHash, f.users.User.PasswordForm = next, tokens.PasswordForm
			return nil
		}
		_, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: ofMac})
		if (err == nil) != (want == "") || err != nil && outward(err).Code != want {
			t.Errorf("%+q: %v, want %q", next, err, want)
		}
	}
}

func TestRegistrationIsNormalized(t *testing.T) {
	for _, typed := range []string{ofMac, ofPhone} {
		f := newFlows(t)
		in := ada
		in.Password = typed
		if _, err := f.register(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if u := f.users.User; u.PasswordHash != "hash of "+ofPhone || u.PasswordForm != tokens.PasswordForm {
			t.Errorf("stored %+q in the form %q", u.PasswordHash, u.PasswordForm)
		}
		for _, again := range []string{ofMac, ofPhone} {
			if _, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: again}); err != nil {
				t.Errorf("registered with %+q, login with %+q: %v", typed, again, err)
			}
		}
	}
}

// ConnectyCube asks the verify route about a form of the password while the login that
// sent it waits.
func TestCallbackWithEitherFormIsProven(t *testing.T) {
	for _, presented := range []string{ofMac, ofPhone} {
		f := newFlows(t)
		f.withHash("hash of "+ofPhone, tokens.PasswordForm)
		answers := f.callBack(func() int { return f.verifyPassword(ada.Email, presented) })
		if _, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: ofMac}); err != nil || !slices.Equal(*answers, []int{http.StatusOK}) {
			t.Errorf("%+q: %v, the callback got %v", presented, err, *answers)
		}
		if n := f.passwords.Hashes(); n != 1 {
			t.Errorf("%+q: %d hashes, want 1", presented, n)
		}
		f.nothingProven(t)
	}
}

func TestVerifyRouteTakesBothForms(t *testing.T) {
	for _, tt := range []struct {
		hash, form, presented string
		status, hashes        int
	}{
		{"hash of " + ofPhone, tokens.PasswordForm, ofMac, http.StatusOK, 1},
		{"hash of " + ofMac, "", ofMac, http.StatusOK, 2},
		{"hash of " + ofMac, "", ofPhone, http.StatusUnauthorized, 1},
		{"hash of " + ofMac, tokens.PasswordForm, ofMac, http.StatusUnauthorized, 2},
	} {
		f := newFlows(t)
		f.withHash(tt.hash, tt.form)
		if got := f.verifyPassword(ada.Email, tt.presented); got != tt.status || f.passwords.Hashes() != tt.hashes {
			t.Errorf("%+v: status %d, %d hashes", tt, got, f.passwords.Hashes())
		}
		if f.users.User.PasswordHash != tt.hash || f.users.User.PasswordForm != tt.form {
			t.Errorf("%+v: the callback changed the user", tt)
		}
	}
}

func TestConfirmationTakesBothForms(t *testing.T) {
	f := newFlows(t)
	for hash, form := range map[string]string{"hash of " + ofPhone: tokens.PasswordForm, "hash of " + ofMac: ""} {
		f.withHash(hash, form)
		if err := f.confirm(t.Context(), "s1", ofMac); err != nil {
			t.Errorf("%+q: %v", hash, err)
		}
	}
	f = newFlows(t, roomyBudgets(t))
	f.withHash("hash of another", tokens.PasswordForm)
	if err := f.confirm(t.Context(), "s1", ofMac); outward(err).Code != apierror.Forbidden {
		t.Errorf("a wrong one: %v", err)
	}
	if n, turns := f.passwords.Hashes(), f.spent(charge{budgetKnownTurns, adaID}); n != 2 || turns != 2 {
		t.Errorf("a wrong one: %d hashes and %d known turns, want 2", n, turns)
	}
}

func TestChangedPasswordIsNormalized(t *testing.T) {
	f, e := editing(t, nil)
	f.withHash("hash of "+ofMac, "")
	const newOfMac, newOfPhone = "zoe\u0308zoe\u0308", "zo\u00ebzo\u00eb"
	if err := f.Profiles.ChangePassword(t.Context(), f.ada(store.AuditPassword, CostGuess), PasswordInput{ofMac, newOfMac}); err != nil {
		t.Fatal(err)
	}
	want := provisioning.PasswordChange{Old: ofMac, New: newOfMac, NewHash: "hash of " + newOfPhone, KeepSession: "s1"}
	if !slices.Equal(e.passwords, []provisioning.PasswordChange{want}) {
		t.Errorf("changed %+q", e.passwords)
	}
}

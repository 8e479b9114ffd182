package identity

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"cubegate/resolvers/identity/identitytest"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// callBack lets ConnectyCube call the verify route while a request waits for its
// session. It returns the statuses of the responses.
func (f flows) callBack(verify func() int) *[]int {
	var answers []int
	f.accounts.OnOpen = func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error) {
		answers = append(answers, verify())
		return provisioning.CubeSession{UserID: adaCubeID}, nil
	}
	return &answers
}

func (f flows) nothingProven(t *testing.T) {
	t.Helper()
	if p := f.Logins.proven; p.count != 0 || len(p.proofs) != 0 {
		t.Errorf("%d proofs and %d emails outlive their requests", p.count, len(p.proofs))
	}
}

// A login or a registration costs one hash, although ConnectyCube presents the password
// to the verify route meanwhile.
func TestLoginAndItsCallbackHashOnce(t *testing.T) {
	for name, run := range map[string]func(f flows) error{
		"register": func(f flows) error { _, err := f.register(t.Context(), ada); return err },
		"login":    func(f flows) error { f.stored(); _, err := f.login(t.Context(), adaLogin); return err },
	} {
		f := newFlows(t)
		answers := f.callBack(func() int { return f.verifyPassword("ADA@example.org", ada.Password) })
		if err := run(f); err != nil || !slices.Equal(*answers, []int{http.StatusOK}) {
			t.Errorf("%s: %v, the callback got %v", name, err, *answers)
		}
		if n := f.passwords.Hashes(); n != 1 {
			t.Errorf("%s: %d hashes, want 1", name, n)
		}
		if kinds := f.events.All; len(kinds) != 1 || string(kinds[0].Kind) != name {
			t.Errorf("%s: recorded %+v", name, kinds)
		}
		f.nothingProven(t)
		f.verifyPassword("ada@example.org", ada.Password)
		if n := f.passwords.Hashes(); n != 2 {
			t.Errorf("%s: %d hashes after a question of its own, want 2", name, n)
		}
	}
}

// A proof answers only the callback of its own request. Each callback below arrives
// while Ada's login runs.
func TestProofAnswersNoOtherCallback(t *testing.T) {
	for _, tt := range []struct {
		name            string
		change          func(u *store.User) // of the document, before the callback
		email, password string
		status, hashes  int
	}{
		{"another password", nil, "ada@example.org", ada.Password + "x", 401, 1},
		{"no password", nil, "ada@example.org", "", 400, 0},
		{"the hash", nil, "ada@example.org", "hash of " + ada.Password, 401, 1},
		{"another email", nil, "eve@example.org", ada.Password, 401, 1},
		{"another user with the email", func(u *store.User) { u.ID = "0123456789abcdef0123456f" }, "ada@example.org", ada.Password, 200, 1},
		{"the email has changed", func(u *store.User) { u.Email = "eve@example.org" }, "eve@example.org", ada.Password, 200, 1},
		{"the password has changed", func(u *store.User) { u.PasswordHash = "hash of another" }, "ada@example.org", ada.Password, 401, 1},
		{"disabled meanwhile", func(u *store.User) { u.Disabled = true }, "ada@example.org", ada.Password, 403, 0},
		{"deleted meanwhile", func(u *store.User) { u.Email = "" }, "ada@example.org", ada.Password, 401, 1},
	} {
		f := newFlows(t)
		f.stored()
		before := 0
		answers := f.callBack(func() int {
			before = f.passwords.Hashes()
			if tt.change != nil {
				tt.change(f.users.User)
			}
			return f.verifyPassword(tt.email, tt.password)
		})
		if _, err := f.login(t.Context(), adaLogin); err != nil {
			t.Fatal(err)
		}
		if got := f.passwords.Hashes() - before; !slices.Equal(*answers, []int{tt.status}) || got != tt.hashes {
			t.Errorf("%s: %v and %d hashes, want %d and %d", tt.name, *answers, got, tt.status, tt.hashes)
		}
	}
}

// A proof ends with its request, also after a failure or a panic.
func TestProofEndsWithItsRequest(t *testing.T) {
	for name, open := range map[string]func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error){
		"failure": func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error) {
			return provisioning.CubeSession{}, provisioning.ErrForeignAccount
		},
		"panic": func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error) { panic("odd") },
	} {
		for _, run := range []func(f flows){
			func(f flows) { _, _ = f.register(t.Context(), ada) },
			func(f flows) { f.stored(); _, _ = f.login(t.Context(), adaLogin) },
		} {
			f := newFlows(t)
			f.accounts.OnOpen = open
			func() {
				defer func() {
					if (recover() != nil) != (name == "panic") {
						t.Error("want a panic only in the case of a panic")
					}
				}()
				run(f)
			}()
			f.nothingProven(t)
			before := f.passwords.Hashes()
			if code := f.verifyPassword("ada@example.org", ada.Password); code != http.StatusOK || f.passwords.Hashes() != before+1 {
				t.Errorf("%s: %d, %d hashes", name, code, f.passwords.Hashes()-before)
			}
		}
	}
}

// Of two concurrent logins of one user, the end of one leaves the proof of the other.
func TestProofsAreCounted(t *testing.T) {
	p := newProvenPasswords()
	user := store.User{ID: adaID, Email: ada.Email, PasswordHash: "h"}
	first, second := p.Prove(user, "x"), p.Prove(user, "x")
	first()
	first() // a second call changes nothing
	if !p.Check(user, "x") || !p.Expects("ada@EXAMPLE.org") {
		t.Error("the second login has lost its proof")
	}
	second()
	if p.Check(user, "x") || p.Expects(ada.Email) || p.count != 0 || len(p.proofs) != 0 {
		t.Error("a proof outlives its request")
	}
}

// Many concurrent logins cannot make the table grow without a bound. The callbacks of
// logins above the bound are only slower.
func TestProofsAreBounded(t *testing.T) {
	p := newProvenPasswords()
	var all sync.WaitGroup
	releases := make(chan func(), 2*maxProven)
	for user := range 2 * maxProven / maxProvenPerEmail {
		all.Go(func() {
			for range maxProvenPerEmail + 1 {
				releases <- p.Prove(store.User{ID: fmt.Sprint(user), Email: fmt.Sprint(user, "@example.org")}, "x")
			}
		})
	}
	go func() { all.Wait(); close(releases) }()
	var kept []func()
	for release := range releases {
		kept = append(kept, release)
	}
	if p.count != maxProven {
		t.Errorf("%d proofs, want %d", p.count, maxProven)
	}
	for email, list := range p.proofs {
		if len(list) > maxProvenPerEmail {
			t.Errorf("%s has %d proofs", email, len(list))
		}
	}
	for _, release := range kept {
		release()
	}
	if p.count != 0 || len(p.proofs) != 0 {
		t.Errorf("%d proofs are left", p.count)
	}
}

// Reconciliation tries the password that the server derives for the account. The callback
// about that password is not a guess.
func TestDerivedPasswordsAreNotGuesses(t *testing.T) {
	f := newFlows(t)
	f.stored()
	own := f.Authenticator.derived(adaID)[0].Password
	other := f.Authenticator.derived("0123456789abcdef0123456f")[0].Password
	if len(own) != derivedLength {
		t.Fatalf("a derived password has %d bytes, want %d", len(own), derivedLength)
	}
	for range 5 { // more than the budget allows
		if code := f.verifyPassword("ada@example.org", own); code != http.StatusUnauthorized {
			t.Errorf("%d, want 401", code)
		}
	}
	if n := f.passwords.Hashes() + len(f.events.All); n != 0 {
		t.Errorf("%d hashes and records", n)
	}
	for email, password := range map[string]string{"ada@example.org": other, "eve@example.org": own} {
		before := f.passwords.Hashes()
		if code := f.verifyPassword(email, password); code != http.StatusUnauthorized || f.passwords.Hashes() != before+1 {
			t.Errorf("%s: %d, %d hashes, want 401 and 1", email, code, f.passwords.Hashes()-before)
		}
	}
}

// changing is an editor of accounts during whose changes ConnectyCube calls back, before
// and after the change of the user.
type changing struct {
	AccountEditor // any other call panics
	users         *identitytest.Users
	callBack      func(step string)
}

func (c changing) ChangeEmail(_ context.Context, _ store.User, change provisioning.EmailChange) (store.User, error) {
	c.callBack("before")
	c.users.User.Email = change.Email
	c.callBack("after")
	return *c.users.User, nil
}

func (c changing) ChangePassword(_ context.Context, _ store.User, change provisioning.PasswordChange) error {
	c.callBack("before")
	c.users.User.PasswordHash = change.NewHash
	c.callBack("after")
	return nil
}

func (c changing) Delete(context.Context, store.User, provisioning.LoginMethod) error {
	c.callBack("before")
	return nil
}

// The other operations that open a session at ConnectyCube with the password do not
// hash it twice either. A change of the password needs two hashes, one for each password.
func TestChangesAndTheirCallbacksHashOnce(t *testing.T) {
	const next, moved = "another horse", "lovelace@example.org"
	for _, tt := range []struct {
		name   string
		run    func(ctx context.Context, f flows) error
		sent   map[string][2]string // email and password, by step
		hashes int
	}{
		{"password", func(ctx context.Context, f flows) error {
			return f.Profiles.ChangePassword(ctx, f.ada(store.AuditPassword, CostGuess), PasswordInput{ada.Password, next})
		},
			map[string][2]string{"before": {ada.Email, ada.Password}, "after": {ada.Email, next}}, 2},
		{"email", func(ctx context.Context, f flows) error {
			_, err := f.Profiles.ChangeEmail(ctx, f.ada(store.AuditEmail, CostGuess), EmailInput{moved, ada.Password})
			return err
		},
			map[string][2]string{"before": {ada.Email, ada.Password}, "after": {moved, ada.Password}}, 1},
		{"delete", func(ctx context.Context, f flows) error {
			return f.Profiles.Delete(ctx, f.ada(store.AuditDelete, CostGuess), ada.Password)
		},
			map[string][2]string{"before": {ada.Email, ada.Password}}, 1},
	} {
		f := newFlows(t)
		f.stored()
		f.editor.AccountEditor = changing{users: f.users, callBack: func(step string) {
			if code := f.verifyPassword(tt.sent[step][0], tt.sent[step][1]); code != http.StatusOK {
				t.Errorf("%s: %s the change the callback got %d", tt.name, step, code)
			}
		}}
		if err := tt.run(t.Context(), f); err != nil || f.passwords.Hashes() != tt.hashes {
			t.Errorf("%s: %v, %d hashes, want %d", tt.name, err, f.passwords.Hashes(), tt.hashes)
		}
		f.nothingProven(t)
	}
}

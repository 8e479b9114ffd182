package provisioning

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// One password in the forms of two keyboards.
const (
	ofMac   = "man\u0303ana1"
	ofPhone = "ma\u00f1ana1"
)

// tried records the passwords of CreateSession.
type tried struct {
	CubeClient
	passwords []string
}

func (c *tried) CreateSession(ctx context.Context, cred connectycube.Credentials) (connectycube.Session, error) {
	c.passwords = append(c.passwords, cred.Password)
	return c.CubeClient.CreateSession(ctx, cred)
}

// newFormsFixture is newFixture with a record of the passwords that ConnectyCube gets.
func newFormsFixture(t *testing.T, edit ...func(*Options)) (*fixture, *tried) {
	t.Helper()
	log := &tried{}
	return newFixture(t, append(edit, func(o *Options) { log.CubeClient, o.Cube = o.Cube, log })...), log
}

// withAccount returns a user whose account was made with a password, and what the
// document says about the two.
func (f *fixture) withAccount(t *testing.T, made string, kind store.PasswordKind, form string) store.User {
	t.Helper()
	user, err := f.store.Users().Create(t.Context(), store.User{FirstName: "Ada", LastName: "Lovelace", Email: "ada@x.org", PasswordHash: "hash", PasswordForm: form}, f.newLease())
	if err != nil {
		t.Fatal(err)
	}
	user.CubeID = f.signUp(t, "ada@x.org", made, user.ID)
	user.Account.PasswordKind = kind
	if kind != "" { // the original keeps no email of the account
		user.Account.Email, user.Account.Name = "ada@x.org", "Ada Lovelace"
	}
	err = f.store.Accounts().Save(t.Context(), user.Account.Held(), user)
	if err == nil {
		err = f.store.AccountWork().Complete(t.Context(), user.ID, user.Account.Held(), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.read(t, user.ID)
}

// ConnectyCube compares passwords character by character. It gets the form that the
// account was made with, and after one refusal the other one, once. Where the hash is
// normalized, the account becomes so, too.
func TestSessionOpensWithTheFormOfTheAccount(t *testing.T) {
	for _, tt := range []struct {
		name      string
		made      string
		kind      store.PasswordKind
		form      string // of the hash
		typed     string
		tried     []string // without the derived passwords
		opens     bool
		has, lost string // passwords of the account afterwards
		kindAfter store.PasswordKind
	}{
		{"new account, other keyboard", ofPhone, store.PasswordShared, tokens.PasswordForm, ofMac, []string{ofPhone}, true, ofPhone, ofMac, store.PasswordShared},
		{"new account, same keyboard", ofPhone, store.PasswordShared, tokens.PasswordForm, ofPhone, []string{ofPhone}, true, ofPhone, ofMac, store.PasswordShared},
		{"account of the original, hash normalized", ofMac, "", tokens.PasswordForm, ofMac, []string{ofMac}, true, ofPhone, ofMac, store.PasswordShared},
		{"account of an older release, hash normalized", ofMac, store.PasswordAsSent, tokens.PasswordForm, ofMac, []string{ofMac}, true, ofPhone, ofMac, store.PasswordShared},
		{"account of the original, hash as sent", ofMac, "", "", ofMac, []string{ofMac}, true, ofMac, ofPhone, ""},
		{"account of an older release, hash as sent", ofMac, store.PasswordAsSent, "", ofMac, []string{ofMac}, true, ofMac, ofPhone, store.PasswordAsSent},
		{"account of a phone, before", ofPhone, store.PasswordAsSent, tokens.PasswordForm, ofMac, []string{ofMac, ofPhone}, true, ofPhone, ofMac, store.PasswordShared},
		{"account of a phone, of the original", ofPhone, "", tokens.PasswordForm, ofMac, []string{ofMac, ofPhone}, true, ofPhone, ofMac, store.PasswordShared},
		{"killed after ConnectyCube normalized it", ofPhone, store.PasswordAsSent, tokens.PasswordForm, ofMac, []string{ofMac, ofPhone}, true, ofPhone, ofMac, store.PasswordShared},
		{"one form, before", ofPhone, store.PasswordAsSent, tokens.PasswordForm, ofPhone, []string{ofPhone}, true, ofPhone, ofMac, store.PasswordAsSent},
		{"replaced there by the form as sent", ofMac, store.PasswordShared, tokens.PasswordForm, ofMac, []string{ofPhone, ofMac}, true, ofMac, ofPhone, store.PasswordShared},
		{"replaced there by another password", "elsewhere", store.PasswordShared, tokens.PasswordForm, ofMac, []string{ofPhone, ofMac}, false, "elsewhere", ofPhone, store.PasswordShared},
		{"refused by precis", "👩\u200d👧n\u0303a", store.PasswordShared, tokens.PasswordForm, "👩\u200d👧n\u0303a", []string{"👩\u200d👧n\u0303a"}, true, "👩\u200d👧n\u0303a", "👩\u200d👧\u00f1a", store.PasswordShared},
		{"as sent too long for ConnectyCube", strings.Repeat("\ud55c", 14), "", tokens.PasswordForm, strings.Repeat("\u1112\u1161\u11ab", 14), []string{strings.Repeat("\ud55c", 14)}, true, strings.Repeat("\ud55c", 14), ofMac, store.PasswordShared},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, log := newFormsFixture(t)
			user := f.withAccount(t, tt.made, tt.kind, tt.form)
			cube, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s1"), LoginMethod{Password: tt.typed})
			if (err == nil) != tt.opens || err != nil && !errors.Is(err, connectycube.ErrBadCredentials) {
				t.Fatalf("%+v, %v", cube, err)
			}
			derived := f.derivePasswords(user.ID)[0].Password
			got := slices.DeleteFunc(log.passwords, func(p string) bool { return p == derived })
			if !slices.Equal(got, tt.tried) {
				t.Errorf("ConnectyCube got %+q, want %+q", got, tt.tried)
			}
			if !f.acceptsPassword(t, "ada@x.org", tt.has) || f.acceptsPassword(t, "ada@x.org", tt.lost) {
				t.Errorf("the account should have the password %+q", tt.has)
			}
			if got := f.read(t, user.ID).Account.PasswordKind; got != tt.kindAfter {
				t.Errorf("kind %q, want %q", got, tt.kindAfter)
			}
			if tt.has == ofPhone { // both keyboards open it from now on, at the first attempt
				for i, typed := range []string{ofPhone, ofMac} {
					log.passwords = nil
					user := f.read(t, user.ID)
					if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "again"+typed), LoginMethod{Password: typed}); err != nil {
						t.Errorf("again with %+q: %v", typed, err)
					}
					if tt.kindAfter == store.PasswordShared && len(log.passwords) != 1 {
						t.Errorf("again %d: ConnectyCube got %+q", i, log.passwords)
					}
				}
			}
		})
	}
}

func TestSignUpIsNormalized(t *testing.T) {
	f, _ := newFormsFixture(t)
	user, err := f.register(t, "ada@x.org", ofMac)
	if err != nil || user.Account.PasswordKind != store.PasswordShared {
		t.Fatalf("%+v, %v", user.Account, err)
	}
	if !f.acceptsPassword(t, "ada@x.org", ofPhone) || f.acceptsPassword(t, "ada@x.org", ofMac) {
		t.Error("the account should have the normalized password")
	}
}

// ConnectyCube's bounds, 6 to 40 characters, hold for the form that it gets.
func TestSharedPasswordHasTheLengthOfItsForm(t *testing.T) {
	for own, want := range map[string]bool{
		strings.Repeat("\u1112\u1161\u11ab", 40): true,
		strings.Repeat("\u1112\u1161\u11ab", 41): false,
		strings.Repeat("e\u0301", 5):             false,
		strings.Repeat("e\u0301", 6):             true,
		strings.Repeat("\u0958", 20):             true,
		strings.Repeat("\u0958", 21):             false,
	} {
		if got := (passwords{mode: SharedPasswords, own: own}).canShare(); got != want {
			t.Errorf("%+q: %v, want %v", own, got, want)
		}
	}
}

// An account that the NestJS original left behind has the password as it was sent.
func TestAdoptedAccountBecomesNormalized(t *testing.T) {
	f, log := newFormsFixture(t)
	f.signUp(t, "ada@x.org", ofMac, "")
	user, err := f.Register(t.Context(), store.User{FirstName: "Ada", Email: "ada@x.org", PasswordHash: "hash", PasswordForm: tokens.PasswordForm}, LoginMethod{Password: ofMac})
	if err != nil || !slices.Equal(log.passwords, []string{ofMac}) {
		t.Fatalf("%v; ConnectyCube got %+q", err, log.passwords)
	}
	if kind := f.read(t, user.ID).Account.PasswordKind; kind != store.PasswordShared || !f.acceptsPassword(t, "ada@x.org", ofPhone) {
		t.Errorf("kind %q; the account should have the normalized password", kind)
	}
}

func TestOtherFlowsUseBothForms(t *testing.T) {
	for name, run := range map[string]func(f *fixture, user store.User) error{
		"change of the email": func(f *fixture, user store.User) error {
			_, err := f.ChangeEmail(t.Context(), user, EmailChange{Email: "eve@x.org", Password: ofMac})
			return err
		},
		"change of the password": func(f *fixture, user store.User) error {
			return f.ChangePassword(t.Context(), user, PasswordChange{Old: ofMac, New: "zoe\u0308zoe\u0308", NewHash: "another hash"})
		},
		"deletion": func(f *fixture, user store.User) error {
			return f.Delete(t.Context(), user, LoginMethod{Password: ofMac})
		},
	} {
		for _, made := range []string{ofMac, ofPhone} {
			for _, form := range []string{"", tokens.PasswordForm} {
				f, _ := newFormsFixture(t)
				user := f.withAccount(t, made, store.PasswordAsSent, form)
				if err := run(f, user); err != nil {
					t.Errorf("%s, account made with %+q, hash in the form %q: %v", name, made, form, err)
					continue
				}
				switch name {
				case "deletion":
					f.checkNoUsers(t)
				case "change of the email":
					if got := f.read(t, user.ID).Account.Email; got != "eve@x.org" {
						t.Errorf("%s: ConnectyCube has %q", name, got)
					}
				default:
					after := f.read(t, user.ID)
					if !f.acceptsPassword(t, "ada@x.org", "zo\u00ebzo\u00eb") || after.PasswordForm != tokens.PasswordForm || after.Account.PasswordKind != store.PasswordShared {
						t.Errorf("%s: %+v; ConnectyCube should have the normalized password", name, after)
					}
				}
			}
		}
	}
}

package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cubegate/store"

	"github.com/google/go-cmp/cmp"
)

func users(t *testing.T, tg Target) {
	u := newBase(t, tg).open(t)
	made := create(t, u, "Ada@Example.org")
	t.Run("a new user is stored", func(t *testing.T) { newUserIsStored(t, u, made) })
	t.Run("an email is found in any case", func(t *testing.T) { emailFoundInAnyCase(t, u, made) })
	t.Run("an email is taken in any case", func(t *testing.T) { emailTakenInAnyCase(t, u) })
	t.Run("one domain in two spellings is one email", func(t *testing.T) { twoSpellingsOfDomain(t, u) })
	t.Run("an unknown user is not found", func(t *testing.T) { unknownIsNotFound(t, u) })
	t.Run("UpgradeHash needs the old hash", func(t *testing.T) { upgradeNeedsOldHash(t, u, made) })
	t.Run("password hashes are counted by prefix", func(t *testing.T) { hashesAreCounted(t, newBase(t, tg).open(t)) })
	t.Run("names of any script are stored", func(t *testing.T) { namesAreStored(t, u) })
	t.Run("the form of a password belongs to its hash", func(t *testing.T) { passwordForms(t, tg) })
}

func hashesAreCounted(t *testing.T, u *store.Users) {
	if share, err := u.HashShare(t.Context(), "$2"); share != 0 || err != nil {
		t.Errorf("without users: %v, %v", share, err)
	}
	for i, hash := range []string{"$2a$10$x", "$2b$10$🐎", "$argon2id$x", "$1$x", "$3$x", "", "2", "$2"} {
		user := newUser(fmt.Sprintf("hash%d@example.org", i))
		user.PasswordHash = hash
		if _, err := u.Create(t.Context(), user, lease("created")); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string]float64{"$2": 3.0 / 8, "$2a": 1.0 / 8, "$argon2id$": 1.0 / 8, "$9": 0} {
		if share, err := u.HashShare(t.Context(), prefix); share != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", prefix, share, err, want)
		}
	}
}

func newUserIsStored(t *testing.T, u *store.Users, made store.User) {
	got, err := u.ByID(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := newUser("Ada@Example.org")
	want.ID, want.Created, want.Updated = made.ID, made.Created, made.Updated
	want.Account = store.Account{Lease: "created", Due: got.Account.Due}
	if until := time.Until(got.Account.Due); until < 50*time.Minute || until > time.Hour {
		t.Errorf("due in %v, want the lease's hour", until)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored user (-want +got):\n%s", diff)
	}
	if len(made.ID) != 24 || time.Since(made.Created) > time.Minute || made.Updated != made.Created {
		t.Errorf("ID %q, created %v, updated %v", made.ID, made.Created, made.Updated)
	}
}

func emailFoundInAnyCase(t *testing.T, u *store.Users, made store.User) {
	for _, typed := range []string{"Ada@Example.org", "ada@example.org", "ADA@EXAMPLE.ORG", " ada@example.org "} {
		if got, err := u.ByEmail(t.Context(), typed); err != nil || got.ID != made.ID {
			t.Errorf("ByEmail(%q) = %q, %v; want %q", typed, got.ID, err, made.ID)
		}
	}
}

func emailTakenInAnyCase(t *testing.T, u *store.Users) {
	for _, typed := range []string{"Ada@Example.org", "ada@example.org", "ADA@EXAMPLE.ORG"} {
		if _, err := u.Create(t.Context(), newUser(typed), lease("x")); !errors.Is(err, store.TakenError{Field: "email"}) {
			t.Errorf("Create(%q) error = %v, want %v", typed, err, store.TakenError{Field: "email"})
		}
	}
}

func twoSpellingsOfDomain(t *testing.T, u *store.Users) {
	create(t, u, "eve@exämple.com")
	if _, err := u.Create(t.Context(), newUser("eve@xn--exmple-cua.com"), lease("x")); !errors.Is(err, store.TakenError{Field: "email"}) {
		t.Errorf("Create error = %v, want %v", err, store.TakenError{Field: "email"})
	}
}

func unknownIsNotFound(t *testing.T, u *store.Users) {
	for name, find := range map[string]func(string) (store.User, error){
		"email": func(s string) (store.User, error) { return u.ByEmail(t.Context(), s) },
		"id":    func(s string) (store.User, error) { return u.ByID(t.Context(), s) },
	} {
		for _, s := range []string{"", "nobody@example.org", "0123456789abcdef01234567", "not-an-id", `{"$ne":null}`, "\x00"} {
			if got, err := find(s); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("by %s %q: %+v, %v; want %v", name, s, got, err, store.ErrNotFound)
			}
		}
	}
}

func upgradeNeedsOldHash(t *testing.T, u *store.Users, made store.User) {
	if err := u.UpgradeHash(t.Context(), store.HashUpgrade{UserID: made.ID, OldHash: "$argon2id$one", NewHash: "$argon2id$two"}); err != nil {
		t.Fatal(err)
	}
	if err := u.UpgradeHash(t.Context(), store.HashUpgrade{UserID: made.ID, OldHash: "$argon2id$one", NewHash: "$argon2id$three"}); err != nil {
		t.Fatal(err)
	}
	if got, err := u.ByID(t.Context(), made.ID); err != nil || got.PasswordHash != "$argon2id$two" {
		t.Errorf("hash %q, %v; want the second", got.PasswordHash, err)
	}
}

func namesAreStored(t *testing.T, u *store.Users) {
	want := newUser("zoë@example.org")
	want.FirstName, want.LastName = "איידה 🦀", "Ŵ͓̈́̓ęı̇rd  "
	made, err := u.Create(t.Context(), want, lease("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.ByID(t.Context(), made.ID); err != nil || got.FirstName != want.FirstName || got.LastName != want.LastName {
		t.Errorf("names %q %q, %v", got.FirstName, got.LastName, err)
	}
}

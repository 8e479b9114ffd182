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
	t.Run("a new user comes back whole", func(t *testing.T) { aNewUserComesBackWhole(t, u, made) })
	t.Run("an address is found in any case", func(t *testing.T) { anAddressIsFoundInAnyCase(t, u, made) })
	t.Run("an address is taken in any case", func(t *testing.T) { anAddressIsTakenInAnyCase(t, u) })
	t.Run("one domain in two spellings is one address", func(t *testing.T) { oneDomainInTwoSpellingsIsOneAddress(t, u) })
	t.Run("nobody is not found", func(t *testing.T) { nobodyIsNotFound(t, u) })
	t.Run("a password hash is replaced only while it is the old one", func(t *testing.T) { aPasswordHashIsReplacedOnlyWhileItIsTheOldOne(t, u, made) })
	t.Run("names of any script come back as they were", func(t *testing.T) { namesOfAnyScriptComeBackAsTheyWere(t, u, made) })
}

func aNewUserComesBackWhole(t *testing.T, u *store.Users, made store.User) {
	got, err := u.ByID(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := ada("Ada@Example.org")
	want.ID, want.Created, want.Pending = made.ID, made.Created, true
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored user (-want +got):\n%s", diff)
	}
	if len(made.ID) != 24 || time.Since(made.Created) > time.Minute {
		t.Errorf("ID %q, created %v", made.ID, made.Created)
	}
}

func anAddressIsFoundInAnyCase(t *testing.T, u *store.Users, made store.User) {
	for _, typed := range []string{"Ada@Example.org", "ada@example.org", "ADA@EXAMPLE.ORG", " ada@example.org "} {
		if got, err := u.ByEmail(t.Context(), typed); err != nil || got.ID != made.ID {
			t.Errorf("ByEmail(%q) = %q, %v; want %q", typed, got.ID, err, made.ID)
		}
	}
}

func anAddressIsTakenInAnyCase(t *testing.T, u *store.Users) {
	for _, typed := range []string{"Ada@Example.org", "ada@example.org", "ADA@EXAMPLE.ORG"} {
		if _, err := u.Create(t.Context(), ada(typed)); !errors.Is(err, store.ErrEmailTaken) {
			t.Errorf("Create(%q) error = %v, want %v", typed, err, store.ErrEmailTaken)
		}
	}
}

func oneDomainInTwoSpellingsIsOneAddress(t *testing.T, u *store.Users) {
	create(t, u, "eve@exämple.com")
	if _, err := u.Create(t.Context(), ada("eve@xn--exmple-cua.com")); !errors.Is(err, store.ErrEmailTaken) {
		t.Errorf("Create error = %v, want %v", err, store.ErrEmailTaken)
	}
}

func nobodyIsNotFound(t *testing.T, u *store.Users) {
	for name, find := range map[string]func(string) (store.User, error){
		"e-mail": func(s string) (store.User, error) { return u.ByEmail(t.Context(), s) },
		"id":     func(s string) (store.User, error) { return u.ByID(t.Context(), s) },
	} {
		for _, s := range []string{"", "nobody@example.org", "0123456789abcdef01234567", "not-an-id", `{"$ne":null}`, "\x00"} {
			if got, err := find(s); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("by %s %q: %+v, %v; want %v", name, s, got, err, store.ErrNotFound)
			}
		}
	}
}

func aPasswordHashIsReplacedOnlyWhileItIsTheOldOne(t *testing.T, u *store.Users, made store.User) {
	if err := u.SetPassword(t.Context(), made.ID, "$argon2id$one", "$argon2id$two"); err != nil {
		t.Fatal(err)
	}
	if err := u.SetPassword(t.Context(), made.ID, "$argon2id$one", "$argon2id$three"); err != nil {
		t.Fatal(err)
	}
	if got, err := u.ByID(t.Context(), made.ID); err != nil || got.PasswordHash != "$argon2id$two" {
		t.Errorf("hash %q, %v; want the second", got.PasswordHash, err)
	}
}

func namesOfAnyScriptComeBackAsTheyWere(t *testing.T, u *store.Users, made store.User) {
	want := ada("zoë@example.org")
	want.FirstName, want.LastName = "איידה 🦀", "Ŵ͓̈́̓ęı̇rd  "
	made, err := u.Create(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.ByID(t.Context(), made.ID); err != nil || got.FirstName != want.FirstName || got.LastName != want.LastName {
		t.Errorf("names %q %q, %v", got.FirstName, got.LastName, err)
	}
}

// registrations asks what may happen to a user between Create and the end of
// the registration.
func registrations(t *testing.T, tg Target) {
	b := newBase(t, tg)
	u := b.open(t)
	t.Run("ends with the ConnectyCube account", func(t *testing.T) { endsWithTheConnectycubeAccount(t, u) })
	t.Run("discarded, the address is free", func(t *testing.T) { discardedTheAddressIsFree(t, u) })
	t.Run("kept, it is not discarded", func(t *testing.T) { keptItIsNotDiscarded(t, u) })
	t.Run("of a user who is gone, says so", func(t *testing.T) { ofAUserWhoIsGoneSaysSo(t, u) })
	t.Run("abandoned, it does not hold its address", func(t *testing.T) { abandonedItDoesNotHoldItsAddress(t, b, u) })
	t.Run("abandoned ones are all found at once", func(t *testing.T) { abandonedOnesAreAllFoundAtOnce(t, u) })
}

func endsWithTheConnectycubeAccount(t *testing.T, u *store.Users) {
	for _, cubeID := range []int64{51941, 1<<31 + 7} {
		made := create(t, u, fmt.Sprintf("end%d@example.org", cubeID))
		if err := u.SetCubeID(t.Context(), made.ID, cubeID); err != nil {
			t.Fatal(err)
		}
		if err := u.Discard(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := u.ByID(t.Context(), made.ID); err != nil || got.CubeID != cubeID || got.Pending {
			t.Errorf("after the end: %+v, %v; want account %d, not pending", got, err, cubeID)
		}
	}
}

func discardedTheAddressIsFree(t *testing.T, u *store.Users) {
	first := create(t, u, "again@example.org")
	for range 2 { // the second time there is nobody, which is no error
		if err := u.Discard(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
	}
	if second := create(t, u, "AGAIN@example.org"); second.ID == first.ID {
		t.Error("the discarded user's ID came back")
	}
}

func keptItIsNotDiscarded(t *testing.T, u *store.Users) {
	made := create(t, u, "kept@example.org")
	if err := u.Keep(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if err := u.Discard(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := u.ByID(t.Context(), made.ID); err != nil || got.Pending || got.CubeID != 0 {
		t.Errorf("kept user: %+v, %v", got, err)
	}
}

func ofAUserWhoIsGoneSaysSo(t *testing.T, u *store.Users) {
	const nobody = "0123456789abcdef01234567"
	if err := u.SetCubeID(t.Context(), nobody, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("SetCubeID error = %v, want %v", err, store.ErrNotFound)
	}
	if err := u.Keep(t.Context(), nobody); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Keep error = %v, want %v", err, store.ErrNotFound)
	}
}

func abandonedItDoesNotHoldItsAddress(t *testing.T, b base, u *store.Users) {
	left := create(t, u, "left@example.org")
	impatient := b.open(t, func(o *store.Options) { o.Abandoned = time.Nanosecond })
	time.Sleep(5 * time.Millisecond) // dates are kept to the millisecond
	if _, err := u.Create(t.Context(), ada("left@example.org")); !errors.Is(err, store.ErrEmailTaken) {
		t.Errorf("while it may still go on: %v, want %v", err, store.ErrEmailTaken)
	}
	if again := create(t, impatient, "Left@example.org"); again.ID == left.ID {
		t.Error("the abandoned user's ID came back")
	}
}

func abandonedOnesAreAllFoundAtOnce(t *testing.T, u *store.Users) {
	create(t, u, "one@example.org")
	done := create(t, u, "done@example.org")
	if err := u.SetCubeID(t.Context(), done.ID, 7); err != nil {
		t.Fatal(err)
	}
	if n, err := u.DiscardAbandoned(t.Context(), time.Hour); err != nil || n != 0 {
		t.Errorf("young ones discarded: %d, %v", n, err)
	}
	time.Sleep(5 * time.Millisecond)
	if n, err := u.DiscardAbandoned(t.Context(), 0); err != nil || n < 1 {
		t.Errorf("discarded %d, %v; want at least the one", n, err)
	}
	if _, err := u.ByID(t.Context(), done.ID); err != nil {
		t.Errorf("the ended registration is gone too: %v", err)
	}
}

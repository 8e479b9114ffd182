package tokens_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"cubegate/tokens"
)

// goldenPassword is the password that TestDerivedPasswords pins.
const goldenPassword = "hy3s57iz5ic3eok4inr67hsxraohfjy6jii3xosb"

const otherSecret tokens.Secret = "another secret that is long enough: 8f2kq0Zx"

func TestOpenNeedsTheSecretAndTheAdditionalData(t *testing.T) {
	old, rotated, foreign := ring(goodSecret), ring(otherSecret, goodSecret), ring(otherSecret)
	sealed, err := old.Seal("session token", "session of a")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := old.Seal("session token", "session of a"); again == sealed || strings.Contains(sealed, "token") {
		t.Errorf("sealed twice: %q and %q", sealed, again)
	}
	for name, r := range map[string]*tokens.SecretRing{"its own": old, "a later ring": rotated} {
		if plain, err := r.Open(sealed, "session of a"); err != nil || plain != "session token" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	for name, open := range map[string]func() (string, error){
		"another ring": func() (string, error) { return foreign.Open(sealed, "session of a") },
		"other words":  func() (string, error) { return old.Open(sealed, "session of b") },
		"nothing":      func() (string, error) { return old.Open("", "session of a") },
		"a name alone": func() (string, error) { return old.Open(sealed[:9], "session of a") },
		"cut":          func() (string, error) { return old.Open(sealed[:len(sealed)-2], "session of a") },
		"changed": func() (string, error) {
			return old.Open(sealed[:len(sealed)-3]+flip(sealed[len(sealed)-3:]), "session of a")
		},
		"another's name": func() (string, error) { return rotated.Open("00000000"+sealed[8:], "session of a") },
	} {
		if plain, err := open(); !errors.Is(err, tokens.ErrSealed) {
			t.Errorf("%s: %q, %v; want %v", name, plain, err, tokens.ErrSealed)
		}
	}
}

func TestSecretRingRefusesWeakSecrets(t *testing.T) {
	for name, make := range map[string]func() (*tokens.SecretRing, error){
		"none":          func() (*tokens.SecretRing, error) { return tokens.NewSecretRing("") },
		"a placeholder": func() (*tokens.SecretRing, error) { return tokens.NewSecretRing("your_jwt_secret_your_jwt_secret_1") },
		"a weak former": func() (*tokens.SecretRing, error) { return tokens.NewSecretRing(goodSecret, "short") },
	} {
		if _, err := make(); !errors.Is(err, tokens.ErrWeakSecret) {
			t.Errorf("%s: %v, want %v", name, err, tokens.ErrWeakSecret)
		}
	}
	if text := fmt.Sprintf("%v %+v %s", ring(goodSecret), ring(goodSecret), ring(goodSecret)); strings.Contains(text, string(goodSecret)) {
		t.Errorf("a ring prints as %s", text)
	}
}

func TestDerivedPasswords(t *testing.T) {
	form := regexp.MustCompile(`^[a-z2-7]{40}$`)
	seen := map[string]string{}
	for _, secret := range []tokens.Secret{goodSecret, otherSecret} {
		for _, user := range []string{"a", "b", userID} {
			d := ring(secret).DerivedPasswords(user)
			if len(d) != 1 || !form.MatchString(d[0].Password) {
				t.Fatalf("password of %q has the wrong form", user)
			}
			if other, twice := seen[d[0].Password]; twice {
				t.Errorf("%s has the password of %s", user, other)
			}
			seen[d[0].Password] = user
		}
	}
	// A derived password must never change: it opens the user's account.
	if got := ring(goodSecret).DerivedPasswords(userID)[0]; got.Password != goldenPassword {
		t.Errorf("the password of %s is %q, want %q", userID, got.Password, goldenPassword)
	}
	both := ring(otherSecret, goodSecret).DerivedPasswords(userID)
	if len(both) != 2 || both[0] != ring(otherSecret).DerivedPasswords(userID)[0] || both[1] != ring(goodSecret).DerivedPasswords(userID)[0] {
		t.Error("a rotated ring lacks the previous passwords, the new one first")
	}
	if text := fmt.Sprint(both[0]); strings.Contains(text, both[0].Password) {
		t.Errorf("a derived password prints as %s", text)
	}
}

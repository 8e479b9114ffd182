package tokens_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cubegate/tokens"
)

// bcryptDecoys returns which of 2,000 emails get a bcrypt hash.
func bcryptDecoys(h *tokens.Hasher) map[int]bool {
	costly := map[int]bool{}
	for n := range 2000 {
		if strings.HasPrefix(h.Decoy(fmt.Sprintf("unknown-%d@example.org", n)), "$2b$10$") {
			costly[n] = true
		}
	}
	return costly
}

func decoyHasher(t *testing.T, key string, share float64) *tokens.Hasher {
	t.Helper()
	h, err := tokens.NewHasher(tokens.Params{Memory: 64, Iterations: 1})
	if err != nil {
		t.Fatal(err)
	}
	h.SetDecoys([]byte(key), share)
	return h
}

// The share of unknown emails with a bcrypt hash equals the share of such users. They
// are always the same emails: a change of its time would reveal that an email is
// unknown.
func TestShareOfBcryptDecoys(t *testing.T) {
	half := decoyHasher(t, "key", 0.5)
	costly := bcryptDecoys(half)
	if n := len(costly); n < 850 || n > 1150 {
		t.Errorf("%d of 2000 decoys are bcrypt, want about half", n)
	}
	if again := bcryptDecoys(decoyHasher(t, "key", 0.5)); fmt.Sprint(again) != fmt.Sprint(costly) {
		t.Error("another process has other decoys")
	}
	if other := bcryptDecoys(decoyHasher(t, "another key", 0.5)); fmt.Sprint(other) == fmt.Sprint(costly) {
		t.Error("the key does not matter: any client can compute the decoys")
	}
	half.SetDecoys([]byte("key"), 0.25)
	fewer := bcryptDecoys(half)
	for n := range fewer {
		if !costly[n] {
			t.Errorf("email %d became slow when the share fell", n)
		}
	}
	for share, want := range map[float64]int{0: 0, 1: 2000} {
		if got := len(bcryptDecoys(decoyHasher(t, "key", share))); got != want {
			t.Errorf("share %v: %d decoys are bcrypt, want %d", share, got, want)
		}
	}
}

// A decoy is compared like any hash, and no password matches it.
func TestDecoyMatchesNoPassword(t *testing.T) {
	for _, share := range []float64{0, 1} {
		h := decoyHasher(t, "key", share)
		for _, password := range []string{"", "correct horse", "unknown@example.org"} {
			stale, err := h.Compare(t.Context(), tokens.Turn{}, password, h.Decoy("unknown@example.org"))
			if stale || !errors.Is(err, tokens.ErrWrongPassword) || errors.Is(err, tokens.ErrBadHash) {
				t.Errorf("share %v, password %q: %v, %v", share, password, stale, err)
			}
		}
	}
}

// A decoy has the form and the cost of a hash that is stored.
func TestDecoyHasTheFormOfAHash(t *testing.T) {
	for kind, params := range map[string]tokens.Params{"argon2id": quick, "bcrypt": {Bcrypt: true}} {
		h := newHasher(t, params)
		stored := hashed(t, h, "correct horse")
		digits := regexp.MustCompile(`[./A-Za-z0-9+]{22,}`) // salts, hashes, or both
		form := func(hash string) string {
			return digits.ReplaceAllStringFunc(hash, func(s string) string { return strconv.Itoa(len(s)) })
		}
		decoy := h.Decoy("unknown@example.org")
		if form(decoy) != form(stored) || decoy == stored {
			t.Errorf("%s: decoy %q, want the form of %q", kind, decoy, stored)
		}
		if again := newHasher(t, params).Decoy("unknown@example.org"); again == decoy {
			t.Errorf("%s: two hashers have the same decoy", kind)
		}
	}
}

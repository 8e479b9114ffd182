package tokens_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"cubegate/tokens"
)

func TestParseRefreshTokenNeedsItsRing(t *testing.T) {
	old := ring(goodSecret)
	made := old.NewRefreshToken("session")
	token, hash := made.Text, made.Hash
	if again := old.NewRefreshToken("session"); again.Text == token || again.Hash == hash {
		t.Error("two refresh tokens are equal")
	}
	if strings.Contains(token, hash) || len(hash) != 64 {
		t.Errorf("hash of %d digits", len(hash))
	}
	for name, r := range map[string]*tokens.SecretRing{"its own": old, "a later ring": ring(otherSecret, goodSecret)} {
		if got, err := r.ParseRefreshToken(token); err != nil || got.SessionID != "session" || got.Hash != hash {
			t.Errorf("%s: session %q, %v", name, got.SessionID, err)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	spelt := func(edit func([]byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(edit(slices.Clone(raw)))
	}
	for name, forged := range map[string]string{
		"nothing":         "",
		"a word":          "refresh",
		"another session": spelt(func(b []byte) []byte { b[32] ^= 1; return b }),
		"another random":  spelt(func(b []byte) []byte { b[0] ^= 1; return b }),
		"another tag":     spelt(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }),
		"no session":      spelt(func(b []byte) []byte { return append(b[:32], b[len(b)-16:]...) }),
		"padding":         token + "=",
		"a space":         token + " ",
		"a line break":    token[:10] + "\n" + token[10:],
		"too long":        strings.Repeat("A", 10_000),
	} {
		if got, err := old.ParseRefreshToken(forged); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: session %q, %v; want %v", name, got.SessionID, err, tokens.ErrInvalid)
		}
	}
	if _, err := ring(otherSecret).ParseRefreshToken(token); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("another ring: %v, want %v", err, tokens.ErrInvalid)
	}
}

// ParseRefreshToken accepts issued tokens only, for every input.
func FuzzParseRefreshToken(f *testing.F) {
	r := ring(goodSecret)
	token := r.NewRefreshToken("session").Text
	for _, seed := range []string{token, "", "A", token[:20], token + "A"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		if _, err := r.ParseRefreshToken(sent); err == nil && sent != token {
			t.Errorf("%q is accepted", sent)
		}
	})
}

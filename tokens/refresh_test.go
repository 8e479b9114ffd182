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
	token, hash := old.NewRefreshToken("session")
	if again, other := old.NewRefreshToken("session"); again == token || other == hash {
		t.Error("two refresh tokens are equal")
	}
	if strings.Contains(token, hash) || len(hash) != 64 {
		t.Errorf("hash of %d digits", len(hash))
	}
	for name, r := range map[string]*tokens.SecretRing{"its own": old, "a later ring": ring(otherSecret, goodSecret)} {
		if session, got, err := r.ParseRefreshToken(token); err != nil || session != "session" || got != hash {
			t.Errorf("%s: session %q, %v", name, session, err)
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
		if session, _, err := old.ParseRefreshToken(forged); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: session %q, %v; want %v", name, session, err, tokens.ErrInvalid)
		}
	}
	if _, _, err := ring(otherSecret).ParseRefreshToken(token); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("another ring: %v, want %v", err, tokens.ErrInvalid)
	}
}

// ParseRefreshToken accepts issued tokens only, for every input.
func FuzzParseRefreshToken(f *testing.F) {
	r := ring(goodSecret)
	token, _ := r.NewRefreshToken("session")
	for _, seed := range []string{token, "", "A", token[:20], token + "A"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		if _, _, err := r.ParseRefreshToken(sent); err == nil && sent != token {
			t.Errorf("%q is accepted", sent)
		}
	})
}

// naive is the rule in its simplest form, which remembers all tokens: a parent stays
// valid until one of its children is used; that use retires the parent and the other
// children.
type naive struct {
	parent  map[string]string // of each token
	retired map[string]bool
	used    map[string]bool
}

func (n *naive) use(token, child string) bool {
	if n.retired[token] {
		return false
	}
	if !n.used[token] {
		n.used[token] = true
		if parent, has := n.parent[token]; has {
			n.retired[parent] = true
			for sibling, of := range n.parent {
				if of == parent && sibling != token {
					n.retired[sibling] = true
				}
			}
		}
	}
	n.parent[child] = token
	return true
}

// Every order in which up to eight tokens can be used, each of the tokens issued
// before, gives the result of the rule.
func TestFamilyAgreesWithTheRule(t *testing.T) {
	runs := 0
	var walk func(path []int)
	walk = func(path []int) {
		runs++
		family, rule := tokens.NewRefreshFamily("t0"), &naive{parent: map[string]string{}, retired: map[string]bool{}, used: map[string]bool{"t0": true}}
		issued := []string{"t0"}
		for step, pick := range path {
			token, child := issued[pick], string(rune('a'+step))
			next, err := family.Use(token, child)
			good := rule.use(token, child)
			if (err == nil) != good || err != nil && !errors.Is(err, tokens.ErrReplayed) {
				t.Fatalf("uses %v: step %d gives %v, the rule says %t", path, step, err, good)
			}
			if !good {
				return // the session is over
			}
			family, issued = next, append(issued, child)
		}
		if len(path) == 8 {
			return
		}
		for pick := range issued {
			walk(append(slices.Clone(path), pick))
		}
	}
	walk(nil)
	if runs < 1000 {
		t.Errorf("only %d orders were tried", runs)
	}
}

func TestFamilyIsBounded(t *testing.T) {
	family := tokens.NewRefreshFamily("parent")
	for range 1000 {
		var err error
		if family, err = family.Use("parent", "child"); err != nil {
			t.Fatal(err)
		}
	}
	if len(family.Children) > 128 {
		t.Errorf("%d children are kept", len(family.Children))
	}
	if _, err := tokens.NewRefreshFamily("").Use("", "child"); !errors.Is(err, tokens.ErrReplayed) {
		t.Errorf("an empty token of an empty family: %v", err)
	}
}

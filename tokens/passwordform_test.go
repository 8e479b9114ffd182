package tokens_test

import (
	"slices"
	"strings"
	"testing"

	"cubegate/tokens"
)

// The first five are the examples of RFC 8265, section 4.3, that differ or are refused.
func TestPasswordForms(t *testing.T) {
	tests := []struct {
		name, password string
		want           []string
	}{
		{"ASCII", "correct horse battery staple", []string{"correct horse battery staple"}},
		{"case counts", "Correct Horse", []string{"Correct Horse"}},
		{"Greek", "πßå", []string{"πßå"}},
		{"symbol", "Jack of ♦s", []string{"Jack of ♦s"}},
		{"Ogham space", "foo\u1680bar", []string{"foo bar", "foo\u1680bar"}},
		{"refused: control character", "my cat is a \tby", []string{"my cat is a \tby"}},

		{"a Mac's tilde", "man\u0303ana1", []string{"mañana1", "man\u0303ana1"}},
		{"a phone's tilde", "mañana1", []string{"mañana1"}},
		{"no-break space of a Mac", "a\u00a0b\u00a0c", []string{"a b c", "a\u00a0b\u00a0c"}},
		{"spaces at both ends stay", " \u3000a ", []string{"  a ", " \u3000a "}},
		{"Hangul in parts", "\u1112\u1161\u11ab\u1100\u1173\u11af", []string{"한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"}},
		{"Vietnamese in another order", "o\u0323\u0302", []string{"ộ", "o\u0323\u0302"}},
		{"composition excluded: grows", "\u0958", []string{"\u0915\u093c", "\u0958"}},
		{"Kelvin sign", "273\u212a", []string{"273K", "273\u212a"}},
		{"width is kept", "ｐａｓｓ", []string{"ｐａｓｓ"}},
		{"ligature is kept", "ﬁ", []string{"ﬁ"}},
		{"emoji", "🦀🦀🦀", []string{"🦀🦀🦀"}},
		{"Persian with ZWNJ between joining letters", "می\u200cخواهم", []string{"می\u200cخواهم"}},

		{"refused: joined emoji, with a decomposed letter", "👨\u200d👩\u200d👧 n\u0303", []string{"👨\u200d👩\u200d👧 n\u0303"}},
		{"refused: soft hyphen", "n\u0303\u00ad", []string{"n\u0303\u00ad"}},
		{"refused: noncharacter", "n\u0303\ufdd0", []string{"n\u0303\ufdd0"}},
		{"refused: private use", "n\u0303\ue000", []string{"n\u0303\ue000"}},
		{"refused: unassigned", "n\u0303\U000e0fff", []string{"n\u0303\U000e0fff"}},
		{"refused: not UTF-8", "n\u0303\xff", []string{"n\u0303\xff"}},
		{"refused: empty", "", []string{""}},
	}
	for _, tt := range tests {
		if got := tokens.PasswordForms(tt.password); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %+q, want %+q", tt.name, got, tt.want)
		}
	}
}

func FuzzNormalizePassword(f *testing.F) {
	for _, s := range []string{"", "mañana", "man\u0303ana", "\u2000", "\u1fef\u037e", "\xff\u0301", "\u200d", "\u0344\U0001d160", strings.Repeat("\u0301", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := tokens.NormalizePassword(s)
		if twice := tokens.NormalizePassword(once); twice != once {
			t.Errorf("%+q becomes %+q, then %+q", s, once, twice)
		}
		if s != "" && once == "" {
			t.Errorf("nothing is left of %+q", s)
		}
	})
}

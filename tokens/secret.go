package tokens

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// hidden is what every formatter, encoder and logger sees of a Secret.
const hidden = "***"

// minSecret is the least length of a signing key in bytes: RFC 7518 section
// 3.2 wants a key at least as long as the output of its hash, 256 bits here.
const minSecret = 32

// ErrWeakSecret means that a signing key can be guessed.
var ErrWeakSecret = errors.New("weak secret")

// Secret is a value that must not be seen: no fmt verb, slog handler, JSON or
// text encoder shows it. Only Reveal does.
//
// Two ways out remain in fmt, which asks no method there: a Secret in an
// unexported field, so keep it in an exported one or in none, and the verb %w
// where there is no error, which go vet refuses.
type Secret string

// Reveal returns the value itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// IsZero reports whether there is no secret at all. It is the only thing that
// can be told from outside.
func (s Secret) IsZero() bool { return s == "" }

// String hides the value; an empty Secret stays empty, so that "not set" can
// be seen in a log.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("tokens.Secret(%q)", s.String()) }

// Format hides the value from every verb. Without it a verb that does not fit
// a string, such as %d, would print the value in its complaint.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	io.WriteString(f, text)
}

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders of text, map keys included.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON hides the value from encoding/json.
func (s Secret) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", s.String()), nil }

// placeholders are words of which secrets nobody has chosen are made. The
// original service fell back to default_value and defaultSecret, both in its
// public source, so anyone could sign in as anyone (CVE-2026-33503 is the same
// fault elsewhere). Longer words stand before the words they contain.
var placeholders = []string{
	"abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "0123456789", "1234567890", "123456789", "12345678",
	"development", "placeholder", "production", "connectycube", "cubegate", "administrator", "admin",
	"password", "passphrase", "credential", "example", "default", "dummy", "sample", "testing", "test",
	"changeme", "changeit", "change", "replace", "insert", "generate", "please", "private", "signing",
	"asdfghjkl", "zxcvbnm", "secure", "ultra",
	"secret", "token", "value", "random", "string", "super", "mysql", "your", "this", "with", "here",
	"jwt", "key", "foo", "bar", "todo", "xxx", "the", "must", "long", "very", "some", "least", "characters",
	"bytes", "one", "for", "and", "not", "use", "env",
}

// CheckSecret reports whether s can sign tokens: at least 32 bytes, not a known
// placeholder however padded, not one piece repeated. The error wraps
// ErrWeakSecret, says what to do, and never holds any of the value.
func CheckSecret(s Secret) error {
	reason := ""
	switch value := s.Reveal(); {
	case s.IsZero():
		reason = "it is empty"
	case len(value) < minSecret:
		reason = fmt.Sprintf("it is shorter than %d bytes", minSecret)
	case repeats(value):
		reason = "it repeats itself"
	case !unguessable(value):
		reason = "it is a placeholder, or a known word padded out"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s; make one with: openssl rand -base64 48", ErrWeakSecret, reason)
}

// repeats reports whether s is one piece over and over, the last perhaps cut
// short: "secretsecretsecr", "aaaa".
func repeats(s string) bool {
	for period := 1; period <= len(s)/2; period++ {
		if s[period:] == s[:len(s)-period] {
			return true
		}
	}
	return false
}

// unguessable reports whether enough of s is left when known words, the marks
// between them and runs of one character are taken out. The bounds leave wide
// room for real keys: 32 random hexadecimal digits lose about two.
func unguessable(s string) bool {
	const minLeft, minDistinct = 16, 8
	lower := []byte(s)
	for i, c := range lower { // not strings.ToLower: it spoils bytes that are no UTF-8
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	marks := strings.NewReplacer("_", "", "-", "", " ", "", ".", "", ",", "", ":", "", ";", "", "!", "", "?", "", "#", "", "*", "", "=", "")
	s = marks.Replace(string(lower))
	for _, word := range placeholders {
		s = strings.ReplaceAll(s, word, "")
	}
	left, seen, last := 0, map[byte]bool{}, -1
	for i := range len(s) {
		if int(s[i]) != last {
			left++
		}
		last = int(s[i])
		seen[s[i]] = true
	}
	return left >= minLeft && len(seen) >= minDistinct
}

package tokens

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// hidden is the text that all formatters, encoders and loggers print for a Secret.
const hidden = "***"

// minSecret is the minimum length of a signing key in bytes: RFC 7518 section 3.2
// requires a key at least as long as the hash, 256 bits here.
const minSecret = 32

// ErrWeakSecret means that a signing key is easy to guess.
var ErrWeakSecret = errors.New("weak secret")

// Secret is a text that no fmt verb, slog handler, JSON or text encoder prints. Only
// Reveal returns it.
//
// Two exceptions remain in fmt, which calls no method there: a Secret in an unexported
// field, so keep it in an exported one or in none, and the verb %w without an error,
// which go vet refuses.
type Secret string

// Reveal returns the value.
func (s Secret) Reveal() string { return string(s) }

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s == "" }

// String hides the value. An empty Secret stays empty, so that a log shows that it is
// not set.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("tokens.Secret(%q)", s.String()) }

// Format hides the value from all verbs. Without it, a verb that does not fit a string,
// such as %d, would print the value in its error text.
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

// placeholders are words that people type instead of a generated secret. The original
// service fell back to default_value and defaultSecret, which are in its public source,
// so that anyone could sign tokens (as in CVE-2026-33503). Longer words precede the
// words they contain.
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

// CheckSecret returns nil if s can sign tokens: it has at least 32 bytes, is no known
// placeholder, padded or not, and does not repeat one piece. The error wraps
// ErrWeakSecret, names the command that creates a secret, and quotes nothing of the
// value.
func CheckSecret(s Secret) error {
	reason := ""
	switch value := s.Reveal(); {
	case s.IsZero():
		reason = "it is empty"
	case len(value) < minSecret:
		reason = fmt.Sprintf("it is shorter than %d bytes", minSecret)
	case repeats(value):
		reason = "it repeats one piece"
	case !unguessable(value):
		reason = "it is a placeholder or consists of known words"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s; create one with: openssl rand -base64 48", ErrWeakSecret, reason)
}

// repeats reports whether s is one piece repeated, the last time possibly cut:
// "secretsecretsecr", "aaaa".
func repeats(s string) bool {
	for period := 1; period <= len(s)/2; period++ {
		if s[period:] == s[:len(s)-period] {
			return true
		}
	}
	return false
}

// unguessable reports whether enough of s remains without known words, the marks
// between them and runs of one character. The bounds leave room for real keys: 32
// random hexadecimal digits lose about two.
func unguessable(s string) bool {
	const minLeft, minDistinct = 16, 8
	lower := []byte(s)
	for i, c := range lower { // not strings.ToLower, which changes bytes that are not UTF-8
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

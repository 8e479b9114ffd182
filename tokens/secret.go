package tokens

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
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
	"sandbox", "insecure", "generation", "master", "valid", "auth", "api", "bits",
	"deadbeef", "cafebabe", "badf00d", "lorem", "ipsum", "dolor", "amet",
}

// published are keys in public texts from which people copy them: as easy to guess as a
// default.
var published = []string{
	"MasterkeyNeedsToHave32Characters",                                                       // Zitadel's guides
	"MySuperSecretKeyThatIsLongEnough1234",                                                   // tutorials about JWT
	"ThisIsASecretKeyForJwtTokenGeneration12345",                                             // the same
	"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",                // jwt.io
	"a-valid-string-secret-that-is-at-least-384-bits-long",                                   // jwt.io
	"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", // RFC 7515, appendix A.1
	"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",                                            // RFC 7520, section 3.5
	"3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R",                    // Hasura's guide to JWT
	"404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",                       // tutorials about Spring and JWT
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",                       // the SHA-256 of nothing
	"5f4dcc3b5aa765d61d8327deb882cf99",                                                       // the MD5 of "password"
	"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",                       // the SHA-256 of "password"
	"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",                       // the SHA-256 of "secret"

	// Tokens and key IDs in the examples of our own pages.
	"91C200D44346CB6960C74526C6642B819E3D", "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis", "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE",
	"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI2YTFmMGMyZTliN2Q0ZTVmODAxMTIyMzMifQ.c2lnbmF0dXJl",
}

// CheckSecret returns nil if s can sign tokens: it has at least 32 bytes, is no known
// placeholder, padded or not, encoded or not, is in no public text that we know, and
// does not repeat one piece. The error wraps ErrWeakSecret, names the command that
// creates a secret, and quotes nothing of the value.
func CheckSecret(s Secret) error {
	reason := ""
	switch value := s.Reveal(); {
	case s.IsZero():
		reason = "it is empty"
	case len(value) < minSecret:
		reason = fmt.Sprintf("it is shorter than %d bytes", minSecret)
	case repeats(value):
		reason = "it repeats one piece"
	case !unguessable(value), encodesWords(value):
		reason = "it is a placeholder or consists of known words"
	case isPublished(value):
		reason = "it is in a public text"
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

// isPublished reports whether s is a published key, in any letter case and with or
// without padding.
func isPublished(s string) bool {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	return slices.ContainsFunc(published, func(key string) bool { return strings.EqualFold(key, s) })
}

// encodesWords reports whether s is hexadecimal or base64 for a text that CheckSecret
// refuses, or for bytes that count up. The bytes of a random secret are neither.
func encodesWords(s string) bool {
	s = strings.TrimRight(s, "=")
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		raw, err := decode(s)
		if err != nil || len(raw) < 2 {
			continue
		}
		counts, isText := true, true
		for i, b := range raw {
			counts = counts && b-raw[0] == byte(i)*(raw[1]-raw[0])
			isText = isText && ' ' <= b && b <= '~'
		}
		if counts || repeats(string(raw)) || isText && !unguessable(string(raw)) {
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

package core

import (
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Masked replaces a secret.
const Masked = "•••"

// secretNames are the fields of bodies and queries that hold secrets, in any letter
// case.
var secretNames = []string{
	"password", "old_password", "user_password", "token", "access_token", "auth_key", "secret",
	"signature", "X-Amz-Signature", "administration_api_key",
	"client_identification_sequence", "web_auth", "web_p256dh",
}

func isSecret(name string) bool {
	return slices.ContainsFunc(secretNames, func(secret string) bool { return strings.EqualFold(name, secret) })
}

type pattern struct {
	find *regexp.Regexp
	show string
}

// patterns find secrets in any text by their form.
var patterns = sync.OnceValue(func() []pattern {
	return []pattern{
		{regexp.MustCompile(`(?i)((?:^|[?&\[]|%5B|\\u0026)(?:` + strings.Join(secretNames, "|") + `)(?:\]|%5D)?=)[^&\s"\\]+`), "${1}" + Masked},
		{regexp.MustCompile(`eyJ[\w-]+(?:\.[\w-]*){0,2}`), Masked}, // a JWT
		{regexp.MustCompile(`\b[0-9A-F]{36}\b`), Masked},           // a session's token
		{regexp.MustCompile(`(<(?:[\w.-]+:)?(?:auth|response)\b[^>]*>)[^<]+`), "${1}" + Masked},
	}
})

// broken finds secret fields in JSON that cannot be parsed, and in multipart forms.
var broken = sync.OnceValue(func() []pattern {
	return []pattern{
		{regexp.MustCompile(`(?i)("(?:` + strings.Join(secretNames, "|") + `)"\s*:\s*)(?:"(?:[^"\\]|\\.)*(?:"|\\?$)|\[[^\]]*\]?|\{[^}]*\}?|[^\s",}\]\[{]+)`), `${1}"` + Masked + `"`},
		{regexp.MustCompile(`(?i)(name="(?:` + strings.Join(secretNames, "|") + `)"\r?\n\r?\n)[^\r\n]+`), "${1}" + Masked},
	}
})

func replace(text string, all []pattern) string {
	for _, p := range all {
		text = p.find.ReplaceAllString(text, p.show)
	}
	return text
}

// MaskPatterns masks the secrets that have a known form.
func MaskPatterns(text string) string { return replace(text, patterns()) }

// maskPath masks the query of a path.
func maskPath(path string) string {
	path, query, found := strings.Cut(path, "?")
	if found {
		path += "?" + maskForm(query)
	}
	return MaskPatterns(path)
}

// maskBody masks the fields of a body by their names, as a server would parse them,
// and the rest by its form. The body may be cut off, even within a secret. If
// refusal is set, the values below errors are sentences.
func maskBody(body string, refusal bool) string {
	if start := strings.TrimSpace(body); !strings.HasPrefix(start, "{") && !strings.HasPrefix(start, "[") {
		return MaskPatterns(replace(maskForm(body), broken()))
	}
	m := jsonMask{text: body, dec: json.NewDecoder(strings.NewReader(body)), sentences: refusal}
	whole := m.all()
	body = m.out.String() + body[m.done:]
	if !whole {
		body = replace(body, broken())
	}
	return MaskPatterns(body)
}

// maskForm masks the fields of a form or query, including user[password].
func maskForm(form string) string {
	pairs := strings.Split(form, "&")
	for i, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			name = key
		}
		if value != "" && slices.ContainsFunc(strings.FieldsFunc(name, betweenNames), isSecret) {
			pairs[i] = key + "=" + Masked
		}
	}
	return strings.Join(pairs, "&")
}

func betweenNames(r rune) bool { return r == '[' || r == ']' || unicode.IsSpace(r) }

// jsonMask copies JSON unchanged, except for the values of secret fields.
type jsonMask struct {
	text      string
	dec       *json.Decoder
	out       strings.Builder
	done      int  // bytes of text that are in out
	sentences bool // the fields below errors are no secrets
}

// all copies the part that can be parsed and reports whether that was everything.
func (m *jsonMask) all() bool {
	for {
		if err := m.value(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func (m *jsonMask) value() error {
	opening, err := m.dec.Token()
	if err != nil {
		return err
	}
	switch opening {
	case json.Delim('{'):
		for m.dec.More() {
			if err := m.field(); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for m.dec.More() {
			if err := m.value(); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = m.dec.Token()
	return err
}

// field copies a field up to its value, and masks the value if it is secret. If a
// secret value is cut off, it masks the rest of the text.
func (m *jsonMask) field() error {
	name, err := m.dec.Token()
	if err != nil {
		return err
	}
	key, _ := name.(string)
	if !isSecret(key) && !(m.sentences && key == "errors") {
		return m.value()
	}
	from := int(m.dec.InputOffset())
	from += len(m.text[from:]) - len(strings.TrimLeft(m.text[from:], ": \t\r\n"))
	var value json.RawMessage
	err = m.dec.Decode(&value)
	to := int(m.dec.InputOffset())
	if err != nil {
		to = len(m.text)
	}
	if !isSecret(key) || from == len(m.text) {
		return err
	}
	m.out.WriteString(m.text[m.done:from] + `"` + Masked + `"`)
	m.done = to
	return err
}

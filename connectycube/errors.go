package connectycube

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The reasons of a failure, for errors.Is. Each error of this package matches
// exactly one. If the caller's context ended, the error matches its error as well.
var (
	// ErrUnavailable: no answer, no usable answer, or an answer that the service
	// fails. Whether the request had an effect is unknown.
	ErrUnavailable = errors.New("connectycube is unavailable")
	// ErrTaken: another user has the login, email or external ID.
	ErrTaken = errors.New("connectycube has such a user already")
	// ErrBadCredentials: the password is wrong.
	ErrBadCredentials = errors.New("connectycube refused the credentials")
	// ErrNotFound: the user does not exist.
	ErrNotFound = errors.New("connectycube has no such user")
	// ErrIdentityProvider: the application asks a Custom Identity Provider about
	// every login, and the provider refused or its answer contained no uid.
	ErrIdentityProvider = errors.New("connectycube's identity provider refused")
	// ErrSessionExpired: the session's token has expired or never existed.
	ErrSessionExpired = errors.New("connectycube session has expired")
	// ErrMisconfigured: the application is unknown, or the key is not its key. An
	// old, self-hosted installation may answer so to a wrong password, too.
	ErrMisconfigured = errors.New("connectycube does not accept the application's settings")
	// ErrRefused: any other refusal; the service understood the request, which had no effect.
	ErrRefused = errors.New("connectycube refused the request")
)

// APIError is an answer of the service that is no success. It matches one of the
// sentinels with errors.Is.
type APIError struct {
	Status     int           // HTTP status
	Messages   []string      // the texts in the answer: at most 8, of 200 characters, secrets masked
	RetryAfter time.Duration // the wait that the service asks for, at most an hour; zero if it asks for none

	// ProviderStatus and ProviderCode are the status and the member "code" of the identity
	// provider's answer, as far as the service quotes it; else 0 and "".
	ProviderStatus int
	ProviderCode   string

	kind    error
	foreign bool // the body is not JSON, so perhaps another server answered
}

// Error shows the kind, the status and the messages, at most about 400 characters.
func (e *APIError) Error() string {
	text := "unclassified"
	if e.kind != nil {
		text = e.kind.Error()
	}
	text += fmt.Sprintf(" (status %d)", e.Status)
	if len(e.Messages) > 0 {
		text += ": " + clip(strings.Join(e.Messages, "; "), 300)
	}
	return text
}

// Unwrap returns the sentinel.
func (e *APIError) Unwrap() error { return e.kind }

// authMode tells with which credentials a call is made. The meaning of a status
// depends on it: an application, a login and a session get the same statuses.
type authMode int

const (
	asApplication authMode = 1 << iota // with the application's ID and key
	asLogin                            // with ID, key and a user's credentials
	asSession                          // with a token from the caller
	asOwner                            // with such a token and the account's password
	asAdmin                            // with the administration key
	asLookup                           // with a token of a session opened for this call
	anyMode       = asApplication | asLogin | asSession | asOwner | asAdmin | asLookup
)

// The texts that tell answers with one status apart; docs/connectycube.md, Errors,
// has their sources. Three rules allow for what is unknown: a duplicate may have
// any 4xx, a refusal of the identity provider any status, and a wrong old password
// any text that names it.
var (
	textsTaken         = []string{"must be unique", "already been taken"}
	textsProvider      = []string{"custom identity provider", "on remote side"}
	textsOldPassword   = []string{"old_password", "old password", "invalid password"}
	textsMisconfigured = []string{textNoApplication, "unexpected signature"}
	textExpired        = []string{"required session does not exist"}
	textWrongKey       = []string{"unauthorized"} // until 2021 also for a wrong password
)

// textNoApplication is part of the answer about an application that does not exist.
const textNoApplication = "no application found"

// rules gives each answer its meaning. The first match counts.
var rules = []struct {
	from, to int      // statuses, both included
	texts    []string // the answer contains one of them, in any letter case; none: any answer
	as       authMode
	is       error
}{
	{200, 599, textsProvider, asLogin, ErrIdentityProvider},
	{100, 399, nil, anyMode, ErrUnavailable}, // a 2xx only if its body was unusable
	{408, 408, nil, anyMode, ErrUnavailable},
	{429, 429, nil, anyMode, ErrUnavailable},
	{500, 599, nil, anyMode, ErrUnavailable},
	{400, 499, textsMisconfigured, anyMode, ErrMisconfigured},
	{400, 499, textsTaken, anyMode, ErrTaken},
	{401, 401, textExpired, asSession | asOwner, ErrSessionExpired},
	{400, 499, textsOldPassword, asOwner, ErrBadCredentials},
	{401, 403, nil, asAdmin, ErrMisconfigured},
	{401, 401, textExpired, asLookup, ErrUnavailable}, // the session is a second old: the service is the reason
	{401, 401, textWrongKey, asLogin, ErrMisconfigured},
	{401, 401, nil, asLogin, ErrBadCredentials},
	{401, 401, nil, asApplication, ErrMisconfigured},
	{404, 404, nil, asLogin | asSession | asOwner | asAdmin | asLookup, ErrNotFound},
	{404, 404, nil, asApplication, ErrMisconfigured}, // these paths always exist: the base URL is wrong
	{400, 499, nil, anyMode, ErrRefused},
}

func classify(status int, messages []string, as authMode) error {
	text := strings.ToLower(strings.Join(messages, "\n"))
	for _, r := range rules {
		if status < r.from || status > r.to || r.as&as == 0 {
			continue
		}
		if len(r.texts) == 0 || containsAny(text, r.texts) {
			return r.is
		}
	}
	return ErrUnavailable // a status outside HTTP's range
}

// unlessGone returns err, or nil if the item to delete does not exist.
func unlessGone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func containsAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// failure makes an error of an answer. It classifies the original messages and
// masks them afterward, so that a password like "unique" changes nothing.
func (c *Client) failure(k call, resp *http.Response, body []byte, remark string) error {
	messages := flatten(body)
	e := &APIError{
		Status:     resp.StatusCode,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After")),
		kind:       classify(resp.StatusCode, messages, k.as),
		foreign:    !json.Valid(body),
	}
	if e.kind == ErrIdentityProvider {
		e.ProviderStatus, e.ProviderCode = quoted(strings.Join(messages, "\n"))
	}
	if remark != "" {
		e.kind = remarked(e.kind)
		e.Messages = append(e.Messages, remark)
	}
	secrets := secretsOf(c, k)
	for _, m := range messages {
		if len(e.Messages) == maxMessages {
			break
		}
		// The first cut bounds the work. It is far enough out that the second cut
		// removes any half of a secret that it leaves.
		e.Messages = append(e.Messages, clip(mask(m[:min(len(m), 4096)], secrets), 200))
	}
	return e
}

// The parts of an identity provider's answer that the service quotes in its own.
var (
	quotedStatus = regexp.MustCompile(`(?i)status(?: code = |: )([1-5]\d\d)`)
	quotedCode   = regexp.MustCompile(`\\?"code\\?": ?\\?"([A-Z_]{1,40})\\?"`)
)

func quoted(text string) (status int, code string) {
	if found := quotedStatus.FindAllStringSubmatch(text, -1); found != nil { // the last one: the provider may quote one, too
		status, _ = strconv.Atoi(found[len(found)-1][1])
	}
	if found := quotedCode.FindStringSubmatch(text); found != nil {
		code = found[1]
	}
	return status, code
}

// Says reports whether the answer contains a text, in any letter case.
func (e *APIError) Says(text string) bool { return e.says(strings.ToLower(text)) }

// remarked returns the kind of an unreadable answer. Such an answer tells nothing
// about the request, whatever its status, unless it contains the provider's text.
func remarked(kind error) error {
	if kind == ErrIdentityProvider {
		return kind
	}
	return ErrUnavailable
}

const (
	maxMessages = 8
	maxDepth    = 4 // of nesting below "errors"; the three known shapes have at most 2
)

// flatten collects the texts of an error answer: under "errors" as a list, as
// {"base":[…]} or as {"field":[…]}, under "message" or "error", or plain text.
func flatten(body []byte) []string {
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil {
		text := strings.TrimSpace(string(body))
		if text == "" || strings.HasPrefix(text, "<") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{") {
			return nil // a page or an incomplete document, not a message
		}
		return []string{clip(text, 2000)}
	}
	var out []string
	for _, key := range []string{"errors", "message", "error"} {
		out = collect(out, "", answer[key], maxDepth)
	}
	return out
}

func collect(out []string, field string, v any, depth int) []string {
	if depth == 0 || len(out) >= 4*maxMessages {
		return out
	}
	switch v := v.(type) {
	case string:
		if field != "" {
			v = field + " " + v
		}
		return append(out, v)
	case []any:
		for _, item := range v {
			out = collect(out, field, item, depth-1)
		}
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if key == "base" {
				out = collect(out, field, v[key], depth-1)
				continue
			}
			out = collect(out, key, v[key], depth-1)
		}
	}
	return out
}

// tokenShaped finds JWTs, complete or not (base64url that begins with an encoded
// brace, and the parts after dots), and session tokens (32 or more hex digits).
var tokenShaped = regexp.MustCompile(`e(yJ|yA|yI|wo|wk)[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*|[0-9A-Fa-f]{32,}`)

const masked = "[hidden]"

func mask(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) < 4 { // a shorter one occurs in every sentence
			continue
		}
		text = strings.ReplaceAll(text, s, masked)
		text = strings.ReplaceAll(text, url.QueryEscape(s), masked)
	}
	return tokenShaped.ReplaceAllString(text, masked)
}

// clip shortens a text to limit characters and replaces the characters that could
// forge a log line.
func clip(text string, limit int) string {
	n := 0
	return strings.Map(func(r rune) rune {
		n++
		switch {
		case n == limit+1:
			return '…'
		case n > limit:
			return -1
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, text)
}

const maxRetryAfter = time.Hour

// retryAfter reads both forms of the header; zero if it is unreadable.
func retryAfter(value string) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, 0), maxRetryAfter)
}

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

// What can go wrong, for errors.Is. Each error of this package matches exactly
// one; when the caller's context ended, its error matches as well.
var (
	// ErrUnavailable: no answer, no usable answer, or one that says the service
	// is failing. Whether the request took effect is unknown.
	ErrUnavailable = errors.New("connectycube is unavailable")
	// ErrTaken: login, e-mail or external id belong to another user.
	ErrTaken = errors.New("connectycube has such a user already")
	// ErrBadCredentials: a user session was refused for its password.
	ErrBadCredentials = errors.New("connectycube refused the credentials")
	// ErrNotFound: no such user.
	ErrNotFound = errors.New("connectycube has no such user")
	// ErrIdentityProvider: the application asks a Custom Identity Provider about
	// every login, and the provider refused or its answer had no uid.
	ErrIdentityProvider = errors.New("connectycube's identity provider refused")
	// ErrSessionExpired: the session's token is dead or was never alive.
	ErrSessionExpired = errors.New("connectycube session has expired")
	// ErrMisconfigured: unknown application, or a key that is not its own. An
	// old, self-hosted installation may say so of a wrong password, too.
	ErrMisconfigured = errors.New("connectycube does not accept the application's settings")
	// ErrRefused: any other refusal; the request was understood and had no effect.
	ErrRefused = errors.New("connectycube refused the request")
)

// APIError is an answer of the service that is not a success. It matches one of
// the sentinels with errors.Is.
type APIError struct {
	Status     int           // HTTP status
	Messages   []string      // every text found in the answer: at most 8, of 200 characters, secrets masked
	RetryAfter time.Duration // what the service asked for, at most an hour; zero when it did not

	kind error
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

// Unwrap gives the sentinel.
func (e *APIError) Unwrap() error { return e.kind }

// authMode says on whose behalf a call is made. The meaning of a status depends
// on it: an application, a login and the holder of a session get the same ones.
type authMode int

const (
	asApplication authMode = 1 << iota // with id and key
	asLogin                            // with id, key and somebody's credentials
	asSession                          // with a token the caller holds
	asOwner                            // with such a token and the account's password
	asAdmin                            // with the administration key
	asLookup                           // with a token made for this one call
	anyMode       = asApplication | asLogin | asSession | asOwner | asAdmin | asLookup
)

// Assumptions, gathered here because no answer of the real service confirms
// them. Contract tag "inf": the status of a duplicate (so any 4xx with the text
// counts), status and text for an unknown application (tag "old"), and that a
// wrong key gives 401. Tag "live", and old: the texts of the identity provider,
// once seen with 200, so any status counts. Contract 6.3: what a wrong old
// password is answered with is not known, so a text that names it counts.
var (
	textsTaken         = []string{"must be unique", "already been taken"}
	textsProvider      = []string{"custom identity provider", "on remote side"}
	textsOldPassword   = []string{"old_password", "old password", "invalid password"}
	textsMisconfigured = []string{"no application found", "unexpected signature"}
	textExpired        = []string{"required session does not exist"} // documented; every SDK relies on it
	textWrongKey       = []string{"unauthorized"}                    // tag "old"; the current service says «Invalid password» for a password, services until 2021 said this for both
)

// rules is the one place where an answer gets its meaning. The first match wins.
var rules = []struct {
	from, to int      // statuses, both included
	texts    []string // one of them occurs, without regard to case; none = any text
	as       authMode
	is       error
}{
	{200, 599, textsProvider, asLogin, ErrIdentityProvider},
	{100, 399, nil, anyMode, ErrUnavailable}, // a 2xx gets here when it was unusable
	{408, 408, nil, anyMode, ErrUnavailable},
	{429, 429, nil, anyMode, ErrUnavailable},
	{500, 599, nil, anyMode, ErrUnavailable},
	{400, 499, textsMisconfigured, anyMode, ErrMisconfigured},
	{400, 499, textsTaken, anyMode, ErrTaken},
	{401, 401, textExpired, asSession | asOwner, ErrSessionExpired},
	{400, 499, textsOldPassword, asOwner, ErrBadCredentials},
	{401, 403, nil, asAdmin, ErrMisconfigured},
	{401, 401, textExpired, asLookup, ErrUnavailable}, // dead within a second: not the caller's doing
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

// unlessGone is nil for what was to be deleted and is not there.
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

// failure turns an answer into an error. It classifies by what was really said
// and only then masks, so that a password like "unique" changes nothing.
func (c *Client) failure(k call, resp *http.Response, body []byte, remark string) error {
	messages := flatten(body)
	e := &APIError{
		Status:     resp.StatusCode,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After")),
		kind:       classify(resp.StatusCode, messages, k.as),
	}
	if remark != "" {
		e.kind = remarked(e.kind)
		e.Messages = append(e.Messages, remark)
	}
	secrets := c.secrets(k)
	for _, m := range messages {
		if len(e.Messages) == maxMessages {
			break
		}
		// the first cut bounds the work; it is far enough out that no half of a
		// secret it leaves survives the second
		e.Messages = append(e.Messages, clip(mask(m[:min(len(m), 4096)], secrets), 200))
	}
	return e
}

// remarked: an answer that could not be read tells nothing about the request,
// whatever its status says, unless the provider's own words were in it.
func remarked(kind error) error {
	if kind == ErrIdentityProvider {
		return kind
	}
	return ErrUnavailable
}

const (
	maxMessages = 8
	maxDepth    = 4 // of nesting below "errors"; three shapes are known, none deeper than 2
)

// flatten collects the texts of an error answer: under "errors" as a list, as
// {"base":[…]} or as {"field":[…]}, under "message" or "error", or a plain text.
func flatten(body []byte) []string {
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil {
		text := strings.TrimSpace(string(body))
		if text == "" || strings.HasPrefix(text, "<") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{") {
			return nil // a page or a torn document, not a message
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

// tokenShaped finds JWTs, whole or in part (base64url that opens with an encoded
// brace, and what follows after dots), and session tokens (32 or more
// hex digits).
var tokenShaped = regexp.MustCompile(`e(yJ|yA|yI|wo|wk)[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*|[0-9A-Fa-f]{32,}`)

const masked = "[hidden]"

func mask(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) < 4 { // shorter ones are in every sentence
			continue
		}
		text = strings.ReplaceAll(text, s, masked)
		text = strings.ReplaceAll(text, url.QueryEscape(s), masked)
	}
	return tokenShaped.ReplaceAllString(text, masked)
}

// clip bounds a text, in characters, and takes out what could forge a log line.
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

// retryAfter reads both forms of the header; what it cannot read is zero.
func retryAfter(value string) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, 0), maxRetryAfter)
}

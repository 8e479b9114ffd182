package resolvers

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Code is what a client may branch on. The list is closed: a client that knows
// these knows all that it can get, in GraphQL as extensions.code and in REST
// as code.
type Code string

// The codes, each with the HTTP status that REST answers with.
const (
	BadUserInput     Code = "BAD_USER_INPUT"                // 400: can never work as sent
	ParseFailed      Code = "GRAPHQL_PARSE_FAILED"          // 400: not a GraphQL document
	ValidationFailed Code = "GRAPHQL_VALIDATION_FAILED"     // 400: not a document for this schema
	Unauthenticated  Code = "UNAUTHENTICATED"               // 401: no proof, wrong proof, expired proof
	Forbidden        Code = "FORBIDDEN"                     // 403: known who asks, and not allowed
	NotFound         Code = "NOT_FOUND"                     // 404: no such route, user or session
	MethodNotAllowed Code = "METHOD_NOT_ALLOWED"            // 405: see the header Allow
	NotAcceptable    Code = "NOT_ACCEPTABLE"                // 406: no media type that both sides speak
	Conflict         Code = "CONFLICT"                      // 409: it is taken
	TooLarge         Code = "PAYLOAD_TOO_LARGE"             // 413: the body passes the bound
	UnsupportedMedia Code = "UNSUPPORTED_MEDIA_TYPE"        // 415: want application/json
	NoPersisted      Code = "PERSISTED_QUERY_NOT_SUPPORTED" // 400: send the whole document
	RateLimited      Code = "RATE_LIMITED"                  // 429: too many wrong passwords; wait
	Canceled         Code = "CANCELED"                      // 499: the client left; nobody reads it
	Internal         Code = "INTERNAL_SERVER_ERROR"         // 500: ours to fix; the log has the cause
	Upstream         Code = "UPSTREAM_UNAVAILABLE"          // 502: ConnectyCube refused, is silent or is slow
	Unavailable      Code = "SERVICE_UNAVAILABLE"           // 503: we are busy or our database is away; try again
)

var statuses = map[Code]int{
	BadUserInput: http.StatusBadRequest, ParseFailed: http.StatusBadRequest, ValidationFailed: http.StatusBadRequest,
	Unauthenticated: http.StatusUnauthorized, Forbidden: http.StatusForbidden, NotFound: http.StatusNotFound, MethodNotAllowed: http.StatusMethodNotAllowed,
	NotAcceptable: http.StatusNotAcceptable, Conflict: http.StatusConflict, TooLarge: http.StatusRequestEntityTooLarge,
	UnsupportedMedia: http.StatusUnsupportedMediaType, NoPersisted: http.StatusBadRequest, RateLimited: http.StatusTooManyRequests, Canceled: 499,
	Internal: http.StatusInternalServerError, Upstream: http.StatusBadGateway, Unavailable: http.StatusServiceUnavailable,
}

// Status is the HTTP status of a code.
func (c Code) Status() int { return statuses[c] }

// Error is the only error that leaves the process. Message and Fields are safe
// to show and never built from Cause; Cause is logged and never shown.
type Error struct {
	Code       Code
	Message    string
	Fields     map[string]string // what is wrong with each input field
	RetryAfter time.Duration     // after which a retry makes sense; 0 = unknown
	Limited    bool              // a limit refused the request before any work was done; RateLimited implies it
	Cause      error
}

// Error is what the log shows.
func (e *Error) Error() string {
	if e.Cause == nil {
		return string(e.Code) + ": " + e.Message
	}
	return string(e.Code) + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// extensions are the error's machine-readable part in GraphQL.
func (e *Error) extensions() map[string]any {
	x := map[string]any{"code": e.Code}
	if len(e.Fields) > 0 {
		x["fields"] = e.Fields
	}
	if e.RetryAfter > 0 {
		x["retryAfter"] = seconds(e.RetryAfter)
	}
	return x
}

// seconds rounds up, as Retry-After wants it: sooner would be too soon.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// level is how loud an error concerns us.
func (e *Error) level() slog.Level {
	switch e.Code {
	case Internal:
		return slog.LevelError
	case Upstream, Unavailable:
		return slog.LevelWarn
	}
	return slog.LevelDebug // the client's mistake
}

// logFailure writes an error down once.
func logFailure(ctx context.Context, log *slog.Logger, e *Error) {
	log.LogAttrs(ctx, e.level(), "request failed", slog.String("code", string(e.Code)), slog.Any("err", error(e)))
}

// problem is an error as RFC 9457 shapes it, with our code and what is wrong
// with each field.
type problem struct {
	Type   string            `json:"type"` // always about:blank: the code says more
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail"`
	Code   Code              `json:"code"`
	Fields map[string]string `json:"fields,omitempty"`
}

// WriteError answers a REST request with an error.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, e *Error) {
	if !countRefusal(r.Context(), e) {
		logFailure(r.Context(), log, e)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(e.RetryAfter)))
	}
	if e.Code == Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	status := e.Code.Status()
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problem{"about:blank", title(status), status, e.Message, e.Code, e.Fields}) // the client may be gone
}

// Refuse answers every request with one error: the router's 404 and 405, and
// what is left to say after a panic.
func Refuse(code Code, message string, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		WriteError(w, r, log, &Error{Code: code, Message: message})
	}
}

// title is what HTTP calls a status. 499 is nginx's own.
func title(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Client Closed Request"
}

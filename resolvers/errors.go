package resolvers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/accounts"
	"cubegate/store"
	"cubegate/tokens"
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

// Error is the one error that leaves the process. Message and Fields are made
// to be shown and never built from Cause; Cause is for the log and never
// shown.
type Error struct {
	Code       Code
	Message    string
	Fields     map[string]string // what is wrong with each input field
	RetryAfter time.Duration     // when trying again makes sense; 0 = unknown
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

// public maps inner errors to what clients see; the first match counts.
var public = []struct {
	is      error
	code    Code
	message string
}{
	{context.Canceled, Canceled, "The request was canceled"},
	{store.ErrEmailTaken, Conflict, "Email already exists"},
	{store.ErrChanged, Conflict, "Somebody else has changed this at the same moment; try again"},
	{store.ErrNotFound, NotFound, "There is no such user"},
	{accounts.ErrForeign, Conflict, "Email already exists at the chat service, with another password"},
	{accounts.ErrCannotDelete, Upstream, "The chat service needs the user's password, or an administration key, to delete this account"},
	{accounts.ErrNeedsPassword, Upstream, "The chat service needs the user's password for this"},
	{store.ErrUnavailable, Unavailable, "The service cannot answer now; try again in a moment"},
	{tokens.ErrBusy, Unavailable, "The service is busy; try again in a moment"},
	{tokens.ErrLaneFull, RateLimited, "Too many logins from this network or for this account at once; try again in a moment"},
	{tokens.ErrWrongPassword, Unauthenticated, "Invalid email or password"},
	{tokens.ErrExpired, Unauthenticated, "The token has expired"},
	{tokens.ErrInvalid, Unauthenticated, "The token is not valid"},
	{connectycube.ErrTaken, Conflict, "Email already exists"},
	{connectycube.ErrUnavailable, Upstream, "The chat service is unavailable; try again in a moment"},
	{connectycube.ErrRefused, Upstream, "The chat service refused the account"},
	{connectycube.ErrMisconfigured, Upstream, "The chat service is not set up for this server"},
	{connectycube.ErrIdentityProvider, Upstream, "The chat service is not set up for this server"},
	{connectycube.ErrBadCredentials, Upstream, "The chat service refused the account"},
	{connectycube.ErrNotFound, Upstream, "The chat service refused the account"},
	{connectycube.ErrSessionExpired, Upstream, "The chat service is unavailable; try again in a moment"},
	{accounts.ErrPending, Unavailable, "The account at the chat service is not ready yet; try again in a moment"},
}

// outward is the only way out for an error. One that the table does not know
// says nothing.
func outward(err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	for _, p := range public {
		if errors.Is(err, p.is) {
			return &Error{Code: p.code, Message: p.message, Cause: err, RetryAfter: retryAfter(err)}
		}
	}
	return &Error{Code: Internal, Message: "Something went wrong on our side", Cause: err}
}

func retryAfter(err error) time.Duration {
	var api *connectycube.APIError
	var full *tokens.QueueError
	switch {
	case errors.As(err, &api):
		return api.RetryAfter
	case errors.As(err, &full):
		return full.After
	}
	if over, ok := errors.AsType[*accounts.OverBudgetError](err); ok {
		return over.RetryAfter
	}
	return 0
}

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
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	e := outward(err)
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
	write(w, "application/problem+json", status, problem{"about:blank", title(status), status, e.Message, e.Code, e.Fields})
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

func writeJSON(w http.ResponseWriter, status int, body any) {
	write(w, "application/json; charset=utf-8", status, body)
}

// write answers with a body that nobody may keep: tokens are in most.
func write(w http.ResponseWriter, media string, status int, body any) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone; there is nobody to tell
}

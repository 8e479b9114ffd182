package apierror

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Code is the part of an error that a client may branch on: extensions.code in
// GraphQL, code in REST. The list is closed.
type Code string

// The codes, each named after its text, with the HTTP status of REST.
const (
	BadUserInput               Code = "BAD_USER_INPUT"                // 400: can never work as sent
	GraphQLParseFailed         Code = "GRAPHQL_PARSE_FAILED"          // 400: not a GraphQL document
	GraphQLValidationFailed    Code = "GRAPHQL_VALIDATION_FAILED"     // 400: not a document for this schema
	Unauthenticated            Code = "UNAUTHENTICATED"               // 401: no credentials, wrong or expired ones
	StaleRefreshToken          Code = "STALE_REFRESH_TOKEN"           // 401: just replaced; use the newest one
	Forbidden                  Code = "FORBIDDEN"                     // 403: the caller is known and not allowed
	NotFound                   Code = "NOT_FOUND"                     // 404: no such route, user or session
	MethodNotAllowed           Code = "METHOD_NOT_ALLOWED"            // 405: see the header Allow
	NotAcceptable              Code = "NOT_ACCEPTABLE"                // 406: no media type that both sides support
	Conflict                   Code = "CONFLICT"                      // 409: taken, or changed concurrently
	MalformedData              Code = "MALFORMED_DATA"                // 409: a stored document cannot be read; only the operator can correct it
	PayloadTooLarge            Code = "PAYLOAD_TOO_LARGE"             // 413: the body exceeds the bound
	UnsupportedMediaType       Code = "UNSUPPORTED_MEDIA_TYPE"        // 415: want application/json
	PersistedQueryNotFound     Code = "PERSISTED_QUERY_NOT_FOUND"     // 200: send the whole document once
	PersistedQueryNotSupported Code = "PERSISTED_QUERY_NOT_SUPPORTED" // 200: send the whole document each time
	RateLimited                Code = "RATE_LIMITED"                  // 429: too many attempts; wait
	Canceled                   Code = "CANCELED"                      // 499: the client has gone
	InternalServerError        Code = "INTERNAL_SERVER_ERROR"         // 500: ours to fix; the log has the cause
	UpstreamUnavailable        Code = "UPSTREAM_UNAVAILABLE"          // 502: ConnectyCube refused or did not answer in time
	ServiceUnavailable         Code = "SERVICE_UNAVAILABLE"           // 503: the server is busy, or the database does not answer; try again
)

var statuses = map[Code]int{
	BadUserInput: http.StatusBadRequest, GraphQLParseFailed: http.StatusBadRequest, GraphQLValidationFailed: http.StatusBadRequest,
	Unauthenticated: http.StatusUnauthorized, StaleRefreshToken: http.StatusUnauthorized, Forbidden: http.StatusForbidden, NotFound: http.StatusNotFound, MethodNotAllowed: http.StatusMethodNotAllowed,
	NotAcceptable: http.StatusNotAcceptable, Conflict: http.StatusConflict, MalformedData: http.StatusConflict, PayloadTooLarge: http.StatusRequestEntityTooLarge,
	UnsupportedMediaType: http.StatusUnsupportedMediaType, RateLimited: http.StatusTooManyRequests, Canceled: 499,
	PersistedQueryNotFound: http.StatusOK, PersistedQueryNotSupported: http.StatusOK, // the clients that understand them expect it
	InternalServerError: http.StatusInternalServerError, UpstreamUnavailable: http.StatusBadGateway, ServiceUnavailable: http.StatusServiceUnavailable,
}

// Codes lists all codes in alphabetical order.
func Codes() []Code { return slices.Sorted(maps.Keys(statuses)) }

// Status returns the HTTP status of a code.
func (c Code) Status() int { return statuses[c] }

// Error is the only error that leaves the process. Message and Fields are safe
// to show and never built from Cause; Cause is logged and never shown.
type Error struct {
	Code       Code
	Message    string
	Fields     map[string]string // the error of each input field
	RetryAfter time.Duration     // after which a retry makes sense; 0 = unknown
	Limited    bool              // a limit refused the request before any work was done; RateLimited implies it
	Reason     Reason            // for logs and metrics; empty = that of the code, see [ReasonOf]
	Cause      error
}

// Error returns the text for the log.
func (e *Error) Error() string {
	if e.Cause == nil {
		return string(e.Code) + ": " + e.Message
	}
	return string(e.Code) + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Extensions returns the error's machine-readable part in GraphQL.
func (e *Error) Extensions() map[string]any {
	x := map[string]any{"code": e.Code}
	if len(e.Fields) > 0 {
		x["fields"] = e.Fields
	}
	if e.RetryAfter > 0 {
		x["retryAfter"] = seconds(e.RetryAfter)
	}
	return x
}

// seconds rounds up: a client that waits for Retry-After must not come too soon.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// level returns the log level: Error for a failure of the server, Warn for one of a
// service that it needs, else Debug.
func (e *Error) level() slog.Level {
	switch e.Code {
	case InternalServerError, MalformedData:
		return slog.LevelError
	case UpstreamUnavailable, ServiceUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelDebug // the client can correct it
}

// Log writes one line about an error that a client gets. An error that [Counted] has
// counted gets none.
func Log(ctx context.Context, log *slog.Logger, e *Error) {
	Note(ctx, e.Code)
	log.LogAttrs(ctx, e.level(), "request failed", slog.String("code", string(e.Code)), slog.Any("err", error(e)))
}

// problemDetails is the form of RFC 9457, extended by code and fields.
type problemDetails struct {
	Type   string            `json:"type"` // always about:blank: the code says more
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail"`
	Code   Code              `json:"code"`
	Fields map[string]string `json:"fields,omitempty"`
}

// Write answers a REST request with an error, and logs or counts it.
func Write(w http.ResponseWriter, r *http.Request, log *slog.Logger, e *Error) {
	if !Counted(r.Context(), e) {
		Log(r.Context(), log, e)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(e.RetryAfter)))
	}
	status := e.Code.Status()
	if status == http.StatusUnauthorized { // RFC 9110, section 15.5.2
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problemDetails{"about:blank", title(status), status, e.Message, e.Code, e.Fields}) // the client may be gone
}

// Handler answers every request with the same error: the router's 404 and 405, and
// the answer after a panic.
func Handler(code Code, message string, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		Write(w, r, log, &Error{Code: code, Message: message})
	}
}

// title returns the text of a status. net/http has none for 499, which nginx
// introduced.
func title(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Client Closed Request"
}

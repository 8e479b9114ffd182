package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
)

// Bounds of a path in the log, in bytes. Headers may have 16 KiB and more; no
// route of ours has 100, nor 30 between two slashes. A session token of
// ConnectyCube has 36, ours have hundreds.
const (
	maxLoggedPath    = 256
	maxLoggedSegment = 30
)

// RequestLog writes one line for each request when it has ended, at level Info
// whatever the status: the cause of an error is logged where it is known, and
// twice would be once too often. The request's ID is added by WithRequestID.
// Requests for which Refused was called are counted instead.
//
// It never logs the query: GET /auth/verify-connectycube?token= carries a token
// there, and both chi's Logger and httplog would write it down.
type RequestLog struct {
	log      *slog.Logger
	refusals refusals
}

// NewRequestLog returns a RequestLog, which should be closed after the last
// request.
func NewRequestLog(log *slog.Logger) *RequestLog {
	return &RequestLog{log: log, refusals: refusals{log: log}}
}

// Close writes the counts of less than a second.
func (l *RequestLog) Close() { l.refusals.flush() }

// Middleware logs the requests that next answers.
func (l *RequestLog) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor)
		var state requestState
		r = r.WithContext(context.WithValue(r.Context(), requestStateKey{}, &state))
		returned := false
		defer func() { // deferred, since http.ErrAbortHandler passes through
			if state.refusal != "" && returned {
				l.refusals.add(state, ClientIPFrom(r.Context()))
				return
			}
			attrs := []slog.Attr{
				slog.String("method", bounded(r.Method, 16)),
				slog.String("path", loggable(r.URL.Path)),
				slog.String("route", route(r)),
				slog.Int("status", status(ww, returned)),
				slog.Int("bytes", ww.BytesWritten()),
				slog.Duration("took", time.Since(start)),
				slog.String("client", ClientIPFrom(r.Context())),
			}
			if !returned {
				attrs = append(attrs, slog.Bool("aborted", true))
			}
			l.log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
		}()
		next.ServeHTTP(ww, r)
		returned = true
	})
}

// loggable is what of a path may be written down. Who sets up the address that
// carries a token may escape its question mark, or put the token between
// slashes: the one is cut off, and the other left out, being too long for a name.
func loggable(path string) string {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(bounded(path, maxLoggedPath), "/")
	for i, s := range segments {
		if len(s) > maxLoggedSegment {
			segments[i] = "…"
		}
	}
	return strings.Join(segments, "/")
}

// route returns the pattern that was matched, such as /users/{id}; unlike the
// path it can be counted by. It is "" when there was none.
func route(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil {
		return c.RoutePattern()
	}
	return ""
}

// status returns what the client got: a handler that writes nothing has net/http
// send 200, one that panics has it send nothing, which shows as 0.
func status(w chimiddleware.WrapResponseWriter, returned bool) int {
	if w.Status() == 0 && returned {
		return http.StatusOK
	}
	return w.Status()
}

func bounded(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

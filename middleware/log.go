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

// Bounds of a path in the log, in bytes. A request line may have 16 KiB; our routes
// have less than 100 bytes, and less than 30 between two slashes. A session token of
// ConnectyCube has 36, ours have hundreds.
const (
	maxLoggedPath    = 256
	maxLoggedSegment = 30
)

// mostAttrs is the number of attributes that a line has at most.
const mostAttrs = 12

// RequestMessage is the message of the log line of a request.
const RequestMessage = "request"

// RequestLog logs one line at the end of each request, at level Info for every status,
// because the cause of an error is logged where it is known. The line has the operation,
// the code of the error and the user that handlers report with NoteOperation, NoteCode and
// NoteUser: a GraphQL request that is refused has status 200, too. WithRequestID adds the
// request's ID. Requests that a handler reported with Refused are counted instead.
//
// It never logs the query, because that of GET /auth/verify-connectycube contains a
// token. chi's Logger and httplog log it.
type RequestLog struct {
	log      *slog.Logger
	refusals refusals
	level    func(*http.Request) slog.Level
}

// NewRequestLog returns a RequestLog. Close it after the last request. level returns the
// level of a request's line after the request was routed; nil means Info for all.
func NewRequestLog(log *slog.Logger, level func(*http.Request) slog.Level) *RequestLog {
	if level == nil {
		level = func(*http.Request) slog.Level { return slog.LevelInfo }
	}
	return &RequestLog{log: log, refusals: refusals{log: log}, level: level}
}

// Close logs the counts that are not logged yet.
func (l *RequestLog) Close() { l.refusals.flush() }

// Middleware logs the requests that next answers.
func (l *RequestLog) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor)
		var state requestState
		r = r.WithContext(context.WithValue(r.Context(), requestStateKey{}, &state))
		returned := false
		defer func() { // deferred, because http.ErrAbortHandler passes through
			if code, level := state.refused(); code != "" && returned {
				l.refusals.add(level, code, ClientIPFrom(r.Context()))
				return
			}
			attrs := append(make([]slog.Attr, 0, mostAttrs),
				slog.String("method", bounded(r.Method, 16)),
				slog.String("path", loggable(r.URL.Path)),
				slog.String("route", route(r)),
				slog.Int("status", status(ww, returned)),
				slog.Int("bytes", ww.BytesWritten()),
				slog.Float64("took_ms", float64(time.Since(start).Microseconds())/1000),
				slog.String("client", ClientIPFrom(r.Context())),
			)
			attrs = state.attrs(attrs)
			if !returned {
				attrs = append(attrs, slog.Bool("aborted", true))
			}
			l.log.LogAttrs(r.Context(), l.level(r), RequestMessage, attrs...)
		}()
		next.ServeHTTP(ww, r)
		returned = true
	})
}

// loggable returns the part of a path that may be logged. An operator who configures
// the verify URL may escape its question mark, or put the token between slashes:
// loggable cuts the path at the question mark and replaces segments that are too long
// for a name.
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

// route returns the matched pattern, such as /users/{id}, which unlike the path has few
// values, or "" without one.
func route(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil {
		return c.RoutePattern()
	}
	return ""
}

// status returns the status that the client got: net/http sends 200 for a handler that
// writes nothing. For one that panics it sends nothing, which is logged as 0.
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

package middleware

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
)

const requestIDHeader = "X-Request-Id"

type requestIDKey struct{}

// RequestID gives each request an ID: in its context, for the log and for
// RequestIDFrom, and in the X-Request-Id of the answer, for the client's bug reports.
// It keeps the X-Request-Id of a client or proxy if that has 1 to 64 characters of A-Z
// a-z 0-9 . _ -, and replaces any other, because our log contains it.
func RequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !validRequestID(id) {
			id = rand.Text()
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func validRequestID(id string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= 64 && strings.Trim(id, allowed) == ""
}

// RequestIDFrom returns the ID of the request of ctx, or "" outside of a request.
func RequestIDFrom(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID returns a handler that adds request_id, and trace_id if the request has a
// trace (see Trace), to records that are logged with a request's context. In a logger with
// an open group, they are inside the group; ours open none.
func WithRequestID(h slog.Handler) slog.Handler { return withRequestID{h} }

type withRequestID struct{ slog.Handler }

func (h withRequestID) Handle(ctx context.Context, record slog.Record) error {
	if id := RequestIDFrom(ctx); id != "" {
		record = record.Clone() // other handlers may share the record's attributes
		record.AddAttrs(slog.String("request_id", id))
		if trace := TraceIDFrom(ctx); trace != "" {
			record.AddAttrs(slog.String("trace_id", trace))
		}
	}
	return h.Handler.Handle(ctx, record)
}

func (h withRequestID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequestID{h.Handler.WithAttrs(attrs)}
}

func (h withRequestID) WithGroup(name string) slog.Handler {
	return withRequestID{h.Handler.WithGroup(name)}
}

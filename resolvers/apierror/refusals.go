package apierror

import (
	"context"
	"log/slog"
	"net/http"
)

// IsLimit reports whether a limit refused the request before any work was done.
func (e *Error) IsLimit() bool { return e.Code == RateLimited || e.Limited }

// Counted counts a request that a limit refused, with the counter that [Report] has put
// into ctx, and reports whether it did. A counted request gets no log line of its own, so
// that a flood of requests is no flood of lines.
func Counted(ctx context.Context, e *Error) bool {
	r, ok := ctx.Value(reporterKey{}).(*Reporter)
	if !ok || !e.IsLimit() {
		return false
	}
	r.Note(ctx, e.Code)
	return r.Count(ctx, max(e.level(), slog.LevelInfo), string(e.Code))
}

// Note reports a code that the client of a request gets, for the request's log line.
func Note(ctx context.Context, code Code) {
	if r, ok := ctx.Value(reporterKey{}).(*Reporter); ok {
		r.Note(ctx, code)
	}
}

// Reporter gets the errors of requests. Both functions are required.
type Reporter struct {
	// Count counts a request that a limit refused before any work was done. It reports
	// false if the request must be logged instead.
	Count func(ctx context.Context, level slog.Level, code string) bool

	// Note gets the code of each error that the client of a request gets.
	Note func(ctx context.Context, code Code)
}

type reporterKey struct{}

// Report puts a reporter into the context of each request.
func Report(to Reporter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), reporterKey{}, &to)))
		})
	}
}

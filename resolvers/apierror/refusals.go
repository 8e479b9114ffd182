package apierror

import (
	"context"
	"log/slog"
	"net/http"
)

// IsLimit reports whether a limit refused the request before any work was done.
func (e *Error) IsLimit() bool { return e.Code == RateLimited || e.Limited }

// Counted counts a request that a limit refused, with the counter that
// [CountRefusals] has put into ctx, and reports whether it did. A counted request
// gets no log line of its own, so that a flood of requests is no flood of lines.
func Counted(ctx context.Context, e *Error) bool {
	count, ok := ctx.Value(refusalCounterKey{}).(RefusalCounter)
	return ok && e.IsLimit() && count(ctx, max(e.level(), slog.LevelInfo), string(e.Code))
}

// RefusalCounter counts a request that a limit refused before any work was done. It
// reports false if the request must be logged instead.
type RefusalCounter func(ctx context.Context, level slog.Level, code string) bool

type refusalCounterKey struct{}

// CountRefusals puts a counter into the context of each request.
func CountRefusals(count RefusalCounter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), refusalCounterKey{}, count)))
		})
	}
}

package resolvers

import (
	"context"
	"log/slog"
	"net/http"
)

// isLimit reports whether a limit refused the request before any work was done.
func (e *Error) isLimit() bool { return e.Code == RateLimited || e.Limited }

// countRefusal counts a refusal of a whole request in ctx and reports whether it
// did; its lines are left out then, or a flood of requests would be one of lines.
func countRefusal(ctx context.Context, e *Error) bool {
	count, ok := ctx.Value(countRefusalKey{}).(CountRefusal)
	return ok && e.isLimit() && count(ctx, max(e.level(), slog.LevelInfo), string(e.Code))
}

// CountRefusal counts a request that did nothing because of a limit, and reports
// whether it did.
type CountRefusal func(ctx context.Context, level slog.Level, code string) bool

type countRefusalKey struct{}

// CountRefusals has such requests counted, where their errors leave this
// package, instead of logged one by one.
func CountRefusals(count CountRefusal) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), countRefusalKey{}, count)))
		})
	}
}

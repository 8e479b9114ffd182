package resolvers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"cubegate/tokens"

	gqlerrors "github.com/graph-gophers/graphql-go/errors"
)

// isLimit reports whether a limit refused the request before anything was tried:
// too many wrong passwords, or too many that wait for a hash.
func (e *Error) isLimit() bool {
	return e.Code == RateLimited || errors.As(e.Cause, new(*tokens.QueueError))
}

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

// rewriteAll replaces the errors of the library's. A request whose fields are
// all refused by a limit is counted instead of logged.
func (h *GraphQL) rewriteAll(ctx context.Context, found []*gqlerrors.QueryError, fields int) []*gqlError {
	causes := make([]*Error, len(found))
	refused := len(found) > 0 && len(found) == fields
	for i, q := range found {
		causes[i] = h.cause(ctx, q)
		refused = refused && causes[i].isLimit()
	}
	refused = refused && countRefusal(ctx, causes[0])
	var shown []*gqlError
	for i, e := range causes[:min(len(causes), maxProblems)] {
		if !refused {
			logFailure(ctx, h.log, e)
		}
		shown = append(shown, &gqlError{Message: e.Message, Path: found[i].Path, Extensions: e.extensions()})
	}
	return shown
}

package resolvers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"cubegate/store"
	"cubegate/tokens"
)

// client is what a request says about who sends it. It is believed by nobody
// until caller has looked at it.
type client struct {
	token     string // of the header Authorization; empty = none
	malformed bool   // the header is there and cannot be read
	agent     string
}

type clientKey struct{}

func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
}

// Bearer reads who sends a request, and refuses nobody: what needs no user,
// such as a refresh, must work with an old token in the header, too.
func Bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := client{agent: r.UserAgent()}
		if headers := r.Header.Values("Authorization"); len(headers) > 0 {
			scheme, token, ok := strings.Cut(headers[0], " ")
			c.token = strings.TrimSpace(token)
			c.malformed = !ok || len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || c.token == ""
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, c)))
	})
}

type sharedCallerKey struct{}

// sharedCaller is the caller of all queries of one request.
type sharedCaller struct {
	once   sync.Once
	user   store.User
	claims tokens.Claims
	err    error
}

// withSharedCaller lets the queries of one request share one look-up of the
// caller, so that aliases do not multiply it. Mutations must not share it: an
// earlier one may have ended the login session.
func withSharedCaller(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedCallerKey{}, new(sharedCaller))
}

// caller is who sends a request, as it is in the database at this moment: one
// read of one document says that the login session lives, what roles there are,
// and that nobody has been shut out.
func (a *Auth) caller(ctx context.Context) (store.User, tokens.Claims, error) {
	shared, ok := ctx.Value(sharedCallerKey{}).(*sharedCaller)
	if !ok {
		return a.findCaller(ctx)
	}
	shared.once.Do(func() { shared.user, shared.claims, shared.err = a.findCaller(ctx) })
	return shared.user, shared.claims, shared.err
}

func (a *Auth) findCaller(ctx context.Context) (store.User, tokens.Claims, error) {
	c := clientOf(ctx)
	switch {
	case c.malformed:
		return store.User{}, tokens.Claims{}, &Error{Code: Unauthenticated, Message: "The header Authorization must be: Bearer and an access token"}
	case c.token == "":
		return store.User{}, tokens.Claims{}, &Error{Code: Unauthenticated, Message: "Log in first, and send the access token in the header Authorization"}
	}
	claims, err := a.Verifier.Verify(c.token)
	if err != nil {
		return store.User{}, tokens.Claims{}, err
	}
	user, err := a.member(ctx, claims.Subject, claims.SessionID)
	if errors.Is(err, errSessionOver) {
		a.Log.DebugContext(ctx, "token of a login session that has ended")
	}
	return user, claims, err
}

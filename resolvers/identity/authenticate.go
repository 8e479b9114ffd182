package identity

import (
	"context"
	"errors"
	"sync"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport"
	"cubegate/store"
	"cubegate/tokens"
)

type sharedCallerKey struct{}

// sharedCaller is the caller of all fields of one query.
type sharedCaller struct {
	once   sync.Once
	user   store.User
	claims tokens.Claims
	err    error
}

// withSharedCaller lets the fields of one query share one look-up of the caller, so
// that aliases do not multiply it. Mutations must not share it: an earlier one may
// have ended the login session.
func withSharedCaller(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedCallerKey{}, new(sharedCaller))
}

// caller returns the user of a request's token, and the token's claims. One read
// of the user's document shows that the login session is active, which roles the
// user has, and that the user is not disabled.
func (a *Auth) caller(ctx context.Context) (store.User, tokens.Claims, error) {
	shared, ok := ctx.Value(sharedCallerKey{}).(*sharedCaller)
	if !ok {
		return a.findCaller(ctx)
	}
	shared.once.Do(func() { shared.user, shared.claims, shared.err = a.findCaller(ctx) })
	return shared.user, shared.claims, shared.err
}

func (a *Auth) findCaller(ctx context.Context) (store.User, tokens.Claims, error) {
	token, err := transport.BearerToken(ctx)
	switch {
	case err != nil:
		return store.User{}, tokens.Claims{}, err
	case token == "":
		return store.User{}, tokens.Claims{}, &apierror.Error{Code: apierror.Unauthenticated, Message: "Log in first, and send the access token in the header Authorization"}
	}
	claims, err := a.Verifier.VerifyAccess(token)
	if err != nil {
		return store.User{}, tokens.Claims{}, err
	}
	user, err := a.member(ctx, claims.Subject, claims.SessionID)
	if errors.Is(err, errSessionOver) {
		a.Log.DebugContext(ctx, "token of a login session that has ended")
	}
	return user, claims, err
}

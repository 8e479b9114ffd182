package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// UserStore finds users. Both methods return [store.ErrNotFound] for an unknown user.
type UserStore interface {
	ByEmail(ctx context.Context, email string) (store.User, error) // in any letter case
	ByID(ctx context.Context, id string) (store.User, error)
}

// TokenVerifier checks signature, times and kind of the tokens that we issue. The
// error wraps [tokens.ErrExpired] or [tokens.ErrInvalid]. It does not know which
// login sessions are active.
type TokenVerifier interface {
	VerifyAccess(raw string) (tokens.Claims, error)        // access tokens
	VerifyCallbackToken(raw string) (tokens.Claims, error) // also tickets
	VerifyLogout(raw string) (tokens.Claims, error)        // access tokens, also expired ones
}

// Caller is the client of a request, and the user that it acts for.
type Caller struct {
	User      store.User // as the database has the user; zero if the operation needs none
	SessionID string     // the login session
	Client    ClientInfo
	Costs     []Cost          // of the operation; the flows charge them
	Audit     store.AuditKind // of the operation; the flows record it
}

// ClientInfo is what the server knows of a client without a token.
type ClientInfo struct {
	IP        string
	Networks  []string // that contain IP and count its attempts, outermost first
	UserAgent string
}

// network returns the innermost network.
func (c ClientInfo) network() string {
	if len(c.Networks) == 0 {
		return ""
	}
	return c.Networks[len(c.Networks)-1]
}

// Authenticator finds the caller of a request, and answers ConnectyCube's callback.
type Authenticator struct {
	users     UserStore
	records   SessionStore
	verifier  TokenVerifier
	passwords *Passwords
	proven    *provenPasswords
	derived   func(userID string) []tokens.DerivedPassword
	auditor   *Auditor
	log       *slog.Logger
}

var errNoToken = &apierror.Error{Code: apierror.Unauthenticated, Message: `Log in, then send "Authorization: Bearer <access token>"`}

// Caller returns the user and the login session of an access token. One read of the
// user's document shows that the login session is active, which roles the user has,
// and that the user is not disabled.
func (a *Authenticator) Caller(ctx context.Context, client ClientInfo, token string) (Caller, error) {
	if token == "" {
		return Caller{}, errNoToken
	}
	claims, err := a.verifier.VerifyAccess(token)
	if err != nil {
		return Caller{}, err
	}
	a.auditor.noteUser(ctx, claims.Subject)
	user, err := userOfSession(ctx, a.users, claims)
	if errors.Is(err, errSessionEnded) {
		a.log.LogAttrs(ctx, slog.LevelDebug, "access token of an ended login session")
	}
	if err != nil {
		return Caller{}, err
	}
	return Caller{User: user, SessionID: claims.SessionID, Client: client}, nil
}

// Authorize returns FORBIDDEN, and records it, unless the caller has a role. The
// user's document decides, not the roles in the token.
func (a *Authenticator) Authorize(ctx context.Context, c Caller, role Role) error {
	if role.permits(c) {
		return nil
	}
	c.Audit = store.AuditForbidden
	a.auditor.recordFailure(ctx, c, errForbidden)
	return errForbidden
}

var errSessionEnded = &apierror.Error{Code: apierror.Unauthenticated, Message: "The login session has ended; log in again", Reason: apierror.ReasonSessionEnded}

// userOfSession returns the user of a login session that is active, else
// errSessionEnded.
func userOfSession(ctx context.Context, users UserStore, claims tokens.Claims) (store.User, error) {
	user, err := users.ByID(ctx, claims.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, errSessionEnded
	}
	if err != nil {
		return store.User{}, err
	}
	if user.Deleting || user.Disabled || !slices.Contains(user.Sessions, claims.SessionID) {
		return store.User{}, errSessionEnded
	}
	return user, nil
}

// CallbackRequest is what ConnectyCube presents to the verify route: a token, or an
// email and a password.
type CallbackRequest struct {
	Token    string `json:"token"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

// VerifyCallback returns the user whose token or password ConnectyCube presents. The
// ID is the one that the account has there as external ID. A password counts only
// without a token; the caller of VerifyCallback must know that ConnectyCube asks.
func (a *Authenticator) VerifyCallback(ctx context.Context, c Caller, in CallbackRequest) (store.User, error) {
	if in.Token != "" {
		return a.verifyToken(ctx, c, in.Token)
	}
	login, err := LoginInput{Email: in.Email, Password: in.Password}.validate()
	if err != nil {
		return store.User{}, err
	}
	return a.verifyPassword(ctx, c, login)
}

func (a *Authenticator) verifyToken(ctx context.Context, c Caller, token string) (store.User, error) {
	claims, err := a.verifier.VerifyCallbackToken(token)
	if errors.Is(err, tokens.ErrInvalid) { // a valid token passes even when the network's budget is spent
		return store.User{}, a.passwords.budgets.chargeInvalidToken(ctx, c, err)
	}
	if err != nil {
		return store.User{}, err
	}
	a.auditor.noteUser(ctx, claims.Subject)
	user, err := a.userOfToken(ctx, claims)
	if errors.Is(err, errSessionEnded) { // a valid token of an ended login session may be stolen
		c.User = store.User{ID: claims.Subject}
		a.auditor.recordFailure(ctx, c, err)
	}
	if err == nil && claims.External != "" { // the account has another external ID; see provisioning/relink.go
		user.ID = claims.External
	}
	return user, err
}

// The user of a check of the set-up, "cubegate doctor": ConnectyCube may ask about a service
// ticket of this user, who is in no database. Only a process with the signing key can make
// such a ticket, and it opens nothing at this server.
const (
	ProbeID    = "cubegate-doctor"
	ProbeEmail = "cubegate-doctor@cubegate.invalid"
)

// userOfToken returns the user of a token that ConnectyCube presents. A service
// ticket needs only the user, even one who is being deleted: the deletion may need
// the ticket. Every other token ends with its login session. A chat ticket, which
// lives longer than an access token, also ends with the session's record.
func (a *Authenticator) userOfToken(ctx context.Context, claims tokens.Claims) (store.User, error) {
	if claims.Service && claims.Subject == ProbeID {
		return store.User{ID: ProbeID, Email: ProbeEmail}, nil
	}
	if claims.Service {
		user, err := a.users.ByID(ctx, claims.Subject)
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("%w: its user does not exist", tokens.ErrInvalid)
		}
		return user, err
	}
	user, err := userOfSession(ctx, a.users, claims)
	if err != nil || !claims.Ticket {
		return user, err
	}
	_, err = a.records.ByID(ctx, claims.SessionID)
	if errors.Is(err, store.ErrNotFound) {
		err = errSessionEnded
	}
	return user, err
}

// verifyPassword returns the user with an email and a password, and records the
// result. Valid tokens are not recorded: apps present them at
// each start, and each belongs to a recorded login. It changes nothing: the
// registration that causes the callback may still fail, and must be undone then.
func (a *Authenticator) verifyPassword(ctx context.Context, c Caller, in LoginInput) (store.User, error) {
	if a.mayBeOwn(in) {
		user, own, err := a.verifyOwn(ctx, in)
		a.auditor.noteUser(ctx, user.ID)
		if own || err != nil {
			return user, err
		}
	}
	user, _, err := a.passwords.verify(ctx, c, in)
	c.User = user
	switch {
	case err == nil:
		a.auditor.recordSuccess(ctx, c, "")
	case user.ID != "": // guesses at an unknown email are not recorded, as for logins
		a.auditor.recordFailure(ctx, c, err)
	}
	return user, err
}

// derivedLength is the length of every derived password, in bytes.
const derivedLength = 40

// mayBeOwn reports whether a request of this server may have caused the callback.
func (a *Authenticator) mayBeOwn(in LoginInput) bool {
	return len(in.Password) == derivedLength || a.proven.Expects(in.Email)
}

// verifyOwn answers a callback that a request of this server has caused, without a
// hash, a charge and a record, because that request has all three. It reports
// whether the callback is one.
func (a *Authenticator) verifyOwn(ctx context.Context, in LoginInput) (user store.User, own bool, err error) {
	user, err = a.users.ByEmail(ctx, in.Email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, false, err
	}
	if a.isDerived(user, in.Password) && user.ID != "" { // in this order an unknown email costs the same
		return store.User{}, true, fmt.Errorf("%w: it is the server's own password", tokens.ErrWrongPassword)
	}
	if err != nil || !a.proven.Check(user, in.Password) {
		return store.User{}, false, nil
	}
	if user.Disabled {
		return store.User{}, true, errDisabled
	}
	return user, true, nil
}

// isDerived reports whether a password is the server's own for the account of a user.
// Reconciliation tries it before the server knows that ConnectyCube asks an identity
// provider. It is never the user's.
func (a *Authenticator) isDerived(user store.User, password string) bool {
	return slices.ContainsFunc(a.derived(user.ID), func(d tokens.DerivedPassword) bool {
		return subtle.ConstantTimeCompare([]byte(d.Password), []byte(password)) == 1
	})
}

// Package resolvers is the edge of cubegate: what a request means, who may do
// it, and what the answer says, in GraphQL and in REST alike. It knows nothing
// of BSON, of HTTP to ConnectyCube, or of keys: for those it calls interfaces
// that are declared here, each where it is used.
//
// Start reading at schema.graphql, the contract with the clients. register.go and
// login.go are the two flows that the service exists for, session.go continues
// them, account.go and admin.go change users, verify.go answers ConnectyCube's
// callback, and errors.go is the only exit for an error. Package transport reads
// and limits GraphQL requests, package apierror is the form of errors, and package
// provisioning deals with ConnectyCube.
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// UserStore finds users, and keeps a new hash of the same password. Finders
// return [store.ErrNotFound] for nobody.
type UserStore interface {
	ByEmail(ctx context.Context, address string) (store.User, error)
	ByID(ctx context.Context, id string) (store.User, error)
	UpgradeHash(ctx context.Context, c store.HashUpgrade) error
}

// Accounts creates users with their accounts at ConnectyCube, and opens sessions of
// the accounts; see [provisioning.Provisioner].
type Accounts interface {
	Register(ctx context.Context, user store.User, m provisioning.LoginMethod) (store.User, error)
	OpenCubeSession(ctx context.Context, user store.User, session store.Session, m provisioning.LoginMethod) (provisioning.CubeSession, error)
	Wake()
}

// AccountChanges changes users here and at ConnectyCube; see
// [provisioning.Provisioner]. The error is [store.ErrChanged] if another change
// came first.
type AccountChanges interface {
	Rename(ctx context.Context, user store.User, name provisioning.Name) (store.User, error)
	ChangeEmail(ctx context.Context, user store.User, c provisioning.EmailChange) (store.User, error)
	ChangePassword(ctx context.Context, user store.User, c provisioning.PasswordChange) error
	Delete(ctx context.Context, user store.User, m provisioning.LoginMethod) error
}

// TokenIssuer signs what users prove themselves with.
type TokenIssuer interface {
	AccessToken(g tokens.Grant) (token string, expires time.Time, err error)
	ChatTicket(g tokens.Grant) (string, error) // for ConnectyCube to hand back to us
}

// TokenVerifier checks what we have signed: access tokens, and those and
// tickets. The error wraps [tokens.ErrExpired] or [tokens.ErrInvalid]. Whether
// the login session lives is not in a token.
type TokenVerifier interface {
	VerifyAccess(raw string) (tokens.Claims, error)
	VerifyCallbackToken(raw string) (tokens.Claims, error)
}

// PasswordHasher makes and checks password hashes, each in the lane of a turn.
// Compare is stale when the hash should be replaced. A wrong password is
// [tokens.ErrWrongPassword]; too many at once are a [tokens.QueueError]. Decoy is
// the hash to compare with when an email has no account; no password fits it.
type PasswordHasher interface {
	Hash(ctx context.Context, t tokens.Turn, password string) (string, error)
	Compare(ctx context.Context, t tokens.Turn, password, hash string) (stale bool, err error)
	Decoy(email string) string
}

// Auth registers people, logs them in and keeps them so. All fields but Log
// must be set before the first use; it is safe for concurrent use then.
type Auth struct {
	Users     UserStore
	Directory Directory
	Members   Members
	Sessions  LoginSessions
	Events    Events
	Auditor   *Auditor // writes refusals to Events

	Accounts Accounts
	Changes  AccountChanges

	Tokens    TokenIssuer
	Verifier  TokenVerifier
	Refresh   RefreshTokens
	Passwords PasswordHasher

	// Budgets bound guesses, registrations and rubbish.
	Budgets  *Budgets
	Devices  DeviceTokens
	Address  func(ctx context.Context) string   // IP address of the client
	Networks func(ctx context.Context) []string // that the client is in, outermost first
	Network  func(ip string) string             // that an IP address counts for

	// Callbacks tells the verify route who asks, and what is known already.
	Callbacks *Callbacks

	// Limits are what login sessions and passwords may be.
	Limits Limits

	// RegisterWhileAway lets people register while ConnectyCube does not
	// answer. Their accounts are made as soon as it does.
	RegisterWhileAway bool

	// Chat is passed on to apps.
	Chat ChatAddress

	// Patience bounds everything that one request asks of ConnectyCube.
	Patience time.Duration

	Log *slog.Logger
}

// Limits are what login sessions and passwords may be.
type Limits struct {
	Idle     time.Duration // without a refresh, after which a login session ends
	Absolute time.Duration // after which it ends in any case
	PerUser  int           // login sessions of one user
	Password int           // characters of a new password; ConnectyCube takes 40
}

// ChatAddress is where apps find ConnectyCube.
type ChatAddress struct {
	AppID  int64
	APIURL string // origin of the REST API
	Domain string // XMPP domain
	URL    string // WebSocket
}

// of is one user's chat (contract 11.1), with the ConnectyCube session as
// password, which every account accepts (contract 11.2).
func (c ChatAddress) of(session provisioning.CubeSession) *chat {
	if session.UserID == 0 {
		return nil
	}
	out := &chat{
		Domain:     c.Domain,
		Endpoint:   c.APIURL,
		JID:        fmt.Sprintf("%d-%d@%s", session.UserID, c.AppID, c.Domain),
		MucDomain:  "muc." + c.Domain,
		UserID:     float64(session.UserID),
		WsEndpoint: c.URL,
	}
	if session.Token != "" {
		out.Password, out.ExpiresAt = &session.Token, instant(session.Expires)
	}
	return out
}

// authenticate finds the user who has this address and this password, and may
// log in.
func (a *Auth) authenticate(ctx context.Context, operation string, in loginInput) (store.User, error) {
	user, stale, err := a.check(ctx, operation, in)
	if err == nil && stale {
		user.PasswordHash, err = a.rehash(ctx, user, in.Password)
	}
	if err != nil && user.ID != "" { // what is tried on nobody's account is for the log alone
		a.refused(ctx, store.AuditLogin, user, err)
	}
	if err != nil {
		return store.User{}, err
	}
	return user, nil
}

// check finds the user who has this email and this password, and changes
// nothing. For the caller an unknown email and a wrong password are one error
// at one price; whose password was wrong is for the audit alone. A client that
// shows no device is refused by a spent budget before anything is looked up.
func (a *Auth) check(ctx context.Context, operation string, in loginInput) (user store.User, stale bool, err error) {
	device := a.knownDevice(in.Device, in.Email)
	if device.UserID == "" {
		if err := a.Budgets.check(ctx, charges(operation, a.strangersGuess(ctx, operation, in.Email).asker)); err != nil {
			return store.User{}, false, err
		}
	}
	decoy := a.Passwords.Decoy(store.EmailKey(in.Email))
	user, err = a.Users.ByEmail(ctx, in.Email)
	if errors.Is(err, store.ErrNotFound) {
		user, err = store.User{PasswordHash: decoy}, nil
	}
	if err != nil {
		return store.User{}, false, err
	}
	g, err := a.guessOf(ctx, operation, in.Email, user, device)
	if err != nil {
		return store.User{}, false, err
	}
	stale, err = a.compare(ctx, g, in.Password, user)
	if err == nil && user.Disabled {
		err = errDisabled
	}
	return user, stale, err
}

var errDisabled = &apierror.Error{Code: apierror.Forbidden, Message: "This account is disabled"}

// confirm checks the password of a user who is logged in already.
func (a *Auth) confirm(ctx context.Context, operation string, user store.User, sessionID, password string) error {
	if password == "" || len(password) > maxAnyInput {
		return &apierror.Error{Code: apierror.BadUserInput, Message: "password is required", Fields: apierror.FieldErrors{"password": "is required"}}
	}
	g := a.strangersGuess(ctx, operation, user.Email)
	g.asker.device = "session " + sessionID
	if err := a.Budgets.check(ctx, charges(operation, g.asker)); err != nil {
		return err
	}
	g.turn = a.knownTurn(g.turn, user.ID, sessionID)
	_, err := a.compare(ctx, g, password, user)
	if errors.Is(err, tokens.ErrWrongPassword) {
		return &apierror.Error{Code: apierror.Forbidden, Message: "The password is wrong", Cause: err}
	}
	return err
}

// rehash replaces a hash by one of today's kind and returns the one that counts
// now, which always belongs to this password: a login that began with a former
// password must not go on with the hash of its successor.
func (a *Auth) rehash(ctx context.Context, user store.User, password string) (string, error) {
	hash, err := a.Passwords.Hash(ctx, a.strangerTurn(ctx), password)
	if err == nil {
		err = a.Users.UpgradeHash(ctx, store.HashUpgrade{UserID: user.ID, OldHash: user.PasswordHash, NewHash: hash})
	}
	if err != nil { // the old hash is as good for this login; the next one tries again
		a.Log.LogAttrs(ctx, slog.LevelWarn, "password hash not replaced", slog.String("user_id", user.ID), slog.Any("err", err))
		return user.PasswordHash, nil
	}
	current, err := a.Users.ByID(ctx, user.ID)
	if err != nil {
		return user.PasswordHash, nil
	}
	if current.PasswordHash != hash { // another login was first, or another password
		_, err = a.Passwords.Compare(ctx, a.strangerTurn(ctx), password, current.PasswordHash)
	}
	return current.PasswordHash, err
}

// upstream is the context for work with ConnectyCube. It outlives the client,
// for half of such work is worse than all of it, but not its patience.
func (a *Auth) upstream(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), a.Patience)
}

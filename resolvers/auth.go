// Package resolvers is the edge of cubegate: what a request means, who may do
// it, and what the answer says, in GraphQL and in REST alike. It knows nothing
// of BSON, of HTTP to ConnectyCube, or of keys: for those it calls interfaces
// that are declared here, each where it is used.
//
// Start reading at schema.graphql, the contract with the clients; handler.go
// carries a request to the resolvers, register.go and login.go are the two
// flows that the service exists for, verify.go is what ConnectyCube calls
// back, and errors.go the one border that an error leaves by.
package resolvers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// UserStore finds users and keeps what a login changes. Finders return
// [store.ErrNotFound] for nobody.
type UserStore interface {
	ByEmail(ctx context.Context, address string) (store.User, error)
	ByID(ctx context.Context, id string) (store.User, error)
	SetPassword(ctx context.Context, id, old, hash string) error
	Keep(ctx context.Context, id string) error
}

// Registry makes users and ends their registration, well or not. Create
// returns [store.ErrEmailTaken] when another user has the address.
type Registry interface {
	Create(ctx context.Context, user store.User) (store.User, error)
	SetCubeID(ctx context.Context, id string, cubeID int64) error
	Discard(ctx context.Context, id string) error
}

// CubeClient talks to ConnectyCube; its errors are the sentinels of package
// connectycube. SignUp does not tell whether an account was made when its
// error is [connectycube.ErrUnavailable].
type CubeClient interface {
	SignUp(ctx context.Context, user connectycube.NewUser) (connectycube.User, error)
	CreateSession(ctx context.Context, who connectycube.Credentials) (connectycube.Session, error)
	UserByExternalID(ctx context.Context, externalID string) (connectycube.User, error)
	UpdateProfile(ctx context.Context, session connectycube.Session, profile connectycube.Profile) error
}

// TokenIssuer signs what users prove themselves with.
type TokenIssuer interface {
	AccessToken(subject, email string) (string, error)
	Ticket(subject, email string) (string, error) // for ConnectyCube to hand back to us
}

// PasswordHasher makes and checks password hashes. Compare costs the same for
// an empty hash, which belongs to nobody, and is stale when the hash should be
// replaced. A wrong password is [tokens.ErrWrongPassword]; too many at once
// are [tokens.ErrBusy].
type PasswordHasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Compare(ctx context.Context, password, hash string) (stale bool, err error)
}

// Limiter bounds the wrong passwords for one key. Allow is a look; only Spend,
// for a try that failed, takes something from the key.
type Limiter interface {
	Allow(key string) (ok bool, retryAfter time.Duration)
	Spend(key string)
}

// Auth registers people and logs them in. All fields but Log must be set
// before the first use; it is safe for concurrent use then.
type Auth struct {
	Users     UserStore
	Registry  Registry
	Cube      CubeClient
	Tokens    TokenIssuer
	Passwords PasswordHasher

	// Failures counts the wrong passwords of logins, by account and by where
	// they come from, which Client tells: nobody can lock somebody else out.
	Failures Limiter
	Client   func(ctx context.Context) string

	// Asked counts those that ConnectyCube asks about, by account alone: there
	// everybody comes from ConnectyCube. It should be the more patient one.
	Asked Limiter

	// CIdPPassword goes with a ticket as password. ConnectyCube wants one and
	// does not look at it (contract 8.3).
	CIdPPassword string

	// Chat is passed on to apps.
	Chat ChatAddress

	// Patience bounds everything that one request asks of ConnectyCube, which
	// is up to four calls.
	Patience time.Duration

	Log *slog.Logger

	// cidp remembers that the application checks passwords with us (contract
	// 8.4), so that a login need not be refused first each time.
	cidp atomic.Bool
}

// ChatAddress is where apps find ConnectyCube.
type ChatAddress struct {
	AppID  int64
	APIURL string // origin of the REST API
	Domain string // XMPP domain
	URL    string // WebSocket
}

// of is the address of one user's chat (contract 11.1).
func (c ChatAddress) of(cubeID int64) *chat {
	return &chat{
		Domain:     c.Domain,
		Endpoint:   c.APIURL,
		JID:        fmt.Sprintf("%d-%d@%s", cubeID, c.AppID, c.Domain),
		MucDomain:  "muc." + c.Domain,
		UserID:     float64(cubeID),
		WsEndpoint: c.URL,
	}
}

// authenticate finds the user who logs in here, and does what the first login
// after a change owes.
func (a *Auth) authenticate(ctx context.Context, in loginInput) (store.User, error) {
	user, stale, err := a.check(ctx, in, a.Failures, store.EmailKey(in.Email)+" "+a.Client(ctx))
	if err != nil {
		return store.User{}, err
	}
	return user, a.welcome(ctx, user, in.Password, stale)
}

// check finds the user who has this address and this password, and changes
// nothing. For the caller an unknown address and a wrong password are one error
// at one price.
func (a *Auth) check(ctx context.Context, in loginInput, failures Limiter, key string) (user store.User, stale bool, err error) {
	if ok, wait := failures.Allow(key); !ok {
		return store.User{}, false, &Error{Code: RateLimited, Message: "Too many wrong passwords; try again later", RetryAfter: wait}
	}
	user, err = a.Users.ByEmail(ctx, in.Email)
	if errors.Is(err, store.ErrNotFound) {
		user, err = store.User{}, nil
	}
	if err == nil {
		stale, err = a.Passwords.Compare(ctx, in.Password, user.PasswordHash)
	}
	if errors.Is(err, tokens.ErrWrongPassword) {
		failures.Spend(key)
	}
	if err != nil {
		return store.User{}, false, err
	}
	return user, stale, nil
}

// welcome does what the first login after a change owes: a hash of today's
// kind, and the end of a registration that a crash left open.
func (a *Auth) welcome(ctx context.Context, user store.User, password string, stale bool) error {
	if stale {
		hash, err := a.Passwords.Hash(ctx, password)
		if err == nil {
			err = a.Users.SetPassword(ctx, user.ID, user.PasswordHash, hash)
		}
		if err != nil { // the old hash is as good for this login; the next one tries again
			a.Log.LogAttrs(ctx, slog.LevelWarn, "password hash not replaced", slog.String("user_id", user.ID), slog.Any("err", err))
		}
	}
	if !user.Pending {
		return nil
	}
	return a.Users.Keep(ctx, user.ID)
}

// upstream is the context for work with ConnectyCube. It outlives the client,
// for half of such work is worse than all of it, but not its patience.
func (a *Auth) upstream(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), a.Patience)
}

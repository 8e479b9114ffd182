// Package provisioning keeps the account that each user has at ConnectyCube in
// step with the user: made, named, with a password that somebody knows, and
// gone when the user is. It opens the ConnectyCube sessions of login sessions,
// and ends them.
//
// What an account should be stands in the user's document, and so does what we
// know of it. Whatever differs is worked off in visits: one visit at a time,
// under a lease in that document, each step of which may be repeated, since a
// step whose answer was lost is resolved by asking ConnectyCube. A request
// makes the visit for its own user; a worker makes those that a crash, a
// partition or a refusal left open.
//
// Start reading at [Keeper], then visit.go, the machine itself; open.go is how
// a session comes about, worker.go what runs in the background. signupbudget.go
// bounds how many accounts are made, and line.go is how the rest wait.
package provisioning

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

var (
	// ErrPending means that the account cannot be made or found now, and will
	// be. It wraps the cause.
	ErrPending = errors.New("the ConnectyCube account is not ready yet")

	// ErrNeedsPassword means that ConnectyCube wants the user's own password
	// for this, and we do not keep it.
	ErrNeedsPassword = errors.New("only the user's own password opens the ConnectyCube account")

	// ErrForeign means that the user's address belongs to an account at
	// ConnectyCube that the password does not open.
	ErrForeign = errors.New("the address belongs to another ConnectyCube account")

	// ErrEnded means that a login session ended while its ConnectyCube session
	// was being opened.
	ErrEnded = errors.New("the login session has ended")
)

// Directory is ConnectyCube as an application sees it. Errors here and below
// are the sentinels of package connectycube.
type Directory interface {
	UserByID(ctx context.Context, id int64) (connectycube.User, error)
	UserByExternalID(ctx context.Context, externalID string) (connectycube.User, error)
	UserByEmail(ctx context.Context, email string) (connectycube.User, error)
	AdminDeleteUser(ctx context.Context, id int64) error
}

// Cube signs users up, and opens, prolongs and ends their sessions.
type Cube interface {
	SignUp(ctx context.Context, user connectycube.NewUser) (connectycube.User, error)
	CreateSession(ctx context.Context, who connectycube.Credentials) (connectycube.Session, error)
	ExtendSession(ctx context.Context, token string) (connectycube.Session, error)
	EndSession(ctx context.Context, token string) error
}

// Self is what a user may do to the own account.
type Self interface {
	UpdateUser(ctx context.Context, as connectycube.Session, change connectycube.UserUpdate) error
	DeleteUser(ctx context.Context, as connectycube.Session) error
	Subscriptions(ctx context.Context, as connectycube.Session) ([]connectycube.Subscription, error)
	DeleteSubscription(ctx context.Context, as connectycube.Session, id int64) error
}

// AccountStore is the account's part of a user's document. Save, MarkDeleting and
// Remove answer [store.ErrChanged] when the lease is lost.
type AccountStore interface {
	ByID(ctx context.Context, id string) (store.User, error)
	Save(ctx context.Context, l store.Lease, user store.User) error
	MarkDeleting(ctx context.Context, id, sealed string, l store.Lease) (store.User, error)
	Remove(ctx context.Context, id string, l store.Lease) error
}

// UserChanges is the part of a user's document that its login sessions and its
// email are in. RemoveSession takes a login session from the list.
type UserChanges interface {
	ChangeEmail(ctx context.Context, c store.EmailChange, l store.Lease) (store.User, error)
	RemoveSession(ctx context.Context, id, session string) (bool, error)
}

// WorkQueue is a [store.Queue].
type WorkQueue[T any] interface {
	Acquire(ctx context.Context, id string, l store.Lease) (T, error)
	Claim(ctx context.Context, l store.Lease) (T, error)
	Retry(ctx context.Context, id string, l store.Lease, due time.Time, lastError string) error
	Complete(ctx context.Context, id string, l store.Lease, version int64) error
}

// Work is all background work.
type Work struct {
	Accounts    WorkQueue[store.User]    // accounts that differ from what they should be
	Sweeps      WorkQueue[store.User]    // lists of login sessions that have changed
	Revocations WorkQueue[store.Session] // login sessions that have ended here and not yet at ConnectyCube
}

// Line is where accounts wait to be made when the budget for sign-ups is spent. Wait
// answers [store.ErrChanged] when the lease is lost, and ClaimTurn [store.ErrNotFound]
// when the line is empty.
type Line interface {
	Wait(ctx context.Context, id string, l store.Lease, turn time.Time, attempts int) error
	ClaimTurn(ctx context.Context, l store.Lease) (store.User, error)
}

// LoginSessions are the login sessions that live.
type LoginSessions interface {
	OfUser(ctx context.Context, userID string) ([]store.Session, error)
	Update(ctx context.Context, id string, change func(*store.Session) error) (store.Session, error)
	End(ctx context.Context, id, reason string) (bool, error)
}

// EndedSessions are those that have ended here and not yet at ConnectyCube.
// Expire makes one of those whose time is over one of them. Remove also takes
// one that lives.
type EndedSessions interface {
	Expire(ctx context.Context) error
	Remove(ctx context.Context, id string) error
}

// Keys are what hangs on the server's secret.
type Keys interface {
	DerivedPasswords(userID string) []tokens.DerivedPassword // the current key's first
	Seal(plain, about string) (string, error)
	Open(sealed, about string) (string, error)
}

// Tickets are what ConnectyCube shows us when it asks who logs in.
type Tickets interface {
	ServiceTicket(grant tokens.ServiceGrant) (string, error)
}

// Means are what a request has in hand to act as its user.
type Means struct {
	Password string // the user's own; empty when it is not known
	ByTicket bool   // open the session through the identity provider
}

// Chat is a ConnectyCube session as its user gets it.
type Chat struct {
	UserID  int64
	Token   string // empty: there is none
	Expires time.Time
}

// Keeper keeps accounts. All fields but the switches must be set
// before the first use; it is safe for concurrent use then.
type Keeper struct {
	Directory Directory
	Cube      Cube
	Self      Self

	Accounts AccountStore
	Users    UserChanges
	Work     Work
	Line     Line
	Sessions LoginSessions
	Ended    EndedSessions

	Keys    Keys
	Tickets Tickets

	// Derived is set when accounts have passwords of our making, which nobody
	// types: ConnectyCube then never sees a user's own.
	Derived bool

	// MakeLater is set when people may register while ConnectyCube is away.
	MakeLater bool

	// AdminKey is set when the directory may delete anybody.
	AdminKey bool

	// CIdPPassword goes with a ticket as password. ConnectyCube wants one and
	// does not look at it (contract 8.3).
	CIdPPassword string

	// SignUps bounds how many accounts are made; nil means no limit.
	SignUps *SignUpBudget

	// Patience bounds one visit, which is up to ten calls. A lease is longer,
	// by Margin for clocks that differ between processes.
	Patience time.Duration
	Margin   time.Duration

	Log *slog.Logger

	// cidp remembers that the application checks passwords with us (contract
	// 8.4), so that a login need not be refused first each time.
	cidp atomic.Bool

	// direct remembers that the application checks passwords by itself, so that
	// not every refresh need find out by a wrong one.
	direct atomic.Bool

	wake waker
}

// Lease is a new lease on an account, for the visit that starts now.
func (k *Keeper) Lease() store.Lease {
	return store.Lease{ID: leaseID(), Until: time.Now().Add(k.Patience + k.Margin)}
}

// Make makes the account of a user who has just been created under a lease of
// ours. Trouble that will pass is [ErrPending], and the worker goes on.
// [ErrForeign], [connectycube.ErrTaken] and [connectycube.ErrRefused] are for
// good, and so is all trouble without MakeLater: then the user is gone again.
func (k *Keeper) Make(ctx context.Context, user store.User, m Means) (store.User, error) {
	v := k.visit(user, m)
	defer v.close(ctx)
	v.fresh = true
	err := v.settle(ctx)
	if err != nil && v.user.CubeID == 0 && (forGood(err) || !k.MakeLater) {
		return v.user, v.abandon(ctx, err)
	}
	if err := v.handBack(ctx, err); err != nil && v.user.CubeID == 0 {
		return v.user, v.unmade(err)
	}
	return v.user, nil // what is left of it, if anything, follows
}

// Change changes what the account should be, by write, and brings it to
// ConnectyCube. The error is write's own; of ConnectyCube's only what undid the
// change, such as [ErrForeign]: the rest follows by itself.
//
// A change of the address, for which there is a password, waits until there is
// an account: one whose sign-up got no answer is only found by the address that
// it was made with.
func (k *Keeper) Change(ctx context.Context, user store.User, m Means, write func(context.Context, store.Lease) (store.User, error)) (store.User, error) {
	v, err := k.hold(ctx, user, m)
	if err != nil {
		return store.User{}, err
	}
	defer v.close(ctx)
	if m.Password != "" {
		if err := v.exist(ctx); err != nil {
			return store.User{}, v.handBack(ctx, err)
		}
	}
	changed, err := write(ctx, store.Lease{ID: v.user.Account.Lease, Until: k.Lease().Until})
	if err != nil {
		v.release(ctx)
		return store.User{}, err
	}
	v.user = changed
	err = v.handBack(ctx, v.settle(ctx))
	if errors.Is(err, ErrForeign) {
		return v.user, err
	}
	if err != nil {
		v.warn(ctx, "change has not reached ConnectyCube yet", err)
		k.Wake()
	}
	return v.user, nil
}

// Open gives a login session its ConnectyCube session: the one it has,
// prolonged, else a new one. What is open of the account is settled first.
func (k *Keeper) Open(ctx context.Context, user store.User, session store.Session, m Means) (Chat, error) {
	v := k.visit(user, m)
	defer v.close(ctx)
	prepared := v.prepare(ctx)
	if chat, err := k.prolong(ctx, session); err == nil || !errors.Is(err, connectycube.ErrSessionExpired) {
		return chat, err
	}
	if prepared != nil {
		return Chat{UserID: v.user.CubeID}, prepared
	}
	if !v.spare { // another login session's, which would end with it
		v.session = connectycube.Session{}
	}
	if err := v.become(ctx); err != nil {
		if errors.Is(err, connectycube.ErrNotFound) && !m.ByTicket {
			err = v.remake(ctx)
		}
		if err != nil {
			return Chat{UserID: v.user.CubeID}, err
		}
	}
	if err := v.stays(ctx, session.ID); err != nil {
		return Chat{}, err
	}
	v.meet(ctx)
	v.spare = false
	return k.keep(ctx, session, v.session)
}

// ErrPending around a cause.
func pending(cause error) error { return fmt.Errorf("%w: %w", ErrPending, cause) }

// forGood tells errors that trying again does not change.
func forGood(err error) bool {
	if errors.Is(err, ErrPending) || errors.Is(err, connectycube.ErrUnavailable) {
		return false
	}
	return errors.Is(err, ErrForeign) || errors.Is(err, connectycube.ErrTaken) || errors.Is(err, connectycube.ErrRefused)
}

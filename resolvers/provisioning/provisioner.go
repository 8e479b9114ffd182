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
// Start reading at [Provisioner], then visit.go, the machine itself; open.go is how
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

	// ErrPasswordRequired means that ConnectyCube wants the user's own password
	// for this, and we do not keep it.
	ErrPasswordRequired = errors.New("only the user's own password opens the ConnectyCube account")

	// ErrForeignAccount means that the user's address belongs to an account at
	// ConnectyCube that the password does not open.
	ErrForeignAccount = errors.New("the address belongs to another ConnectyCube account")

	// ErrLoginSessionEnded means that a login session ended while its ConnectyCube session
	// was being opened.
	ErrLoginSessionEnded = errors.New("the login session has ended")
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

// UserWriter creates and changes users. Create and ChangeEmail return a
// [store.TakenError] for "email" when another user has it; the changes return
// [store.ErrChanged] when the user is another one than the caller knows.
type UserWriter interface {
	Create(ctx context.Context, user store.User, l store.Lease) (store.User, error)
	ChangeName(ctx context.Context, c store.NameChange, l store.Lease) (store.User, error)
	ChangeEmail(ctx context.Context, c store.EmailChange, l store.Lease) (store.User, error)
	ReplacePassword(ctx context.Context, c store.PasswordChange) (store.User, error)
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

// LoginMethod are what a request has in hand to act as its user.
type LoginMethod struct {
	Password            string // the user's own; empty when it is not known
	ViaIdentityProvider bool   // open the session through the identity provider
}

// CubeSession is a ConnectyCube session as its user gets it.
type CubeSession struct {
	UserID  int64
	Token   string // empty: there is none
	Expires time.Time
}

// Provisioner keeps accounts. All fields but the switches must be set
// before the first use; it is safe for concurrent use then.
type Provisioner struct {
	Directory Directory
	Cube      Cube
	Self      Self

	Accounts AccountStore
	Users    UserWriter
	Work     Work
	Line     Line
	Sessions LoginSessions
	Ended    EndedSessions

	// RemoveSession takes a login session from the list in the user's document.
	RemoveSession func(ctx context.Context, userID, sessionID string) (bool, error)

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

// newLease returns a lease for a reconciliation that starts now.
func (k *Provisioner) newLease() store.Lease {
	return store.Lease{ID: leaseID(), Until: time.Now().Add(k.Patience + k.Margin)}
}

// Register creates a user and signs the account up. If the user was not created,
// the returned user has no ID, and the error is that of [store.Users.Create].
//
// A failure that will pass is [ErrPending], and the worker continues.
// [ErrForeignAccount], [connectycube.ErrTaken] and [connectycube.ErrRefused] are
// final, and so is every failure without MakeLater: Register then removes the user.
func (k *Provisioner) Register(ctx context.Context, user store.User, m LoginMethod) (store.User, error) {
	user, err := k.Users.Create(ctx, user, k.newLease())
	if err != nil {
		return store.User{}, err
	}
	v := k.visit(user, m)
	defer v.close(ctx)
	v.fresh = true
	err = v.settle(ctx)
	if err != nil && v.user.CubeID == 0 && (forGood(err) || !k.MakeLater) {
		return v.user, v.abandon(ctx, err)
	}
	if err := v.handBack(ctx, err); err != nil && v.user.CubeID == 0 {
		return v.user, v.unmade(err)
	}
	return v.user, nil // the worker does the rest, if any
}

// Name is the name of a user.
type Name struct{ First, Last string }

// Rename changes the user's name here and, at once or later, at ConnectyCube.
func (k *Provisioner) Rename(ctx context.Context, user store.User, name Name) (store.User, error) {
	return k.change(ctx, user, LoginMethod{}, func(l store.Lease) (store.User, error) {
		return k.Users.ChangeName(ctx, store.NameChange{UserID: user.ID, FirstName: name.First, LastName: name.Last}, l)
	})
}

// EmailChange is a change of a user's email.
type EmailChange struct {
	Email    string // the new one
	Password string // the user's own
}

// ChangeEmail changes the user's email here and, at once or later, at
// ConnectyCube. The error is [ErrForeignAccount] if the email belongs to another
// account at ConnectyCube, and the change is undone.
//
// The change waits until there is an account: an account whose sign-up got no
// reply is only found by the email that it was signed up with.
func (k *Provisioner) ChangeEmail(ctx context.Context, user store.User, c EmailChange) (store.User, error) {
	return k.change(ctx, user, LoginMethod{Password: c.Password}, func(l store.Lease) (store.User, error) {
		return k.Users.ChangeEmail(ctx, store.EmailChange{UserID: user.ID, Old: user.Email, New: c.Email}, l)
	})
}

// change writes what the account should be from now on, under a lease, and
// brings it to ConnectyCube. A failure there is an error only if it undid the
// change; the worker repeats the others.
func (k *Provisioner) change(ctx context.Context, user store.User, m LoginMethod, write func(store.Lease) (store.User, error)) (store.User, error) {
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
	changed, err := write(store.Lease{ID: v.user.Account.Lease, Until: k.newLease().Until})
	if err != nil {
		v.release(ctx)
		return store.User{}, err
	}
	v.user = changed
	err = v.handBack(ctx, v.settle(ctx))
	if errors.Is(err, ErrForeignAccount) {
		return v.user, err
	}
	if err != nil {
		v.warn(ctx, "change has not reached ConnectyCube yet", err)
		k.Wake()
	}
	return v.user, nil
}

// OpenCubeSession gives a login session its ConnectyCube session: the one it has,
// prolonged, else a new one. What is open of the account is settled first.
func (k *Provisioner) OpenCubeSession(ctx context.Context, user store.User, session store.Session, m LoginMethod) (CubeSession, error) {
	v := k.visit(user, m)
	defer v.close(ctx)
	prepared := v.prepare(ctx)
	if chat, err := k.prolong(ctx, session); err == nil || !errors.Is(err, connectycube.ErrSessionExpired) {
		return chat, err
	}
	if prepared != nil {
		return CubeSession{UserID: v.user.CubeID}, prepared
	}
	if !v.spare { // another login session's, which would end with it
		v.session = connectycube.Session{}
	}
	if err := v.become(ctx); err != nil {
		if errors.Is(err, connectycube.ErrNotFound) && !m.ViaIdentityProvider {
			err = v.remake(ctx)
		}
		if err != nil {
			return CubeSession{UserID: v.user.CubeID}, err
		}
	}
	if err := v.stays(ctx, session.ID); err != nil {
		return CubeSession{}, err
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
	return errors.Is(err, ErrForeignAccount) || errors.Is(err, connectycube.ErrTaken) || errors.Is(err, connectycube.ErrRefused)
}

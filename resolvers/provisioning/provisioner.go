package provisioning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

var (
	// ErrPending means that the account cannot be signed up or found now, and that
	// the server tries again. It wraps the cause.
	ErrPending = errors.New("the ConnectyCube account is not ready yet")

	// ErrPasswordRequired means that only the user's own password, which the server
	// does not keep, opens a session of the account.
	ErrPasswordRequired = errors.New("only the user's own password opens the ConnectyCube account")

	// ErrForeignAccount means that the user's email belongs to an account at
	// ConnectyCube that the password does not open.
	ErrForeignAccount = errors.New("the email belongs to another ConnectyCube account")

	// ErrLoginSessionEnded means that a login session ended while its ConnectyCube
	// session was being opened.
	ErrLoginSessionEnded = errors.New("the login session has ended")
)

// CubeClient signs users up, and opens, extends and ends their sessions. The errors of
// this and of the next two interfaces are the sentinels of package connectycube.
type CubeClient interface {
	SignUp(ctx context.Context, user connectycube.NewUser) (connectycube.User, error)
	CreateSession(ctx context.Context, c connectycube.Credentials) (connectycube.Session, error)
	ExtendSession(ctx context.Context, token string) (connectycube.Session, error)
	EndSession(ctx context.Context, token string) error
}

// CubeUsers finds users with the rights of the application. AdminDeleteUser needs the
// administration key.
type CubeUsers interface {
	UserByID(ctx context.Context, id int64) (connectycube.User, error)
	UserByExternalID(ctx context.Context, externalID string) (connectycube.User, error)
	UserByEmail(ctx context.Context, email string) (connectycube.User, error)
	AdminDeleteUser(ctx context.Context, id int64) error
}

// UserAPI changes and deletes an account with a session of its user.
type UserAPI interface {
	UpdateUser(ctx context.Context, s connectycube.Session, u connectycube.UserUpdate) error
	DeleteUser(ctx context.Context, s connectycube.Session) error
	Subscriptions(ctx context.Context, s connectycube.Session) ([]connectycube.Subscription, error)
	DeleteSubscription(ctx context.Context, s connectycube.Session, id int64) error
}

// AccountStore is the part of a user's document about the account. Save, MarkDeleting
// and Remove return [store.ErrChanged] when the lease is lost.
type AccountStore interface {
	ByID(ctx context.Context, id string) (store.User, error)
	Save(ctx context.Context, l store.Lease, user store.User) error
	MarkDeleting(ctx context.Context, id, sealedToken string, l store.Lease) (store.User, error)
	Remove(ctx context.Context, id string, l store.Lease) error
}

// UserWriter creates and changes users. Create and ChangeEmail return a
// [store.TakenError] for "email" if another user has it. The changes return
// [store.ErrChanged] if another change came first.
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

// SignUpLine is where accounts wait when the budget of sign-ups is spent. Wait returns
// [store.ErrChanged] when the lease is lost, and ClaimTurn [store.ErrNotFound] when the
// line is empty.
type SignUpLine interface {
	Wait(ctx context.Context, id string, l store.Lease, turn time.Time, attempts int) error
	ClaimTurn(ctx context.Context, l store.Lease) (store.User, error)
}

// SessionRecords are the records of login sessions. OfUser and Update see the active
// ones; Remove also removes an active one.
type SessionRecords interface {
	OfUser(ctx context.Context, userID string) ([]store.Session, error)
	Update(ctx context.Context, seen store.Session, change func(*store.Session) error) (store.Session, error)
	End(ctx context.Context, id, reason string) (bool, error)
	Remove(ctx context.Context, id string) error
}

// Evictions are the login sessions that ended because their user had too many; see
// [store.Evictions]. Evict does nothing if the session has ended. EndEvicted ends those of
// the generations before for another reason. CompleteSweep does nothing if the lease is lost.
type Evictions interface {
	Evict(ctx context.Context, id string, v store.Eviction) error
	EndEvicted(ctx context.Context, userID string, before int64, reason string) error
	CompleteSweep(ctx context.Context, userID string, l store.Lease, evicted []string) error
}

// Sealer encrypts texts with a key made from the server's secret. Open needs the same
// additional data as Seal.
type Sealer interface {
	Seal(plain, additionalData string) (string, error)
	Open(sealed, additionalData string) (string, error)
}

// ServiceTicketIssuer signs the tickets that ConnectyCube presents to the verify route
// when the server logs a user in by itself.
type ServiceTicketIssuer interface {
	ServiceTicket(g tokens.ServiceGrant) (string, error)
}

// Database is the database as this package needs it.
type Database struct {
	Accounts AccountStore
	Users    UserWriter
	Sessions SessionRecords
	Line     SignUpLine

	// RemoveSession removes a login session from the list in the user's document.
	RemoveSession func(ctx context.Context, userID, sessionID string) (bool, error)

	// ExpireSession ends one login session that was not used for too long. The error
	// is [store.ErrNotFound] for none.
	ExpireSession func(ctx context.Context) error

	// RemoveRevoked removes the record of a login session that has ended, unless it ended
	// once more since it was read.
	RemoveRevoked func(ctx context.Context, revoked store.Session) error

	Evictions Evictions
}

// Queues hold the background work.
type Queues struct {
	Accounts    WorkQueue[store.User]    // accounts that differ from what they should be
	Sweeps      WorkQueue[store.User]    // users whose list of login sessions has changed
	Revocations WorkQueue[store.Session] // login sessions that have ended here and not yet at ConnectyCube
}

// PasswordMode says which passwords accounts at ConnectyCube have.
type PasswordMode string

// The password modes.
const (
	SharedPasswords  PasswordMode = "shared"  // the users' own
	DerivedPasswords PasswordMode = "derived" // made by the server; ConnectyCube never gets a user's own
)

// Settings are the values of a Provisioner that an operator chooses.
type Settings struct {
	PasswordMode PasswordMode

	// RegisterWhileAway lets users register while ConnectyCube does not reply. Their
	// accounts follow.
	RegisterWhileAway bool

	// HasAdminKey says that AdminDeleteUser works.
	HasAdminKey bool

	// CIdPPassword is the password of a login with a ticket. ConnectyCube demands one
	// and ignores it (docs/connectycube.md, Identity provider).
	CIdPPassword string

	// UpstreamTimeout bounds one reconciliation, which makes up to ten calls. A lease
	// is longer by ClockSkew, for processes whose clocks differ.
	UpstreamTimeout time.Duration
	ClockSkew       time.Duration
}

// Options configure a Provisioner. All fields are required but SignUps and the
// switches in Settings; New reports all that are missing.
type Options struct {
	Cube      CubeClient
	CubeUsers CubeUsers
	UserAPI   UserAPI
	Database  Database
	Queues    Queues
	Sealer    Sealer
	Tickets   ServiceTicketIssuer

	// DerivePasswords returns the passwords that the server makes for a user, the
	// current key's first.
	DerivePasswords func(userID string) []tokens.DerivedPassword

	SignUps  *SignUpBudget // nil = no limit
	Settings Settings
	Log      *slog.Logger
}

// missing returns the names of the required fields that are not set.
func (o Options) missing() (names []string) {
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"Cube", o.Cube != nil},
		{"CubeUsers", o.CubeUsers != nil},
		{"UserAPI", o.UserAPI != nil},
		{"Database.Accounts", o.Database.Accounts != nil},
		{"Database.Users", o.Database.Users != nil},
		{"Database.Sessions", o.Database.Sessions != nil},
		{"Database.Line", o.Database.Line != nil},
		{"Database.RemoveSession", o.Database.RemoveSession != nil},
		{"Database.ExpireSession", o.Database.ExpireSession != nil},
		{"Database.RemoveRevoked", o.Database.RemoveRevoked != nil},
		{"Database.Evictions", o.Database.Evictions != nil},
		{"Queues.Accounts", o.Queues.Accounts != nil},
		{"Queues.Sweeps", o.Queues.Sweeps != nil},
		{"Queues.Revocations", o.Queues.Revocations != nil},
		{"Sealer", o.Sealer != nil},
		{"Tickets", o.Tickets != nil},
		{"DerivePasswords", o.DerivePasswords != nil},
		{"Settings.PasswordMode", o.Settings.PasswordMode == SharedPasswords || o.Settings.PasswordMode == DerivedPasswords},
		{"Settings.CIdPPassword", o.Settings.CIdPPassword != ""},
		{"Settings.UpstreamTimeout", o.Settings.UpstreamTimeout > 0},
		{"Settings.ClockSkew", o.Settings.ClockSkew > 0},
		{"Log", o.Log != nil},
	} {
		if !field.set {
			names = append(names, field.name)
		}
	}
	return names
}

// Provisioner keeps accounts. It is safe for concurrent use.
type Provisioner struct {
	cube            CubeClient
	cubeUsers       CubeUsers
	userAPI         UserAPI
	db              Database
	queues          Queues
	sealer          Sealer
	tickets         ServiceTicketIssuer
	derivePasswords func(userID string) []tokens.DerivedPassword
	signUps         *SignUpBudget
	settings        Settings
	log             *slog.Logger
	wake            wakeSignals

	// seenProviderOn remembers that ConnectyCube asks the verify route about
	// passwords, so that a login need not be refused first each time.
	seenProviderOn atomic.Bool

	// seenProviderOff remembers that ConnectyCube checks passwords by itself, so that
	// not every refresh has to learn it from a wrong password.
	seenProviderOff atomic.Bool
}

// New returns a Provisioner. The error names all fields that are missing.
func New(o Options) (*Provisioner, error) {
	if names := o.missing(); len(names) > 0 {
		return nil, fmt.Errorf("provisioning: not set, or not valid: %s", strings.Join(names, ", "))
	}
	return &Provisioner{
		cube: o.Cube, cubeUsers: o.CubeUsers, userAPI: o.UserAPI, db: o.Database, queues: o.Queues, sealer: o.Sealer, tickets: o.Tickets,
		derivePasswords: o.DerivePasswords, signUps: o.SignUps, settings: o.Settings, log: o.Log, wake: newWakeSignals(),
	}, nil
}

// LoginMethod is how a request can open a session of its user's account.
type LoginMethod struct {
	Password            string // the user's own; empty when it is not known
	ViaIdentityProvider bool   // by a ticket, which ConnectyCube presents to the verify route

	Extension *Extension // nil = ConnectyCube has not been asked for the session that the login session has
}

// CubeSession is a ConnectyCube session for its user.
type CubeSession struct {
	UserID  int64
	Token   string // empty when there is no session
	Expires time.Time
}

// pending wraps a cause with ErrPending, except wrong settings: only the operator can end
// those.
func pending(cause error) error {
	if errors.Is(cause, connectycube.ErrMisconfigured) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrPending, cause)
}

// isPermanent reports whether another attempt would fail with the same error.
func isPermanent(err error) bool {
	if errors.Is(err, ErrPending) || errors.Is(err, connectycube.ErrUnavailable) {
		return false
	}
	return errors.Is(err, ErrForeignAccount) || errors.Is(err, connectycube.ErrTaken) || errors.Is(err, connectycube.ErrRefused)
}

// isRejection reports whether ConnectyCube rejects the credentials.
func isRejection(err error) bool {
	for _, is := range []error{connectycube.ErrBadCredentials, connectycube.ErrNotFound, connectycube.ErrTaken, connectycube.ErrRefused} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

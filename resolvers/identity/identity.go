package identity

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"cubegate/store"
	"cubegate/tokens"
)

// Options configure all structs of the package. All fields but RegisterWhileAway are
// required; New reports all that are missing.
type Options struct {
	Stores   Stores
	Accounts Accounts
	Tokens   Tokens
	Hasher   PasswordHasher
	Budgets  *Budgets // see NewBudgets
	Auditor  *Auditor // see StartAuditor
	Limits   Limits
	Log      *slog.Logger

	// NetworkOf returns the network that an IP address counts for.
	NetworkOf func(ip string) string

	// RegisterWhileAway lets users register while ConnectyCube does not respond.
	// Their accounts follow.
	RegisterWhileAway bool

	// UpstreamTimeout bounds all that one request asks of ConnectyCube.
	UpstreamTimeout time.Duration
}

// Stores hold the users and their login sessions.
type Stores struct {
	Users    UserStore
	Admin    AdminUserStore
	Active   ActiveSessions
	Sessions SessionStore

	// EvictSession removes a login session from the list in the user's document,
	// because there are too many. It returns true to the one call that ends it.
	EvictSession func(ctx context.Context, id, session string) (bool, error)

	// LogOutEvicted ends an evicted login session once more, as a logout, and returns
	// the ID of its user. The error is [store.ErrNotFound] for none.
	LogOutEvicted func(ctx context.Context, l store.LateLogout) (string, error)

	// UpgradeHash replaces a password hash with a better one of the same password. If
	// the old hash is no longer the user's, it changes nothing and returns nil.
	UpgradeHash func(ctx context.Context, c store.HashUpgrade) error
}

// Accounts lead to the users' accounts at ConnectyCube.
type Accounts struct {
	Opener AccountOpener
	Editor AccountEditor

	// DerivedPasswords returns the passwords that the server makes for the account
	// of a user.
	DerivedPasswords func(userID string) []tokens.DerivedPassword
}

// Tokens make and check the tokens of login sessions.
type Tokens struct {
	Issuer   TokenIssuer
	Verifier TokenVerifier
	Refresh  RefreshTokenCodec
	Devices  DeviceTokenCodec
}

// Limits bound login sessions and passwords.
type Limits struct {
	Idle             time.Duration // without a refresh, after which a login session ends
	Absolute         time.Duration // after which it ends in any case
	Reuse            time.Duration // in which a repeated refresh changes nothing
	PerUser          int           // login sessions of one user
	MaxPasswordChars int           // of a new password: SharedPasswordChars or DerivedPasswordChars
	BcryptPasswords  bool          // a new password has at most tokens.BcryptLimit bytes, and no hash is replaced
}

// Flows are the structs of the package, which share what Options configure. They are
// safe for concurrent use.
type Flows struct {
	Authenticator *Authenticator
	Logins        *Logins
	Sessions      *Sessions
	Profiles      *Profiles
	Admin         *Admin
	Passwords     *Passwords
}

// New builds all structs of the package.
func New(o Options) (*Flows, error) {
	if names := unset("", reflect.ValueOf(o)); len(names) > 0 {
		return nil, errors.New("identity.Options lack " + strings.Join(names, ", "))
	}
	devices := devices{o.Tokens.Devices}
	familiar, err := newFamiliarNetworks()
	if err != nil {
		return nil, err
	}
	proven := newProvenPasswords()
	f := &Flows{}
	f.Passwords = &Passwords{
		Hasher: o.Hasher, users: o.Stores.Users, records: o.Stores.Sessions, devices: devices, familiar: familiar, budgets: o.Budgets,
		networkOf: o.NetworkOf, keepsHashes: o.Limits.BcryptPasswords, replaceHash: o.Stores.UpgradeHash, log: o.Log,
	}
	f.Authenticator = &Authenticator{
		users: o.Stores.Users, records: o.Stores.Sessions, verifier: o.Tokens.Verifier, passwords: f.Passwords, proven: proven,
		derived: o.Accounts.DerivedPasswords, auditor: o.Auditor, log: o.Log,
	}
	f.Sessions = &Sessions{
		users: o.Stores.Users, active: o.Stores.Active, evict: o.Stores.EvictSession, logOutEvicted: o.Stores.LogOutEvicted, records: o.Stores.Sessions, accounts: o.Accounts.Opener,
		credentials: credentials{o.Tokens.Issuer, o.Tokens.Refresh, devices, o.Limits.Absolute}, verifier: o.Tokens.Verifier, familiar: familiar,
		limits: o.Limits, budgets: o.Budgets, auditor: o.Auditor, upstreamTimeout: o.UpstreamTimeout, log: o.Log,
	}
	f.Logins = &Logins{
		passwords: f.Passwords, sessions: f.Sessions, accounts: o.Accounts.Opener, proven: proven, attempts: newAttempts(), budgets: o.Budgets, auditor: o.Auditor,
		maxPasswordChars: o.Limits.MaxPasswordChars, bcryptPasswords: o.Limits.BcryptPasswords, registerWhileAway: o.RegisterWhileAway, upstreamTimeout: o.UpstreamTimeout, log: o.Log,
	}
	f.Profiles = &Profiles{
		passwords: f.Passwords, accounts: o.Accounts.Opener, editor: o.Accounts.Editor, proven: proven, auditor: o.Auditor,
		maxPasswordChars: o.Limits.MaxPasswordChars, bcryptPasswords: o.Limits.BcryptPasswords, upstreamTimeout: o.UpstreamTimeout,
	}
	f.Admin = &Admin{users: o.Stores.Users, directory: o.Stores.Admin, accounts: o.Accounts.Opener, profiles: f.Profiles, auditor: o.Auditor}
	return f, nil
}

// unset lists the fields of a struct that have no value. A false switch has one.
func unset(prefix string, v reflect.Value) (names []string) {
	for i := range v.NumField() {
		name, field := prefix+v.Type().Field(i).Name, v.Field(i)
		switch {
		case field.Kind() == reflect.Struct:
			names = append(names, unset(name+".", field)...)
		case field.Kind() != reflect.Bool && field.IsZero():
			names = append(names, name)
		}
	}
	return names
}

// detached returns a context for work that must finish after the client has gone. It
// ends after limit.
func detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

package identity

import (
	"context"
	"log/slog"
	"time"

	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// Logins registers users and logs them in.
type Logins struct {
	passwords         *Passwords
	sessions          *Sessions
	accounts          AccountOpener
	proven            *provenPasswords
	attempts          *attempts // to register
	budgets           *Budgets
	auditor           *Auditor
	maxPasswordChars  int
	bcryptPasswords   bool // see Limits
	registerWhileAway bool
	upstreamTimeout   time.Duration
	log               *slog.Logger
}

// LoginResult is what a registration, a login or a refresh gives to the client.
type LoginResult struct {
	User         store.User
	Session      store.Session
	AccessToken  string
	Expires      time.Time // of AccessToken
	RefreshToken string
	ChatTicket   string
	DeviceToken  string                   // empty = the client keeps its own
	Cube         provisioning.CubeSession // the session at ConnectyCube
	ChatStatus   provisioning.ChatStatus
}

// Login checks email and password, starts a login session, and opens a session at
// ConnectyCube with the same password. If ConnectyCube fails, the login still
// succeeds; the status gives the reason.
func (l *Logins) Login(ctx context.Context, c Caller, in LoginInput) (LoginResult, error) {
	return l.login(ctx, c, in, provisioning.LoginMethod{Password: in.Password})
}

// LoginByToken is Login, except that the session at ConnectyCube is opened with a
// ticket, which ConnectyCube verifies with this server.
func (l *Logins) LoginByToken(ctx context.Context, c Caller, in LoginInput) (LoginResult, error) {
	return l.login(ctx, c, in, provisioning.LoginMethod{Password: in.Password, ViaIdentityProvider: true})
}

func (l *Logins) login(ctx context.Context, c Caller, in LoginInput, m provisioning.LoginMethod) (LoginResult, error) {
	in, err := in.validate()
	if err != nil {
		return LoginResult{}, err
	}
	if c.User, err = l.authenticate(ctx, c, in); err != nil {
		return LoginResult{}, err
	}
	defer l.proven.Prove(c.User, in.Password)()
	out, err := l.completeLogin(ctx, c, in.Device, m, nil)
	if err != nil {
		l.auditor.recordFailure(ctx, c, err)
		return LoginResult{}, err
	}
	l.auditor.recordSuccess(ctx, c, out.Session.ID)
	return out, nil
}

// authenticate returns the user with this email and this password, who may log in. It
// brings the hash up to date.
func (l *Logins) authenticate(ctx context.Context, c Caller, in LoginInput) (store.User, error) {
	user, m, err := l.passwords.verify(ctx, c, in)
	c.User = user
	if err == nil {
		l.passwords.familiar.note(familiarPair{store.EmailKey(user.Email), c.Client.network()})
		user, err = l.passwords.upgrade(ctx, c, m, in.Password)
	}
	if err != nil && user.ID != "" { // an attempt at an unknown email is only logged
		l.auditor.recordFailure(ctx, c, err)
	}
	if err != nil {
		return store.User{}, err
	}
	return user, nil
}

// completeLogin starts a login session for a user who has just proven a password, and
// opens the ConnectyCube session, unless chatErr says that it cannot be opened.
func (l *Logins) completeLogin(ctx context.Context, c Caller, device *DeviceInput, m provisioning.LoginMethod, chatErr error) (LoginResult, error) {
	out, err := l.sessions.startLoginSession(ctx, c, device)
	if err != nil {
		return LoginResult{}, err
	}
	if chatErr == nil {
		ctx, cancel := detached(ctx, l.upstreamTimeout)
		defer cancel()
		chatErr = l.sessions.openCubeSession(ctx, &out, m)
	}
	out.ChatStatus = provisioning.ChatStatusOf(chatErr)
	return out, nil
}

package resolvers

import (
	"context"
	"errors"
	"log/slog"

	"cubegate/connectycube"
	"cubegate/store"
)

// chatStatus is ChatStatus of the schema.
type chatStatus string

const (
	chatReady       chatStatus = "READY"
	chatRefused     chatStatus = "REFUSED"
	chatUnavailable chatStatus = "UNAVAILABLE"
)

// opener opens a ConnectyCube session for a user who has just proved to be
// there by a password.
type opener func(ctx context.Context, user store.User, password string) (connectycube.Session, error)

// loggedIn is what a login gives.
type loggedIn struct {
	user    store.User
	access  string
	ticket  string
	session connectycube.Session // zero unless chat is READY
	chat    chatStatus
}

// login checks the password, gives our own tokens, and opens the session.
// What goes wrong with ConnectyCube is told in chat; the login stays good.
func (a *Auth) login(ctx context.Context, in loginInput, open opener) (loggedIn, error) {
	in, err := in.clean()
	if err != nil {
		return loggedIn{}, err
	}
	user, err := a.authenticate(ctx, in)
	if err != nil {
		return loggedIn{}, err
	}
	out := loggedIn{user: user}
	if out.access, err = a.Tokens.AccessToken(user.ID, user.Email); err != nil {
		return loggedIn{}, err
	}
	if out.ticket, err = a.Tokens.Ticket(user.ID, user.Email); err != nil {
		return loggedIn{}, err
	}
	ctx, cancel := a.upstream(ctx)
	defer cancel()
	out.session, err = open(ctx, user, in.Password)
	out.chat = statusOf(err)
	if err != nil {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "login without chat",
			slog.String("user_id", user.ID), slog.String("chat_status", string(out.chat)), slog.Any("err", err))
		return out, nil
	}
	out.user = a.settle(ctx, user, out.session)
	return out, nil
}

// statusOf tells a client what it can do about a session that did not open.
func statusOf(err error) chatStatus {
	switch {
	case err == nil:
		return chatReady
	case errors.Is(err, connectycube.ErrBadCredentials), errors.Is(err, connectycube.ErrNotFound),
		errors.Is(err, connectycube.ErrTaken), errors.Is(err, connectycube.ErrRefused):
		return chatRefused
	}
	return chatUnavailable
}

// openByPassword opens the session with the user's own password, or makes the
// account first when there is none and ConnectyCube does not make it by itself.
func (a *Auth) openByPassword(ctx context.Context, user store.User, password string) (connectycube.Session, error) {
	session, err := a.openSession(ctx, user, password)
	if !errors.Is(err, connectycube.ErrNotFound) {
		return session, err
	}
	if _, err := a.provision(ctx, user, password); err != nil {
		return connectycube.Session{}, err
	}
	return a.openSession(ctx, user, password)
}

// openSession opens a session the way the application wants it: by password,
// or by ticket where ConnectyCube asks us about passwords (contract 8.4). It
// remembers the way that worked.
func (a *Auth) openSession(ctx context.Context, user store.User, password string) (connectycube.Session, error) {
	if a.cidp.Load() {
		session, err := a.openByTicket(ctx, user, "")
		if statusOf(err) != chatRefused {
			return session, err
		}
		a.cidp.Store(false) // the application knows no tickets any more
	}
	session, err := a.Cube.CreateSession(ctx, connectycube.Credentials{Email: user.Email, Password: password})
	if !errors.Is(err, connectycube.ErrIdentityProvider) {
		return session, err
	}
	session, err = a.openByTicket(ctx, user, "")
	a.cidp.Store(err == nil)
	return session, err
}

// openByTicket opens a session by a token that ConnectyCube checks with us
// while we wait. No lock or slot that verify needs may be held here.
func (a *Auth) openByTicket(ctx context.Context, user store.User, _ string) (connectycube.Session, error) {
	ticket, err := a.Tokens.Ticket(user.ID, user.Email)
	if err != nil {
		return connectycube.Session{}, err
	}
	return a.Cube.CreateSession(ctx, connectycube.Credentials{Login: ticket, Password: a.CIdPPassword})
}

// settle makes both sides know each other: the account's id here, our id
// there. Neither is worth a login, so trouble is only logged; the next login
// tries again.
func (a *Auth) settle(ctx context.Context, user store.User, session connectycube.Session) store.User {
	if session.UserID != user.CubeID {
		if user.CubeID != 0 {
			a.Log.LogAttrs(ctx, slog.LevelWarn, "ConnectyCube account changed", slog.String("user_id", user.ID),
				slog.Int64("from", user.CubeID), slog.Int64("to", session.UserID))
		}
		user.CubeID = session.UserID
		a.logUnsettled(ctx, user, a.Registry.SetCubeID(ctx, user.ID, user.CubeID))
	}
	// An id of somebody else's stays: whose account it is, a person must say.
	if session.User.ID != 0 && (session.User.ExternalID == "" || session.User.ExternalID == user.ID) {
		a.logUnsettled(ctx, user, a.introduce(ctx, user, session))
	}
	return user
}

func (a *Auth) logUnsettled(ctx context.Context, user store.User, err error) {
	if err != nil {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "account not settled", slog.String("user_id", user.ID), slog.Any("err", err))
	}
}

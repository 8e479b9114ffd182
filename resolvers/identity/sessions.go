package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/resolvers/transport"
	"cubegate/store"
	"cubegate/tokens"
)

// Members is the list of login sessions in a user's document, which is the
// truth about which of them live. AddSession returns [store.ErrChanged] when
// the hash is another by now, or the user may not log in. RemoveSession is true
// for the one caller that ended the session.
type Members interface {
	AddSession(ctx context.Context, s store.SessionStart) (store.User, error)
	RemoveSession(ctx context.Context, id, session string) (bool, error)
	RevokeSession(ctx context.Context, id, session string) (bool, error)
	RemoveAllSessions(ctx context.Context, id string) (store.User, error)
}

// LoginSessions keeps all else about login sessions. Update may run change
// several times; see [store.Sessions.Update].
type LoginSessions interface {
	Create(ctx context.Context, session store.Session) error
	ByID(ctx context.Context, id string) (store.Session, error)
	Listed(ctx context.Context, ids []string) ([]store.Session, error)
	Update(ctx context.Context, id string, change func(*store.Session) error) (store.Session, error)
}

// RefreshTokens makes and reads refresh tokens. The error of Read is
// [tokens.ErrInvalid] for what we have never issued.
type RefreshTokens interface {
	NewRefreshToken(sessionID string) (token, hash string)
	ParseRefreshToken(token string) (sessionID, hash string, err error)
}

// begin begins a login session and returns it with its refresh token. The
// user's document learns of it first: a session that is not in there has ended,
// and may be cleared away at any moment.
func (a *Auth) begin(ctx context.Context, user store.User, device *deviceInput) (store.Session, string, error) {
	if err := a.makeRoom(ctx, user); err != nil {
		return store.Session{}, "", err
	}
	id := strings.ToLower(rand.Text()) // paths are routed in lower case
	refresh, hash := a.Refresh.NewRefreshToken(id)
	_, err := a.Members.AddSession(ctx, store.SessionStart{UserID: user.ID, PasswordHash: user.PasswordHash, SessionID: id})
	if errors.Is(err, store.ErrChanged) { // changed since the password was compared
		if user, err := a.Users.ByID(ctx, user.ID); err == nil && user.Disabled {
			return store.Session{}, "", errDisabled
		}
		return store.Session{}, "", fmt.Errorf("%w: it has just been changed", tokens.ErrWrongPassword)
	}
	if err != nil {
		return store.Session{}, "", err
	}
	now := time.Now()
	session := store.Session{
		ID: id, UserID: user.ID, Device: device.name(ctx), DeviceID: device.id(), LastIP: a.Address(ctx),
		Created: now, LastUsed: now, AbsoluteExpiry: now.Add(a.Limits.Absolute), Expires: now.Add(min(a.Limits.Idle, a.Limits.Absolute)),
		Parent: tokens.NewRefreshFamily(hash).Parent,
	}
	if err := a.Sessions.Create(ctx, session); err != nil {
		return store.Session{}, "", err
	}
	return session, refresh, nil
}

// makeRoom ends the login sessions that are one too many: first those whose
// record has expired, then those unused for longest.
func (a *Auth) makeRoom(ctx context.Context, user store.User) error {
	if len(user.Sessions) < a.Limits.PerUser {
		return nil
	}
	live, err := a.Sessions.Listed(ctx, user.Sessions) // the last used first
	if err != nil {
		return err
	}
	keep := make([]string, 0, a.Limits.PerUser)
	for _, s := range live[:min(len(live), a.Limits.PerUser-1)] {
		keep = append(keep, s.ID)
	}
	for _, id := range user.Sessions {
		if !slices.Contains(keep, id) {
			if _, err := a.endSession(ctx, user, id, store.AuditEvict); err != nil {
				return err
			}
		}
	}
	return nil
}

// grant signs the tokens of a login session.
func (a *Auth) grant(user store.User, session store.Session) (signedIn, error) {
	out := signedIn{user: user, session: session, chat: provisioning.CubeSession{UserID: user.CubeID}}
	g := tokens.Grant{Subject: user.ID, Email: user.Email, SessionID: session.ID, Roles: user.Roles, Until: session.AbsoluteExpiry}
	if most := time.Now().Add(a.Limits.Absolute); g.Until.After(most) { // the setting was longer once
		g.Until = most
	}
	var err error
	if out.ticket, err = a.Tokens.ChatTicket(g); err != nil {
		return signedIn{}, err
	}
	g.Until = session.Expires
	out.access, out.expires, err = a.Tokens.AccessToken(g)
	return out, err
}

var errSessionOver = &apierror.Error{Code: apierror.Unauthenticated, Message: "The login session is over; log in again"}

// refreshSession exchanges a refresh token for all that a login gives. A token
// that was retired ends the login session: somebody else has used it.
func (a *Auth) refreshSession(ctx context.Context, token string) (signedIn, error) {
	id, hash, err := a.Refresh.ParseRefreshToken(token)
	if err != nil {
		return signedIn{}, a.rubbish(ctx, "refresh", &apierror.Error{Code: apierror.Unauthenticated, Message: "The refresh token is not valid", Cause: err})
	}
	var next, userID string
	session, err := a.Sessions.Update(ctx, id, func(s *store.Session) error {
		userID = s.UserID
		token, child := a.Refresh.NewRefreshToken(id)
		family, err := tokens.RefreshFamily{Parent: s.Parent, Children: s.Children}.Use(hash, child)
		if err != nil {
			return err
		}
		now := time.Now()
		next, s.Parent, s.Children = token, family.Parent, family.Children
		s.LastUsed, s.LastIP = now, a.Address(ctx)
		if s.Expires = now.Add(a.Limits.Idle); s.Expires.After(s.AbsoluteExpiry) {
			s.Expires = s.AbsoluteExpiry
		}
		return nil
	})
	switch {
	case errors.Is(err, tokens.ErrReplayed):
		return signedIn{}, a.replayed(ctx, userID, id, err)
	case errors.Is(err, store.ErrNotFound):
		return signedIn{}, errSessionOver
	case err != nil:
		return signedIn{}, err
	}
	user, err := a.member(ctx, userID, id)
	if err != nil {
		return signedIn{}, err
	}
	out, err := a.grant(user, session)
	if err != nil {
		return signedIn{}, err
	}
	out.refresh, out.device = next, a.renewedDeviceToken(user, session)
	out.status = statusOf(a.openChat(ctx, &out, provisioning.LoginMethod{}))
	return out, nil
}

// replayed ends a login session one of whose retired tokens was used.
func (a *Auth) replayed(ctx context.Context, userID, sessionID string, cause error) error {
	ended, err := a.Members.RevokeSession(ctx, userID, sessionID)
	if err != nil {
		return err
	}
	if ended {
		a.Accounts.Wake()
		a.Log.LogAttrs(ctx, slog.LevelWarn, "retired refresh token used; its login session has ended", slog.String("user_id", userID))
		a.audit(ctx, store.Event{Kind: store.AuditRefresh, Outcome: store.OutcomeRefused, UserID: userID, Session: sessionID, Detail: "a retired token was used: the session has ended"})
	}
	return &apierror.Error{Code: errSessionOver.Code, Message: errSessionOver.Message, Cause: cause}
}

// member finds the user of a login session that lives.
func (a *Auth) member(ctx context.Context, userID, sessionID string) (store.User, error) {
	user, err := a.Users.ByID(ctx, userID)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, errSessionOver
	}
	if err != nil {
		return store.User{}, err
	}
	if user.Deleting || user.Disabled || !slices.Contains(user.Sessions, sessionID) {
		return store.User{}, errSessionOver
	}
	return user, nil
}

// logout ends the caller's login session. What it has at ConnectyCube ends
// within moments.
func (a *Auth) logout(ctx context.Context) error {
	user, claims, err := a.caller(ctx)
	if err != nil {
		return err
	}
	_, err = a.endSession(ctx, user, claims.SessionID, store.AuditLogout)
	return err
}

// revokeSession ends one of the caller's login sessions.
func (a *Auth) revokeSession(ctx context.Context, id string) error {
	user, _, err := a.caller(ctx)
	if err != nil {
		return err
	}
	ended, err := a.endSession(ctx, user, id, store.AuditRevoke)
	if err == nil && !ended {
		err = &apierror.Error{Code: apierror.NotFound, Message: "There is no such session"}
	}
	return err
}

// endSession ends one login session of a user and reports whether this call
// did.
func (a *Auth) endSession(ctx context.Context, user store.User, id string, kind store.AuditKind) (bool, error) {
	drop := a.Members.RemoveSession
	if kind == store.AuditRevoke { // the holder of the session may know a device token, too
		drop = a.Members.RevokeSession
	}
	ended, err := drop(ctx, user.ID, id)
	if err != nil {
		return false, err
	}
	if ended {
		a.Accounts.Wake()
		a.done(ctx, kind, user, id)
	}
	return ended, nil
}

// logoutEverywhere ends all login sessions of the caller.
func (a *Auth) logoutEverywhere(ctx context.Context) error {
	user, _, err := a.caller(ctx)
	if err != nil {
		return err
	}
	if _, err := a.Members.RemoveAllSessions(ctx, user.ID); err != nil {
		return err
	}
	a.Accounts.Wake()
	a.done(ctx, store.AuditLogoutAll, user, "")
	return nil
}

// mySessions lists the login sessions of the caller, the last used first.
func (a *Auth) mySessions(ctx context.Context) ([]*loginSession, error) {
	user, claims, err := a.caller(ctx)
	if err != nil {
		return nil, err
	}
	list, err := a.Sessions.Listed(ctx, user.Sessions)
	if err != nil {
		return nil, err
	}
	out := make([]*loginSession, len(list))
	for i, s := range list {
		out[i] = newLoginSession(s, claims.SessionID)
	}
	return out, nil
}

// maxDevice bounds what an app says of its device, in characters.
const maxDevice = 100

// maxDeviceToken bounds a device token, in characters; ours have about 140.
const maxDeviceToken = 256

// deviceInput is DeviceInput of the schema.
type deviceInput struct {
	ID    *string `json:"id"`
	Name  *string `json:"name"`
	Token *string `json:"token"`
}

// name is what a person calls the device, or the program that runs on it.
func (d *deviceInput) name(ctx context.Context) string {
	if d != nil && d.Name != nil && strings.TrimSpace(*d.Name) != "" {
		return printable(*d.Name)
	}
	if agent := printable(transport.UserAgent(ctx)); agent != "" {
		return agent
	}
	return "unknown device"
}

// id is the device's udid at ConnectyCube, if the app has told.
func (d *deviceInput) id() string {
	if d == nil || d.ID == nil {
		return ""
	}
	return *d.ID
}

func (d *deviceInput) check(p apierror.FieldErrors) {
	if d == nil {
		return
	}
	for field, value := range map[string]*string{"device.id": d.ID, "device.name": d.Name} {
		if value != nil && len([]rune(*value)) > maxDevice {
			p.Add(field, fmt.Sprintf("must have at most %d characters", maxDevice))
		}
	}
	if d.Token != nil && len(*d.Token) > maxDeviceToken {
		p.Add("device.token", fmt.Sprintf("must have at most %d characters", maxDeviceToken))
	}
}

// printable is a text of one line, not too long, without what nobody can see.
func printable(s string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s))
	return strings.TrimSpace(string(runes[:min(len(runes), maxDevice)]))
}

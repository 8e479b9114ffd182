package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// ActiveSessions is the list of login sessions in a user's document. It decides which
// login sessions are active. AddSession returns [store.ErrChanged] if the user has
// another password hash by now, or may not log in. RemoveSession and RevokeSession
// return true for the one call that ends the session; RevokeSession also ends all
// device tokens of the user.
type ActiveSessions interface {
	AddSession(ctx context.Context, s store.SessionStart) (store.User, error)
	RemoveSession(ctx context.Context, id, session string) (bool, error)
	RevokeSession(ctx context.Context, id, session string) (bool, error)
	RemoveAllSessions(ctx context.Context, id string) (store.User, error)
}

// SessionStore keeps the records of login sessions. Update may run change several
// times; see [store.Sessions.Update].
type SessionStore interface {
	Create(ctx context.Context, session store.Session) error
	ByID(ctx context.Context, id string) (store.Session, error)
	Listed(ctx context.Context, ids []string) ([]store.Session, error) // the last used first
	Update(ctx context.Context, seen store.Session, change func(*store.Session) error) (store.Session, error)
}

// Sessions starts, continues, lists and ends login sessions.
type Sessions struct {
	users           UserStore
	active          ActiveSessions
	evict           func(ctx context.Context, id, session string) (bool, error)
	evictions       atomic.Int64 // since the start
	logOutEvicted   func(ctx context.Context, l store.LateLogout) (string, error)
	records         SessionStore
	accounts        AccountOpener
	credentials     credentials
	verifier        TokenVerifier // of tokens that log out
	familiar        *familiarNetworks
	limits          Limits
	budgets         *Budgets
	auditor         *Auditor
	upstreamTimeout time.Duration
	log             *slog.Logger
}

// startLoginSession starts a login session of c.User and returns its tokens. The user's
// document lists it first: a session that is not listed there has ended, and its record
// may be deleted at any moment.
func (s *Sessions) startLoginSession(ctx context.Context, c Caller, device *DeviceInput) (LoginResult, error) {
	id := strings.ToLower(rand.Text()) // paths are routed in lower case
	refresh := s.credentials.refresh.NewRefreshToken(id)
	_, err := s.active.AddSession(ctx, store.SessionStart{UserID: c.User.ID, PasswordHash: c.User.PasswordHash, SessionID: id})
	if errors.Is(err, store.ErrChanged) { // changed since the password was compared
		if user, err := s.users.ByID(ctx, c.User.ID); err == nil && user.Disabled {
			return LoginResult{}, errDisabled
		}
		return LoginResult{}, fmt.Errorf("%w: the password was changed concurrently", tokens.ErrWrongPassword)
	}
	if err != nil {
		return LoginResult{}, err
	}
	now := time.Now()
	session := store.Session{
		ID: id, UserID: c.User.ID, Device: device.name(c.Client), DeviceID: device.id(), LastIP: c.Client.IP,
		Created: now, LastUsed: now, AbsoluteExpiry: now.Add(s.limits.Absolute), Expires: now.Add(min(s.limits.Idle, s.limits.Absolute)),
		RefreshTokens: saved(tokens.NewRefreshFamily(refresh.Hash)),
	}
	if err := s.records.Create(ctx, session); err != nil {
		return LoginResult{}, err
	}
	// Last, so that a user who logs in is never without a login session: that would end
	// all pushes.
	if err := s.evictOldest(ctx, c); err != nil {
		return LoginResult{}, err
	}
	out, err := s.credentials.issueTokens(c.User, session)
	if err != nil {
		return LoginResult{}, err
	}
	known := s.credentials.devices.known(device, c.User.Email)
	out.RefreshToken, out.DeviceToken = refresh.Text, s.credentials.devices.token(c.User, session, known)
	return out, nil
}

// evictOldest ends those of the login sessions before this one that exceed the limit:
// first those without a record, then those unused for the longest time.
func (s *Sessions) evictOldest(ctx context.Context, c Caller) error {
	if len(c.User.Sessions) < s.limits.PerUser {
		return nil
	}
	live, err := s.records.Listed(ctx, c.User.Sessions)
	if err != nil {
		return err
	}
	evicting := c
	evicting.Audit = store.AuditEvict
	keep := make([]string, 0, s.limits.PerUser)
	for _, session := range live[:min(len(live), s.limits.PerUser-1)] {
		keep = append(keep, session.ID)
	}
	for _, id := range c.User.Sessions {
		if !slices.Contains(keep, id) {
			if _, err := s.end(ctx, evicting, id, s.evict); err != nil {
				return err
			}
		}
	}
	return nil
}

// evictionsAtRest is how many evictions may wait until the worker looks for work by itself. A
// user's document remembers more.
const evictionsAtRest = 32

// openCubeSession opens the ConnectyCube session of a login session. The context outlives
// the client.
func (s *Sessions) openCubeSession(ctx context.Context, out *LoginResult, m provisioning.LoginMethod) error {
	session, err := s.accounts.OpenCubeSession(ctx, out.User, out.Session, m)
	if session.UserID != 0 {
		out.User.CubeID = session.UserID
	}
	out.Cube = session
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "login without chat",
			slog.String("user_id", out.User.ID), slog.String("chat_status", string(provisioning.ChatStatusOf(err))), slog.Any("err", err))
	}
	return err
}

// LogoutEverywhere ends all login sessions of the caller.
func (s *Sessions) LogoutEverywhere(ctx context.Context, c Caller) error {
	if _, err := s.active.RemoveAllSessions(ctx, c.User.ID); err != nil {
		return err
	}
	s.accounts.Wake()
	s.auditor.recordSuccess(ctx, c, "")
	return nil
}

// Revoke ends one of the caller's login sessions, and all device tokens of the caller,
// because the device of the session may have one.
func (s *Sessions) Revoke(ctx context.Context, c Caller, id string) error {
	ended, err := s.end(ctx, c, id, s.active.RevokeSession)
	if err == nil && !ended {
		err = &apierror.Error{Code: apierror.NotFound, Message: "The login session does not exist or has ended"}
	}
	return err
}

// end ends a login session of c.User with remove, and reports whether this call did. It wakes
// the worker, but for most evictions: they are not urgent, and the worker saves all those of a
// user at once.
func (s *Sessions) end(ctx context.Context, c Caller, id string, remove func(ctx context.Context, userID, sessionID string) (bool, error)) (bool, error) {
	ended, err := remove(ctx, c.User.ID, id)
	if err == nil && ended {
		if c.Audit != store.AuditEvict || s.evictions.Add(1)%evictionsAtRest == 0 {
			s.accounts.Wake()
		}
		s.auditor.recordSuccess(ctx, c, id)
	}
	return ended, err
}

// List returns the login sessions of the caller, the last used first.
func (s *Sessions) List(ctx context.Context, c Caller) ([]store.Session, error) {
	return s.records.Listed(ctx, c.User.Sessions)
}

package sandbox

import (
	"context"
	"time"
)

// accounts shows users and sessions to the chat.
type accounts struct{ s *Application }

// Login accepts the password or a live session's token. Using a token for the
// chat does not prolong its session (assumed).
func (a accounts) Login(userID int64, secret string) bool {
	s := a.s
	u, hasToken := a.holds(userID, secret)
	if u == nil || hasToken {
		return hasToken
	}
	if s.recall(context.Background(), func() *user { return s.registry.users[userID] }, secret) != nil {
		return false // too many passwords are checked at once: the client tries again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u = s.registry.users[userID]
	return u != nil && s.passwords.matches(&u.credential, secret)
}

// holds finds a user, and reports whether the secret is a token of a session of
// that user.
func (a accounts) holds(userID int64, secret string) (u *user, hasToken bool) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.registry.sweep(a.s.Now())
	if u = a.s.registry.users[userID]; u == nil || secret == "" {
		return nil, false
	}
	live := a.s.registry.holder(secret)
	return u, live != nil && live.user == u
}

func (a accounts) Exists(userID int64) bool {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.registry.sweep(a.s.Now())
	return a.s.registry.users[userID] != nil
}

// LastActivity is in real time, which the chat goes by: as long ago as it seems
// in the sandbox.
func (a accounts) LastActivity(userID int64) time.Time {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if u := a.s.registry.users[userID]; u != nil && !u.lastRequest.IsZero() {
		return u.lastRequest.Add(-a.s.Ahead())
	}
	return time.Time{}
}

package core

import (
	"context"
	"time"
)

// Accounts gives the chat access to users and sessions.
type Accounts struct{ s *Application }

// NewAccounts returns the accounts of an application.
func NewAccounts(s *Application) Accounts { return Accounts{s} }

// Login accepts the password, or the token of a live session. Using a token for the
// chat does not extend its session (assumed).
func (a Accounts) Login(userID int64, secret string) bool {
	s := a.s
	u, hasToken := a.holds(userID, secret)
	if u == nil || hasToken {
		return hasToken
	}
	if s.Recall(context.Background(), func() *User { return s.Registry.Users[userID] }, secret) != nil {
		return false // too many passwords are being checked: the client tries again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u = s.Registry.Users[userID]
	return u != nil && !u.IsDisabled && s.Passwords.Matches(&u.Credential, secret)
}

// holds finds a user, and reports whether the secret is the token of a session of
// that user.
func (a Accounts) holds(userID int64, secret string) (u *User, hasToken bool) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.Registry.Sweep(a.s.Now())
	if u = a.s.Registry.Users[userID]; u == nil || secret == "" {
		return nil, false
	}
	live := a.s.Registry.Holder(secret)
	return u, live != nil && live.User == u
}

// Exists reports whether the user exists.
func (a Accounts) Exists(userID int64) bool {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.Registry.Sweep(a.s.Now())
	return a.s.Registry.Users[userID] != nil
}

// LastActivity returns the time of the user's last request in real time, which the
// chat uses: its distance from now is the same as in the sandbox.
func (a Accounts) LastActivity(userID int64) time.Time {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if u := a.s.Registry.Users[userID]; u != nil && !u.LastRequest.IsZero() {
		return u.LastRequest.Add(-a.s.Ahead())
	}
	return time.Time{}
}

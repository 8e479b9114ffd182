package connectycube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// sessionLifetime is the time that a token lives after its last use, for an answer
// that does not state it (docs/connectycube.md, Sessions).
const sessionLifetime = 2 * time.Hour

// Credentials identify the user who logs in: exactly one of Email and Login. With
// a Custom Identity Provider, ConnectyCube passes the Login on to the provider,
// and the Password is any text that is not empty.
type Credentials struct {
	Email    string
	Login    string `json:"-"` // may be a token of ours
	Password string `json:"-"`
}

// Session is ConnectyCube's proof that a user logged in. A client with its token
// can use REST and chat. Encoding a Session as JSON leaves the token out.
type Session struct {
	Token     string `json:"-"`
	UserID    int64
	User      User      // as far as the answer describes the user; its ID is always set
	NewUser   bool      // ConnectyCube created the user for this login, or less than 10 s before it
	ExpiresAt time.Time // two hours after opening unless the service says otherwise; each use extends it
}

// CreateSession opens a session for the user that cred identifies. It sends no
// token, so it neither depends on another session nor changes one.
//
// The error wraps ErrBadCredentials for a wrong password, ErrNotFound for an
// unknown user if the application does not create users by itself,
// ErrIdentityProvider if the application's provider refuses, and ErrUnavailable if
// no usable session came.
func (c *Client) CreateSession(ctx context.Context, cred Credentials) (Session, error) {
	if (cred.Email == "") == (cred.Login == "") || cred.Password == "" {
		return Session{}, fmt.Errorf("opening a session: %w: exactly one of email and login, and a password, are required", ErrRefused)
	}
	user := map[string]string{"password": cred.Password}
	if cred.Email != "" {
		user["email"] = cred.Email
	} else {
		user["login"] = cred.Login
	}
	return c.session(ctx, c.openingSession("opening a session", user, cred.Login, cred.Password), true)
}

// openingSession returns the call that opens a session for user, or an application
// session if user is nil.
func (c *Client) openingSession(doing string, user map[string]string, secrets ...string) call {
	type body struct {
		ApplicationID int64             `json:"application_id"`
		AuthKey       string            `json:"auth_key"`
		User          map[string]string `json:"user,omitempty"`
	}
	k := call{
		doing:   doing,
		method:  http.MethodPost,
		path:    "/session",
		body:    body{c.appID, c.authKey, user},
		as:      asLogin,
		secrets: secrets,
	}
	if user == nil {
		k.as = asApplication
	}
	return k
}

// ExtendSession returns the session of a token. The request extends the session,
// as any use of it does. The error wraps ErrSessionExpired if it has ended.
func (c *Client) ExtendSession(ctx context.Context, token string) (Session, error) {
	const doing = "extending a session"
	if token == "" {
		return Session{}, fmt.Errorf("%s: %w: a token is required", doing, ErrRefused)
	}
	s, err := c.session(ctx, call{doing: doing, method: http.MethodGet, path: "/session", token: token, as: asSession}, true)
	if err == nil && s.Token != token {
		return Session{}, fmt.Errorf("%s: %w: the answer has the token of another session", doing, ErrUnavailable)
	}
	return s, err
}

// EndSession ends a session. A session that has already ended is no error.
func (c *Client) EndSession(ctx context.Context, token string) error {
	const doing = "ending a session"
	if token == "" {
		return fmt.Errorf("%s: %w: a token is required", doing, ErrRefused)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: "/session", token: token, as: asSession}, nil)
	if errors.Is(err, ErrSessionExpired) {
		return nil
	}
	return unlessGone(err)
}

// session makes a call whose answer is a session.
func (c *Client) session(ctx context.Context, k call, needUser bool) (Session, error) {
	answer := sessionAnswer{needUser: needUser}
	header, err := c.do(ctx, k, &answer)
	if err != nil {
		return Session{}, err
	}
	s := Session{
		Token:     answer.Session.Token,
		UserID:    int64(answer.Session.UserID),
		User:      answer.Session.User.user(),
		NewUser:   answer.newUser(),
		ExpiresAt: expiry(header),
	}
	s.User.ID = s.UserID
	return s, nil
}

// sessionAnswer holds the fields of a session that we use.
type sessionAnswer struct {
	Session struct {
		Token     string     `json:"token"`
		UserID    id         `json:"user_id"`
		User      userAnswer `json:"user"`
		CreatedAt text       `json:"created_at"`
	} `json:"session"`
	needUser bool
}

// newUser compares two times of the service's own clock. Those of users are whole
// seconds (docs/connectycube.md, Sessions). If a time is missing, the user is not new.
func (a *sessionAnswer) newUser() bool {
	session, err := time.Parse(time.RFC3339, string(a.Session.CreatedAt))
	user, uerr := time.Parse(time.RFC3339, string(a.Session.User.CreatedAt))
	return err == nil && uerr == nil && session.Sub(user) < 10*time.Second
}

func (a *sessionAnswer) usable() bool {
	return a.Session.Token != "" && (!a.needUser || a.Session.UserID > 0)
}

// expirationLayout is the layout of CB-Token-ExpirationDate (docs/connectycube.md, Sessions).
const expirationLayout = "2006-01-02 15:04:05 MST"

func expiry(h http.Header) time.Time {
	now := time.Now()
	at, err := time.Parse(expirationLayout, h.Get("CB-Token-ExpirationDate"))
	if err != nil || at.Location() != time.UTC || !at.After(now) {
		return now.Add(sessionLifetime)
	}
	return at
}

package connectycube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// NewUser holds the fields of a sign-up. ConnectyCube requires a password of 6 to
// 40 characters and a full name of at most 200 (docs/connectycube.md, Users).
type NewUser struct {
	Email    string
	Password string `json:"-"`
	FullName string

	// ExternalID is our own ID of the user. If a Custom Identity Provider later
	// reports it as the uid of a login, ConnectyCube finds this user.
	ExternalID string
}

// User is a ConnectyCube user. A text that the service does not have is empty.
type User struct {
	ID         int64
	Login      string
	Email      string
	FullName   string
	ExternalID string
}

// SignUp creates a user with the application's key and without a session. It does
// not log the user in.
//
// The error wraps ErrTaken if the email or the external ID is in use. After
// ErrUnavailable the user may exist: ask UserByExternalID.
func (c *Client) SignUp(ctx context.Context, u NewUser) (User, error) {
	fields := map[string]string{"email": u.Email, "password": u.Password}
	if u.FullName != "" {
		fields["full_name"] = u.FullName
	}
	if u.ExternalID != "" {
		fields["external_id"] = u.ExternalID
	}
	var answer oneUser
	_, err := c.do(ctx, call{
		doing:   "signing up",
		method:  http.MethodPost,
		path:    "/users",
		keyed:   true,
		body:    map[string]any{"user": fields},
		as:      asApplication,
		secrets: []string{u.Password},
	}, &answer)
	if err != nil {
		return User{}, err
	}
	return answer.User.user(), nil
}

// HasV1LookUps reports whether the application answers the old list of users, which gives
// each app all users page by page. The dashboard can switch it off. It opens an application
// session and changes nothing.
func (c *Client) HasV1LookUps(ctx context.Context) (bool, error) {
	const doing = "listing users by API V1"
	app, err := c.session(ctx, c.openingSession("opening an application session", nil), false)
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	_, err = c.do(ctx, call{
		doing: doing, method: http.MethodGet, path: "/users", query: url.Values{"per_page": {"1"}}, token: app.Token, as: asLookup,
	}, nil)
	if errors.Is(err, ErrRefused) {
		return false, nil
	}
	return err == nil, err
}

// UserByExternalID finds the user with this external ID. It opens an application
// session, which ends by itself after two hours, and changes nothing else. The
// error wraps ErrNotFound if there is no such user.
//
// Every app contains the key with which a client signs users up and sets their
// external IDs: compare the email before you trust the result. If several users
// have the ID, UserByExternalID returns the oldest.
func (c *Client) UserByExternalID(ctx context.Context, externalID string) (User, error) {
	return c.lookUp(ctx, "external_id", externalID, func(u User) bool { return u.ExternalID == externalID })
}

// UserByEmail finds the user with this email, in any letter case, as
// UserByExternalID does.
func (c *Client) UserByEmail(ctx context.Context, email string) (User, error) {
	return c.lookUp(ctx, "email", email, func(u User) bool { return strings.EqualFold(u.Email, email) })
}

// UserByID finds a user by its ConnectyCube ID, as UserByExternalID does.
func (c *Client) UserByID(ctx context.Context, userID int64) (User, error) {
	return c.lookUp(ctx, "id", strconv.FormatInt(userID, 10), func(u User) bool { return u.ID == userID })
}

// lookUp finds the oldest user by one field of the V2 list. It rejects an answer
// with a user for which fits returns false.
func (c *Client) lookUp(ctx context.Context, field, value string, fits func(User) bool) (User, error) {
	const doing = "looking a user up"
	if value == "" {
		return User{}, fmt.Errorf("%s: %w: %s is empty", doing, ErrRefused, field)
	}
	app, err := c.session(ctx, c.openingSession("opening an application session", nil), false)
	if err != nil {
		return User{}, fmt.Errorf("%s: %w", doing, err)
	}
	answer := userPage{fits: fits}
	_, err = c.do(ctx, call{
		doing:  doing,
		method: http.MethodGet,
		path:   "/users/v2",
		query:  url.Values{field: {value}},
		token:  app.Token,
		as:     asLookup,
	}, &answer)
	if err != nil {
		return User{}, err
	}
	if len(answer.Items) == 0 {
		return User{}, fmt.Errorf("%s: %w", doing, ErrNotFound)
	}
	oldest := answer.Items[0].user()
	for _, item := range answer.Items {
		if u := item.user(); u.ID < oldest.ID {
			oldest = u
		}
	}
	return oldest, nil
}

// UserUpdate holds the changes of UpdateUser; an empty field stays as it is. A new
// Password requires the OldPassword.
type UserUpdate struct {
	Email       string
	FullName    string
	ExternalID  string
	Password    string `json:"-"`
	OldPassword string `json:"-"`
}

// UpdateUser changes the session's user. The error wraps ErrTaken if another user
// has the email or the external ID, ErrBadCredentials if the old password is wrong,
// and ErrSessionExpired if the session has ended.
func (c *Client) UpdateUser(ctx context.Context, s Session, change UserUpdate) error {
	const doing = "changing a user"
	if s.Token == "" || s.UserID <= 0 || change == (UserUpdate{}) || (change.Password == "") != (change.OldPassword == "") {
		return fmt.Errorf("%s: %w: a user session and a change are required", doing, ErrRefused)
	}
	fields := map[string]string{}
	for name, value := range map[string]string{
		"email": change.Email, "full_name": change.FullName, "external_id": change.ExternalID,
		"password": change.Password, "old_password": change.OldPassword,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	as := asSession
	if change.Password != "" {
		as = asOwner
	}
	answer := oneUser{wantID: s.UserID, wantExternalID: change.ExternalID}
	_, err := c.do(ctx, call{
		doing:   doing,
		method:  http.MethodPut,
		path:    userPath(s.UserID),
		token:   s.Token,
		body:    map[string]any{"user": fields},
		as:      as,
		secrets: []string{change.Password, change.OldPassword},
	}, &answer)
	return err
}

// DeleteUser deletes the session's user. A user that does not exist is no error.
// A second call returns ErrSessionExpired, because the deletion ends the session.
func (c *Client) DeleteUser(ctx context.Context, s Session) error {
	const doing = "deleting a user"
	if s.Token == "" || s.UserID <= 0 {
		return fmt.Errorf("%s: %w: a user session is required", doing, ErrRefused)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: userPath(s.UserID), token: s.Token, as: asSession}, nil)
	return unlessGone(err)
}

func userPath(userID int64) string { return "/users/" + strconv.FormatInt(userID, 10) }

// oneUser is the answer {"user":{…}}.
type oneUser struct {
	User userAnswer `json:"user"`

	// The values that the answer must confirm, if set.
	wantID         int64
	wantExternalID string
}

func (a *oneUser) usable() bool {
	u := a.User.user()
	return u.ID > 0 &&
		(a.wantID == 0 || u.ID == a.wantID) &&
		(a.wantExternalID == "" || u.ExternalID == a.wantExternalID)
}

// userPage is the answer of the V2 list.
type userPage struct {
	Items []userAnswer `json:"items"`

	fits func(User) bool // reports whether a user matches the query
}

// usable rejects a page with other users than the requested ones, as a service
// returns that ignores an unknown parameter. It also rejects a missing list.
func (p *userPage) usable() bool {
	for _, item := range p.Items {
		if u := item.user(); u.ID <= 0 || !p.fits(u) {
			return false
		}
	}
	return p.Items != nil
}

// userAnswer holds the fields of a user that we use. IDs and texts may be numbers or
// strings: the service has sent both over the years.
type userAnswer struct {
	ID         id   `json:"id"`
	Login      text `json:"login"`
	Email      text `json:"email"`
	FullName   text `json:"full_name"`
	ExternalID text `json:"external_id"`
	CreatedAt  text `json:"created_at"`
}

func (a userAnswer) user() User {
	return User{
		ID:         int64(a.ID),
		Login:      string(a.Login),
		Email:      string(a.Email),
		FullName:   string(a.FullName),
		ExternalID: string(a.ExternalID),
	}
}

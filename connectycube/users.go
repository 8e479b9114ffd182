package connectycube

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// NewUser is what a sign-up tells. ConnectyCube wants a password of 6 to 40
// characters and a full name of at most 200 (official samples; not documented).
type NewUser struct {
	Email    string
	Password string `json:"-"`
	FullName string

	// ExternalID is our own id of the user. With it a later login through a
	// Custom Identity Provider that reports this id as uid meets the same user.
	ExternalID string
}

// User is a ConnectyCube user; texts the service has not are empty.
type User struct {
	ID         int64
	Login      string
	Email      string
	FullName   string
	ExternalID string
}

// SignUp creates a user. It is made with the application's key, never with
// anybody's session. The user is not logged in by it.
//
// It returns ErrTaken when the e-mail or the external id is in use. After
// ErrUnavailable the user may exist: UserByExternalID finds out.
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

// UserByExternalID finds the user that has this external id, or ErrNotFound. It
// opens an application session of its own, which ends by itself after two hours,
// and changes nothing else.
//
// External ids are set by whoever signs a user up, and the key for that is in
// every app: compare the e-mail before trusting what is found. If several users
// have the id, the oldest is returned.
func (c *Client) UserByExternalID(ctx context.Context, externalID string) (User, error) {
	return c.lookUp(ctx, "external_id", externalID, func(u User) bool { return u.ExternalID == externalID })
}

// UserByEmail finds the user that has this e-mail, in any case, or ErrNotFound,
// as UserByExternalID does.
func (c *Client) UserByEmail(ctx context.Context, email string) (User, error) {
	return c.lookUp(ctx, "email", email, func(u User) bool { return strings.EqualFold(u.Email, email) })
}

// UserByID finds a user by the id that ConnectyCube gave, or ErrNotFound, as
// UserByExternalID does.
func (c *Client) UserByID(ctx context.Context, userID int64) (User, error) {
	return c.lookUp(ctx, "id", strconv.FormatInt(userID, 10), func(u User) bool { return u.ID == userID })
}

// lookUp finds the oldest user by one field of the V2 list. Fits refuses users
// who answer another question.
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

// UserUpdate is what UpdateUser changes; an empty field stays as it is. A new
// Password needs the OldPassword beside it.
type UserUpdate struct {
	Email       string
	FullName    string
	ExternalID  string
	Password    string `json:"-"`
	OldPassword string `json:"-"`
}

// UpdateUser changes the session's user. It returns ErrTaken when another user
// has the e-mail or the external id, ErrBadCredentials when the old password is
// not the account's, ErrSessionExpired when the session is dead.
func (c *Client) UpdateUser(ctx context.Context, s Session, change UserUpdate) error {
	const doing = "changing a user"
	if s.Token == "" || s.UserID <= 0 || change == (UserUpdate{}) || (change.Password == "") != (change.OldPassword == "") {
		return fmt.Errorf("%s: %w: a user session and something to change are needed", doing, ErrRefused)
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

// DeleteUser deletes the session's user, whom it returns ErrSessionExpired for
// once that is done. A user who is gone is no error.
func (c *Client) DeleteUser(ctx context.Context, s Session) error {
	const doing = "deleting a user"
	if s.Token == "" || s.UserID <= 0 {
		return fmt.Errorf("%s: %w: a user session is needed", doing, ErrRefused)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: userPath(s.UserID), token: s.Token, as: asSession}, nil)
	return unlessGone(err)
}

func userPath(userID int64) string { return "/users/" + strconv.FormatInt(userID, 10) }

// oneUser is the answer {"user":{…}}.
type oneUser struct {
	User userAnswer `json:"user"`

	// what the answer must confirm, when set
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

	fits func(User) bool // what was asked for
}

// usable refuses a page that answers another question, as one would get from a
// service that ignores a parameter it does not know. A missing list is no list.
func (p *userPage) usable() bool {
	for _, item := range p.Items {
		if u := item.user(); u.ID <= 0 || !p.fits(u) {
			return false
		}
	}
	return p.Items != nil
}

// userAnswer keeps of a user what we use. Ids and texts are read leniently: they
// came as numbers and as strings over the years.
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

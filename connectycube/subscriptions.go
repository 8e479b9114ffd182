package connectycube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Change is what UpdateUser changes; an empty field stays as it is. A new
// Password needs the OldPassword beside it.
type Change struct {
	Email       string
	FullName    string
	ExternalID  string
	Password    string `json:"-"`
	OldPassword string `json:"-"`
}

// UpdateUser changes the session's user. It returns ErrTaken when another user
// has the e-mail or the external id, ErrBadCredentials when the old password is
// not the account's, ErrSessionExpired when the session is dead.
func (c *Client) UpdateUser(ctx context.Context, s Session, change Change) error {
	const doing = "changing a user"
	if s.Token == "" || s.UserID <= 0 || change == (Change{}) || (change.Password == "") != (change.OldPassword == "") {
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

// AdminDeleteUser deletes any user by the administration API. It returns
// ErrNotFound for none, and ErrMisconfigured when the key is missing or wrong.
func (c *Client) AdminDeleteUser(ctx context.Context, userID int64) error {
	const doing = "deleting a user as administrator"
	if c.adminKey == "" || userID <= 0 {
		return fmt.Errorf("%s: %w: an administration key and a user are needed", doing, ErrMisconfigured)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: "/admin/user/" + strconv.FormatInt(userID, 10), admin: true, as: asAdmin}, nil)
	return err
}

// Subscription is a device that pushes go to.
type Subscription struct {
	ID       int64
	DeviceID string // udid
}

// Subscriptions lists where the pushes of the session's user go to.
func (c *Client) Subscriptions(ctx context.Context, s Session) ([]Subscription, error) {
	const doing = "listing push subscriptions"
	if s.Token == "" {
		return nil, fmt.Errorf("%s: %w: a user session is needed", doing, ErrRefused)
	}
	var answer subscriptionList
	_, err := c.do(ctx, call{doing: doing, method: http.MethodGet, path: "/subscriptions", token: s.Token, as: asSession}, &answer)
	if err != nil {
		return nil, err
	}
	list := make([]Subscription, len(answer))
	for i, a := range answer {
		list[i] = Subscription{int64(a.Subscription.ID), string(a.Subscription.Device.UDID)}
	}
	return list, nil
}

// DeleteSubscription ends the pushes to one device; one that is gone is no
// error.
func (c *Client) DeleteSubscription(ctx context.Context, s Session, subscriptionID int64) error {
	const doing = "deleting a push subscription"
	if s.Token == "" || subscriptionID <= 0 {
		return fmt.Errorf("%s: %w: a user session and a subscription are needed", doing, ErrRefused)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: "/subscriptions/" + strconv.FormatInt(subscriptionID, 10), token: s.Token, as: asSession}, nil)
	return unlessGone(err)
}

// subscriptionList is the answer [{"subscription":{…}}].
type subscriptionList []struct {
	Subscription struct {
		ID     id `json:"id"`
		Device struct {
			UDID text `json:"udid"`
		} `json:"device"`
	} `json:"subscription"`
}

func (l subscriptionList) usable() bool {
	for _, a := range l {
		if a.Subscription.ID <= 0 {
			return false
		}
	}
	return l != nil
}

func userPath(userID int64) string { return "/users/" + strconv.FormatInt(userID, 10) }

// unlessGone is nil for what was to be deleted and is not there.
func unlessGone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

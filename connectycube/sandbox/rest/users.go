package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// userJSON is a user in an answer, in the documented order.
type userJSON struct {
	OID            string  `json:"_id"`
	ID             int64   `json:"id"`
	CreatedAt      string  `json:"created_at"`
	UpdatedAt      string  `json:"updated_at"`
	LastRequestAt  *string `json:"last_request_at"`
	Login          *string `json:"login"`
	Email          *string `json:"email"`
	FullName       *string `json:"full_name"`
	Phone          *string `json:"phone"`
	Website        *string `json:"website"`
	ExternalID     *string `json:"external_id"`
	ExternalUserID *int64  `json:"external_user_id"`
	FacebookID     *string `json:"facebook_id"`
	TwitterID      *string `json:"twitter_id"`
	CustomData     *string `json:"custom_data"`
	UserTags       *string `json:"user_tags"`
	Avatar         *string `json:"avatar"`
	Timezone       *int64  `json:"timezone"`
	IsGuest        *bool   `json:"is_guest"`
}

const seconds = "2006-01-02T15:04:05Z"

func userBody(u *core.User) userJSON {
	out := userJSON{
		OID:            u.OID,
		ID:             u.ID,
		CreatedAt:      u.Created.UTC().Format(seconds),
		UpdatedAt:      u.Updated.UTC().Format(seconds),
		Login:          core.OrNull(u.Login),
		Email:          core.OrNull(u.Email),
		FullName:       core.OrNull(u.FullName),
		Phone:          core.OrNull(u.Phone),
		Website:        core.OrNull(u.Website),
		ExternalID:     core.OrNull(u.ExternalID),
		ExternalUserID: u.ExternalUserID,
		FacebookID:     core.OrNull(u.FacebookID),
		TwitterID:      core.OrNull(u.TwitterID),
		CustomData:     core.OrNull(u.CustomData),
		UserTags:       core.OrNull(strings.Join(u.Tags, ",")),
		Avatar:         core.OrNull(u.Avatar),
		Timezone:       u.Timezone,
	}
	if !u.LastRequest.IsZero() {
		out.LastRequestAt = core.OrNull(u.LastRequest.UTC().Format(seconds))
	}
	if u.IsGuest {
		out.IsGuest = &u.IsGuest
	}
	return out
}

// userPage returns the users of a page of IDs, without deleted ones.
func (s *API) userPage(ids []int64, skip, limit int) []userJSON {
	ids = ids[min(skip, len(ids)):]
	out := []userJSON{}
	for _, id := range ids[:min(limit, len(ids))] {
		if u := s.Registry.Users[id]; u != nil {
			out = append(out, userBody(u))
		}
	}
	return out
}

// signUp creates a user. If the request has a token, the key does not count, even if
// the token has expired (docs/connectycube.md, Users).
func (s *API) signUp(q *request) (reply, error) {
	s.Lock()
	defer s.Unlock()
	var expires time.Time
	switch {
	case q.token != "":
		live, err := s.Registry.Use(q.token, q.now)
		if err != nil {
			return reply{}, err
		}
		expires = live.Expires()
	case q.key == "":
		return reply{}, core.ErrTokenRequired
	case !s.ownKey(q.key):
		return reply{}, errWrongKey
	}
	u, err := s.CreateUser(q.params.Object("user"), q.now)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, map[string]any{"user": userBody(u)}, expires}, nil
}

func getUser(s *API, q *request, _ *core.Session) (reply, error) {
	id, err := strconv.ParseInt(q.arg, 10, 64)
	u := s.Registry.Users[id]
	if err != nil || u == nil {
		return reply{}, core.ErrUserNotFound
	}
	return reply{status: http.StatusOK, body: map[string]any{"user": userBody(u)}}, nil
}

// putUser recalls the old password before updateUser runs under the lock.
func putUser(s *API, q *request) (reply, error) {
	if fields := q.params.Object("user"); fields.Has("password") {
		caller := func() *core.User {
			if live := s.Registry.Holder(q.token); live != nil {
				return live.User
			}
			return nil
		}
		if err := s.Recall(q.ctx, caller, fields.Text("old_password")); err != nil {
			return reply{}, err
		}
	}
	return withUser(updateUser)(s, q)
}

// updateUser changes the caller's own profile, and answers 404 for another user's.
func updateUser(s *API, q *request, live *core.Session) (reply, error) {
	u := live.User
	if q.arg != strconv.FormatInt(u.ID, 10) {
		return reply{}, core.ErrUserNotFound
	}
	fields := q.params.Object("user")
	to, err := u.Profile.With(fields)
	if err != nil {
		return reply{}, err
	}
	if to.Login == "" && to.Email == "" {
		return reply{}, core.ErrNoLogin
	}
	password := fields.Text("password")
	if fields.Has("password") {
		if text := core.CheckLength("password", password, 6, 40); text != "" {
			return reply{}, core.AsBase(422, text)
		}
		if !s.Passwords.Matches(&u.Credential, fields.Text("old_password")) {
			return reply{}, errWrongOld
		}
	}
	if err := s.Registry.Change(u, to, q.now); err != nil {
		return reply{}, err
	}
	if password != "" {
		u.Credential = s.Passwords.CredentialOf(password)
	}
	return reply{status: http.StatusOK, body: map[string]any{"user": userBody(u)}}, nil
}

func deleteUser(s *API, q *request, live *core.Session) (reply, error) {
	if q.arg != strconv.FormatInt(live.User.ID, 10) {
		return reply{}, core.ErrUserNotFound
	}
	s.Registry.Remove(live.User)
	return reply{status: http.StatusOK}, nil
}

func deleteByExternalID(s *API, q *request, live *core.Session) (reply, error) {
	old := v1Columns["external_user_id"].text(live.User)
	if q.arg == "" || q.arg != live.User.ExternalID && !slices.Contains(old, q.arg) {
		return reply{}, core.ErrUserNotFound
	}
	s.Registry.Remove(live.User)
	return reply{status: http.StatusOK}, nil
}

// resetPassword puts the mail that the service would send into the outbox.
func resetPassword(s *API, q *request, _ *core.Session) (reply, error) {
	u := s.Registry.ByEmail[core.NormalEmail(q.params.Text("email"))]
	if u == nil {
		return reply{}, core.ErrUserNotFound
	}
	s.Send(core.Outgoing{
		Kind:    core.OutgoingMail,
		At:      q.now,
		Email:   u.Email,
		Subject: "Reset password",
		Text:    "The service would send a link here with which " + u.Email + " chooses a new password.",
	})
	return reply{status: http.StatusOK}, nil
}

package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// userJSON is the user as clients see it, in the documented order.
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

func (u *user) public() userJSON {
	out := userJSON{
		OID:            u.oid,
		ID:             u.id,
		CreatedAt:      u.created.UTC().Format(seconds),
		UpdatedAt:      u.updated.UTC().Format(seconds),
		Login:          orNull(u.login),
		Email:          orNull(u.email),
		FullName:       orNull(u.fullName),
		Phone:          orNull(u.phone),
		Website:        orNull(u.website),
		ExternalID:     orNull(u.externalID),
		ExternalUserID: u.externalUserID,
		FacebookID:     orNull(u.facebookID),
		TwitterID:      orNull(u.twitterID),
		CustomData:     orNull(u.customData),
		UserTags:       orNull(strings.Join(u.tags, ",")),
		Avatar:         orNull(u.avatar),
		Timezone:       u.timezone,
	}
	if !u.lastRequest.IsZero() {
		out.LastRequestAt = orNull(u.lastRequest.UTC().Format(seconds))
	}
	if u.isGuest {
		out.IsGuest = &u.isGuest
	}
	return out
}

// signUp creates a user. A token, when there is one, decides alone: with a dead
// one the key does not help, as SDK users found out.
func (s *API) signUp(q *request) (reply, error) {
	s.Lock()
	defer s.Unlock()
	var expires time.Time
	switch {
	case q.token != "":
		live, err := s.registry.use(q.token, q.now)
		if err != nil {
			return reply{}, err
		}
		expires = live.expires()
	case q.key == "":
		return reply{}, errTokenRequired
	case !s.ownKey(q.key):
		return reply{}, errWrongKey
	}
	u, err := s.createUser(q.params.object("user"), q.now)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, map[string]any{"user": u.public()}, expires}, nil
}

func getUser(s *API, q *request, _ *session) (reply, error) {
	id, err := strconv.ParseInt(q.arg, 10, 64)
	u := s.registry.users[id]
	if err != nil || u == nil {
		return reply{}, errUserNotFound
	}
	return reply{status: http.StatusOK, body: map[string]any{"user": u.public()}}, nil
}

// putUser lets a password that proves a change be known before the lock is taken.
func putUser(s *API, q *request) (reply, error) {
	if fields := q.params.object("user"); fields.has("password") {
		caller := func() *user {
			if live := s.registry.holder(q.token); live != nil {
				return live.user
			}
			return nil
		}
		if err := s.recall(q.ctx, caller, fields.text("old_password")); err != nil {
			return reply{}, err
		}
	}
	return withUser(updateUser)(s, q)
}

// updateUser changes the caller's own profile; another's is said not to exist.
func updateUser(s *API, q *request, live *session) (reply, error) {
	u := live.user
	if q.arg != strconv.FormatInt(u.id, 10) {
		return reply{}, errUserNotFound
	}
	fields := q.params.object("user")
	to, err := u.profile.with(fields)
	if err != nil {
		return reply{}, err
	}
	if to.login == "" && to.email == "" {
		return reply{}, errNoLogin
	}
	password := fields.text("password")
	if fields.has("password") {
		if text := checkLength("password", password, 6, 40); text != "" {
			return reply{}, asBase(422, text)
		}
		if !s.passwords.matches(&u.credential, fields.text("old_password")) {
			return reply{}, errWrongOld
		}
	}
	if err := s.registry.change(u, to, q.now); err != nil {
		return reply{}, err
	}
	if password != "" {
		u.credential = s.passwords.credentialOf(password)
	}
	return reply{status: http.StatusOK, body: map[string]any{"user": u.public()}}, nil
}

func deleteUser(s *API, q *request, live *session) (reply, error) {
	if q.arg != strconv.FormatInt(live.user.id, 10) {
		return reply{}, errUserNotFound
	}
	s.registry.remove(live.user)
	return reply{status: http.StatusOK}, nil
}

func deleteByExternalID(s *API, q *request, live *session) (reply, error) {
	old := v1Columns["external_user_id"].text(live.user)
	if q.arg == "" || q.arg != live.user.externalID && !slices.Contains(old, q.arg) {
		return reply{}, errUserNotFound
	}
	s.registry.remove(live.user)
	return reply{status: http.StatusOK}, nil
}

// resetPassword answers when the service has sent its mail. The sandbox's goes to
// the outbox.
func resetPassword(s *API, q *request, _ *session) (reply, error) {
	u := s.registry.byEmail[normalEmail(q.params.text("email"))]
	if u == nil {
		return reply{}, errUserNotFound
	}
	s.Send(Outgoing{
		Kind:    OutgoingMail,
		At:      q.now,
		Email:   u.email,
		Subject: "Reset password",
		Text:    "The service would send a link here with which " + u.email + " chooses a new password.",
	})
	return reply{status: http.StatusOK}, nil
}

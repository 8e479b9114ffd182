package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// profile is what a user may set; "" and nil are null.
type profile struct {
	login, email, fullName, phone, website string
	facebookID, twitterID                  string
	externalID, customData, avatar         string
	externalUserID                         *int64
	timezone                               *int64 // minutes from UTC
	tags                                   []string
}

// weight estimates the bytes that a user with this profile keeps in memory.
func (p *profile) weight() int {
	n := 1500
	for _, text := range []string{p.login, p.email, p.fullName, p.phone, p.website, p.facebookID, p.twitterID, p.externalID, p.customData, p.avatar} {
		n += len(text)
	}
	for _, tag := range p.tags {
		n += 16 + len(tag)
	}
	return n
}

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

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// signUp creates a user. A token, when there is one, decides alone: with a dead
// one the key does not help, as SDK users found out.
func (s *Sandbox) signUp(q *request) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
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

// createUser makes a user with a password. The lock is held.
func (s *Sandbox) createUser(fields params, now time.Time) (*user, error) {
	password := fields.text("password")
	if password == "" {
		return nil, errBlankPassword
	}
	p, err := profile{}.with(fields)
	if err != nil {
		return nil, err
	}
	if p.login == "" && p.email == "" {
		return nil, errNoLogin
	}
	if err := checkLength("password", password, 6, 40); err != "" {
		return nil, asBase(422, err)
	}
	u := &user{profile: p, credential: s.passwords.credentialOf(password)}
	return u, s.registry.add(u, now)
}

// createGuest makes a user that nobody can log in as again. The lock is held.
func (s *Sandbox) createGuest(who params, now time.Time) (*user, error) {
	p, err := profile{}.with(params{"full_name": who.text("full_name")})
	if err != nil {
		return nil, err
	}
	p.login = "guest_login_" + randomHex(18)
	u := &user{profile: p, isGuest: true}
	return u, s.registry.add(u, now)
}

// with gives p with the fields set that are present; null and "" clear one. It
// reports everything that is wrong at once.
func (p profile) with(fields params) (profile, error) {
	var wrong []string
	for _, f := range []struct {
		key string
		to  *string
		max int // characters
	}{
		{"login", &p.login, 70},
		{"email", &p.email, 255},
		{"full_name", &p.fullName, 200},
		{"phone", &p.phone, 255},
		{"website", &p.website, 2048},
		{"facebook_id", &p.facebookID, 255},
		{"twitter_id", &p.twitterID, 255},
		{"external_id", &p.externalID, 255},
		{"custom_data", &p.customData, 8192},
		{"avatar", &p.avatar, 2048},
	} {
		if !fields.has(f.key) {
			continue
		}
		*f.to = fields.text(f.key)
		if text := checkLength(f.key, *f.to, 0, f.max); text != "" {
			wrong = append(wrong, text)
		}
	}
	p.email = normalEmail(p.email)
	if p.website != "" && !strings.Contains(p.website, "://") {
		p.website = "http://" + p.website
	}
	wrong = append(wrong, p.checkNames()...)
	wrong = append(wrong, p.setNumbers(fields)...)
	if fields.has("tag_list") {
		p.tags = fields.list("tag_list")
		if len(p.tags) > 5 || slices.ContainsFunc(p.tags, func(t string) bool { return len(t) > 255 }) {
			wrong = append(wrong, "tag_list has more than 5 tags, or one that is too long")
		}
	}
	if len(wrong) > 0 {
		return profile{}, asBase(422, wrong...)
	}
	return p, nil
}

func (p *profile) setNumbers(fields params) (wrong []string) {
	for _, f := range []struct {
		key string
		to  **int64
	}{
		{"external_user_id", &p.externalUserID},
		{"timezone", &p.timezone},
	} {
		if !fields.has(f.key) {
			continue
		}
		*f.to = nil
		n, ok := fields.integer(f.key)
		if ok {
			*f.to = &n
		} else if fields[f.key] != nil {
			wrong = append(wrong, f.key+" is not a number")
		}
	}
	return wrong
}

var emailLike = regexp.MustCompile(`^[^\s@,]+@[^\s@,]+\.[^\s@.,]+$`)

// checkNames looks at what users are found by. Which characters a login may have
// is not known; a plus sign was refused once.
func (p *profile) checkNames() (wrong []string) {
	if p.login != "" {
		if text := checkLength("login", p.login, 3, 0); text != "" {
			wrong = append(wrong, text)
		}
		if strings.ContainsFunc(p.login, func(r rune) bool {
			return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r)
		}) {
			wrong = append(wrong, "login is invalid")
		}
	}
	if p.email != "" && !emailLike.MatchString(p.email) {
		wrong = append(wrong, "email is invalid")
	}
	return wrong
}

// checkLength counts characters; a bound of 0 is none.
func checkLength(field, value string, least, most int) string {
	n := utf8.RuneCountInString(value)
	switch {
	case n < least:
		return fmt.Sprintf("%s is too short (minimum is %d characters)", field, least)
	case most > 0 && n > most:
		return fmt.Sprintf("%s is too long (maximum is %d characters)", field, most)
	}
	return ""
}

func normalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func getUser(s *Sandbox, q *request, _ *session) (reply, error) {
	id, err := strconv.ParseInt(q.arg, 10, 64)
	u := s.registry.users[id]
	if err != nil || u == nil {
		return reply{}, errUserNotFound
	}
	return reply{status: http.StatusOK, body: map[string]any{"user": u.public()}}, nil
}

// putUser lets a password that proves a change be known before the lock is taken.
func putUser(s *Sandbox, q *request) (reply, error) {
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
func updateUser(s *Sandbox, q *request, live *session) (reply, error) {
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

func deleteUser(s *Sandbox, q *request, live *session) (reply, error) {
	if q.arg != strconv.FormatInt(live.user.id, 10) {
		return reply{}, errUserNotFound
	}
	s.registry.remove(live.user)
	return reply{status: http.StatusOK}, nil
}

func deleteByExternalID(s *Sandbox, q *request, live *session) (reply, error) {
	old := v1Columns["external_user_id"].text(live.user)
	if q.arg == "" || q.arg != live.user.externalID && !slices.Contains(old, q.arg) {
		return reply{}, errUserNotFound
	}
	s.registry.remove(live.user)
	return reply{status: http.StatusOK}, nil
}

// resetPassword answers when the service has sent its mail. The sandbox's goes to
// the outbox.
func resetPassword(s *Sandbox, q *request, _ *session) (reply, error) {
	u := s.registry.byEmail[normalEmail(q.params.text("email"))]
	if u == nil {
		return reply{}, errUserNotFound
	}
	s.outbox.put(Outgoing{
		Kind:    OutgoingMail,
		At:      q.now,
		Email:   u.email,
		Subject: "Reset password",
		Text:    "The service would send a link here with which " + u.email + " chooses a new password.",
	})
	return reply{status: http.StatusOK}, nil
}

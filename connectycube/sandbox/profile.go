package sandbox

import (
	"fmt"
	"regexp"
	"slices"
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

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// createUser makes a user with a password. The lock is held.
func (s *Application) createUser(fields params, now time.Time) (*user, error) {
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
func (s *Application) createGuest(who params, now time.Time) (*user, error) {
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

// userByPassword finds the user of a login, or makes one where the settings say
// so. The lock is held; recall was called before, without it.
func (s *Application) userByPassword(fields params, now time.Time) (*user, error) {
	password := fields.text("password")
	u := s.registry.named(fields)
	switch {
	case u != nil && s.passwords.matches(&u.credential, password):
		return u, nil
	case u != nil:
		return nil, errWrongPassword
	case s.dashboard.DenyAutoCreate:
		return nil, errUserNotFound
	}
	only := params{"password": password} // a profile sent along is not used
	for _, key := range []string{"login", "email"} {
		if fields.has(key) {
			only[key] = fields.text(key)
		}
	}
	return s.createUser(only, now)
}

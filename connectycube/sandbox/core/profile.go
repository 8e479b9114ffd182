package core

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Profile holds the fields that a user can set; "" and nil are null.
type Profile struct {
	Login, Email, FullName, Phone, Website string
	FacebookID, TwitterID                  string
	ExternalID, CustomData, Avatar         string
	ExternalUserID                         *int64
	Timezone                               *int64 // minutes from UTC
	Tags                                   []string
}

// weight estimates the bytes that a user with this profile keeps in memory.
func (p *Profile) weight() int {
	n := 1500
	for _, text := range []string{p.Login, p.Email, p.FullName, p.Phone, p.Website, p.FacebookID, p.TwitterID, p.ExternalID, p.CustomData, p.Avatar} {
		n += len(text)
	}
	for _, tag := range p.Tags {
		n += 16 + len(tag)
	}
	return n
}

// OrNull returns nil for an empty text, which becomes null in JSON.
func OrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// CreateUser creates a user with a password. The caller holds the lock.
func (s *Application) CreateUser(fields Params, now time.Time) (*User, error) {
	password := fields.Text("password")
	if password == "" {
		return nil, ErrBlankPassword
	}
	p, err := Profile{}.With(fields)
	if err != nil {
		return nil, err
	}
	if p.Login == "" && p.Email == "" {
		return nil, ErrNoLogin
	}
	if err := CheckLength("password", password, 6, 40); err != "" {
		return nil, AsBase(422, err)
	}
	u := &User{Profile: p, Credential: s.Passwords.CredentialOf(password)}
	return u, s.Registry.Add(u, now)
}

// CreateGuest creates a user that no later login matches. The caller holds the lock.
func (s *Application) CreateGuest(fields Params, now time.Time) (*User, error) {
	p, err := Profile{}.With(Params{"full_name": fields.Text("full_name")})
	if err != nil {
		return nil, err
	}
	p.Login = "guest_login_" + RandomHex(18)
	u := &User{Profile: p, IsGuest: true}
	return u, s.Registry.Add(u, now)
}

// With returns p with the given fields set; null and "" clear a field. The error
// reports all invalid fields at once.
func (p Profile) With(fields Params) (Profile, error) {
	wrong := fields.setTexts([]textField{
		{"login", &p.Login, 70},
		{"email", &p.Email, 255},
		{"full_name", &p.FullName, 200},
		{"phone", &p.Phone, 255},
		{"website", &p.Website, 2048},
		{"facebook_id", &p.FacebookID, 255},
		{"twitter_id", &p.TwitterID, 255},
		{"external_id", &p.ExternalID, 255},
		{"custom_data", &p.CustomData, 8192},
		{"avatar", &p.Avatar, 2048},
	})
	p.Email = NormalEmail(p.Email)
	if p.Website != "" && !strings.Contains(p.Website, "://") {
		p.Website = "http://" + p.Website
	}
	wrong = append(wrong, p.checkNames()...)
	wrong = append(wrong, p.setNumbers(fields)...)
	if fields.Has("tag_list") {
		p.Tags = fields.List("tag_list")
		if len(p.Tags) > 5 || slices.ContainsFunc(p.Tags, func(t string) bool { return len(t) > 255 }) {
			wrong = append(wrong, "tag_list has more than 5 tags, or one that is too long")
		}
	}
	if len(wrong) > 0 {
		return Profile{}, AsBase(422, wrong...)
	}
	return p, nil
}

func (p *Profile) setNumbers(fields Params) (wrong []string) {
	for _, f := range []struct {
		key string
		to  **int64
	}{
		{"external_user_id", &p.ExternalUserID},
		{"timezone", &p.Timezone},
	} {
		if !fields.Has(f.key) {
			continue
		}
		*f.to = nil
		n, ok := fields.Integer(f.key)
		if ok {
			*f.to = &n
		} else if fields[f.key] != nil {
			wrong = append(wrong, f.key+" is not a number")
		}
	}
	return wrong
}

// EmailLike matches the texts that the sandbox accepts as an email: all that <input
// type=email> accepts, hosts without a dot included, and the characters of any script.
// The real rule is not known (docs/connectycube.md, Unknown).
var EmailLike = regexp.MustCompile(`^[^\s@,]+@[^\s@.,]+(?:\.[^\s@.,]+)*$`)

// checkNames checks the fields by which users are found. The allowed characters of a
// login are not known (docs/connectycube.md, Unknown).
func (p *Profile) checkNames() (wrong []string) {
	if p.Login != "" {
		if text := CheckLength("login", p.Login, 3, 0); text != "" {
			wrong = append(wrong, text)
		}
		if strings.ContainsFunc(p.Login, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r)
		}) {
			wrong = append(wrong, "login is invalid")
		}
	}
	if p.Email != "" && !EmailLike.MatchString(p.Email) {
		wrong = append(wrong, "email is invalid")
	}
	return wrong
}

// CheckLength returns the error text for a value that is too short or too long, in
// characters; a bound of 0 is none.
func CheckLength(field, value string, least, most int) string {
	n := utf8.RuneCountInString(value)
	switch {
	case n < least:
		return fmt.Sprintf("%s is too short (minimum is %d characters)", field, least)
	case most > 0 && n > most:
		return fmt.Sprintf("%s is too long (maximum is %d characters)", field, most)
	}
	return ""
}

// NormalEmail returns the form of an email in the index: trimmed and in lower case.
func NormalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// UserByPassword finds the user of a login, or creates one if the settings allow it.
// The caller holds the lock, and has called Recall before without it.
func (s *Application) UserByPassword(fields Params, now time.Time) (*User, error) {
	password := fields.Text("password")
	u := s.Registry.FindNamed(fields)
	switch {
	case u != nil && s.Passwords.Matches(&u.Credential, password):
		return u, nil
	case u != nil:
		return nil, errWrongPassword
	case s.Dashboard.DenyAutoCreate:
		return nil, ErrUserNotFound
	}
	only := Params{"password": password} // the rest of the profile is ignored
	for _, key := range []string{"login", "email"} {
		if fields.Has(key) {
			only[key] = fields.Text(key)
		}
	}
	return s.CreateUser(only, now)
}

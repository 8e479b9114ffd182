package identity

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cubegate/resolvers/apierror"

	"golang.org/x/net/idna"
)

// Bounds of inputs, in characters unless said otherwise. ConnectyCube's full name, at
// most 200 characters, is both names and a space.
const (
	maxNameChars     = 99
	minPasswordChars = 6
	maxEmailBytes    = 254  // RFC 5321, 4.5.3.1.3 less the angle brackets
	maxLocalBytes    = 64   // RFC 5321, 4.5.3.1.1
	maxLoginBytes    = 1024 // of what a login may send: passwords that the NestJS original accepted may be longer than ours
)

// The maximum lengths of a new password, in characters.
const (
	SharedPasswordChars  = 40  // the account at ConnectyCube has the same password, and ConnectyCube accepts no longer one
	DerivedPasswordChars = 256 // the server makes the account's password
)

// RegisterInput is UserRegisterInput of the schema.
type RegisterInput struct {
	Email     string       `json:"email"`
	FirstName string       `json:"firstName"`
	LastName  string       `json:"lastName"`
	Password  string       `json:"password"`
	Device    *DeviceInput `json:"device"`
}

// LoginInput is LoginUserDto of the schema.
type LoginInput struct {
	Email    string       `json:"email"`
	Password string       `json:"password"`
	Device   *DeviceInput `json:"device"`
}

// validate removes surrounding spaces, and reports all invalid fields. A password stays
// as typed: a space may be part of it.
func (in RegisterInput) validate(maxPasswordChars int) (RegisterInput, error) {
	in.Email = strings.TrimSpace(in.Email)
	in.FirstName = strings.TrimSpace(in.FirstName)
	in.LastName = strings.TrimSpace(in.LastName)
	wrong := apierror.FieldErrors{}
	wrong.Add("email", validateEmail(in.Email))
	wrong.Add("firstName", validateName(in.FirstName))
	wrong.Add("lastName", validateName(in.LastName))
	wrong.Add("password", validatePassword(in.Password, maxPasswordChars))
	in.Device.validate(wrong)
	return in, wrong.Err()
}

// validate is more lenient than for a registration: a user who is in the database may
// log in, whatever rules once accepted the email and the password.
func (in LoginInput) validate() (LoginInput, error) {
	in.Email = strings.TrimSpace(in.Email)
	wrong := apierror.FieldErrors{}
	at := strings.LastIndexByte(in.Email, '@')
	switch {
	case in.Email == "":
		wrong.Add("email", "is required")
	case at < 1, at == len(in.Email)-1, len(in.Email) > maxLoginBytes:
		wrong.Add("email", notAnEmail)
	}
	switch {
	case in.Password == "":
		wrong.Add("password", "is required")
	case len(in.Password) > maxLoginBytes:
		wrong.Add("password", fmt.Sprintf("must have at most %d bytes", maxLoginBytes))
	}
	in.Device.validate(wrong)
	return in, wrong.Err()
}

// validatePassword returns what is wrong with a new password, or "".
func validatePassword(password string, maxChars int) string {
	switch n := utf8.RuneCountInString(password); {
	case n == 0:
		return "is required"
	case n >= minPasswordChars && n <= maxChars:
		return ""
	case maxChars == SharedPasswordChars:
		return "must have 6 to 40 characters: the account at ConnectyCube has the same password, and ConnectyCube accepts no other length"
	}
	return fmt.Sprintf("must have %d to %d characters", minPasswordChars, maxChars)
}

// validateName returns what is wrong with a first or last name, or "".
func validateName(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "is required"
	case n > maxNameChars:
		return fmt.Sprintf("must have at most %d characters: ConnectyCube limits the full name to 200", maxNameChars)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "must not have control characters"
	}
	return ""
}

const notAnEmail = "must be an email, such as ada@example.org"

// validateEmail returns what is wrong with a new email, or "". It accepts an address on
// the Internet: a dotted domain with a name at its end, and a local part without
// quotes, in any script.
func validateEmail(email string) string {
	if email == "" {
		return "is required"
	}
	if len(email) > maxEmailBytes {
		return fmt.Sprintf("must have at most %d bytes", maxEmailBytes)
	}
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email { // a display name, quotes or a comment
		return notAnEmail
	}
	at := strings.LastIndexByte(email, '@')
	if at > maxLocalBytes || strings.ContainsFunc(email, isInvisible) || !isDomain(email[at+1:]) {
		return notAnEmail
	}
	return ""
}

// isInvisible reports characters that make two emails look alike.
func isInvisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.C, r)
}

func isDomain(name string) bool {
	ascii, err := idna.Registration.ToASCII(strings.ToLower(name))
	if err != nil {
		return false
	}
	labels := strings.Split(ascii, ".")
	last := labels[len(labels)-1]
	if len(labels) < 2 || len(last) < 2 || strings.ContainsAny(last, "0123456789") && !strings.HasPrefix(last, "xn--") {
		return false
	}
	return !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-")
	})
}

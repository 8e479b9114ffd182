package identity

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"cubegate/resolvers/apierror"
	"cubegate/tokens"
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
func (in RegisterInput) validate(maxPasswordChars int, bcryptPasswords bool) (RegisterInput, error) {
	in.Email = strings.TrimSpace(in.Email)
	in.FirstName = strings.TrimSpace(in.FirstName)
	in.LastName = strings.TrimSpace(in.LastName)
	wrong := apierror.FieldErrors{}
	wrong.Add("email", validateEmail(in.Email))
	wrong.Add("firstName", validateName(in.FirstName))
	wrong.Add("lastName", validateName(in.LastName))
	wrong.Add("password", validatePassword(in.Password, maxPasswordChars))
	if bcryptPasswords {
		wrong.Add("password", validateBcryptPassword(in.Password))
	}
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
	case isTooLong(in.Password):
		wrong.Add("password", fmt.Sprintf("must have at most %d bytes", maxLoginBytes))
	}
	in.Device.validate(wrong)
	return in, wrong.Err()
}

// maxGrowth is how much longer than its normalized form a text can be, in bytes
// (https://www.unicode.org/faq/normalization, "What are the maximum expansion factors").
const maxGrowth = 3

// isTooLong reports whether a password has more than maxLoginBytes in both of its forms.
// A keyboard that sends letters in parts must not make a password too long.
func isTooLong(password string) bool {
	n := len(password)
	if n > maxLoginBytes && n <= maxGrowth*maxLoginBytes {
		n = len(tokens.NormalizePassword(password))
	}
	return n > maxLoginBytes
}

// validatePassword returns what is wrong with a new password, or "". The bounds are
// those of the normalized form, which is hashed and which ConnectyCube gets.
func validatePassword(password string, maxChars int) string {
	n := utf8.RuneCountInString(password)
	if len(password) <= maxGrowth*maxLoginBytes { // a longer one is too long in any form
		n = utf8.RuneCountInString(tokens.NormalizePassword(password))
	}
	switch {
	case n == 0:
		return "is required"
	case n >= minPasswordChars && n <= maxChars:
		return ""
	case maxChars == SharedPasswordChars:
		return "must have 6 to 40 characters: the account at ConnectyCube has the same password, and ConnectyCube accepts no other length"
	}
	return fmt.Sprintf("must have %d to %d characters", minPasswordChars, maxChars)
}

// validateBcryptPassword returns what is wrong with a new password that bcrypt hashes, or
// "". The NestJS original ignored the end of a longer one. The bound is that of the
// normalized form, too.
func validateBcryptPassword(password string) string {
	if len(password) > maxGrowth*maxLoginBytes || len(tokens.NormalizePassword(password)) > tokens.BcryptLimit {
		return fmt.Sprintf("must have at most %d bytes in UTF-8: bcrypt ignores the rest", tokens.BcryptLimit)
	}
	return ""
}

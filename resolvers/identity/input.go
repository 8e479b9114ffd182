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

// Bounds of what people type, in characters unless said otherwise. Those of
// names and passwords are ConnectyCube's (contract 6.2): it gets the same
// password, and the full name, at most 200 there, is both names and a space.
const (
	maxName       = 99
	minPassword   = 6
	maxEmailBytes = 254  // RFC 5321, 4.5.3.1.3 less the angle brackets
	maxLocalBytes = 64   // RFC 5321, 4.5.3.1.1
	maxAnyInput   = 1024 // bytes; what a login may send: the original had no bounds, so old passwords may be longer than ours
)

// registerInput is UserRegisterInput of the schema.
type registerInput struct {
	Email     string       `json:"email"`
	FirstName string       `json:"firstName"`
	LastName  string       `json:"lastName"`
	Password  string       `json:"password"`
	Device    *deviceInput `json:"device"`
}

// loginInput is LoginUserDto of the schema.
type loginInput struct {
	Email    string       `json:"email"`
	Password string       `json:"password"`
	Device   *deviceInput `json:"device"`
}

// clean trims what people add by accident and reports all that is wrong.
// Passwords stay as typed: a space may be meant.
func (in registerInput) clean(maxPassword int) (registerInput, error) {
	in.Email = strings.TrimSpace(in.Email)
	in.FirstName = strings.TrimSpace(in.FirstName)
	in.LastName = strings.TrimSpace(in.LastName)
	p := apierror.FieldErrors{}
	p.Add("email", emailProblem(in.Email))
	p.Add("firstName", nameProblem(in.FirstName))
	p.Add("lastName", nameProblem(in.LastName))
	p.Add("password", passwordProblem(in.Password, maxPassword))
	in.Device.check(p)
	return in, p.Err()
}

// clean is more lenient than for a registration: whoever is in the database
// may log in, by whatever rules the address and the password were accepted.
func (in loginInput) clean() (loginInput, error) {
	in.Email = strings.TrimSpace(in.Email)
	p := apierror.FieldErrors{}
	at := strings.LastIndexByte(in.Email, '@')
	switch {
	case in.Email == "":
		p.Add("email", "is required")
	case at < 1, at == len(in.Email)-1, len(in.Email) > maxAnyInput:
		p.Add("email", "is not an e-mail address")
	}
	switch {
	case in.Password == "":
		p.Add("password", "is required")
	case len(in.Password) > maxAnyInput:
		p.Add("password", fmt.Sprintf("has more than %d bytes", maxAnyInput))
	}
	in.Device.check(p)
	return in, p.Err()
}

// The longest new passwords, in characters: where ConnectyCube gets the same,
// and where it does not.
const (
	SharedPassword  = 40
	DerivedPassword = 256
)

// passwordBounds says how long a new password may be.
func passwordBounds(most int) string {
	if most == SharedPassword {
		return "must have 6 to 40 characters: ConnectyCube gets the same password and takes none that is shorter or longer"
	}
	return fmt.Sprintf("must have %d to %d characters", minPassword, most)
}

func nameProblem(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "is required"
	case n > maxName:
		return fmt.Sprintf("must have at most %d characters: ConnectyCube's full name ends at 200", maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "must not have control characters"
	}
	return ""
}

// emailProblem accepts what can be an address on the Internet: a dotted domain
// with a name at its end, and a local part without quotes, in any script.
func emailProblem(address string) string {
	const wrong = "is not an e-mail address"
	if address == "" {
		return "is required"
	}
	if len(address) > maxEmailBytes {
		return fmt.Sprintf("has more than %d bytes", maxEmailBytes)
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address { // a display name, quotes or a comment
		return wrong
	}
	at := strings.LastIndexByte(address, '@')
	if at > maxLocalBytes || strings.ContainsFunc(address, isInvisible) || !isDomain(address[at+1:]) {
		return wrong
	}
	return ""
}

// isInvisible tells characters that make two addresses look alike.
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

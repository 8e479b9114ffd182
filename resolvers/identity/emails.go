package identity

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/net/idna"
)

const notAnEmail = "must be an email, such as ada@example.org"

// Parts of a valid email in the sense of <input type=email>, which also accepts dots at
// both ends of the local part and several in a row, as some Japanese carriers have them,
// and a host without a dot
// (https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address).
var (
	inputLocal  = regexp.MustCompile("^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+$")
	inputDomain = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)
	})
)

// validateEmail returns what is wrong with a new email, or "". It accepts what <input
// type=email> accepts, as long as SMTP can carry it, and beyond that letters of any
// script (RFC 6531) on both sides of the @.
func validateEmail(email string) string {
	if email == "" {
		return "is required"
	}
	if len(email) > maxEmailBytes {
		return fmt.Sprintf("must have at most %d bytes", maxEmailBytes)
	}
	at := strings.LastIndexByte(email, '@')
	if at < 0 || !isLocal(email[:at]) || !isDomain(email[at+1:]) {
		return notAnEmail
	}
	if at > maxLocalBytes {
		return fmt.Sprintf("must have at most %d bytes before the @", maxLocalBytes)
	}
	return ""
}

// isLocal reports whether a text can stand before the @. It must have something to see,
// and no invisible character.
func isLocal(local string) bool {
	ascii := strings.Map(func(r rune) rune {
		if r >= 0x80 && !isInvisible(r) {
			return 'x'
		}
		return r
	}, local)
	return inputLocal.MatchString(ascii) && strings.ContainsFunc(local, isVisible)
}

// isInvisible reports characters that make two emails look alike, and those that stand
// for no character.
func isInvisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.C, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, blank) || isNoCharacter(r)
}

func isDomain(name string) bool {
	if inputDomain().MatchString(name) {
		return true
	}
	ascii, err := idna.Registration.ToASCII(strings.ToLower(name))
	return err == nil && strings.Contains(ascii, ".") && inputDomain().MatchString(ascii)
}

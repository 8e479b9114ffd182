package store

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// EmailKey returns the form of an email that is unique among users: without
// surrounding space, in lower case, composed (NFC), its domain in ASCII. Emails
// with the same key belong to one user. A text that is not an email gets a key that no
// email has.
func EmailKey(email string) string {
	folded := norm.NFC.String(strings.ToLower(strings.TrimSpace(email)))
	at := strings.LastIndexByte(folded, '@')
	if at < 0 {
		return folded
	}
	domain, err := idna.Lookup.ToASCII(folded[at+1:])
	if err != nil {
		return folded
	}
	return folded[:at+1] + domain
}

package store

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// EmailKey folds an address to the form by which it is unique: without
// surrounding space, in lower case, composed (NFC), its domain in ASCII. Two
// addresses with the same key belong to one person. It never fails: what is
// not an address gets a key that no address has.
func EmailKey(address string) string {
	folded := norm.NFC.String(strings.ToLower(strings.TrimSpace(address)))
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

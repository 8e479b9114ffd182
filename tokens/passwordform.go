package tokens

import (
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// PasswordForm names the form in which passwords are hashed today: OpaqueString of RFC
// 8265, with the characters of one Unicode version. A hash with another name, or with
// none, may be of a password as it was sent. The version is part of the name because
// OpaqueString refuses characters that it does not know, so a later version may
// normalize a password that this one leaves as it is.
const PasswordForm = "opaque-" + precis.UnicodeVersion

// NormalizePassword returns the form of a password that a new hash is made of. Keyboards
// differ in the characters that they send for one text: a Mac may send "ñ" as "n" and a
// combining tilde, and a no-break space for a space. OpaqueString (RFC 8265, section
// 4.2) makes them equal. A password that OpaqueString refuses, such as one with joined
// emoji, stays as it is. NormalizePassword does not change its own result.
func NormalizePassword(password string) string {
	normal, err := precis.OpaqueString.String(password)
	if err != nil || !utf8.ValidString(password) { // package precis replaces invalid bytes, all with the same character
		return password
	}
	return normal
}

// PasswordForms returns the forms that a stored hash may have of a password: the
// normalized one, and the password as it was sent if that differs.
func PasswordForms(password string) []string {
	normal := NormalizePassword(password)
	if normal == password {
		return []string{password}
	}
	return []string{normal, password}
}

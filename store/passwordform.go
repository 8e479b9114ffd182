package store

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// boundForm is the stored form of User.PasswordForm: the form, a space, and the end of
// the hash that it describes. Programs that know no forms, the original and older
// releases of this server, replace the hash alone. The form of the former hash must not
// count for theirs.
type boundForm string

// boundChars is the length of the end of the hash, in bytes.
const boundChars = 16

// bindForm returns the stored form of a form. It is empty for an empty form.
func bindForm(form, hash string) boundForm {
	if form == "" {
		return ""
	}
	return boundForm(form + " " + hash[max(0, len(hash)-boundChars):])
}

// of returns the form, or "" if another hash was stored meanwhile.
func (f boundForm) of(hash string) string {
	form, _, _ := strings.Cut(string(f), " ")
	if bindForm(form, hash) != f {
		return ""
	}
	return form
}

// passwordSet returns the fields of a password that was hashed in a form.
func passwordSet(hash, form string) []bson.E {
	return []bson.E{{Key: "password", Value: hash}, {Key: "passwordForm", Value: bindForm(form, hash)}}
}

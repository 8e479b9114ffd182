package core

import "strconv"

// Refusal is an error answer as it goes over the wire.
type Refusal struct {
	Status int // as HTTP numbers it
	Errors any // below "errors": a list or an object
}

// Error names the status alone: the texts are for the caller of the API.
func (r *Refusal) Error() string { return "refused with status " + strconv.Itoa(r.Status) }

// AsList, AsBase and AsField are the three shapes the service uses, without a
// rule that anybody could find.
func AsList(status int, texts ...string) error {
	return &Refusal{status, texts}
}

// AsBase gives {"base":[…]}; see AsList.
func AsBase(status int, texts ...string) error {
	return &Refusal{status, map[string][]string{"base": texts}}
}

// AsField gives {"field":[…]}; see AsList.
func AsField(status int, field string, texts ...string) error {
	return &Refusal{status, map[string][]string{field: texts}}
}

// The refusals known word for word, and those that had to be invented (inf).
var (
	ErrTokenRequired = AsList(401, "Token is required")
	errSessionDead   = AsBase(401, "Required session does not exist")
	errWrongPassword = AsList(401, "Invalid password")
	ErrUserNotFound  = AsList(404, "User not found")
	ErrBlankPassword = AsField(422, "password", "cannot be blank")
	ErrNoResource    = AsList(404, "The resource wasn't found")

	ErrNoLogin = AsBase(422, "login or email is required")                               // inf
	errFull    = AsList(503, "The sandbox is full: it has as many users as it may")      // our own
	errTooBusy = AsList(503, "The sandbox checks too many passwords at once: try again") // our own
)

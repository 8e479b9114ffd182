package core

import "strconv"

// Refusal is an error answer of the service.
type Refusal struct {
	Status int // HTTP status
	Errors any // below "errors": a list or an object
	Body   any // of an answer of another form; nil: none
}

// Error shows the status only: the texts are for clients of the API.
func (r *Refusal) Error() string { return "refused with status " + strconv.Itoa(r.Status) }

// AsList, AsBase and AsField build the three shapes of an error answer; see
// docs/connectycube.md, Errors. No rule for their use is known.
func AsList(status int, texts ...string) error {
	return &Refusal{Status: status, Errors: texts}
}

// AsBase builds {"base":[…]}; see AsList.
func AsBase(status int, texts ...string) error {
	return &Refusal{Status: status, Errors: map[string][]string{"base": texts}}
}

// AsField builds {"field":[…]}; see AsList.
func AsField(status int, field string, texts ...string) error {
	return &Refusal{Status: status, Errors: map[string][]string{field: texts}}
}

// The refusals whose texts are known (docs/connectycube.md, Errors), and those whose
// texts are assumed.
var (
	ErrTokenRequired = AsList(401, "Token is required")
	errSessionDead   = AsBase(401, "Required session does not exist")
	errWrongPassword = AsList(401, "Invalid password")
	ErrUserNotFound  = AsList(404, "User not found")
	ErrBlankPassword = AsField(422, "password", "cannot be blank")
	ErrNoResource    = AsList(404, "The resource wasn't found")

	ErrNoLogin  = AsBase(422, "login or email is required")                               // assumed
	errFull     = AsList(503, "The sandbox is full: it has as many users as it may")      // our own
	ErrDisabled = AsList(401, "User is disabled")                                         // our own
	errTooBusy  = AsList(503, "The sandbox checks too many passwords at once: try again") // our own
)

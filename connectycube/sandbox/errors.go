package sandbox

import "strconv"

// refusal is an error answer as it goes over the wire.
type refusal struct {
	status int
	errors any // below "errors": a list or an object
}

func (r *refusal) Error() string { return "refused with status " + strconv.Itoa(r.status) }

// asList, asBase and asField are the three shapes the service uses, without a
// rule that anybody could find.
func asList(status int, texts ...string) error {
	return &refusal{status, texts}
}

func asBase(status int, texts ...string) error {
	return &refusal{status, map[string][]string{"base": texts}}
}

func asField(status int, field string, texts ...string) error {
	return &refusal{status, map[string][]string{field: texts}}
}

// The refusals known word for word, and those that had to be invented (inf).
var (
	errTokenRequired = asList(401, "Token is required")
	errSessionDead   = asBase(401, "Required session does not exist")
	errWrongPassword = asList(401, "Invalid password")
	errUserNotFound  = asList(404, "User not found")
	errBlankPassword = asField(422, "password", "cannot be blank")
	errNoResource    = asList(404, "The resource wasn't found")

	errNoLogin = asBase(422, "login or email is required")                               // inf
	errFull    = asList(503, "The sandbox is full: it has as many users as it may")      // our own
	errTooBusy = asList(503, "The sandbox checks too many passwords at once: try again") // our own
)

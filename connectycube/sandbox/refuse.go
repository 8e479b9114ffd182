package sandbox

import (
	"errors"
	"net/http"
)

// What only REST refuses, word for word as far as it is known; the rest had to be
// invented (inf).
var (
	errNeedUser       = asBase(403, "Forbidden. Need user.")
	errNoUID          = asBase(422, "Custom Identity Provider uid is required")
	errBadRequest     = asList(400, "Bad request")                                                                    // inf
	errNoApplication  = asBase(422, "No application found")                                                           // inf
	errWrongKey       = asList(401, "Unauthorized")                                                                   // inf
	errBlankToken     = asField(422, "token", "cannot be blank")                                                      // inf, by the password's
	errWrongOld       = asBase(422, "old_password is invalid")                                                        // inf
	errTooManyBodies  = asList(503, "The sandbox reads too many large bodies at once: try again")                     // our own
	errNotImitated    = asBase(422, "The sandbox does not imitate this provider")                                     // our own
	errV1Disabled     = asBase(403, "Users retrieving forbidden in admin panel, application settings. Use /users/v2") // doc, end of the text and status inf
	errProviderSilent = asBase(500, "Custom Identity Provider did not answer")                                        // inf
	errNoOpponent     = asBase(422, "occupants_ids field must contain an opponent user id")                           // seen live, the status inf
	errNoOccupants    = asBase(422, "occupants_ids field must contain user ids")                                      // inf, by the former
	errNoType         = asBase(422, "type must be 1, 2, 3 or 4")                                                      // inf
	errNoTarget       = asBase(422, "chat_dialog_id or recipient_id is required")                                     // inf
	errNoDialogID     = asBase(422, "chat_dialog_id is required")                                                     // inf
	errNoRecipient    = asBase(422, "recipientId must be the id of a user")                                           // inf
	errNoReaction     = asBase(422, "add or remove must be a reaction")                                               // inf
)

// refuse writes err, which is a *refusal unless the sandbox itself is at fault.
func refuse(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{http.StatusInternalServerError, []string{"The sandbox has a defect"}}
	}
	writeJSON(w, r.status, map[string]any{"errors": r.errors})
}

package rest

import (
	"errors"
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

// What only REST refuses, word for word as far as it is known; the rest had to be
// invented (inf).
var (
	errNeedUser       = core.AsBase(403, "Forbidden. Need user.")
	errNoUID          = core.AsBase(422, "Custom Identity Provider uid is required")
	errBadRequest     = core.AsList(400, "Bad request")                                                                    // inf
	errNoApplication  = core.AsBase(422, "No application found")                                                           // inf
	errWrongKey       = core.AsList(401, "Unauthorized")                                                                   // inf
	errBlankToken     = core.AsField(422, "token", "cannot be blank")                                                      // inf, by the password's
	errWrongOld       = core.AsBase(422, "old_password is invalid")                                                        // inf
	errTooManyBodies  = core.AsList(503, "The sandbox reads too many large bodies at once: try again")                     // our own
	errNotImitated    = core.AsBase(422, "The sandbox does not imitate this provider")                                     // our own
	errV1Disabled     = core.AsBase(403, "Users retrieving forbidden in admin panel, application settings. Use /users/v2") // doc, end of the text and status inf
	errProviderSilent = core.AsBase(500, "Custom Identity Provider did not answer")                                        // inf
	errNoOpponent     = core.AsBase(422, "occupants_ids field must contain an opponent user id")                           // seen live, the status inf
	errNoOccupants    = core.AsBase(422, "occupants_ids field must contain user ids")                                      // inf, by the former
	errNoType         = core.AsBase(422, "type must be 1, 2, 3 or 4")                                                      // inf
	errNoTarget       = core.AsBase(422, "chat_dialog_id or recipient_id is required")                                     // inf
	errNoDialogID     = core.AsBase(422, "chat_dialog_id is required")                                                     // inf
	errNoRecipient    = core.AsBase(422, "recipientId must be the id of a user")                                           // inf
	errNoReaction     = core.AsBase(422, "add or remove must be a reaction")                                               // inf
)

// Refuse writes err, which is a *core.Refusal unless the sandbox itself is at fault.
func Refuse(w http.ResponseWriter, err error) {
	var r *core.Refusal
	if !errors.As(err, &r) {
		r = &core.Refusal{Status: http.StatusInternalServerError, Errors: []string{"The sandbox has a defect"}}
	}
	writeJSON(w, r.Status, map[string]any{"errors": r.Errors})
}

package rest

import (
	"errors"
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

// The refusals of REST only. docs/connectycube.md, Errors, has the texts that are
// known; the others, and the statuses with a remark, are assumed.
var (
	errNeedUser      = core.AsBase(403, "Forbidden. Need user.")
	errNoUID         = core.AsBase(422, "Custom Identity Provider uid is required")
	errBadRequest    = core.AsList(400, "Bad request")
	errNoApplication = core.AsBase(422, "No application found")
	errWrongKey      = core.AsList(401, "Unauthorized")
	errBlankToken    = core.AsField(422, "token", "cannot be blank") // after the text for a password
	errWrongOld      = core.AsBase(422, "old_password is invalid")
	errTooManyBodies = core.AsList(503, "The sandbox reads too many large bodies at once: try again")                     // our own
	errNotImitated   = core.AsBase(422, "The sandbox does not imitate this provider")                                     // our own
	errV1Disabled    = core.AsBase(403, "Users retrieving forbidden in admin panel, application settings. Use /users/v2") // the text of https://developers.connectycube.com/server/users, except its end; the status is assumed
	errNoOpponent    = core.AsBase(422, "occupants_ids field must contain an opponent user id")                           // seen live in 2021; the status is assumed
	errNoOccupants   = core.AsBase(422, "occupants_ids field must contain user ids")                                      // after errNoOpponent
	errNoType        = core.AsBase(422, "type must be 1, 2, 3 or 4")
	errNoTarget      = core.AsBase(422, "chat_dialog_id or recipient_id is required")
	errNoDialogID    = core.AsBase(422, "chat_dialog_id is required")
	errNoRecipient   = core.AsBase(422, "recipientId must be the id of a user")
	errNoReaction    = core.AsBase(422, "add or remove must be a reaction")
)

// Refuse writes err, which is a *core.Refusal unless the sandbox has a defect.
func Refuse(w http.ResponseWriter, err error) {
	var r *core.Refusal
	if !errors.As(err, &r) {
		r = &core.Refusal{Status: http.StatusInternalServerError, Errors: []string{"The sandbox has a defect"}}
	}
	body := r.Body
	if body == nil {
		body = map[string]any{"errors": r.Errors}
	}
	writeJSON(w, r.Status, body)
}

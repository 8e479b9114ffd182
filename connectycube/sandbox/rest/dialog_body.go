package rest

import (
	"cmp"
	"strconv"

	"cubegate/connectycube/sandbox/core"
)

// dialogJSON is a dialog in an answer.
type dialogJSON struct {
	ID                  string            `json:"_id"`
	UserID              int64             `json:"user_id"`
	CreatedAt           string            `json:"created_at"`
	UpdatedAt           string            `json:"updated_at"`
	Type                core.DialogKind   `json:"type"`
	Name                *string           `json:"name"`
	Description         *string           `json:"description"`
	Photo               *string           `json:"photo"`
	OccupantsIDs        []int64           `json:"occupants_ids"`
	OccupantsCount      *int              `json:"occupants_count,omitempty"`
	AdminsIDs           []int64           `json:"admins_ids"`
	LastMessage         *string           `json:"last_message"`
	LastMessageDateSent *int64            `json:"last_message_date_sent"`
	LastMessageID       *string           `json:"last_message_id"`
	LastMessageUserID   *int64            `json:"last_message_user_id"`
	LastMessageStatus   *string           `json:"last_message_status"`
	UnreadMessagesCount *int              `json:"unread_messages_count"`
	PinnedMessagesIDs   []string          `json:"pinned_messages_ids"`
	XMPPRoomJID         *string           `json:"xmpp_room_jid"`
	Extensions          map[string]string `json:"extensions"`
	Permissions         map[string]bool   `json:"permissions"`
	IsMuted             *bool             `json:"is_muted"`
}

// nameFor returns the dialog's name as one user sees it. A private dialog has no name
// of its own: each user sees the other's (docs/connectycube.md, Chat). Only this
// function assumes that this is the full name, else the login. The email or the ID
// replaces both if they are missing, because apps crash on a null name.
func (s *API) nameFor(d *core.Dialog, user int64) string {
	other := d.Opponent(user)
	if other == 0 || !d.Occupants.Has(user) {
		return d.Name
	}
	shown := strconv.FormatInt(other, 10) // the rest of a deleted user is gone
	if u := s.Registry.Users[other]; u != nil {
		shown = cmp.Or(u.FullName, u.Login, u.Email, shown)
	}
	return shown
}

// dialogFor returns the dialog as one of its users sees it.
func (s *API) dialogFor(d *core.Dialog, user int64) dialogJSON {
	out := s.dialogPlain(d)
	out.Name = core.OrNull(s.nameFor(d, user))
	out.tellLast(d.LastFor(user), user)
	if d.Counts() {
		n := d.Unread[user]
		out.UnreadMessagesCount = &n
	}
	muted := d.Silent.Has(user)
	out.IsMuted = &muted
	return out
}

// dialogPlain returns the parts of the dialog that are the same for all users. The
// name of a private dialog is null, as in the samples of
// https://developers.connectycube.com/admin_api/chat.
func (s *API) dialogPlain(d *core.Dialog) dialogJSON {
	out := dialogJSON{
		ID:                d.ID,
		UserID:            d.Owner,
		CreatedAt:         d.Created.UTC().Format(seconds),
		UpdatedAt:         d.Updated.UTC().Format(seconds),
		Type:              d.Kind,
		Name:              core.OrNull(d.Name),
		Description:       core.OrNull(d.Description),
		Photo:             core.OrNull(d.Photo),
		OccupantsIDs:      d.Occupants.List(),
		AdminsIDs:         d.Admins.List(),
		PinnedMessagesIDs: append([]string{}, d.Pinned...),
		Extensions:        d.Extensions,
		Permissions:       d.Permissions,
	}
	if d.Kind == core.KindPublic {
		n := len(d.Occupants)
		out.OccupantsCount, out.OccupantsIDs = &n, []int64{}
	}
	if d.Kind != core.KindPrivate {
		out.XMPPRoomJID = core.OrNull(s.roomJID(d))
	}
	return out
}

// tellLast sets the last message. Only its sender sees its status.
func (out *dialogJSON) tellLast(m *core.Message, user int64) {
	if m == nil {
		return
	}
	id, sender, sent := m.ID, m.Sender, m.Created.Unix()
	out.LastMessage = core.OrNull(m.Body)
	out.LastMessageID = &id
	out.LastMessageUserID = &sender
	out.LastMessageDateSent = &sent
	if sender == user {
		out.LastMessageStatus = core.OrNull(m.Status())
	}
}

func (s *API) roomJID(d *core.Dialog) string {
	return strconv.FormatInt(s.AppID, 10) + "_" + d.ID + "@muc." + s.ChatDomain
}

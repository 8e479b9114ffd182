package sandbox

import (
	"cmp"
	"strconv"
)

// dialogJSON is the dialog as clients see it.
type dialogJSON struct {
	ID                  string            `json:"_id"`
	UserID              int64             `json:"user_id"`
	CreatedAt           string            `json:"created_at"`
	UpdatedAt           string            `json:"updated_at"`
	Type                dialogKind        `json:"type"`
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

// nameFor is the dialog's name as one user sees it, and "" only where there is
// none. A private dialog has no name of its own: each of the two sees the other's.
// A live log of the service shows such a name, without telling which of a user's
// names it is. The full name, and then the login, is the guess of this function
// alone. An email or the id stands in for a user without either, as apps crash on
// a null name.
func (s *API) nameFor(d *dialog, user int64) string {
	other := d.opponent(user)
	if other == 0 || !d.occupants.has(user) {
		return d.name
	}
	shown := strconv.FormatInt(other, 10) // of a deleted user, no more is left
	if u := s.registry.users[other]; u != nil {
		shown = cmp.Or(u.fullName, u.login, u.email, shown)
	}
	return shown
}

// dialogFor shows the dialog to one of its users.
func (s *API) dialogFor(d *dialog, user int64) dialogJSON {
	out := s.dialogPlain(d)
	out.Name = orNull(s.nameFor(d, user))
	out.tellLast(d.lastFor(user), user)
	if d.counts() {
		n := d.unread[user]
		out.UnreadMessagesCount = &n
	}
	muted := d.silent.has(user)
	out.IsMuted = &muted
	return out
}

// dialogPlain shows what is the same for everyone. The name of a private dialog is
// null here, as it is in the samples of the Admin API.
func (s *API) dialogPlain(d *dialog) dialogJSON {
	out := dialogJSON{
		ID:                d.id,
		UserID:            d.owner,
		CreatedAt:         d.created.UTC().Format(seconds),
		UpdatedAt:         d.updated.UTC().Format(seconds),
		Type:              d.kind,
		Name:              orNull(d.name),
		Description:       orNull(d.description),
		Photo:             orNull(d.photo),
		OccupantsIDs:      d.occupants.list(),
		AdminsIDs:         d.admins.list(),
		PinnedMessagesIDs: append([]string{}, d.pinned...),
		Extensions:        d.extensions,
		Permissions:       d.permissions,
	}
	if d.kind == kindPublic {
		n := len(d.occupants)
		out.OccupantsCount, out.OccupantsIDs = &n, []int64{}
	}
	if d.kind != kindPrivate {
		out.XMPPRoomJID = orNull(s.roomJID(d))
	}
	return out
}

// tellLast fills in the last message. Its status is for whoever sent it.
func (out *dialogJSON) tellLast(m *message, user int64) {
	if m == nil {
		return
	}
	id, sender, sent := m.id, m.sender, m.created.Unix()
	out.LastMessage = orNull(m.body)
	out.LastMessageID = &id
	out.LastMessageUserID = &sender
	out.LastMessageDateSent = &sent
	if sender == user {
		out.LastMessageStatus = orNull(m.status())
	}
}

func (s *API) roomJID(d *dialog) string {
	return strconv.FormatInt(s.appID, 10) + "_" + d.id + "@muc." + s.chatDomain
}

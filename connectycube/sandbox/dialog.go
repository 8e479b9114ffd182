package sandbox

import (
	"cmp"
	"container/list"
	"maps"
	"slices"
	"strconv"
	"time"
)

// dialog is a conversation. Maps in it are replaced, never changed: answers
// share them.
type dialog struct {
	id                       string
	kind                     dialogKind
	owner                    int64
	name, description, photo string
	occupants, admins        userSet
	pinned                   []string
	extensions               map[string]string // nil: null
	permissions              map[string]bool   // nil: null
	silent                   userSet           // want no notifications
	hidden                   userSet           // deleted it for themselves
	created, updated         time.Time

	messages []*message    // in order of arrival
	unread   map[int64]int // by occupant, when the dialog counts
	held     int           // bytes that archive.dialogBytes has of it
	place    *list.Element // in archive.active
}

// weight estimates the bytes that d keeps in memory, apart from its messages. Of
// an occupant that is 100: in the set, in unread and in archive.ofUser.
func (d *dialog) weight() int {
	n := 1200 + len(d.name) + len(d.description) + len(d.photo) + 100*len(d.occupants) +
		16*(len(d.admins)+len(d.silent)+len(d.hidden)) + 48*len(d.pinned)
	if len(d.extensions) > 0 {
		n += tableBytes(len(d.extensions), 32)
	}
	for key, value := range d.extensions {
		n += textBytes(key) + textBytes(value)
	}
	return n
}

// counts says whether unread messages are counted (doc: group and private).
func (d *dialog) counts() bool { return d.kind == kindGroup || d.kind == kindPrivate }

// lastFor is the newest message that the user can see, or nil.
func (d *dialog) lastFor(user int64) *message {
	for _, m := range slices.Backward(d.messages) {
		if !m.deletedFor.has(user) {
			return m
		}
	}
	return nil
}

// opponent is the other one in a private dialog, and 0 elsewhere.
func (d *dialog) opponent(user int64) int64 {
	if d.kind != kindPrivate {
		return 0
	}
	return d.occupants[0] + d.occupants[1] - user
}

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
func (s *Sandbox) nameFor(d *dialog, user int64) string {
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
func (s *Sandbox) dialogFor(d *dialog, user int64) dialogJSON {
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
func (s *Sandbox) dialogPlain(d *dialog) dialogJSON {
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

func (s *Sandbox) roomJID(d *dialog) string {
	return strconv.FormatInt(s.appID, 10) + "_" + d.id + "@muc." + s.chatDomain
}

// privateDialog finds the dialog of two users, or makes it.
func (a *archive) privateDialog(from, to int64, now time.Time) *dialog {
	if d := a.private[pairOf(from, to)]; d != nil {
		return d
	}
	d := &dialog{kind: kindPrivate, owner: from}
	d.occupants.add(from)
	d.occupants.add(to)
	a.add(d, now)
	return d
}

// extend reads extensions: up to three values, which become text; null ones are
// left out, and null instead of the object forgets all.
func (s *Sandbox) extend(p params) (map[string]string, error) {
	given := p.object("extensions")
	if given == nil {
		return nil, nil
	}
	kept := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value, isScalar := scalar(given[key])
		allowed := len(s.settings.DialogExtensions) == 0 || slices.Contains(s.settings.DialogExtensions, key)
		if isScalar && allowed {
			kept[key] = value
		}
	}
	if len(kept) > mostExtensions {
		return nil, errTooManyExtensions
	}
	if len(kept) == 0 {
		return nil, nil
	}
	return kept, nil
}

// permit reads permissions, of which there is one.
func permit(p params) map[string]bool {
	given := p.object("permissions")
	if !given.has("allow_preview") {
		return nil
	}
	return map[string]bool{"allow_preview": given.flag("allow_preview")}
}

// flag reads what means yes: 1 and true, as number, text or truth value.
func (p params) flag(key string) bool {
	t := p.text(key)
	return t == "1" || t == "true"
}

package core

import (
	"cmp"
	"container/list"
	"encoding/json"
	"slices"
	"time"
)

// Message is one message of a dialog. Its attachments and custom parameters
// never change: answers share them.
type Message struct {
	ID          string
	StanzaID    string // of the stanza that brought it, if it differs from ID by its form; else ""
	seq         uint64 // order of arrival, in all dialogs
	Dialog      *Dialog
	Sender      int64
	Recipient   int64 // in a private dialog, else 0
	Body        string
	Attachments []Attachment
	Custom      map[string]any // text, number, boolean, list or object

	Created, Updated time.Time
	Edited           time.Time // zero: never
	Read, Delivered  UserSet
	DeletedFor       UserSet
	Reactions        map[string]UserSet // by kind

	held  int           // bytes of the parts that never change; 0: not yet counted
	place *list.Element // in Archive.history
}

// Attachment has text values only: clients in Dart read no others.
type Attachment map[string]string

const maxStanzaID = 255 // bytes that are stored

// StanzaID returns the ID of a stanza if the archive stores it beside its own: any that
// has not the archive's form. It returns "" for one that is too long.
func StanzaID(id string) string {
	if IsOID(id) || len(id) > maxStanzaID {
		return ""
	}
	return id
}

// FindStanza returns the newest message with this StanzaID that the user can see. Clients
// may count their IDs, so messages of two users can have the same one: the user's own
// come first, or those of others. d may be nil.
func (d *Dialog) FindStanza(id string, user int64, own bool) (*Message, error) {
	if d == nil || d.roleOf(user) == outsider {
		return nil, ErrNoResource
	}
	var second *Message
	for _, m := range slices.Backward(d.Messages) {
		if m.StanzaID != id || m.DeletedFor.Has(user) {
			continue
		}
		if (m.Sender == user) == own {
			return m, nil
		}
		second = cmp.Or(second, m)
	}
	if second == nil {
		return nil, ErrNoResource
	}
	return second, nil
}

// unreadBy reports whether m counts as unread for the user.
func (m *Message) unreadBy(user int64) bool {
	return !m.Read.Has(user) && !m.DeletedFor.Has(user)
}

// Readers counts the users who read m, without the sender.
func (m *Message) Readers() int {
	n := len(m.Read)
	if m.Read.Has(m.Sender) {
		n--
	}
	return n
}

// Status returns sent, delivered or read.
func (m *Message) Status() string {
	switch {
	case m.Readers() > 0:
		return "read"
	case len(m.Delivered) > 1:
		return "delivered"
	}
	return "sent"
}

// weight estimates the bytes that m keeps in memory.
func (m *Message) weight() int {
	if m.held == 0 {
		m.held = 616 + textBytes(m.StanzaID) + weigh(map[string]any(m.Custom))
		for _, a := range m.Attachments {
			m.held += 8 + tableBytes(len(a), 32)
			for key, value := range a {
				m.held += textBytes(key) + textBytes(value)
			}
		}
	}
	n := m.held + len(m.Body) + 8*(len(m.Read)+len(m.Delivered)+len(m.DeletedFor)) + tableBytes(len(m.Reactions), 40)
	for kind, users := range m.Reactions {
		n += textBytes(kind) + 16*len(users)
	}
	return n
}

// weigh estimates the bytes that a decoded JSON value keeps in memory, without the
// interface that holds it. TestArchiveCountsWhatItHolds compares it with memory.
func weigh(v any) int {
	switch v := v.(type) {
	case map[string]any:
		n := tableBytes(len(v), 32)
		for key, value := range v {
			n += textBytes(key) + weigh(value)
		}
		return n
	case []any:
		n := 24 + 24*len(v) // grown by append
		for _, value := range v {
			n += weigh(value)
		}
		return n
	case string:
		return 16 + textBytes(v)
	case json.Number:
		return 16 + textBytes(string(v))
	}
	return 0
}

// tableBytes returns the size of a map of n entries of so many bytes: groups of
// eight slots, of which at most seven are in use if there are several groups.
func tableBytes(n, entry int) int {
	const header, control = 48, 8
	switch {
	case n == 0:
		return header
	case n <= 8:
		return header + control + 8*entry
	}
	slots := 16
	for slots*7/8 < n {
		slots *= 2
	}
	return header + 64 + slots*entry + slots/8*control
}

// textBytes returns the memory of a text, which grows in steps of 8 and 16 bytes.
func textBytes(s string) int { return (len(s) + 15) &^ 15 }

// ReservedFields are the field names of a message that custom parameters cannot
// have, including the fields with which REST and chat instruct the service.
var ReservedFields = map[string]bool{
	"_id": true, "id": true, "chat_dialog_id": true, "dialog_id": true, "message_id": true, "message": true,
	"sender_id": true, "recipient_id": true, "date_sent": true, "created_at": true, "updated_at": true,
	"edited_at": true, "attachments": true, "read_ids": true, "delivered_ids": true, "deleted_for_ids": true,
	"read": true, "views_count": true, "reactions": true,
	"send_to_chat": true, "markable": true, "save_to_history": true,
}

// Edit replaces the text of a message.
func (a *Archive) Edit(m *Message, body string, now time.Time) {
	a.change(m, func() { m.Body, m.Edited, m.Updated = body, now, now })
	a.Touch(m.Dialog, now)
}

// React adds one reaction of the user and removes another; "" means none. It reports
// the changes.
func (a *Archive) React(m *Message, user int64, add, remove string) (added, removed bool) {
	a.change(m, func() {
		if m.Reactions == nil {
			m.Reactions = map[string]UserSet{}
		}
		if users := m.Reactions[add]; add != "" {
			added = users.Add(user)
			m.Reactions[add] = users
		}
		users := m.Reactions[remove]
		if removed = users.Remove(user); removed {
			m.Reactions[remove] = users
		}
		if len(users) == 0 {
			delete(m.Reactions, remove)
		}
	})
	return added, removed
}

// ByArrival orders messages by arrival.
func ByArrival(a, b *Message) int { return cmp.Compare(a.seq, b.seq) }

package sandbox

import (
	"cmp"
	"container/list"
	"encoding/json"
	"time"
)

// message is one message of a dialog. Its attachments and custom parameters
// never change: answers share them.
type message struct {
	id          string
	seq         uint64 // order of arrival, in all dialogs
	dialog      *dialog
	sender      int64
	recipient   int64 // of a private dialog, else 0
	body        string
	attachments []attachment
	custom      map[string]any // text, number, truth value, list or object

	created, updated time.Time
	edited           time.Time // zero: never
	read, delivered  userSet
	deletedFor       userSet
	reactions        map[string]userSet // by kind

	held  int           // bytes of what never changes; 0: not counted yet
	place *list.Element // in archive.history
}

// attachment has text values only, as clients in Dart read nothing else.
type attachment map[string]string

// unreadBy says whether m counts as unread for the user.
func (m *message) unreadBy(user int64) bool {
	return !m.read.has(user) && !m.deletedFor.has(user)
}

// readers are those who read it, apart from the sender.
func (m *message) readers() int {
	n := len(m.read)
	if m.read.has(m.sender) {
		n--
	}
	return n
}

func (m *message) status() string {
	switch {
	case m.readers() > 0:
		return "read"
	case len(m.delivered) > 1:
		return "delivered"
	}
	return "sent"
}

// weight estimates the bytes that m keeps in memory.
func (m *message) weight() int {
	if m.held == 0 {
		m.held = 600 + weigh(map[string]any(m.custom))
		for _, a := range m.attachments {
			m.held += 8 + tableBytes(len(a), 32)
			for key, value := range a {
				m.held += textBytes(key) + textBytes(value)
			}
		}
	}
	n := m.held + len(m.body) + 8*(len(m.read)+len(m.delivered)+len(m.deletedFor)) + tableBytes(len(m.reactions), 40)
	for kind, users := range m.reactions {
		n += textBytes(kind) + 16*len(users)
	}
	return n
}

// weigh estimates the bytes that a decoded JSON value keeps, apart from the
// interface that it is in. TestArchiveCountsWhatItHolds compares it with memory.
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

// tableBytes is what a map of n entries of so many bytes takes: groups of eight
// slots, of which seven are in use at most when there are several.
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

// textBytes is what a text takes: memory comes in steps of 8 and 16 bytes.
func textBytes(s string) int { return (len(s) + 15) &^ 15 }

// own are the names of a message that custom parameters cannot take; what REST
// and chat tell the service about a message is among them.
var own = map[string]bool{
	"_id": true, "id": true, "chat_dialog_id": true, "dialog_id": true, "message_id": true, "message": true,
	"sender_id": true, "recipient_id": true, "date_sent": true, "created_at": true, "updated_at": true,
	"edited_at": true, "attachments": true, "read_ids": true, "delivered_ids": true, "deleted_for_ids": true,
	"read": true, "views_count": true, "reactions": true,
	"send_to_chat": true, "markable": true, "save_to_history": true,
}

// edit gives a message another text.
func (a *archive) edit(m *message, body string, now time.Time) {
	a.change(m, func() { m.body, m.edited, m.updated = body, now, now })
	a.touch(m.dialog, now)
}

// react adds a reaction of the user's and takes another one away; "" is none.
// It reports what that changed.
func (a *archive) react(m *message, user int64, add, remove string) (added, removed bool) {
	a.change(m, func() {
		if m.reactions == nil {
			m.reactions = map[string]userSet{}
		}
		if users := m.reactions[add]; add != "" {
			added = users.add(user)
			m.reactions[add] = users
		}
		users := m.reactions[remove]
		if removed = users.remove(user); removed {
			m.reactions[remove] = users
		}
		if len(users) == 0 {
			delete(m.reactions, remove)
		}
	})
	return added, removed
}

func byArrival(a, b *message) int { return cmp.Compare(a.seq, b.seq) }

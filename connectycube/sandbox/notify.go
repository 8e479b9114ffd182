package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// notifier sends on by chat what REST took.
type notifier struct{ s *Sandbox }

// Deliver sends on a message to those who are in its dialog.
func (n notifier) Deliver(m *message) { n.s.chat.Deliver(stanzaOf(m), n.s.posted(m)) }

// NotifyReaction tells what by added and removed; "" is nothing.
func (n notifier) NotifyReaction(by int64, m *message, added, removed string) {
	n.s.chat.NotifyReaction(chat.Reaction{
		By:         by,
		MessageID:  m.id,
		DialogID:   m.dialog.id,
		Add:        added,
		Remove:     removed,
		Recipients: n.s.listeners(m.dialog),
		Private:    m.dialog.kind == kindPrivate,
	})
}

// NotifyRemoval tells that by deleted a message for everyone.
func (n notifier) NotifyRemoval(by int64, m *message) {
	n.s.chat.NotifyRemoval(chat.Notice{
		By:         by,
		MessageID:  m.id,
		DialogID:   m.dialog.id,
		Recipients: n.s.listeners(m.dialog),
		Private:    m.dialog.kind == kindPrivate,
	})
}

// NotifySystem sends a system message with these fields, and returns its id.
func (n notifier) NotifySystem(from, to int64, fields params) (id string) {
	return n.s.chat.NotifySystem(from, to, elementsOf(fields))
}

func (s *Sandbox) posted(m *message) chat.Posted {
	return chat.Posted{
		DialogID:   m.dialog.id,
		MessageID:  m.id,
		Sent:       m.created,
		Recipients: s.listeners(m.dialog),
		Private:    m.dialog.kind == kindPrivate,
	}
}

// stanzaOf is a message of REST as the chat sends it on.
func stanzaOf(m *message) chat.Message {
	params := elementsOf(m.custom)
	for _, a := range m.attachments {
		e := xmpp.New("", "attachment")
		for _, key := range slices.Sorted(maps.Keys(a)) {
			e.Set(key, a[key])
		}
		params = append(params, e)
	}
	return chat.Message{
		ID:       m.id,
		From:     m.sender,
		To:       m.recipient,
		DialogID: m.dialog.id,
		Body:     m.body,
		Save:     true,
		Params:   params,
	}
}

// elementsOf writes parameters as XML: one element for a value, elements in it
// for an object, the same element several times for a list. Null is left out,
// and so is, by the codec, a name that XML does not know.
func elementsOf(custom map[string]any) []xmpp.Element {
	var all []xmpp.Element
	for _, key := range slices.Sorted(maps.Keys(custom)) {
		values, several := custom[key].([]any)
		if !several {
			values = []any{custom[key]}
		}
		for _, value := range values {
			e := xmpp.New("", key)
			switch value := value.(type) {
			case nil:
				continue
			case map[string]any:
				e = e.With(elementsOf(value)...)
			case []any: // XML has no list in a list
				raw, _ := json.Marshal(value)
				e = e.Saying(string(raw))
			default:
				e = e.Saying(fmt.Sprint(value))
			}
			all = append(all, e)
		}
	}
	return all
}

package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/sandbox/core"
	"cubegate/connectycube/xmpp"
)

// notifier sends on by chat what REST took.
type notifier struct{ s *Sandbox }

// Deliver sends on a message to those who are in its dialog.
func (n notifier) Deliver(m *core.Message) { n.s.chat.Deliver(stanzaOf(m), n.s.posted(m)) }

// NotifyReaction tells what by added and removed; "" is nothing.
func (n notifier) NotifyReaction(by int64, m *core.Message, added, removed string) {
	n.s.chat.NotifyReaction(chat.Reaction{
		By:         by,
		MessageID:  m.ID,
		DialogID:   m.Dialog.ID,
		Add:        added,
		Remove:     removed,
		Recipients: n.s.Listeners(m.Dialog),
		Private:    m.Dialog.Kind == core.KindPrivate,
	})
}

// NotifyRemoval tells that by deleted a message for everyone.
func (n notifier) NotifyRemoval(by int64, m *core.Message) {
	n.s.chat.NotifyRemoval(chat.Notice{
		By:         by,
		MessageID:  m.ID,
		DialogID:   m.Dialog.ID,
		Recipients: n.s.Listeners(m.Dialog),
		Private:    m.Dialog.Kind == core.KindPrivate,
	})
}

// NotifySystem sends a system message with these fields, and returns its id.
func (n notifier) NotifySystem(from, to int64, fields core.Params) (id string) {
	return n.s.chat.NotifySystem(from, to, elementsOf(fields))
}

func (s *Sandbox) posted(m *core.Message) chat.Posted {
	return chat.Posted{
		DialogID:   m.Dialog.ID,
		MessageID:  m.ID,
		Sent:       m.Created,
		Recipients: s.Listeners(m.Dialog),
		Private:    m.Dialog.Kind == core.KindPrivate,
	}
}

// stanzaOf is a message of REST as the chat sends it on.
func stanzaOf(m *core.Message) chat.Message {
	params := elementsOf(m.Custom)
	for _, a := range m.Attachments {
		e := xmpp.New("", "attachment")
		for _, key := range slices.Sorted(maps.Keys(a)) {
			e.Set(key, a[key])
		}
		params = append(params, e)
	}
	return chat.Message{
		ID:       m.ID,
		From:     m.Sender,
		To:       m.Recipient,
		DialogID: m.Dialog.ID,
		Body:     m.Body,
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

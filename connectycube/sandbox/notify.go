package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/sandbox/core"
	"cubegate/connectycube/sandbox/rest"
	"cubegate/connectycube/xmpp"
)

// notifier passes changes by REST on to the chat.
type notifier struct{ s *Sandbox }

// Deliver delivers a message to the users in its dialog.
func (n notifier) Deliver(m *core.Message) { n.s.chat.Deliver(stanzaOf(m), n.s.posted(m)) }

// NotifyReaction notifies them of the reactions that by added and removed; "" is none.
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

// NotifyRemoval notifies them that by deleted a message for all users.
func (n notifier) NotifyRemoval(by int64, m *core.Message) {
	n.s.chat.NotifyRemoval(chat.Notice{
		By:         by,
		MessageID:  m.ID,
		DialogID:   m.Dialog.ID,
		Recipients: n.s.Listeners(m.Dialog),
		Private:    m.Dialog.Kind == core.KindPrivate,
	})
}

// NotifyTyping notifies them that by is typing or has stopped.
func (n notifier) NotifyTyping(by int64, d *core.Dialog, composing bool) {
	n.s.chat.NotifyTyping(chat.Notice{
		By:         by,
		DialogID:   d.ID,
		Recipients: n.s.Listeners(d),
		Private:    d.Kind == core.KindPrivate,
	}, composing)
}

// Signal sends a headline and returns its ID.
func (n notifier) Signal(h rest.Headline) (id string) {
	return n.s.chat.Signal(chat.Signal{From: h.From, To: h.To, Module: h.Module, Params: elementsOf(h.Fields)})
}

func (s *Sandbox) posted(m *core.Message) chat.Posted {
	return chat.Posted{
		DialogID:   m.Dialog.ID,
		MessageID:  m.ID,
		StanzaID:   m.StanzaID,
		Sent:       m.Created,
		Recipients: s.Listeners(m.Dialog),
		Private:    m.Dialog.Kind == core.KindPrivate,
	}
}

// stanzaOf converts a message of REST for the chat.
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

// elementsOf converts parameters to XML: a value to one element, an object to an
// element with children, a list to several elements of the same name. It leaves out
// null, and the codec leaves out names that XML does not allow.
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

package sandbox

import (
	"maps"
	"net/http"

	"cubegate/connectycube/sandbox/chat"
)

const (
	mostReactionKinds = 100 // of one message; our own
	mostReactionBytes = 64  // an emoji with all its modifiers takes about 30; our own
)

// putReaction adds a reaction of the caller, and takes another one away. Who
// talks in the dialog is told when that changed something.
func putReaction(s *Sandbox, q *request, live *session) (reply, error) {
	me := live.user.id
	m, err := s.archive.findMessage(q.arg, me)
	if err != nil {
		return reply{}, err
	}
	add, remove := q.params.text("add"), q.params.text("remove")
	tooMany := add != "" && m.reactions[add] == nil && len(m.reactions) >= mostReactionKinds
	if add == "" && remove == "" || len(add) > mostReactionBytes || tooMany {
		return reply{}, errNoReaction
	}
	before := m.weight()
	news := chat.Reaction{
		By:         me,
		MessageID:  m.id,
		DialogID:   m.dialog.id,
		Recipients: s.listeners(m.dialog),
		Private:    m.dialog.kind == kindPrivate,
	}
	if add != "" && m.react(add, me) {
		news.Add = add
	}
	if remove != "" && m.unreact(remove, me) {
		news.Remove = remove
	}
	s.archive.bytes += m.weight() - before
	if news.Add != "" || news.Remove != "" {
		m.updated = q.now
		s.chat.NotifyReaction(news)
	}
	s.archive.shrink()
	return reply{status: http.StatusOK}, nil
}

func (m *message) react(kind string, user int64) bool {
	if m.reactions == nil {
		m.reactions = map[string]userSet{}
	}
	users := m.reactions[kind]
	added := users.add(user)
	m.reactions[kind] = users
	return added
}

func (m *message) unreact(kind string, user int64) bool {
	users := m.reactions[kind]
	removed := users.remove(user)
	if removed {
		m.reactions[kind] = users
	}
	if len(users) == 0 {
		delete(m.reactions, kind)
	}
	return removed
}

// listReactions says who reacted, by reaction.
func listReactions(s *Sandbox, q *request, live *session) (reply, error) {
	m, err := s.archive.findMessage(q.arg, live.user.id)
	if err != nil {
		return reply{}, err
	}
	all := map[string][]int64{}
	for kind, users := range m.reactions {
		all[kind] = users.list()
	}
	return reply{status: http.StatusOK, body: all}, nil
}

// postSystem sends a system message to a user's chat. Nothing is stored.
func postSystem(s *Sandbox, q *request, live *session) (reply, error) {
	to, ok := q.params.integer("recipientId")
	if !ok || s.registry.users[to] == nil {
		return reply{}, errNoRecipient
	}
	extension := maps.Clone(q.params)
	delete(extension, "recipientId")
	id := s.chat.NotifySystem(live.user.id, to, elementsOf(extension))
	return reply{status: http.StatusOK, body: map[string]any{
		"messageId":       id,
		"recipientId":     to,
		"extensionParams": extension,
	}}, nil
}

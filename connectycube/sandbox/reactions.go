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
	added, removed := s.archive.react(m, me, add, remove)
	if !added && !removed {
		return reply{status: http.StatusOK}, nil
	}
	news := chat.Reaction{
		By:         me,
		MessageID:  m.id,
		DialogID:   m.dialog.id,
		Recipients: s.listeners(m.dialog),
		Private:    m.dialog.kind == kindPrivate,
	}
	if added {
		news.Add = add
	}
	if removed {
		news.Remove = remove
	}
	m.updated = q.now
	s.chat.NotifyReaction(news)
	s.archive.shrink()
	return reply{status: http.StatusOK}, nil
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

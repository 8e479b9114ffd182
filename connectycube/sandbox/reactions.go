package sandbox

import (
	"maps"
	"net/http"
)

const (
	mostReactionKinds = 100 // of one message; our own
	mostReactionBytes = 64  // an emoji with all its modifiers takes about 30; our own
)

// putReaction adds a reaction of the caller, and takes another one away. Who
// talks in the dialog is told when that changed something.
func putReaction(s *API, q *request, live *session) (reply, error) {
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
	if !added {
		add = ""
	}
	if !removed {
		remove = ""
	}
	m.updated = q.now
	s.notifier.NotifyReaction(me, m, add, remove)
	s.archive.shrink()
	return reply{status: http.StatusOK}, nil
}

// listReactions says who reacted, by reaction.
func listReactions(s *API, q *request, live *session) (reply, error) {
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
func postSystem(s *API, q *request, live *session) (reply, error) {
	to, ok := q.params.integer("recipientId")
	if !ok || s.registry.users[to] == nil {
		return reply{}, errNoRecipient
	}
	extension := maps.Clone(q.params)
	delete(extension, "recipientId")
	id := s.notifier.NotifySystem(live.user.id, to, extension)
	return reply{status: http.StatusOK, body: map[string]any{
		"messageId":       id,
		"recipientId":     to,
		"extensionParams": extension,
	}}, nil
}

package rest

import (
	"maps"
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

const (
	mostReactionKinds = 100 // of one message; our own
	mostReactionBytes = 64  // an emoji with all its modifiers takes about 30; our own
)

// putReaction adds one reaction of the caller and removes another. It notifies the
// dialog's users of a change.
func putReaction(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	m, err := s.Archive.FindMessage(q.arg, me)
	if err != nil {
		return reply{}, err
	}
	add, remove := q.params.Text("add"), q.params.Text("remove")
	tooMany := add != "" && m.Reactions[add] == nil && len(m.Reactions) >= mostReactionKinds
	if add == "" && remove == "" || len(add) > mostReactionBytes || tooMany {
		return reply{}, errNoReaction
	}
	added, removed := s.Archive.React(m, me, add, remove)
	if !added && !removed {
		return reply{status: http.StatusOK}, nil
	}
	if !added {
		add = ""
	}
	if !removed {
		remove = ""
	}
	m.Updated = q.now
	s.notifier.NotifyReaction(me, m, add, remove)
	s.Archive.Shrink()
	return reply{status: http.StatusOK}, nil
}

// listReactions returns the users of each reaction.
func listReactions(s *API, q *request, live *core.Session) (reply, error) {
	m, err := s.Archive.FindMessage(q.arg, live.User.ID)
	if err != nil {
		return reply{}, err
	}
	all := map[string][]int64{}
	for kind, users := range m.Reactions {
		all[kind] = users.List()
	}
	return reply{status: http.StatusOK, body: all}, nil
}

// postSystem sends a system message to a user's chat. It stores nothing.
func postSystem(s *API, q *request, live *core.Session) (reply, error) {
	to, ok := q.params.Integer("recipientId")
	if !ok || s.Registry.Users[to] == nil {
		return reply{}, errNoRecipient
	}
	extension := maps.Clone(q.params)
	delete(extension, "recipientId")
	id := s.notifier.Signal(Headline{live.User.ID, to, systemModule, extension})
	return reply{status: http.StatusOK, body: map[string]any{
		"messageId":       id,
		"recipientId":     to,
		"extensionParams": extension,
	}}, nil
}

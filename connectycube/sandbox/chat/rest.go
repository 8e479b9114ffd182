package chat

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/xmpp"
)

// Deliver sends a message by REST as if m.From had sent it by chat: to the recipients, and
// to the sender's own devices, through the room or as carbons.
func (s *Server) Deliver(m Message, p Posted) {
	stanza := s.compose(m, p, "chat")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.distribute(stanza, m, p, sender{carbon: true})
}

// Reaction is a reaction to a message by REST. Add and Remove may both be set.
type Reaction struct {
	By          int64
	MessageID   string
	DialogID    string
	Add, Remove string
	Recipients  []int64 // may include By
	Private     bool    // of a dialog of two
}

// NotifyReaction notifies the recipients of a reaction.
func (s *Server) NotifyReaction(r Reaction) {
	reactions := xmpp.New(xmpp.NSClient, "reactions", "user_id", strconv.FormatInt(r.By, 10), "message_id", r.MessageID)
	if r.Add != "" {
		reactions = reactions.With(xmpp.New("", "reaction", "add", "true", "type", r.Add))
	}
	if r.Remove != "" {
		reactions = reactions.With(xmpp.New("", "reaction", "remove", "true", "type", r.Remove))
	}
	s.notify(Notice{By: r.By, DialogID: r.DialogID, Recipients: r.Recipients, Private: r.Private}, reactions)
}

// Notice is a change by REST of which users are notified.
type Notice struct {
	By         int64
	MessageID  string
	DialogID   string
	Recipients []int64 // may include By
	Private    bool    // of a dialog of two
}

// NotifyRemoval notifies the recipients that a message was deleted for all users.
func (s *Server) NotifyRemoval(n Notice) {
	s.notify(n, xmpp.New(nsDelete, "remove", "id", n.MessageID))
}

// NotifyTyping notifies the recipients, as if n.By had sent it by chat, that n.By is
// typing or has stopped.
func (s *Server) NotifyTyping(n Notice, composing bool) {
	state := "paused"
	if composing {
		state = "composing"
	}
	if n.Private { // the user's own devices get no echo
		n.Recipients = slices.DeleteFunc(slices.Clone(n.Recipients), func(user int64) bool { return user == n.By })
	}
	s.notify(n, xmpp.New(nsStates, state))
}

// notify sends news to the recipients who are online.
func (s *Server) notify(n Notice, news ...xmpp.Element) {
	e := xmpp.New(xmpp.NSClient, "message", "id", messageID(), "type", "chat", "from", s.jid(n.By).String()).With(
		xmpp.New("", "extraParams").With(param("dialog_id", n.DialogID))).With(news...)
	p := delivery{stanza: e, from: n.By}
	if !n.Private {
		p.room = true
		p.stanza.Set("type", "groupchat")
		p.stanza.Set("from", s.occupant(n.DialogID, n.By))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, user := range n.Recipients {
		s.to(user, p)
	}
}

// Signal is a headline by REST, such as a system message or a signal of a call.
type Signal struct {
	From, To int64
	Module   string         // the moduleIdentifier
	Params   []xmpp.Element // further children of its extraParams
}

// Signal sends a headline and returns its ID.
func (s *Server) Signal(h Signal) (id string) {
	id = messageID()
	e := xmpp.New(xmpp.NSClient, "message", "id", id, "type", "headline", "from", s.jid(h.From).String()).With(
		xmpp.New("", "extraParams").With(param("moduleIdentifier", h.Module)).With(h.Params...))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to(h.To, delivery{stanza: e, from: h.From})
	return id
}

// messageID returns an ID like those of clients: 24 hex digits that begin with the time.
func messageID() string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.WriteString(strconv.FormatInt(time.Now().Unix(), 16))
	for _, c := range []byte(randomID())[:24-b.Len()] {
		b.WriteByte(hex[c%16])
	}
	return b.String()
}

// Online returns the users who have sent presence, ascending.
func (s *Server) Online() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []int64
	for user := range s.users {
		if s.online(user) {
			out = append(out, user)
		}
	}
	slices.Sort(out)
	return out
}

// Awake reports whether an app of the user is online and in the foreground: the service
// sends no push for a message to it.
func (s *Server) Awake(user int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.streams(user), func(st *stream) bool { return st.available && !st.inactive })
}

// Sockets returns all streams, by user and age.
func (s *Server) Sockets() []Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Socket
	for _, a := range s.users {
		for _, st := range a.streams {
			out = append(out, st.describe())
		}
	}
	slices.SortFunc(out, func(a, b Socket) int {
		if a.UserID != b.UserID {
			return int(a.UserID - b.UserID)
		}
		return a.Since.Compare(b.Since)
	})
	return out
}

func (st *stream) describe() Socket {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := Socket{
		UserID:    st.user,
		Resource:  st.jid.Resource,
		Since:     st.since,
		Available: st.available,
		Inactive:  st.inactive,
		Managed:   st.managed,
		Waiting:   st.sock == nil,
		Queued:    len(st.queue),
		Unacked:   len(st.flight),
	}
	if st.sock != nil {
		out.Peer = st.sock.peer
	}
	return out
}

// Kick ends all connections of a deleted user. They cannot be resumed, and the messages
// that wait for the user are dropped.
func (s *Server) Kick(user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signOut(user)
	if a := s.users[user]; a != nil {
		for _, c := range slices.Clone(a.kept) {
			s.discard(c)
		}
		for _, rules := range a.privacy.lists {
			s.privacy -= len(rules)
		}
		delete(s.users, user)
	}
	s.lastSeen.Remove(user)
}

// SignOut ends all connections of a user. They cannot be resumed; what waits for the user
// stays.
func (s *Server) SignOut(user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signOut(user)
}

// signOut is SignOut for callers that hold the lock.
func (s *Server) signOut(user int64) {
	for _, st := range slices.Clone(s.streams(user)) {
		s.end(st)
	}
	for c := range s.sockets {
		if c.user.Load() == user {
			go c.dismiss("not-authorized")
		}
	}
}

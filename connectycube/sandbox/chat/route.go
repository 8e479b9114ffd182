package chat

import (
	"container/list"
	"time"

	"cubegate/connectycube/xmpp"
)

// delivery is a stanza on its way to a user.
type delivery struct {
	stanza  xmpp.Element
	from    int64     // the sender, for the recipient's block list
	room    bool      // sent through a room
	content bool      // must not get lost
	sent    time.Time // for content
	twice   bool      // fault
}

// to sends a delivery to all of the user's streams that accept it, or keeps it if it is
// content. The caller holds the lock.
func (s *Server) to(user int64, p delivery) {
	a := s.users[user]
	if a == nil && (!p.content || p.room) {
		return
	}
	if p.stanza.Attr("to") == "" {
		p.stanza.Set("to", s.jid(user).String())
	}
	var text []byte
	var c *content
	if p.content {
		text = xmpp.Append(nil, &p.stanza)
		c = &content{user: user, text: text, sent: p.sent}
	}
	taken, coming := false, false
	for _, st := range s.streams(user) {
		if !st.available {
			coming = true
			continue
		}
		if !s.lets(a, st, messageIn, p.from, p.room) {
			taken = true // blocked, so not to be kept
			continue
		}
		if text == nil {
			text = xmpp.Append(nil, &p.stanza)
		}
		if s.hand(st, text, c, p.twice) {
			taken = true
		}
	}
	// A user who has bound and not yet sent presence gets the room's messages later. An
	// absent user reads the history instead.
	if !taken && p.content && (!p.room || coming) && s.lets(a, nil, messageIn, p.from, p.room) {
		s.keep(c)
		if p.twice {
			s.keep(&content{user: user, text: text, sent: p.sent})
		}
	}
}

// direct sends a delivery to one resource if it is available, else to all. The caller holds
// the lock.
func (s *Server) direct(user int64, resource string, p delivery) {
	if resource != "" {
		for _, st := range s.streams(user) {
			if st.jid.Resource == resource && st.available {
				s.toOne(st, p)
				return
			}
		}
	}
	s.to(user, p)
}

// toOne sends a delivery to one stream. The caller holds the lock.
func (s *Server) toOne(st *stream, p delivery) {
	if !s.lets(s.users[st.user], st, messageIn, p.from, p.room) {
		return
	}
	p.stanza.Set("to", st.fullJID)
	text := xmpp.Append(nil, &p.stanza)
	var c *content
	if p.content {
		c = &content{user: st.user, text: text, sent: p.sent}
	}
	if !s.hand(st, text, c, p.twice) && c != nil {
		s.keep(c)
	}
}

// echo answers a repeated message as its room did the first time, because its sender may
// have missed the echo. The other occupants have the message. A dialog of two has no echo.
// The caller holds the lock.
func (s *Server) echo(st *stream, stanza xmpp.Element, p Posted) {
	if p.Private {
		return
	}
	stanza.Set("type", "groupchat")
	stanza.Set("from", s.occupant(p.DialogID, st.user))
	st.reply(stanza)
}

// streams returns the user's streams. The caller holds the lock.
func (s *Server) streams(user int64) []*stream {
	if a := s.users[user]; a != nil {
		return a.streams
	}
	return nil
}

// hand queues a message for one stream and reports whether the stream took it.
func (s *Server) hand(st *stream, text []byte, c *content, twice bool) bool {
	o := outgoing{text: text, content: c, stanza: true}
	copies := 1
	if twice || s.takeTwice() {
		copies = 2
	}
	taken := false
	for range copies {
		if c != nil {
			c.holders.Add(1)
		}
		switch {
		case st.push(o):
			taken = true
		case c != nil:
			c.holders.Add(-1)
		}
	}
	return taken
}

// carbons copies the user's message to the user's other devices: XEP-0280. The caller holds
// the lock.
func (s *Server) carbons(user int64, except *stream, stanza xmpp.Element) {
	bare := s.jid(user).String()
	for _, st := range s.streams(user) {
		if st == except || !st.carbons || !st.available {
			continue
		}
		e := xmpp.New(xmpp.NSClient, "message", "from", bare, "to", st.fullJID, "type", "chat").With(
			xmpp.New(nsCarbons, "sent").With(xmpp.New(nsForward, "forwarded").With(stanza)))
		st.push(outgoing{text: xmpp.Append(nil, &e), stanza: true})
	}
}

// backlog is the messages that wait for absent users, the oldest first.
type backlog struct {
	order list.List // of *content
	size  int       // bytes
	place map[*content]*list.Element
}

// Bounds of the backlog, in bytes: for one user, whose stream must take all of it at once,
// and for all users.
const (
	maxUserBytes = 1 << 20
	maxKeptBytes = 64 << 20
)

// keep stores content for an absent user. The caller holds the lock.
func (s *Server) keep(c *content) {
	a := s.account(c.user)
	for len(a.kept) > 0 && (len(a.kept) >= s.o.MaxOffline || a.size+len(c.text) > maxUserBytes) {
		s.discard(a.kept[0])
	}
	for s.offline.order.Len() > 0 && (s.offline.order.Len() >= s.o.MaxKept || s.offline.size+len(c.text) > maxKeptBytes) {
		s.discard(s.offline.order.Front().Value.(*content))
	}
	if s.offline.place == nil {
		s.offline.place = map[*content]*list.Element{}
	}
	s.offline.place[c] = s.offline.order.PushBack(c)
	a = s.account(c.user) // discard may have removed it
	a.kept = append(a.kept, c)
	a.size += len(c.text)
	s.offline.size += len(c.text)
}

// discard drops the oldest content of its user. The caller holds the lock.
func (s *Server) discard(c *content) {
	s.take(c)
	a := s.account(c.user)
	a.kept = append([]*content(nil), a.kept[1:]...)
	a.size -= len(c.text)
	s.forget(c.user)
}

// take removes content from the backlog. The caller holds the lock.
func (s *Server) take(c *content) {
	s.offline.order.Remove(s.offline.place[c])
	delete(s.offline.place, c)
	s.offline.size -= len(c.text)
}

// release sends the waiting messages to a stream that has become available. The caller
// holds the lock.
func (s *Server) release(st *stream) {
	a := s.account(st.user)
	kept := a.kept
	a.kept, a.size = nil, 0
	for _, c := range kept {
		s.take(c)
		s.again(c, []*stream{st})
	}
}

// rescue delivers content again after the last stream with it has ended. The caller holds
// the lock.
func (s *Server) rescue(c *content) {
	var others []*stream
	for _, st := range s.streams(c.user) {
		if st.available {
			others = append(others, st)
		}
	}
	s.again(c, others)
}

// again delivers content with a delay element, or keeps it again.
func (s *Server) again(c *content, streams []*stream) {
	text := s.delayed(c.text, c.sent)
	taken := false
	for _, st := range streams {
		if s.hand(st, text, c, false) {
			taken = true
		}
	}
	if !taken {
		s.keep(c)
	}
}

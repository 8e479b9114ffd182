package chat

import (
	"container/list"
	"time"

	"cubegate/connectycube/xmpp"
)

// delivery is a stanza on its way to a user.
type delivery struct {
	stanza  xmpp.Element
	from    int64     // who sent it, for the recipient's block list
	room    bool      // it comes through a room
	content bool      // it must not get lost
	sent    time.Time // of content
	twice   bool      // fault
}

// to brings a delivery to all of the user's streams that want it, or keeps it
// when it is content. The lock is held.
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
			taken = true // it is refused, not missed
			continue
		}
		if text == nil {
			text = xmpp.Append(nil, &p.stanza)
		}
		if s.hand(st, text, c, p.twice) {
			taken = true
		}
	}
	// somebody who is about to be there gets what a room says meanwhile; who is
	// away reads the history
	if !taken && p.content && (!p.room || coming) && s.lets(a, nil, messageIn, p.from, p.room) {
		s.keep(c)
		if p.twice {
			s.keep(&content{user: user, text: text, sent: p.sent})
		}
	}
}

// direct brings a delivery to one resource when that is there, else to all. The
// lock is held.
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

// toOne brings a delivery to one stream. The lock is held.
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

// echo answers a message that was sent again as its room did the first time,
// which its sender may have missed. The others have it; in a dialog of two nobody
// hears an echo. The lock is held.
func (s *Server) echo(st *stream, stanza xmpp.Element, p Posted) {
	if p.Private {
		return
	}
	stanza.Set("type", "groupchat")
	stanza.Set("from", s.occupant(p.DialogID, st.user))
	st.reply(stanza)
}

// streams are the user's. The lock is held.
func (s *Server) streams(user int64) []*stream {
	if a := s.users[user]; a != nil {
		return a.streams
	}
	return nil
}

// hand queues a message for one stream and reports whether it was taken.
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

// carbons shows a user's other devices what one of them sent: XEP-0280. The lock
// is held.
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

// backlog is what is kept for users who are away, the oldest first.
type backlog struct {
	order list.List // of *content
	size  int       // bytes
	place map[*content]*list.Element
}

// Bounds of what is kept, in bytes: for one user, who must be able to take it
// all at once, and for all.
const (
	maxUserBytes = 1 << 20
	maxKeptBytes = 64 << 20
)

// keep stores content until its user comes. The lock is held.
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
	a = s.account(c.user) // discarding may have forgotten it
	a.kept = append(a.kept, c)
	a.size += len(c.text)
	s.offline.size += len(c.text)
}

// discard drops the oldest content of its user. The lock is held.
func (s *Server) discard(c *content) {
	s.take(c)
	a := s.account(c.user)
	a.kept = append([]*content(nil), a.kept[1:]...)
	a.size -= len(c.text)
	s.forget(c.user)
}

// take takes content out of the backlog. The lock is held.
func (s *Server) take(c *content) {
	s.offline.order.Remove(s.offline.place[c])
	delete(s.offline.place, c)
	s.offline.size -= len(c.text)
}

// release hands a stream that has become available what was kept. The lock is
// held.
func (s *Server) release(st *stream) {
	a := s.account(st.user)
	kept := a.kept
	a.kept, a.size = nil, 0
	for _, c := range kept {
		s.take(c)
		s.again(c, []*stream{st})
	}
}

// rescue finds another way for content whose last stream has ended. The lock is
// held.
func (s *Server) rescue(c *content) {
	var others []*stream
	for _, st := range s.streams(c.user) {
		if st.available {
			others = append(others, st)
		}
	}
	s.again(c, others)
}

// again delivers content late, or keeps it once more.
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

package chat

import (
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/xmpp"
)

// maxRooms bounds the rooms one stream may have joined, and the users it may
// follow.
const maxRooms = 1000

// presence acts on a presence: the stream's own, or a room's. Subscriptions do
// not exist here; everything about them is ignored.
func (c *socket) presence(st *stream, e *xmpp.Element) {
	kind := e.Attr("type")
	if kind != "" && kind != "unavailable" {
		return
	}
	if e.Attr("to") == "" {
		c.s.announce(st, kind == "")
		return
	}
	to, ok := c.s.target(e, st.user)
	switch {
	case !ok || to.dialog == "":
		return // directed presence is nobody's business here
	case kind == "":
		c.join(st, e, to.dialog)
	default:
		c.s.part(st, e, to.dialog)
	}
}

// announce makes a stream available, or not. What was kept for the user goes to
// the first who comes.
func (s *Server) announce(st *stream, available bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.over() {
		return
	}
	before := s.online(st.user)
	st.available = available
	echo := xmpp.New(xmpp.NSClient, "presence", "from", st.fullJID)
	if !available {
		echo.Set("type", "unavailable")
		s.leaveRooms(st)
	}
	st.reply(echo)
	if available {
		s.release(st)
	}
	s.tellWatchers(st.user, before)
}

// over reports whether the stream has ended.
func (st *stream) over() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.ended
}

// online reports whether the user has an available stream. The lock is held.
func (s *Server) online(user int64) bool {
	for _, st := range s.streams(user) {
		if st.available {
			return true
		}
	}
	return false
}

// withdraw takes a stream that has ended out of rooms and lists. It is no longer
// among its user's. The lock is held.
func (s *Server) withdraw(st *stream) {
	before := s.online(st.user) || st.available
	s.leaveRooms(st)
	for user := range st.watching {
		delete(s.watchers[user], st)
		if len(s.watchers[user]) == 0 {
			delete(s.watchers, user)
		}
	}
	st.watching = nil
	st.available = false
	s.tellWatchers(st.user, before)
}

// tellWatchers tells those who follow a user, and may, that he came or went: an
// iq with the seconds since, 0 for online. The lock is held.
func (s *Server) tellWatchers(user int64, before bool) {
	now := s.online(user)
	if now == before {
		return
	}
	seconds := "0"
	if !now {
		s.lastSeen.Add(user, time.Now())
		seconds = "1" // a zero would say that he is still here
	}
	for st := range s.watchers[user] {
		if !s.sees(st, user, false) {
			continue
		}
		e := xmpp.New(xmpp.NSClient, "iq", "type", "set", "from", s.jid(user).String(), "id", randomID()).With(
			xmpp.New(nsLast, "query", "seconds", seconds))
		st.reply(e)
	}
}

// join puts a stream among those who hear of the room's comings and goings.
// Messages of the room come without it.
func (c *socket) join(st *stream, e *xmpp.Element, dialog string) {
	s := c.s
	occupants, err := s.o.Archive.Occupants(st.user, dialog)
	if err != nil {
		answer := refusal(e, refusalFor(err), "")
		answer.Children = append([]xmpp.Element{xmpp.New(nsMUC, "x")}, answer.Children...)
		st.reply(answer)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(st.rooms) >= maxRooms || st.over() {
		st.refuse(e, resourceConstraint)
		return
	}
	already := s.inRoom(st.user, dialog)
	if st.rooms == nil {
		st.rooms = map[string]struct{}{}
	}
	st.rooms[dialog] = struct{}{}
	if s.joined[dialog] == nil {
		s.joined[dialog] = map[*stream]struct{}{}
	}
	s.joined[dialog][st] = struct{}{}
	for _, user := range occupants {
		if user != st.user && s.inRoom(user, dialog) && s.sees(st, user, true) {
			st.reply(s.roomPresence(dialog, user, true))
		}
	}
	self := s.roomPresence(dialog, st.user, true, 110)
	self.Set("id", e.Attr("id"))
	st.reply(self)
	if !already {
		s.tellRoom(dialog, st.user, true)
	}
}

// part is the other way. Who never joined is answered all the same.
func (s *Server) part(st *stream, e *xmpp.Element, dialog string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	self := s.roomPresence(dialog, st.user, false, 110)
	self.Set("id", e.Attr("id"))
	st.reply(self)
	s.leaveRoom(st, dialog)
}

// leaveRooms takes the stream out of all rooms. The lock is held.
func (s *Server) leaveRooms(st *stream) {
	for dialog := range st.rooms {
		s.leaveRoom(st, dialog)
	}
}

// leaveRoom takes the stream out of a room, and tells the others when it was the
// user's last one there. The lock is held.
func (s *Server) leaveRoom(st *stream, dialog string) {
	if _, in := st.rooms[dialog]; !in {
		return
	}
	delete(st.rooms, dialog)
	delete(s.joined[dialog], st)
	if len(s.joined[dialog]) == 0 {
		delete(s.joined, dialog)
	}
	if !s.inRoom(st.user, dialog) {
		s.tellRoom(dialog, st.user, false)
	}
}

// Expel takes a user out of a room who is no occupant of the dialog any more.
// Those who joined the room hear of it: XEP-0045, status 301. Without having
// joined there is nothing to leave.
func (s *Server) Expel(dialogID string, user, by int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.joined[dialogID] {
		if st.user != user {
			continue
		}
		self := s.roomPresence(dialogID, user, false, 110, 301)
		item := &self.Children[0].Children[0]
		item.Set("affiliation", "none")
		item.Children = []xmpp.Element{xmpp.New("", "actor", "jid", s.jid(by).String())}
		st.reply(self)
		s.leaveRoom(st, dialogID)
	}
}

// inRoom reports whether the user has joined the room with some stream. The lock
// is held.
func (s *Server) inRoom(user int64, dialog string) bool {
	for st := range s.joined[dialog] {
		if st.user == user {
			return true
		}
	}
	return false
}

// tellRoom tells the others in the room that a user came or went, but for those
// whom block lists keep from it. The lock is
// held.
func (s *Server) tellRoom(dialog string, user int64, here bool) {
	for st := range s.joined[dialog] {
		if st.user != user && s.sees(st, user, true) {
			st.reply(s.roomPresence(dialog, user, here))
		}
	}
}

// roomPresence is an occupant's presence with its status codes: XEP-0045.
func (s *Server) roomPresence(dialog string, user int64, here bool, codes ...int) xmpp.Element {
	item := xmpp.New("", "item", "affiliation", "member", "role", "participant", "nick", strconv.FormatInt(user, 10))
	e := xmpp.New(xmpp.NSClient, "presence", "from", s.occupant(dialog, user))
	if !here {
		e.Set("type", "unavailable")
		item.Set("role", "none")
	}
	x := xmpp.New(nsMUCUser, "x").With(item)
	for _, code := range codes {
		x = x.With(xmpp.New("", "status", "code", strconv.Itoa(code)))
	}
	return e.With(x)
}

// dialogOf reads the local part of a room's JID, <application>_<dialog>.
func (s *Server) dialogOf(local string) (string, bool) {
	app, dialog, ok := strings.Cut(local, "_")
	return dialog, ok && dialog != "" && app == strconv.FormatInt(s.o.AppID, 10)
}

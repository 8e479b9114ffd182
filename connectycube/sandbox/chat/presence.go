package chat

import (
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/xmpp"
)

// maxRooms bounds the rooms that one stream has joined, and the users that it follows.
const maxRooms = 1000

// presence handles a presence: the stream's own, or a room's. It ignores subscriptions,
// which the sandbox does not have.
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
	case !ok && kind == "":
		st.refuse(e, notFound) // a client that joins a room by a wrong JID waits for an answer
	case !ok || to.dialog == "":
		return // the sandbox ignores directed presence
	case kind == "":
		c.join(st, e, to.dialog)
	default:
		c.s.part(st, e, to.dialog)
	}
}

// announce makes a stream available or unavailable. The first available stream gets the
// messages that wait for the user.
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

// online reports whether the user has an available stream. The caller holds the lock.
func (s *Server) online(user int64) bool {
	for _, st := range s.streams(user) {
		if st.available {
			return true
		}
	}
	return false
}

// withdraw removes an ended stream from rooms and lists. It is no longer among the user's
// streams. The caller holds the lock.
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

// tellWatchers notifies the followers of a user who came online or went offline, unless a
// block list forbids it: with an iq with the seconds since, 0 for online. The caller holds
// the lock.
func (s *Server) tellWatchers(user int64, before bool) {
	now := s.online(user)
	if now == before {
		return
	}
	seconds := "0"
	if !now {
		s.lastSeen.Add(user, time.Now())
		seconds = "1" // 0 would mean online
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

// join adds a stream to those that get the room's presence. Messages of the room do not
// require it.
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

// part is the opposite of join. A client that never joined gets the same answer.
func (s *Server) part(st *stream, e *xmpp.Element, dialog string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	self := s.roomPresence(dialog, st.user, false, 110)
	self.Set("id", e.Attr("id"))
	st.reply(self)
	s.leaveRoom(st, dialog)
}

// leaveRooms removes the stream from all rooms. The caller holds the lock.
func (s *Server) leaveRooms(st *stream) {
	for dialog := range st.rooms {
		s.leaveRoom(st, dialog)
	}
}

// leaveRoom removes the stream from a room, and notifies the others if it was the user's
// last one there. The caller holds the lock.
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

// Expel removes a former occupant of the dialog from its room. The streams that have
// joined the room are notified (XEP-0045, status 301). A user who has not joined is not
// in the room.
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

// inRoom reports whether a stream of the user has joined the room. The caller holds the
// lock.
func (s *Server) inRoom(user int64, dialog string) bool {
	for st := range s.joined[dialog] {
		if st.user == user {
			return true
		}
	}
	return false
}

// tellRoom notifies the others in the room that a user came or left, unless a block list
// forbids it. The caller holds the lock.
func (s *Server) tellRoom(dialog string, user int64, here bool) {
	for st := range s.joined[dialog] {
		if st.user != user && s.sees(st, user, true) {
			st.reply(s.roomPresence(dialog, user, here))
		}
	}
}

// roomPresence returns an occupant's presence with its status codes: XEP-0045.
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

package chat

import (
	"time"

	"cubegate/connectycube/xmpp"
)

// Fault is an injected failure of one stanza of a client. The zero value is no fault.
type Fault struct {
	Delay      time.Duration // before the stanza, and all later ones, are handled
	Refuse     bool          // answers with an error and does not handle the stanza
	Drop       bool          // cuts the socket and does not handle the stanza
	LostAnswer bool          // handles the stanza, then cuts the socket
	HalfOpen   bool          // keeps the socket open and sends nothing more
	Duplicate  bool          // delivers a message twice, or handles another stanza twice
}

// maxDelay bounds the delays of faults.
const maxDelay = time.Minute

func (c *socket) fault(e *xmpp.Element) Fault {
	if c.s.o.Fault == nil {
		return Fault{}
	}
	f := c.s.o.Fault(c.user.Load(), e)
	f.Delay = min(f.Delay, maxDelay)
	return f
}

// Drop cuts the user's sockets without a closing handshake, or all sockets if user is
// 0, and returns their number.
func (s *Server) Drop(user int64) int {
	return s.eachSocket(user, (*socket).drop)
}

// HalfOpen makes the user's sockets silent, or all sockets if user is 0, and returns
// their number. They stay open for ten minutes, or until Drop, but the server neither
// reads nor writes. It then detects this as it would a cut cable: its ping gets no
// answer.
func (s *Server) HalfOpen(user int64) int {
	return s.eachSocket(user, func(c *socket) {
		c.quiet.Store(true)
		select {
		case c.wake <- struct{}{}:
		default:
		}
	})
}

// eachSocket calls act on the open sockets of a user, or of all users.
func (s *Server) eachSocket(user int64, act func(*socket)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.sockets {
		if (user == 0 || c.user.Load() == user) && !c.ended() {
			act(c)
			n++
		}
	}
	return n
}

// Duplicate delivers the next n messages twice.
func (s *Server) Duplicate(n int) {
	s.twice.Store(int64(max(n, 0)))
}

// takeTwice takes one of the messages to deliver twice.
func (s *Server) takeTwice() bool {
	for {
		n := s.twice.Load()
		if n <= 0 {
			return false
		}
		if s.twice.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// DelayStanzas delays every later stanza to clients by d, at most a minute; 0 ends it.
func (s *Server) DelayStanzas(d time.Duration) {
	s.delay.Store(int64(min(max(d, 0), maxDelay)))
}

package chat

import (
	"time"

	"cubegate/connectycube/xmpp"
)

// Fault is something that goes wrong with one stanza of a client on purpose.
// The zero value is no fault.
type Fault struct {
	Delay      time.Duration // before the stanza is handled, and with it all that come after it
	Refuse     bool          // answered with an error, not handled
	Drop       bool          // the socket is cut; the stanza is not handled
	LostAnswer bool          // the stanza is handled, then the socket is cut
	HalfOpen   bool          // the socket stays open and says nothing more
	Duplicate  bool          // a message is delivered twice; anything else is handled twice
}

// maxDelay bounds what faults hold back.
const maxDelay = time.Minute

func (c *socket) fault(e *xmpp.Element) Fault {
	if c.s.o.Fault == nil {
		return Fault{}
	}
	f := c.s.o.Fault(c.user.Load(), e)
	f.Delay = min(f.Delay, maxDelay)
	return f
}

// Drop cuts the user's sockets without a word, or everybody's when user is 0,
// and returns how many.
func (s *Server) Drop(user int64) int {
	return s.eachSocket(user, (*socket).drop)
}

// HalfOpen makes the user's sockets, or everybody's when user is 0, fall silent:
// they stay open for ten minutes, or until they are dropped, but nothing is read
// or written any more. It returns how many. The server finds out as it would
// about a cable that was cut: no answer comes to its ping.
func (s *Server) HalfOpen(user int64) int {
	return s.eachSocket(user, func(c *socket) {
		c.quiet.Store(true)
		select {
		case c.wake <- struct{}{}:
		default:
		}
	})
}

// eachSocket does something to the sockets that belong to a user, or to all; not
// to those that are only being cleaned up behind.
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

// takeTwice counts one of them.
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

// DelayStanzas holds every stanza to clients back for d, at most a minute, from
// now on; 0 ends it.
func (s *Server) DelayStanzas(d time.Duration) {
	s.delay.Store(int64(min(max(d, 0), maxDelay)))
}

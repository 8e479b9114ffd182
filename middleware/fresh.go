package middleware

import (
	"net"
	"time"
)

const (
	// refusalTimeout bounds the time for a refusal and for what the client still sends.
	refusalTimeout = 2 * time.Second

	// maxEvicted bounds the evicted connections that the server has not closed yet.
	// Beyond it, new connections are closed at once.
	maxEvicted = 256

	// A new connection waits for the server to catch up for at most catchUpLimit, and looks
	// each catchUpPause.
	catchUpLimit = time.Second
	catchUpPause = time.Millisecond
)

// admit takes a new connection, or closes it and returns nil. It waits while the server is
// behind: the kernel keeps the connections that arrive meanwhile, which costs less.
func (l *Connections) admit(raw net.Conn) *connection {
	c := &connection{Conn: raw, all: l, network: l.networkOf(raw.RemoteAddr().String()), place: placeFresh, line: []byte{}}
	l.mu.Lock()
	for end := time.Now().Add(catchUpLimit); isBehind(l) && time.Now().Before(end); {
		l.mu.Unlock()
		time.Sleep(catchUpPause)
		l.mu.Lock()
	}
	if l.evicted >= maxEvicted {
		l.mu.Unlock()
		_ = raw.Close()
		return nil
	}
	victim := lastFresh(l)
	if victim != nil {
		l.evict(victim)
	}
	c.element = l.fresh.PushBack(c)
	l.mu.Unlock()
	victim.shut()
	return c
}

// lastFresh returns the fresh or leaving connection that a new one must replace, or nil.
func lastFresh(l *Connections) *connection {
	switch {
	case l.fresh.Len()+l.leaving.Len() < l.options.Fresh:
		return nil
	case l.leaving.Len() > 0:
		return l.leaving.Front().Value.(*connection)
	}
	return l.fresh.Front().Value.(*connection)
}

// isBehind reports whether the server has to read what the connection that would make room
// has sent, to answer it, or to close evicted ones. Nothing of that depends on a client.
func isBehind(l *Connections) bool {
	if l.evicted >= maxEvicted {
		return true
	}
	last := lastFresh(l)
	return last != nil && (last.place == placeLeaving && !last.answered.Load() || hasUnread(last.Conn))
}

// settle decides about a fresh connection once the path of its first request is known. It
// reports whether the connection may continue.
func (l *Connections) settle(c *connection, path string) bool {
	l.mu.Lock()
	if c.place != placeFresh { // evicted in the meantime
		l.mu.Unlock()
		return false
	}
	return l.placeAndUnlock(c, path)
}

// turnAway records that a fresh connection gets its 503.
func (l *Connections) turnAway(c *connection) {
	if c.place == placeFresh {
		l.unlist(c)
		c.place, c.element = placeLeaving, l.leaving.PushBack(c)
	}
}

// isEvicted reports whether c has lost its place.
func (c *connection) isEvicted() bool {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	return c.place == placeEvicted
}

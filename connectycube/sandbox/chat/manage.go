package chat

import (
	"strconv"
	"time"

	"cubegate/connectycube/xmpp"
)

// Stream management, XEP-0198: no unacknowledged stanza is lost, and a client resumes
// its stream after its connection broke.

// manage handles an element of stream management on a bound stream.
func (c *socket) manage(st *stream, e *xmpp.Element) error {
	switch e.Name {
	case "enable":
		return c.enable(st, e)
	case "r":
		st.mu.Lock()
		h := st.in
		st.mu.Unlock()
		st.nonza(xmpp.New(xmpp.NSSM, "a", "h", count(h)))
	case "a":
		h, err := strconv.ParseUint(e.Attr("h"), 10, 32)
		if err != nil || !st.acknowledge(uint32(h)) {
			c.fail("undefined-condition") // XEP-0198, 4: the peer acknowledges more than was sent
			return errDone
		}
	case "resume":
		st.nonza(smFailed("unexpected-request"))
	}
	return nil
}

func count(h uint32) string { return strconv.FormatUint(uint64(h), 10) }

// enable starts the counting of the client's later stanzas, and of those written to it
// after the answer.
func (c *socket) enable(st *stream, e *xmpp.Element) error {
	resumable := e.Attr("resume") == "true" || e.Attr("resume") == "1"
	answer := xmpp.New(xmpp.NSSM, "enabled")
	id := ""
	if resumable {
		id = randomID()
		answer = xmpp.New(xmpp.NSSM, "enabled", "id", id, "resume", "true",
			"max", strconv.Itoa(int(c.s.o.ResumeWindow/time.Second)))
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	st.mu.Lock()
	again := st.enabled
	if st.ended {
		st.mu.Unlock()
		return nil
	}
	if !again {
		st.enabled, st.in, st.id = true, 0, id
	}
	st.mu.Unlock()
	if again {
		st.nonza(smFailed("unexpected-request"))
		return nil
	}
	if resumable {
		c.s.resumable[id] = st
	}
	st.push(outgoing{text: xmpp.Append(nil, &answer), manages: true})
	return nil
}

// acknowledge removes the acknowledged stanzas. It returns false if the client
// acknowledges more than was sent.
func (st *stream) acknowledge(h uint32) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	n := h - st.acked // the counters wrap around
	if !st.managed || n > uint32(len(st.flight)) {
		return false
	}
	st.asked = false
	st.drop(n)
	if len(st.flight) > 0 {
		st.nudge() // the writer may have to request another acknowledgement
	}
	return true
}

// drop removes the n oldest unacknowledged stanzas. The caller holds the lock.
func (st *stream) drop(n uint32) {
	st.acked += n
	for _, o := range st.flight[:n] {
		st.count(-len(o.text))
	}
	rest := st.flight[n:]
	if len(rest) == 0 {
		st.flight = nil
		return
	}
	st.flight = append([]outgoing(nil), rest...)
}

// resume attaches a lost stream to this connection, which has logged in and not bound.
func (c *socket) resume(e *xmpp.Element) error {
	h, err := strconv.ParseUint(e.Attr("h"), 10, 32)
	if err != nil {
		return c.send(smFailed("bad-request"))
	}
	id := e.Attr("previd")
	st := c.s.claim(id, c)
	if st == nil {
		failed := smFailed("item-not-found")
		if in, ok := c.s.ended.Peek(id); ok {
			failed.Set("h", count(in))
		}
		return c.send(failed)
	}
	// The previous socket may be handling a stanza, which must be counted.
	st.turn.Lock()
	ok := st.replay(id, uint32(h))
	st.turn.Unlock()
	if !ok {
		c.st.Store(st)
		c.fail("undefined-condition")
		return errDone
	}
	c.begin(st)
	return nil
}

// claim makes c the socket of the stream with this resumption ID. It ends the stream's
// previous socket with a conflict. It returns nil for an unknown ID, or that of another
// user's stream.
func (s *Server) claim(id string, c *socket) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.resumable[id]
	if st == nil || st.user != c.user.Load() {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended || st.left || st.full {
		return nil
	}
	if st.sock != nil {
		go st.sock.dismiss("conflict")
	} else {
		st.expiry.Stop()
		st.expiry = nil
		s.waiting--
	}
	st.sock = c
	return st
}

// replay queues the unacknowledged stanzas after the answer to resume.
func (st *stream) replay(id string, h uint32) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	n := h - st.acked
	if n > uint32(len(st.flight)) {
		return false
	}
	st.drop(n)
	answer := xmpp.New(xmpp.NSSM, "resumed", "previd", id, "h", count(st.in))
	queue := []outgoing{{text: xmpp.Append(nil, &answer)}}
	st.count(len(queue[0].text) - st.size)
	for _, o := range st.flight {
		o.due = time.Time{}
		queue = append(queue, o)
		st.count(len(o.text))
	}
	for _, o := range st.queue {
		// An r or an a of the old connection would confuse the new one.
		if o.stanza || o.content != nil {
			queue = append(queue, o)
			st.count(len(o.text))
		}
	}
	st.queue, st.flight = queue, nil
	st.asked = false
	st.nudge()
	return true
}

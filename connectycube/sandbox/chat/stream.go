package chat

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cubegate/connectycube/xmpp"
)

var errTooMany = errors.New("chat: too many streams of this user")

// outgoing is a stanza or another element for a client.
type outgoing struct {
	text    []byte
	content *content  // not nil for content, which must not get lost
	stanza  bool      // stream management counts it
	manages bool      // the enabled of stream management, after which stanzas count
	last    bool      // the socket is closed after it
	due     time.Time // earliest time of writing; zero: at once
}

// content is a message for one user. The user's streams share it.
type content struct {
	user    int64
	text    []byte // as first delivered, without delay
	sent    time.Time
	holders atomic.Int32 // streams that have delivered it, or still may
}

// stream is a bound stream. With stream management it may outlive its socket and continue
// on another.
type stream struct {
	s       *Server
	user    int64
	jid     xmpp.JID
	fullJID string // jid as text
	since   time.Time

	// The server's lock guards these fields.
	available bool // the client has sent presence
	carbons   bool
	inactive  bool    // the app is in the background
	active    *string // the privacy list of this stream; nil: the default one
	rooms     map[string]struct{}
	watching  map[int64]struct{}

	turn sync.Mutex // held while a stanza of the client is handled

	mu      sync.Mutex // guards the fields below; taken after the server's
	sock    *socket    // nil: lost, the client may resume the stream
	ended   bool
	left    bool // closed on purpose: the client cannot resume it
	full    bool // too many stanzas wait
	queue   []outgoing
	flight  []outgoing // written and not acknowledged, or being written
	size    int        // bytes in queue and flight
	asked   bool       // an r was sent and not answered
	managed bool
	enabled bool        // managed, or soon will be
	id      string      // for the resumption; empty: none
	in      uint32      // stanzas handled since stream management was enabled
	acked   uint32      // stanzas of ours that were acknowledged since
	expiry  *time.Timer // ends the stream if the client does not resume it
}

func newStream(s *Server, user int64, jid xmpp.JID) *stream {
	return &stream{s: s, user: user, jid: jid, fullJID: jid.String(), since: time.Now()}
}

// Bounds of the waiting bytes: for one stream, and for all. Beyond the latter, a stream with
// more than maxStreamShare waiting bytes ends, so that streams that read continue.
const (
	maxStreamBytes = 4 << 20
	maxQueuedBytes = 64 << 20
	maxStreamShare = 4 << 10
)

// isOver reports whether more waits for a stream than allowed, including o. The caller
// holds the stream's lock.
func (st *stream) isOver(o *outgoing) bool {
	return len(st.queue)+len(st.flight) >= st.s.o.MaxQueue || st.size >= maxStreamBytes ||
		st.size+len(o.text) > maxStreamShare && st.s.queued.Load() >= maxQueuedBytes
}

// count adds by to the waiting bytes. The caller holds the stream's lock.
func (st *stream) count(by int) {
	st.size += by
	st.s.queued.Add(int64(by))
}

// push queues o and reports whether the stream takes it. An ended stream takes nothing. A
// full one takes only messages, for a moment longer, so that their order is preserved.
func (st *stream) push(o outgoing) bool {
	if d := st.s.delay.Load(); d > 0 {
		o.due = time.Now().Add(time.Duration(d))
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	waiting, most := len(st.queue)+len(st.flight), st.s.o.MaxQueue
	if !st.full && st.isOver(&o) {
		st.overflow()
	}
	if st.ended || st.full && (o.content == nil || waiting >= 2*most || st.size >= 2*maxStreamBytes || st.s.queued.Load() >= 2*maxQueuedBytes) {
		return false
	}
	st.queue = append(st.queue, o)
	st.count(len(o.text))
	st.nudge()
	return true
}

// overflow gives up a stream that takes nothing anymore: a slow reader, or a lost stream.
// The caller holds the stream's lock.
func (st *stream) overflow() {
	st.full = true
	switch {
	case st.sock != nil:
		st.sock.cut()
	case st.expiry != nil:
		st.expiry.Reset(0)
	}
}

// nudge wakes the writer. The caller holds the stream's lock.
func (st *stream) nudge() {
	if st.sock == nil {
		return
	}
	select {
	case st.sock.wake <- struct{}{}:
	default: // it is awake, or about to be
	}
}

// reply queues an answer to the stream's own client.
func (st *stream) reply(e xmpp.Element) {
	e.Set("to", st.fullJID)
	st.push(outgoing{text: xmpp.Append(nil, &e), stanza: true})
}

// nonza queues an element that is no stanza and is not counted.
func (st *stream) nonza(e xmpp.Element) {
	st.push(outgoing{text: xmpp.Append(nil, &e)})
}

// take returns the next element for c's writer: an empty one if there is none, or the time
// to wait if it is not due. ok is false after c has lost the stream.
func (st *stream) take(c *socket) (o outgoing, wait time.Duration, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.sock != c {
		return outgoing{}, 0, false
	}
	if len(st.queue) == 0 {
		return st.question(), 0, true
	}
	o = st.queue[0]
	if !o.due.IsZero() {
		if wait = time.Until(o.due); wait > 0 {
			return outgoing{}, wait, true
		}
	}
	st.queue[0] = outgoing{}
	if st.queue = st.queue[1:]; len(st.queue) == 0 {
		st.queue = nil
	}
	switch {
	case o.manages:
		st.managed = true
		st.count(-len(o.text))
	case st.managed && o.stanza:
		st.flight = append(st.flight, o)
	case !st.managed && o.content != nil:
		st.flight = append(st.flight, o) // until it was written
	default:
		st.count(-len(o.text))
	}
	return o, 0, true
}

// question returns the r to send if content waits for its acknowledgement, else an empty
// element. The caller holds the stream's lock.
func (st *stream) question() outgoing {
	if !st.managed || st.asked {
		return outgoing{}
	}
	for i, o := range st.flight {
		if o.content != nil || i >= 50 {
			st.asked = true
			return outgoing{text: requestAck}
		}
	}
	return outgoing{}
}

var requestAck = []byte(`<r xmlns="` + xmpp.NSSM + `"/>`)

// wrote records that c's writer has written the last element. Without stream management
// this is the only sign of delivery.
func (st *stream) wrote(c *socket) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.managed || st.sock != c {
		return
	}
	for _, o := range st.flight {
		st.count(-len(o.text))
	}
	st.flight = nil
}

// leave records that the stream ends on purpose.
func (st *stream) leave(c *socket) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.sock == c {
		st.left = true
	}
}

// attach attaches a new stream to its socket and to the server. It returns errTooMany if
// the user has too many streams.
func (s *Server) attach(st *stream, c *socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(st.user)
	if len(a.streams) >= s.o.MaxPerUser {
		for _, other := range a.streams {
			if other.lost() {
				s.end(other)
				break
			}
		}
		a = s.account(st.user) // the end of the last stream may have removed it
	}
	if len(a.streams) >= s.o.MaxPerUser {
		return errTooMany
	}
	a.streams = append(a.streams, st)
	st.sock = c
	return nil
}

// lost reports whether the stream has no socket.
func (st *stream) lost() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.sock == nil
}

// detach detaches the socket from the stream, if it is still the stream's. The stream ends,
// or waits for its resumption.
func (s *Server) detach(st *stream, c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.mu.Lock()
	if st.sock != c {
		st.mu.Unlock()
		return
	}
	st.sock = nil
	wait := st.managed && st.id != "" && !st.ended && !st.left && !st.full && !s.closing && s.waiting < s.o.MaxConnections
	if wait {
		s.waiting++
		st.expiry = time.AfterFunc(s.o.ResumeWindow, func() { s.expire(st) })
	}
	st.mu.Unlock()
	if !wait {
		s.end(st)
	}
}

// expire ends a stream that was not resumed in time.
func (s *Server) expire(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.lost() {
		s.end(st)
	}
}

// end ends a stream and rescues its undelivered content. The caller holds the server's lock
// and not the stream's.
func (s *Server) end(st *stream) {
	st.mu.Lock()
	if st.ended {
		st.mu.Unlock()
		return
	}
	st.ended = true
	if st.expiry != nil && st.sock == nil {
		st.expiry.Stop()
		s.waiting--
	}
	undelivered := append(st.flight, st.queue...)
	st.flight, st.queue = nil, nil
	st.count(-st.size)
	id, in := st.id, st.in
	st.mu.Unlock()

	if id != "" {
		delete(s.resumable, id)
		s.ended.Add(id, in)
	}
	s.remove(st)
	s.withdraw(st)
	for _, o := range undelivered {
		if o.content != nil && o.content.holders.Add(-1) <= 0 {
			s.rescue(o.content)
		}
	}
	s.forget(st.user)
}

// remove removes the stream from the user's streams.
func (s *Server) remove(st *stream) {
	a := s.account(st.user)
	for i, other := range a.streams {
		if other == st {
			a.streams = append(a.streams[:i:i], a.streams[i+1:]...)
			return
		}
	}
}

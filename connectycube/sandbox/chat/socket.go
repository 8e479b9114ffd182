package chat

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"cubegate/connectycube/xmpp"
)

// goodbye bounds the last messages to a closing socket.
const goodbye = 5 * time.Second

// hold is the time that a fault keeps a socket half open.
const hold = 10 * time.Minute

// errDone ends the reading of a socket for a reason of ours.
var errDone = errors.New("chat: done with the socket")

// socket is one connection. The goroutine that serves the request reads. A second one
// writes when a stream is bound. Until then the reader writes, because a handshake
// alternates.
type socket struct {
	s     *Server
	peer  string // IP and port
	conn  *websocket.Conn
	raw   net.Conn // the connection below conn
	rate  *rate.Limiter
	ready chan struct{} // closed when conn is set

	done     chan struct{} // closed when nothing more is read or written
	doneOnce sync.Once
	free     chan struct{} // closed when a half-open socket may close
	freeOnce sync.Once
	gone     chan struct{} // closed when the connection is closed
	wake     chan struct{} // a stream has something to write; capacity 1

	heard atomic.Int64           // time of the last read, Unix nanoseconds
	quiet atomic.Bool            // fault: half-open
	user  atomic.Int64           // 0 until logged in
	st    atomic.Pointer[stream] // nil until bound

	phase   phase       // of the handshake; used by the reader only
	twice   bool        // fault: the current stanza is delivered twice; used by the reader only
	writing *time.Timer // cuts the socket if a write takes too long
	alive   *time.Timer // the handshake's deadline, then the keep-alive
	pinged  bool        // used by the keep-alive only
}

func newSocket(s *Server, peer string) *socket {
	return &socket{
		s:     s,
		peer:  peer,
		rate:  rate.NewLimiter(rate.Limit(s.o.Rate), int(s.o.Rate)+1),
		ready: make(chan struct{}),
		done:  make(chan struct{}),
		free:  make(chan struct{}),
		gone:  make(chan struct{}),
		wake:  make(chan struct{}, 1),
	}
}

// serve reads until the connection ends, then detaches the stream.
func (c *socket) serve(conn *websocket.Conn, raw net.Conn) {
	conn.SetReadLimit(int64(c.s.o.MaxFrame))
	c.conn, c.raw = conn, raw
	c.heard.Store(time.Now().UnixNano())
	c.writing = stoppedTimer(c.cut)
	c.alive = stoppedTimer(c.expire)
	c.alive.Reset(c.s.o.HandshakeTime)
	close(c.ready)
	defer c.finish()
	for {
		frame, err := c.read()
		if err == nil {
			err = c.handle(frame)
		}
		if err != nil {
			return
		}
	}
}

func stoppedTimer(f func()) *time.Timer {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return t
}

// finish cleans up after the reader.
func (c *socket) finish() {
	c.cut()
	<-c.gone
	if st := c.st.Load(); st != nil {
		c.s.detach(st, c) // it may have been bound after the cut
	}
	c.alive.Stop()
	c.writing.Stop()
}

// cut ends the socket at once. A half-open one keeps its connection.
func (c *socket) cut() {
	c.doneOnce.Do(func() {
		close(c.done)
		go c.end()
	})
}

// end detaches the stream and closes the connection. For a half-open socket it waits for
// drop.
func (c *socket) end() {
	defer close(c.gone)
	<-c.ready
	if st := c.st.Load(); st != nil {
		c.s.detach(st, c)
	}
	if c.quiet.Load() {
		timer := time.NewTimer(hold)
		select {
		case <-c.free:
		case <-timer.C:
		}
		timer.Stop()
	}
	_ = c.raw.Close() // also ends a close that waits for the peer
	_ = c.conn.CloseNow()
}

// drop is cut for all sockets, including half-open ones.
func (c *socket) drop() {
	c.freeOnce.Do(func() { close(c.free) })
	c.cut()
}

// ended reports whether the connection is closed or closing. A half-open socket has not
// ended until it is dropped, even if the server has given it up.
func (c *socket) ended() bool {
	return closed(c.free) || closed(c.done) && !c.quiet.Load()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var frames = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read returns the next text frame. It slows down a client that sends more than
// its rate.
func (c *socket) read() (string, error) {
	kind, r, err := c.conn.Reader(context.Background())
	if err != nil {
		return "", err
	}
	buf := frames.Get().(*bytes.Buffer)
	defer frames.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(r); err != nil {
		return "", err
	}
	if c.quiet.Load() {
		<-c.done
		return "", errDone
	}
	if kind != websocket.MessageText {
		c.fail("not-well-formed")
		return "", errDone
	}
	c.heard.Store(time.Now().UnixNano())
	if !c.sleep(c.rate.Reserve().Delay()) {
		return "", errDone
	}
	return buf.String(), nil
}

// sleep waits for d, and returns false if the socket ends before.
func (c *socket) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.done:
		return false
	}
}

// handle parses a frame and handles its stanzas.
func (c *socket) handle(frame string) error {
	c.tap(FromClient, frame)
	stanzas, err := xmpp.Parse(frame, xmpp.Limits{Bytes: c.s.o.MaxFrame})
	if err != nil {
		c.fail(streamError(err))
		return errDone
	}
	for i := range stanzas {
		if i > 0 && !c.sleep(c.rate.Reserve().Delay()) {
			return errDone
		}
		if st := c.st.Load(); st != nil {
			err = c.stanza(st, &stanzas[i])
		} else {
			err = c.handshake(&stanzas[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func streamError(err error) string {
	switch {
	case errors.Is(err, xmpp.ErrTooLarge):
		return "policy-violation"
	case errors.Is(err, xmpp.ErrRestricted):
		return "restricted-xml"
	}
	return "not-well-formed"
}

func (c *socket) tap(d Direction, text string) {
	if c.s.o.Tap != nil {
		c.s.o.Tap(d, c.user.Load(), text)
	}
}

// write sends one frame. The socket's own timer is the deadline: a context for each frame
// would cost more than the frame.
func (c *socket) write(text []byte) error {
	c.tap(ToClient, string(text))
	c.writing.Reset(c.s.o.WriteTime)
	err := c.conn.Write(context.Background(), websocket.MessageText, text)
	c.writing.Stop()
	return err
}

func (c *socket) send(e xmpp.Element) error {
	return c.write(xmpp.Append(nil, &e))
}

// pump writes the stream's stanzas until the socket ends or loses the stream.
func (c *socket) pump(st *stream) {
	for {
		if c.quiet.Load() {
			<-c.done
			return
		}
		o, wait, ok := st.take(c)
		switch {
		case !ok:
			return
		case wait > 0:
			if !c.sleep(wait) {
				return
			}
			continue
		case o.text == nil:
			select {
			case <-c.wake:
				continue
			case <-c.done:
				return
			}
		}
		if err := c.write(o.text); err != nil {
			c.cut()
			return
		}
		st.wrote(c)
		if o.last {
			c.close()
			return
		}
	}
}

// close does the closing handshake of RFC 6455, for a few seconds.
func (c *socket) close() {
	_ = c.conn.Close(websocket.StatusNormalClosure, "")
	c.cut()
}

// fail ends the socket, and its stream, with a stream error.
func (c *socket) fail(condition string) {
	if st := c.st.Load(); st != nil {
		st.leave(c)
	}
	_ = c.send(streamFault(condition))
	_ = c.send(framingClose)
	c.close()
}

// dismiss is fail for other goroutines than the reader, at any time.
func (c *socket) dismiss(condition string) {
	timer := time.NewTimer(goodbye)
	defer timer.Stop()
	select {
	case <-c.ready:
	case <-c.done:
	case <-timer.C: // the upgrade has not ended
		c.drop()
		return
	}
	if c.quiet.Load() {
		c.drop()
		return
	}
	c.fail(condition)
}

// expire is the keep-alive: it pings a silent client, and cuts the socket after more
// silence.
func (c *socket) expire() {
	st := c.st.Load()
	if st == nil {
		c.cut() // the handshake took too long
		return
	}
	silence := time.Since(time.Unix(0, c.heard.Load()))
	limit := c.s.o.PingAfter + c.s.o.PingTime
	switch {
	case silence >= limit:
		c.cut()
	case silence >= c.s.o.PingAfter:
		if !c.pinged {
			c.pinged = true
			c.s.ping(st)
		}
		c.alive.Reset(limit - silence)
	default:
		c.pinged = false
		c.alive.Reset(c.s.o.PingAfter - silence)
	}
}

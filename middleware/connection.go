package middleware

import (
	"bytes"
	"container/list"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	// maxRequestLine bounds the part of a first request that is kept to find its path,
	// in bytes. The reserved paths are much shorter.
	maxRequestLine = 256

	// maxDropped bounds the bytes that are read and dropped after a refusal. Closing a
	// connection with unread bytes resets it, and the client may lose the answer.
	maxDropped = 256 << 10

	tlsHandshake = 0x16 // first byte of a TLS connection (RFC 8446, 5.1)
)

// refusal is the answer to a connection beyond the bound. It has no body, because the
// format that the client wants is unknown.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

type place int

const (
	placeNone place = iota
	placeGeneral
	placeFresh
	placeLeaving // after a refusal
	placeReserved
	placeEvicted
)

// connection is one connection of a Connections, or one request of HTTP/2.
type connection struct {
	net.Conn
	stream  *stream // instead of Conn, if it is one request of HTTP/2
	all     *Connections
	network string // key in all.byNetwork; "" if not counted

	// Guarded by all.mu.
	place       place
	wasFresh    bool          // before it was evicted
	reservation int           // index, if place is placeReserved
	element     *list.Element // in one of the lists of all, or nil
	since       time.Time     // when it joined all.waiting or all.busy

	waits      atomic.Bool  // whether it is in all.waiting; Read reads it without the lock
	incomplete atomic.Bool  // whether the server waits for a part of its request
	answered   atomic.Bool  // whether it has got its refusal
	writes     atomic.Int64 // when a write began that has not ended, in nanoseconds since epoch, or 0

	// Used by one goroutine at a time: the accepting one, then the one that reads
	// requests.
	line    []byte // the part of its first request line that has arrived; nil once that is known
	isHTTP2 bool   // known with the line
}

// Read inspects the received bytes. If the first request must be refused, Read answers
// instead of the server and returns io.EOF.
func (c *connection) Read(p []byte) (int, error) {
	n, err := 0, error(nil)
	undecided := c.line != nil
	evicted := undecided && c.isEvicted() // the server may have moved the deadline that shut has set
	if !evicted {
		n, err = c.Conn.Read(p)
		evicted = n == 0 && undecided && c.isEvicted()
	}
	if evicted { // the server would answer 400 to a part of a request line
		c.refuse(p)
		return 0, io.EOF
	}
	if n > 0 && c.waits.Load() && !c.all.wake(c, !c.isHTTP2) {
		return 0, io.EOF // evicted just now: the request must not run, since its answer would be lost
	}
	if n == 0 || !undecided {
		return n, err
	}
	c.line = append(c.line, p[:min(n, maxRequestLine-len(c.line))]...)
	path, known := requestPath(c.line)
	if !known {
		return n, err
	}
	if !c.all.settle(c, path) {
		c.refuse(p)
		return 0, io.EOF
	}
	c.isHTTP2 = bytes.HasPrefix(c.line, []byte("PRI ")) // its preface (RFC 9113, 3.4)
	c.line = nil
	return n, err
}

// refuse sends the refusal, then reads and drops what still arrives, for at most
// refusalTimeout. Meanwhile the connection can be evicted. It reads into p, the buffer of the
// server: one more for each refused connection would cost more than all the rest of it.
func (c *connection) refuse(p []byte) {
	if len(c.line) == 0 || c.line[0] == tlsHandshake { // the client expects no answer, or no plain one
		return
	}
	_ = c.Conn.SetDeadline(time.Now().Add(refusalTimeout))
	if _, err := io.WriteString(c.Conn, refusal); err != nil {
		return
	}
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() != nil {
		return
	}
	c.answered.Store(true)
	if c.isEvicted() {
		return
	}
	for dropped := 0; dropped < maxDropped; {
		n, err := c.Conn.Read(p)
		if err != nil {
			return
		}
		dropped += n
	}
}

// SetLinger exists for a server that resets a connection on purpose.
func (c *connection) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.SetLinger(seconds)
	}
	return nil
}

// Close returns the place.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.all.release(c)
	return err
}

// shut closes an evicted connection, if there is one. The server's next read then
// fails, and the server calls Close. A fresh connection whose request has just been read
// can still be answered.
func (c *connection) shut() {
	switch {
	case c == nil:
	case c.wasFresh:
		_ = c.Conn.SetReadDeadline(time.Now())
	case c.stream != nil:
		c.stream.reset()
	default:
		_ = c.Conn.Close()
	}
}

// requestPath returns the path in the first line of a request, as NormalizePath routes
// it, or "" for a line without one. known reports whether enough of the line has
// arrived.
func requestPath(line []byte) (path string, known bool) {
	if len(line) > 0 && line[0] == tlsHandshake {
		return "", true
	}
	whole := len(line) >= maxRequestLine || bytes.IndexByte(line, '\n') >= 0
	_, target, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return "", whole
	}
	end := bytes.IndexAny(target, " ?\r\n")
	if end < 0 {
		return "", whole
	}
	return normalizePath(string(target[:end])), true
}

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
	// maxRequestLine bounds, in bytes, the part of a first request that is kept
	// to find its path. The paths of reservations are much shorter.
	maxRequestLine = 256

	// maxDropped bounds, in bytes, what is read and dropped after a refusal. A
	// connection that is closed with unread bytes is reset, and its client may
	// lose the answer.
	maxDropped = 256 << 10

	tlsHandshake = 0x16 // first byte of a TLS connection (RFC 8446, 5.1)
)

// refusal is the whole answer to a connection past the bound. It has no body:
// nothing is known about the format that the client wants.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

type place int

const (
	placeNone place = iota
	placeGeneral
	placeFresh
	placeReserved
	placeEvicted
)

// connection is one connection of a Connections.
type connection struct {
	net.Conn
	all     *Connections
	network string // counted for PerAddress; "" when it is not

	// Guarded by all.mu.
	place       place
	reservation int           // index, on a reserved place
	element     *list.Element // in all.waiting or all.fresh; nil when in neither
	waitsSince  time.Time     // in all.waiting

	waits atomic.Bool // in all.waiting; read without the lock for each Read

	// Used by one goroutine at a time: the one that accepts, then the one that
	// reads requests.
	undecided bool      // fresh, and its request line is not known yet
	lineBy    time.Time // when it must be known
	line      []byte    // what is there of it
	deadline  time.Time // for reads, as the server wants it
}

// Read watches what the client sends. When the first request is to be refused,
// it answers in the server's place and returns io.EOF.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.waits.Load() && !c.all.wake(c) {
		return 0, io.EOF // gave way just now: its request must not run unanswered
	}
	if n == 0 || !c.undecided {
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
	c.undecided, c.line = false, nil
	_ = c.Conn.SetReadDeadline(c.deadline)
	return n, err
}

// refuse answers that there is no place, and drops what still comes into p. All
// the while the connection stays fresh, so that it ends in time and can give way.
func (c *connection) refuse(p []byte) {
	if c.line[0] == tlsHandshake { // the client could not read the answer
		return
	}
	_ = c.Conn.SetWriteDeadline(c.lineBy)
	if _, err := io.WriteString(c.Conn, refusal); err != nil {
		return
	}
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() != nil {
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

// SetReadDeadline keeps the deadline of the request line while that is not known.
func (c *connection) SetReadDeadline(t time.Time) error {
	c.deadline = t
	if c.undecided && (t.IsZero() || t.After(c.lineBy)) {
		t = c.lineBy
	}
	return c.Conn.SetReadDeadline(t)
}

// SetLinger is here for a server that resets a connection on purpose.
func (c *connection) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.SetLinger(seconds)
	}
	return nil
}

// Close gives the place back.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.all.release(c)
	return err
}

// shut closes the connection of a victim, if there is one. The server then sees
// an error at its next read and calls Close.
func (c *connection) shut() {
	if c != nil {
		_ = c.Conn.Close()
	}
}

// requestPath returns the path in the first line of a request, spelled as
// NormalizePath routes it, once it is known; "" for any line without one.
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

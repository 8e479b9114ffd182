package sandbox

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
)

// upgrade turns an answer into a connection: the chat is a WebSocket within the process
// as well.
type upgrade struct {
	stay func() bool // lets the handler outlive its request; false if the request has ended
	far  net.Conn    // the client's end
	done chan struct{}
}

// Hijack implements http.Hijacker for an answer that switches protocols. It supports no
// other status.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	u := a.upgrade
	switch {
	case u == nil || a.Status != http.StatusSwitchingProtocols || u.far != nil:
		return nil, nil, http.ErrNotSupported
	case !u.stay():
		return nil, nil, context.Canceled
	}
	near, far := line()
	u.far = far
	close(u.done)
	return near, bufio.NewReadWriter(bufio.NewReader(near), bufio.NewWriter(near)), nil
}

// switched returns the answer of a handler that took the connection. Its body is the
// connection, as with http.Transport.
func (a *answer) switched(r *http.Request) *http.Response {
	resp := a.response(r)
	resp.Body, resp.ContentLength = a.upgrade.far, 0
	return resp
}

// line returns the two ends of a connection with buffers, like those of sockets. On a
// net.Pipe, two peers that write to each other would wait forever.
func line() (near, far net.Conn) {
	near, nearInner := net.Pipe()
	far, farInner := net.Pipe()
	go carry(farInner, nearInner)
	go carry(nearInner, farInner)
	return near, far
}

// The buffer of a line in each direction: at most 256 KiB.
const (
	lineChunks = 64
	chunkSize  = 4 << 10
)

// carry copies data from one end to the other. If one end closes, the other gets the
// data in the buffer, and then the end.
func carry(to io.WriteCloser, from io.ReadCloser) {
	room := make(chan []byte, lineChunks)
	go func() {
		defer close(room)
		for {
			chunk := make([]byte, chunkSize)
			n, err := from.Read(chunk)
			if n > 0 {
				room <- chunk[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	for chunk := range room {
		if _, err := to.Write(chunk); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close() // ends the reading if the write failed
	for range room {
	}
}

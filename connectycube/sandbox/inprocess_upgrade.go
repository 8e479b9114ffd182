package sandbox

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
)

// upgrade is how an answer becomes a connection: the chat is a WebSocket within
// the process as well.
type upgrade struct {
	stay func() bool // from now on the handler outlives its request; false when that has ended
	far  net.Conn    // the caller's end
	done chan struct{}
}

// Hijack implements http.Hijacker for an answer that switches protocols: any
// other would have to be read from what the handler writes.
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

// switched is the answer of a handler that has taken the connection. Its body is
// the connection, as with http.Transport.
func (a *answer) switched(r *http.Request) *http.Response {
	resp := a.response(r)
	resp.Body, resp.ContentLength = a.upgrade.far, 0
	return resp
}

// line makes the two ends of a connection that has some room in it, as the
// buffers of sockets have: in a net.Pipe two who write to each other wait for
// ever.
func line() (near, far net.Conn) {
	near, nearInner := net.Pipe()
	far, farInner := net.Pipe()
	go carry(farInner, nearInner)
	go carry(nearInner, farInner)
	return near, far
}

// What a line holds in each direction: at most 256 KiB.
const (
	lineChunks = 64
	chunkSize  = 4 << 10
)

// carry moves what comes from one end to the other. When one ends, the other
// gets what is on its way, and then the end.
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
	_ = from.Close() // ends the reading, if the writing has failed
	for range room {
	}
}

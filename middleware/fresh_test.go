package middleware

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"testing"
)

// readsOf is a connection that records the buffers into which it is read.
type readsOf struct {
	net.Conn
	into []*byte
}

func (c *readsOf) Read(p []byte) (int, error) {
	c.into = append(c.into, &p[0])
	if len(c.into) > 3 {
		return 0, io.EOF
	}
	return copy(p, "GET / HTTP/1.1\r\n"), nil
}

func (c *readsOf) Write(p []byte) (int, error) { return len(p), nil }

// Many refused connections at once cost no buffers beside those of the server.
func TestRefusedConnectionsNeedNoBuffer(t *testing.T) {
	all, err := NewConnections(ConnectionsOptions{Max: 1, Fresh: freshPlaces, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100)
	for _, reads := range []int{1, 4} { // the first connection has the place
		near, far := net.Pipe()
		defer far.Close()
		conn := &readsOf{Conn: near}
		c := all.admit(conn)
		defer c.Close()
		_, _ = c.Read(p)
		if len(conn.into) != reads || slices.ContainsFunc(conn.into, func(b *byte) bool { return b != &p[0] }) {
			t.Errorf("read into %v, want %d times %p", conn.into, reads, &p[0])
		}
	}
}

// A client that is evicted within its request line can try again: it gets no 400.
func TestEvictedPartOfARequestLineGetsNo400(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 1})
	for _, line := range []string{"GET /api", "GET /longer-than-the-preface-of-HTTP/2"} {
		partial := s.dial(t).send(line)
		for range freshPlaces + 1 {
			s.dial(t)
		}
		if res, err := http.ReadResponse(partial.r, nil); err == nil { // a busy machine may close it unread
			want(t, res, http.StatusServiceUnavailable)
		}
	}
}

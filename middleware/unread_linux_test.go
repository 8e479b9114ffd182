package middleware

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
)

// rawBound is a Connections whose accepted connections nothing reads.
type rawBound struct {
	*Connections
	t  *testing.T
	ln net.Listener
}

func newRawBound(t *testing.T) *rawBound {
	t.Helper()
	all, err := NewConnections(ConnectionsOptions{Max: 1, Fresh: freshPlaces, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	all.grace = 0
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return &rawBound{all, t, all.Listen(ln)}
}

// connect returns both ends of a connection on which the client has sent a text.
func (b *rawBound) connect(text string) (net.Conn, *connection) {
	b.t.Helper()
	client, err := net.Dial("tcp", b.ln.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = client.Close() })
	b.send(client, text)
	accepted, err := b.ln.Accept()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = accepted.Close() })
	return client, accepted.(*connection)
}

func (b *rawBound) send(client net.Conn, text string) {
	b.t.Helper()
	if _, err := io.WriteString(client, text); err != nil {
		b.t.Fatal(err)
	}
}

// read reads a request line, and reports whether the connection may go on.
func (b *rawBound) read(c *connection) bool {
	b.t.Helper()
	_, err := c.Read(make([]byte, 100))
	return err == nil
}

// behind reports whether a new connection would wait.
func (b *rawBound) behind() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return isBehind(b.Connections)
}

const requestLine = "GET / HTTP/1.1\r\n"

// A kept-alive connection whose next request is unread in the socket is not idle, however
// long a busy machine leaves it there.
func TestConnectionWithAnUnreadRequestKeepsItsPlace(t *testing.T) {
	for _, sends := range []bool{true, false} {
		b := newRawBound(t)
		client, first := b.connect(requestLine)
		if !b.read(first) {
			t.Fatal("the first connection got no place")
		}
		b.Track(first, http.StateIdle)
		if sends {
			b.send(client, requestLine)
			waitFor(t, "the bytes arrive", func() bool { return hasUnread(first.Conn) })
		}
		_, next := b.connect(requestLine)
		if served := b.read(next); served == sends {
			t.Errorf("sends %v: the next connection is served %v", sends, served)
		}
	}
}

// Accept waits while it would close a new connection whose request is unread in the socket.
// It does not wait for a silent client.
func TestNewConnectionWithAnUnreadRequestIsNotClosed(t *testing.T) {
	for _, text := range []string{requestLine, ""} {
		b := newRawBound(t)
		_, first := b.connect(text)
		for range freshPlaces - 1 {
			b.connect(text)
		}
		if text != "" {
			waitFor(t, "the bytes arrive", func() bool { return hasUnread(first.Conn) })
		}
		if waits := b.behind(); waits != (text != "") {
			t.Errorf("with %q, Accept waits %v", text, waits)
		}
		if text != "" && (!b.read(first) || b.behind()) {
			t.Error("Accept waits although a place is free")
		}
	}
}

// A rush of connections that send their requests at once is answered: none of those beyond
// the bound is closed without its 503.
func TestRushIsAnswered(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 1})
	s.fill(t, 1)
	var all sync.WaitGroup
	for range 10 * freshPlaces {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, c).send("POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
		all.Go(func() {
			defer c.Close()
			if res, err := http.ReadResponse(p.r, nil); err != nil {
				t.Errorf("no answer: %v", err)
			} else {
				want(t, res, http.StatusServiceUnavailable)
			}
		})
	}
	all.Wait()
}

// bufferedConn records the size of its send buffer.
type bufferedConn struct {
	net.Conn
	bytes int
}

func (c *bufferedConn) SetWriteBuffer(bytes int) error {
	c.bytes = bytes
	return nil
}

type oneConn struct {
	net.Listener
	conn net.Conn
}

func (l oneConn) Accept() (net.Conn, error) { return l.conn, nil }

func TestSendBuffersAreBounded(t *testing.T) {
	all, err := NewConnections(ConnectionsOptions{Max: 1, Fresh: freshPlaces, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := net.Pipe()
	defer outside.Close()
	conn := &bufferedConn{Conn: inside}
	accepted, err := all.Listen(oneConn{conn: conn}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if conn.bytes != sendBuffer {
		t.Errorf("the send buffer has %d bytes, want %d", conn.bytes, sendBuffer)
	}
}

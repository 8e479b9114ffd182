package middleware

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// A connection whose request is unread in the socket is not idle, however long a busy
// machine leaves it there.
func TestConnectionWithAnUnreadRequestKeepsItsPlace(t *testing.T) {
	for _, sends := range []bool{true, false} {
		all, err := NewConnections(ConnectionsOptions{Max: 1, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		all.grace = 0
		raw, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln := all.Listen(raw)
		connect := func() *connection {
			t.Helper()
			client, err := net.Dial("tcp", raw.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			if sends {
				if _, err := io.WriteString(client, "GET / HTTP/1.1\r\n"); err != nil {
					t.Fatal(err)
				}
			}
			accepted, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { accepted.Close() })
			return accepted.(*connection)
		}
		first := connect()
		for until := time.Now().Add(time.Minute); sends && !hasUnread(first.Conn); {
			if time.Now().After(until) {
				t.Fatal("the bytes do not arrive")
			}
		}
		connect()
		all.mu.Lock()
		kept := first.place == placeGeneral
		all.mu.Unlock()
		if kept != sends {
			t.Errorf("sends %v: kept its place %v", sends, kept)
		}
		raw.Close()
	}
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
	all, err := NewConnections(ConnectionsOptions{Max: 1, Log: slog.New(slog.DiscardHandler)})
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

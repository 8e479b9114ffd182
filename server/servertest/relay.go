package servertest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// The states of a Relay.
const (
	Relaying int32 = iota
	Cut            // the relay resets old and new connections
	Mute           // the relay accepts connections and forwards nothing
)

// Relay is a TCP relay between the server and its database.
type Relay struct {
	ln    net.Listener
	to    string
	state atomic.Int32

	mu        sync.Mutex
	conns     map[net.Conn]bool
	swallowed []byte // received and not forwarded, while mute
}

// NewRelay starts a relay to an endpoint. It runs until the test ends.
func NewRelay(t *testing.T, to net.Addr) *Relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{ln: ln, to: to.String(), conns: map[net.Conn]bool{}}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go r.forward(conn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		r.Set(Cut)
	})
	return r
}

// URI returns the connection string of the relay, for MONGO_URI.
func (r *Relay) URI() string { return "mongodb://" + r.ln.Addr().String() + "/?directConnection=true" }

// Set changes the state of old and new connections.
func (r *Relay) Set(state int32) {
	r.state.Store(state)
	if state != Cut {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		ResetConn(conn)
	}
}

// forward connects a client with the database until one of them closes.
func (r *Relay) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer server.Close()
	r.mu.Lock()
	r.conns[client] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, client)
	}()
	if r.state.Load() == Cut {
		ResetConn(client)
		return
	}
	go func() {
		defer client.Close()
		r.forwardBytes(client, server)
	}()
	r.forwardBytes(server, client)
}

// HasSwallowed reports whether the relay has received the text while mute.
func (r *Relay) HasSwallowed(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.swallowed, []byte(text))
}

// forwardBytes forwards bytes in one direction, and keeps them while mute.
func (r *Relay) forwardBytes(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if r.state.Load() == Mute {
			r.mu.Lock()
			r.swallowed = append(r.swallowed, buffer[:n]...)
			r.mu.Unlock()
		} else if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// ResetConn closes a connection with a TCP reset.
func ResetConn(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

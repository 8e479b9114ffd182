package server

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// The states of a relay.
const (
	relaying int32 = iota
	cut            // connections are reset, old and new
	mute           // connections are accepted, and nothing passes
)

// relay stands between the program and its database.
type relay struct {
	ln    net.Listener
	to    string
	state atomic.Int32

	mu        sync.Mutex
	conns     map[net.Conn]bool
	swallowed []byte // while mute
}

func newRelay(t *testing.T, to net.Addr) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln, to: to.String(), conns: map[net.Conn]bool{}}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go r.carry(conn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		r.set(cut)
	})
	return r
}

// uri is what the program is told.
func (r *relay) uri() string { return "mongodb://" + r.ln.Addr().String() + "/?directConnection=true" }

// set changes the state for old connections and new ones.
func (r *relay) set(state int32) {
	r.state.Store(state)
	if state != cut {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		reset(conn)
	}
}

func (r *relay) carry(client net.Conn) {
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
	if r.state.Load() == cut {
		reset(client)
		return
	}
	go func() {
		defer client.Close()
		r.pump(client, server)
	}()
	r.pump(server, client)
}

// swallows tells whether text was on its way while mute.
func (r *relay) swallows(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.swallowed, []byte(text))
}

// pump carries bytes one way, and swallows them while mute.
func (r *relay) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if r.state.Load() == mute {
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

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fate decides when one life of the program ends. Everything that the program
// waits for passes it: each request to ConnectyCube and each command to the
// database. At one of them, counted from the start, the program dies, either
// before the other side has heard of it or before the answer comes back.
type fate struct {
	mu     sync.Mutex
	steps  int
	at     int // step at which it dies; 0 = never
	after  bool
	doomed bool // the step has come, death is on its way
	die    func()
	over   chan struct{} // closed when it is dead
}

func newFate(at int, after bool) *fate {
	return &fate{at: at, after: after, over: make(chan struct{})}
}

// What a step comes to.
type verdict int

const (
	goOn verdict = iota
	dieBefore
	dieAfter
)

func (f *fate) step() verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.over:
		return dieBefore
	default:
	}
	f.steps++
	if f.steps != f.at {
		return goOn
	}
	f.doomed = true
	if f.after {
		return dieAfter
	}
	return dieBefore
}

// spare lets whoever has come so far live on. Who has met the fatal step already
// is dead when it returns.
func (f *fate) spare() {
	f.mu.Lock()
	f.at = 0
	doomed := f.doomed
	f.mu.Unlock()
	if doomed {
		<-f.over
	}
}

// strike kills the program; the first call counts.
func (f *fate) strike() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.over:
		return
	default:
	}
	close(f.over)
	if f.die != nil {
		f.die()
	}
}

func (f *fate) dead() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// atConnectyCube lets a request to ConnectyCube pass, or not.
func (f *fate) atConnectyCube(w http.ResponseWriter, r *http.Request, honest http.Handler) {
	fatal := f.step()
	if fatal == goOn {
		honest.ServeHTTP(w, r)
		return
	}
	defer f.strike() // ConnectyCube's own faults panic too
	if fatal == dieAfter {
		honest.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

// ferry carries the wire protocol between one life of the program and the
// database, message by message.
type ferry struct {
	ln    net.Listener
	to    string
	fate  *fate
	mu    sync.Mutex
	conns []net.Conn
}

func newFerry(t *testing.T, to string, f *fate) *ferry {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	y := &ferry{ln: ln, to: to, fate: f}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go y.carry(conn)
		}
	}()
	return y
}

func (y *ferry) uri() string { return "mongodb://" + y.ln.Addr().String() + "/?directConnection=true" }

// sink ends all connections, and there are no new ones.
func (y *ferry) sink() {
	_ = y.ln.Close()
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, conn := range y.conns {
		reset(conn)
	}
}

func (y *ferry) carry(client net.Conn) {
	server, err := net.Dial("tcp", y.to)
	if err != nil {
		reset(client)
		return
	}
	y.mu.Lock()
	y.conns = append(y.conns, client, server)
	y.mu.Unlock()
	defer server.Close()
	defer client.Close()
	if y.fate.dead() {
		return
	}
	var drop atomic.Bool // nobody gets the next answer
	heard := make(chan struct{})
	go func() {
		defer client.Close()
		for {
			answer, err := message(server)
			if err == nil && drop.Load() {
				close(heard)
				return
			}
			if err == nil {
				_, err = client.Write(answer)
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		command, err := message(client)
		if err != nil {
			return
		}
		fatal := goOn
		if !greeting(command) {
			fatal = y.fate.step()
		}
		if fatal != goOn {
			defer y.fate.strike()
		}
		if fatal == dieBefore {
			return
		}
		drop.Store(fatal == dieAfter)
		if _, err := server.Write(command); err != nil {
			return
		}
		if fatal == dieAfter {
			select {
			case <-heard:
			case <-time.After(10 * time.Second):
			}
			return
		}
	}
}

// message reads one message of MongoDB's wire protocol.
func message(r io.Reader) ([]byte, error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head)
	if n < 16 || n > 48<<20 {
		return nil, io.ErrUnexpectedEOF
	}
	whole := append(head, make([]byte, n-16)...)
	_, err := io.ReadFull(r, whole[16:])
	return whole, err
}

// greeting tells the driver's own messages, which come by the clock.
func greeting(m []byte) bool {
	m = m[:min(len(m), 80)]
	for _, word := range []string{"hello\x00", "isMaster\x00", "ismaster\x00", "endSessions\x00"} {
		if bytes.Contains(m, []byte(word)) {
			return true
		}
	}
	return false
}

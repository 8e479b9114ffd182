package crashes

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/server/servertest"
)

// killer decides when one life of the program ends. Everything that the program
// waits for passes it: each request to ConnectyCube and each command to the
// database. At one of them, counted from the start, the program dies, either
// before the other side has heard of it or before the answer comes back.
type killer struct {
	mu     sync.Mutex
	born   bool // until then nothing happens to it
	steps  int
	at     int // step at which it dies; 0 = never
	after  bool
	doomed bool // the step has come, death is on its way
	die    func()
	over   chan struct{} // closed when it is dead
}

func newKiller(at int, after bool) *killer {
	return &killer{at: at, after: after, over: make(chan struct{})}
}

// What a step comes to.
type verdict int

const (
	goOn verdict = iota
	cutBefore
	cutAfter
)

func (f *killer) step() verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.over:
		return cutBefore
	default:
	}
	if !f.born {
		return goOn
	}
	f.steps++
	if f.steps != f.at {
		return goOn
	}
	f.doomed = true
	if f.after {
		return cutAfter
	}
	return cutBefore
}

// begin lets fate take its course.
func (f *killer) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.born = true
}

// spare lets whoever has come so far live on. Who has met the fatal step already
// is dead when it returns.
func (f *killer) spare() {
	f.mu.Lock()
	f.at = 0
	doomed := f.doomed
	f.mu.Unlock()
	if doomed {
		<-f.over
	}
}

// kill kills the program; the first call counts.
func (f *killer) kill() {
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

func (f *killer) dead() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// atConnectyCube lets a request to ConnectyCube pass, or not.
func (f *killer) atConnectyCube(w http.ResponseWriter, r *http.Request, honest http.Handler) {
	fatal := f.step()
	if fatal == goOn {
		honest.ServeHTTP(w, r)
		return
	}
	defer f.kill() // ConnectyCube's own faults panic too
	if fatal == cutAfter {
		honest.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

// connBreaker breaks connections to the database, while it rages, at commands that are
// nobody's fatal step: before the database has heard of them, or before the answer
// comes back.
type connBreaker struct {
	mu     sync.Mutex
	dice   *rand.Rand
	raging bool
	broken int // connections
}

func (s *connBreaker) rage(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raging = on
}

func (s *connBreaker) gust() verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.raging || s.dice.Float64() > 0.015 {
		return goOn
	}
	s.broken++
	return cutBefore + verdict(s.dice.IntN(2))
}

// mongoProxy carries the wire protocol between one life of the program and the
// database, message by message.
type mongoProxy struct {
	ln    net.Listener
	to    string
	fate  *killer
	storm *connBreaker
	mu    sync.Mutex
	conns []net.Conn
}

func newMongoProxy(t *testing.T, to string, f *killer, s *connBreaker) *mongoProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	y := &mongoProxy{ln: ln, to: to, fate: f, storm: s}
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

func (y *mongoProxy) uri() string {
	return "mongodb://" + y.ln.Addr().String() + "/?directConnection=true"
}

// sink ends all connections, and there are no new ones.
func (y *mongoProxy) sink() {
	_ = y.ln.Close()
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, conn := range y.conns {
		servertest.ResetConn(conn)
	}
}

func (y *mongoProxy) carry(client net.Conn) {
	server, err := net.Dial("tcp", y.to)
	if err != nil {
		servertest.ResetConn(client)
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
		cut := goOn
		if !greeting(command) {
			if cut = y.fate.step(); cut != goOn {
				defer y.fate.kill()
			} else {
				cut = y.storm.gust()
			}
		}
		if cut == cutBefore {
			return
		}
		drop.Store(cut == cutAfter)
		if _, err := server.Write(command); err != nil {
			return
		}
		if cut == cutAfter {
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

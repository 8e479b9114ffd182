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

// killer decides when one run of the server ends. All that the server waits for
// passes it: each request to ConnectyCube and each command to the database. The
// killer counts these steps and kills the server at one of them, either before the
// other side receives the message or before the reply comes back.
type killer struct {
	mu       sync.Mutex
	armed    bool // until then, steps do not count
	steps    int
	last     int  // number of the step at which the server dies; 0 is never
	lateKill bool // the other side receives the message of that step
	doomed   bool // that step has begun, and the kill follows
	end      func()
	killed   chan struct{} // closed when the server is dead
}

func newKiller(last int, lateKill bool) *killer {
	return &killer{last: last, lateKill: lateKill, killed: make(chan struct{})}
}

// cut is where a step breaks off.
type cut int

const (
	cutNowhere cut = iota
	cutBefore      // before the other side receives the message
	cutAfter       // before the reply comes back
)

// step counts a step and returns where it breaks off. The caller kills the server
// after a cut.
func (k *killer) step() cut {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead() {
		return cutBefore
	}
	if !k.armed {
		return cutNowhere
	}
	k.steps++
	if k.steps != k.last {
		return cutNowhere
	}
	k.doomed = true
	if k.lateKill {
		return cutAfter
	}
	return cutBefore
}

// arm starts the count.
func (k *killer) arm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = true
}

// disarm lets the server live on, unless it is dead already or the last step has begun.
// Then disarm returns true, once the server is dead.
func (k *killer) disarm() (dead bool) {
	k.mu.Lock()
	k.last = 0
	doomed := k.doomed
	k.mu.Unlock()
	if doomed {
		<-k.killed
	}
	return k.dead()
}

// kill kills the server. Only the first call has an effect.
func (k *killer) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead() {
		return
	}
	close(k.killed)
	if k.end != nil {
		k.end()
	}
}

func (k *killer) dead() bool {
	select {
	case <-k.killed:
		return true
	default:
		return false
	}
}

// serve passes a request to ConnectyCube as one step.
func (k *killer) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	at := k.step()
	if at == cutNowhere {
		next.ServeHTTP(w, r)
		return
	}
	defer k.kill() // also when a fault of the sandbox panics
	if at == cutAfter {
		next.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

// connBreaker breaks connections to the database at random commands, while it is
// enabled.
type connBreaker struct {
	mu      sync.Mutex
	dice    *rand.Rand
	enabled bool
	broken  int // connections
}

func (b *connBreaker) enable(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enabled = on
}

// next returns where the next command breaks off.
func (b *connBreaker) next() cut {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.enabled || b.dice.Float64() > 0.015 {
		return cutNowhere
	}
	b.broken++
	return cutBefore + cut(b.dice.IntN(2))
}

// mongoProxy forwards MongoDB's wire protocol between one run of the server and the
// database, message by message.
type mongoProxy struct {
	ln       net.Listener
	database string // endpoint
	killer   *killer
	breaker  *connBreaker
	mu       sync.Mutex
	conns    []net.Conn
}

func newMongoProxy(t *testing.T, database string, k *killer, b *connBreaker) *mongoProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &mongoProxy{ln: ln, database: database, killer: k, breaker: b}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go p.forward(conn)
		}
	}()
	return p
}

func (p *mongoProxy) uri() string {
	return "mongodb://" + p.ln.Addr().String() + "/?directConnection=true"
}

// shutDown resets all connections and accepts no others.
func (p *mongoProxy) shutDown() {
	_ = p.ln.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		servertest.ResetConn(conn)
	}
}

// forward connects a client with the database until one side closes or a command
// breaks off.
func (p *mongoProxy) forward(client net.Conn) {
	database, err := net.Dial("tcp", p.database)
	if err != nil {
		servertest.ResetConn(client)
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, database)
	p.mu.Unlock()
	defer database.Close()
	defer client.Close()
	if p.killer.dead() {
		return
	}
	var dropNext atomic.Bool // the client does not get the next reply
	dropped := make(chan struct{})
	go func() {
		defer client.Close()
		forwardReplies(client, database, &dropNext)
		close(dropped)
	}()
	for {
		command, err := readMessage(client)
		if err != nil {
			return
		}
		at := cutNowhere
		if !isDriverInternal(command) {
			if at = p.killer.step(); at != cutNowhere {
				defer p.killer.kill()
			} else {
				at = p.breaker.next()
			}
		}
		if at == cutBefore {
			return
		}
		dropNext.Store(at == cutAfter)
		if _, err := database.Write(command); err != nil {
			return
		}
		if at == cutAfter {
			select {
			case <-dropped:
			case <-time.After(10 * time.Second): // a database that does not reply may have executed the command
			}
			return
		}
	}
}

// forwardReplies forwards replies until one must be dropped or a side closes.
func forwardReplies(client io.Writer, database io.Reader, dropNext *atomic.Bool) {
	for {
		reply, err := readMessage(database)
		if err != nil || dropNext.Load() {
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// readMessage reads one message of MongoDB's wire protocol:
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
func readMessage(r io.Reader) ([]byte, error) {
	header := make([]byte, 16)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(header)
	if n < 16 || n > 48<<20 {
		return nil, io.ErrUnexpectedEOF
	}
	message := append(header, make([]byte, n-16)...)
	_, err := io.ReadFull(r, message[16:])
	return message, err
}

// isDriverInternal reports whether a message is one of the driver's own, which it
// sends at times that no scenario decides.
func isDriverInternal(message []byte) bool {
	message = message[:min(len(message), 80)]
	for _, word := range []string{"hello\x00", "isMaster\x00", "ismaster\x00", "endSessions\x00"} {
		if bytes.Contains(message, []byte(word)) {
			return true
		}
	}
	return false
}

package middleware

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// boundServer is an HTTP server on loopback with bounded connections.
type boundServer struct {
	*Connections
	addr  string
	began chan string // the path of each request when its handler starts

	release chan struct{} // requests of /wait, /verify?wait and /work end when it is closed; those of /work do not read their body
	running atomic.Int64  // handlers

	mu   sync.Mutex
	open int // accepted connections that are not closed
	peak int
}

// countingListener counts the open connections below Connections.
type countingListener struct {
	net.Listener
	srv *boundServer
}

type countedConn struct {
	net.Conn
	once func()
}

func (c countedConn) Close() error {
	err := c.Conn.Close()
	c.once()
	return err
}

func (c countedConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

func (c countedConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(*net.TCPConn).SyscallConn()
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.srv.count(1)
	return countedConn{c, sync.OnceFunc(func() { l.srv.count(-1) })}, nil
}

func (s *boundServer) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.peak = max(s.peak, s.open)
}

func (s *boundServer) openNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// freshPlaces is the bound of new connections in these tests.
const freshPlaces = 100

// serveBound starts a server whose handler reads the body and answers 200.
func serveBound(t *testing.T, o ConnectionsOptions) *boundServer {
	t.Helper()
	o.Log, o.Fresh = slog.New(slog.DiscardHandler), freshPlaces
	if o.Reserved == nil {
		o.Reserved = []Reservation{{Paths: []string{"/verify"}, Places: 3}, {Paths: []string{"/healthz"}, Places: 2}}
	}
	all, err := NewConnections(o)
	if err != nil {
		t.Fatal(err)
	}
	all.grace = 0 // TestEvictionGrace covers it
	all.slow = 0
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &boundServer{Connections: all, addr: ln.Addr().String(), began: make(chan string, 4096), release: make(chan struct{})}
	server := &http.Server{
		ConnState:   all.Track,
		ConnContext: all.Context,
		Handler: all.Streams(Discard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.running.Add(1)
			defer s.running.Add(-1)
			s.began <- r.URL.Path
			if r.URL.Path != "/work" {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			switch r.URL.Path {
			case "/wait", "/work":
				<-s.release
			case "/verify":
				if r.URL.RawQuery == "wait" {
					<-s.release
				}
			case "/short":
				_, _ = io.WriteString(w, "short")
			case "/large":
				_, _ = w.Write(make([]byte, 8<<20))
			}
		}))),
		Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(all.Listen(countingListener{ln, s})) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
		waitFor(t, "all connections are closed", func() bool { return s.openNow() == 0 })
		waitFor(t, "all places are free", func() bool { // handlers of HTTP/2 end after their connection
			all.mu.Lock()
			defer all.mu.Unlock()
			return all.general+all.fresh.Len()+all.waiting.Len()+all.busy.Len()+all.evicted+all.leaving.Len()+all.reserved[0].Len()+all.reserved[1].Len()+len(all.byNetwork) == 0
		})
	})
	return s
}

// hasBegun waits until a request has a place, and returns its path.
func (s *boundServer) hasBegun(t *testing.T) string {
	t.Helper()
	select {
	case path := <-s.began:
		return path
	case <-time.After(time.Minute):
		t.Fatal("timeout: waiting until a request runs")
		return ""
	}
}

// waitFor polls until ok holds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout: waiting until %s", what)
		}
	}
}

// peerConn is the client's end of a connection.
type peerConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (s *boundServer) dial(t *testing.T) *peerConn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, c)
}

func newPeer(t *testing.T, c net.Conn) *peerConn {
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return &peerConn{t, c, bufio.NewReader(c)}
}

func (p *peerConn) send(text string) *peerConn {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
	return p
}

// ask sends a whole request and returns the answer.
func (p *peerConn) ask(path string) *http.Response {
	p.t.Helper()
	return p.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n").answer()
}

func (p *peerConn) answer() *http.Response {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res
}

// ended waits for the server to close the connection. It reports whether it does.
func (p *peerConn) ended() bool {
	_, err := p.r.ReadByte()
	netErr, ok := err.(net.Error)
	return err != nil && (!ok || !netErr.Timeout())
}

const oneByteOfABody = "POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx"

// fill takes n places with requests that never end.
func (s *boundServer) fill(t *testing.T, n int) []*peerConn {
	t.Helper()
	var list []*peerConn
	for range n {
		list = append(list, s.dial(t).send(oneByteOfABody))
		s.hasBegun(t)
	}
	return list
}

func want(t *testing.T, res *http.Response, status int) {
	t.Helper()
	if res.StatusCode != status {
		t.Errorf("status is %d, want %d", res.StatusCode, status)
	}
}

func TestConnectionsBeyondTheBoundGet503(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 4})
	busy := s.fill(t, 4)
	for range 50 { // refusals take no place
		p := s.dial(t)
		res := p.ask("/api")
		want(t, res, http.StatusServiceUnavailable)
		if res.Header.Get("Retry-After") == "" || !res.Close {
			t.Errorf("the refusal has headers %v, want Retry-After and Connection: close", res.Header)
		}
		if !p.ended() {
			t.Error("the refused connection stays open")
		}
		_ = p.Close()
	}
	_ = busy[0].Close()
	waitFor(t, "a place is free", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.open <= 3 })
	want(t, s.dial(t).ask("/api"), http.StatusOK)
}

// A client that sends a large body gets the refusal and no reset.
func TestRefusedConnectionReadsTheBody(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 1})
	s.fill(t, 1)
	const size = 200 << 10
	p := s.dial(t).send(fmt.Sprintf("POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
	p.send(strings.Repeat("x", size))
	want(t, p.answer(), http.StatusServiceUnavailable)
}

func TestReservedPathsAreServedDuringAFlood(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 2})
	s.fill(t, 2)
	for range freshPlaces + 50 { // silent ones, more than fresh places
		s.dial(t)
	}
	want(t, s.dial(t).ask("/verify?token=x"), http.StatusOK)
	want(t, s.dial(t).ask("/Verify/"), http.StatusOK) // as NormalizePath routes it
	want(t, s.dial(t).ask("/healthz"), http.StatusOK)
	want(t, s.dial(t).ask("/api?/verify"), http.StatusServiceUnavailable)
	want(t, s.dial(t).ask("/verify/more"), http.StatusServiceUnavailable)

	p := s.dial(t) // the request line arrives in parts
	p.send("GE")
	p.send("T /verify")
	want(t, p.send(" HTTP/1.1\r\nHost: x\r\n\r\n").answer(), http.StatusOK)
	if !p.ended() {
		t.Error("the answered connection keeps its reserved place")
	}
}

// Each reservation has its own places.
func TestReservationsAreSeparate(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 1})
	s.fill(t, 1)
	for range 3 {
		s.dial(t).send("GET /verify?wait HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	for range 3 {
		s.hasBegun(t)
	}
	want(t, s.dial(t).ask("/verify"), http.StatusServiceUnavailable)
	want(t, s.dial(t).ask("/healthz"), http.StatusOK)
	close(s.release)
}

// bothWait polls until two connections wait for their next request.
func (s *boundServer) bothWait(t *testing.T) {
	t.Helper()
	waitFor(t, "two connections wait", func() bool {
		s.Connections.mu.Lock()
		defer s.Connections.mu.Unlock()
		return s.waiting.Len() == 2
	})
}

func TestWaitingConnectionsAreEvicted(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 2})
	first, second := s.dial(t), s.dial(t)
	want(t, first.ask("/api"), http.StatusOK)
	want(t, second.ask("/api"), http.StatusOK)
	s.bothWait(t)
	want(t, first.ask("/api"), http.StatusOK) // now the second one has waited longer
	s.bothWait(t)

	third := s.dial(t)
	want(t, third.ask("/api"), http.StatusOK)
	if !second.ended() {
		t.Error("the connection that has waited longest is still open")
	}
	want(t, first.ask("/api"), http.StatusOK)

	s.bothWait(t)
	for range 10 { // they send nothing
		s.dial(t)
	}
	want(t, s.dial(t).ask("/api"), http.StatusOK)
}

func TestBoundPerAddress(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 10, PerAddress: 2})
	busy := s.fill(t, 2)
	refused := s.dial(t)
	want(t, refused.ask("/api"), http.StatusServiceUnavailable)
	_ = refused.Close()
	probe := s.dial(t)
	want(t, probe.ask("/healthz"), http.StatusOK)
	if !probe.ended() {
		t.Error("the answered probe keeps its reserved place")
	}
	_ = busy[0].Close()
	waitFor(t, "a place is free", func() bool { return s.Open() <= 1 })
	want(t, s.dial(t).ask("/api"), http.StatusOK)
}

func TestBoundPerAddressSparesTrustedProxies(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 10, PerAddress: 2, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	s.fill(t, 5)
	want(t, s.dial(t).ask("/api"), http.StatusOK)
}

// pipes replaces sockets by pipes, because the clock is fake. The clients send their first
// request line, and then nothing.
func pipes(t *testing.T, all *Connections) (connect func() (c *connection, served error)) {
	return func() (*connection, error) {
		client, server := net.Pipe()
		c := all.admit(server)
		t.Cleanup(func() { _ = client.Close(); _ = c.Close() })
		go func() {
			_, _ = io.WriteString(client, "GET / HTTP/1.1\r\n")
			_, _ = io.Copy(io.Discard, client)
		}()
		_, err := c.Read(make([]byte, 100))
		return c, err
	}
}

func TestEvictionGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, err := NewConnections(ConnectionsOptions{Max: 1, Fresh: freshPlaces, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		connect := pipes(t, all)
		first, err := connect()
		if err != nil {
			t.Fatal(err)
		}
		all.Track(first, http.StateIdle)
		time.Sleep(evictionGrace - 1)
		if _, err := connect(); err == nil || first.place != placeGeneral {
			t.Errorf("within the grace, the next connection is served, and the first has place %d", first.place)
		}
		time.Sleep(time.Nanosecond)
		if next, err := connect(); err != nil || next.place != placeGeneral || first.place != placeEvicted {
			t.Errorf("after the grace, the next connection has %v and the first place %d", err, first.place)
		}
	})
}

// A flood of 3,000 connections, each with one byte of a body, stays within the bound.
func TestConnectionsStayBoundedInAFlood(t *testing.T) {
	const most = 40
	s := serveBound(t, ConnectionsOptions{Max: most})
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			for range 100 {
				c, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				_, _ = io.WriteString(c, oneByteOfABody)
			}
		})
	}
	all.Wait()
	s.mu.Lock()
	peak := s.peak
	s.mu.Unlock()
	if bound := most + freshPlaces + 5 + maxEvicted + 1; peak > bound || peak < most {
		t.Errorf("at most %d connections were open, want between %d and %d", peak, most, bound)
	}
}

// Connections that send no request line take no place of a request, however many they are.
func TestSilentConnectionsTakeNoPlace(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 1})
	silent := s.dial(t)
	for range freshPlaces + 1 {
		s.dial(t).send("G")
	}
	if !silent.ended() {
		t.Error("the oldest connection is open")
	}
	p := s.dial(t)
	want(t, p.ask("/api"), http.StatusOK)
	want(t, p.ask("/api"), http.StatusOK)
}

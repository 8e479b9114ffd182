package middleware

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Client is a client that speaks HTTP/2 without TLS over one connection.
type h2Client struct {
	t *testing.T
	*http.Client
	addr   string
	closed chan struct{} // once the connection is closed by the server
}

func (s *boundServer) h2(t *testing.T) *h2Client { return s.h2From(t, "127.0.0.1") }

// h2From connects from an address of the loopback network.
func (s *boundServer) h2From(t *testing.T, address string) *h2Client {
	t.Helper()
	c := &h2Client{t: t, addr: s.addr, closed: make(chan struct{})}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10} // of an answer that is not read
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext(ctx, network, addr)
		return &watchedConn{Conn: conn, ended: c.closed}, err
	}
	c.Client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

// watchedConn tells when its reads end.
type watchedConn struct {
	net.Conn
	ended chan struct{}
	done  bool // only the reading goroutine uses it
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !c.done {
		c.done = true
		close(c.ended)
	}
	return n, err
}

// ask sends a request and returns its status.
func (c *h2Client) ask(path string) *http.Response {
	c.t.Helper()
	res, err := c.Get("http://" + c.addr + path)
	if err != nil {
		c.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.ProtoMajor != 2 {
		c.t.Errorf("%s is answered with %s", path, res.Proto)
	}
	return res
}

// stall sends a request, and reads no answer.
func (c *h2Client) stall(r *http.Request) {
	r = r.Clone(c.t.Context())
	r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", c.addr
	if res, err := c.Do(r); err == nil {
		c.t.Cleanup(func() { _ = res.Body.Close() })
	}
}

// hold begins a request that does not end before the function is called. That returns
// the status.
func (s *boundServer) hold(c *h2Client) (end func() int) {
	c.t.Helper()
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		res, err := c.Post("http://"+c.addr+"/api", "text/plain", r)
		if err != nil {
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	s.hasBegun(c.t)
	return func() int { _ = w.Close(); return <-status }
}

// One connection of HTTP/2 cannot carry more requests than the bound allows
// connections.
func TestRequestsOfHTTP2TakePlaces(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 4})
	c := s.h2(t)
	var held []func() int
	for range 3 { // with the connection itself, 4 places
		held = append(held, s.hold(c))
	}
	for range 20 {
		res := c.ask("/api")
		want(t, res, http.StatusServiceUnavailable)
		if res.Header.Get("Retry-After") == "" {
			t.Error("the refusal has no Retry-After")
		}
	}
	want(t, c.ask("/verify"), http.StatusOK)
	want(t, c.ask("//Healthz/"), http.StatusOK)
	want(t, s.dial(t).ask("/api"), http.StatusServiceUnavailable)
	for _, end := range held {
		if status := end(); status != http.StatusOK {
			t.Errorf("a request with a place got %d", status)
		}
	}
	for range 20 { // refusals and answers have returned their places
		want(t, c.ask("/api"), http.StatusOK)
	}
	if s.openNow() > 2 {
		t.Errorf("%d connections", s.openNow())
	}
}

// A request keeps its place until the client has read the answer, however short it is.
func TestUnreadAnswersOfHTTP2KeepTheirPlaces(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 4})
	frames := s.frames(t, "127.0.0.1")
	for id := uint32(1); id <= 5; id += 2 { // with the connection itself, 4 places
		get(t, frames, id, "/short")
	}
	waitFor(t, "all answers wait for the client", func() bool { return s.running.Load() == 0 && len(s.began) == 3 })
	if open := s.openNow(); open != 1 {
		t.Errorf("%d connections", open)
	}
	if open := s.Open(); open != 4 {
		t.Errorf("%d places are taken, want 4", open)
	}
	for id := uint32(1); id <= 5; id += 2 {
		_ = frames.WriteWindowUpdate(id, 1000)
	}
	waitFor(t, "the places are returned", func() bool { return s.Open() == 1 })
}

// frames opens a connection of HTTP/2 from an address of the loopback network, whose answers
// wait for a window.
func (s *boundServer) frames(t *testing.T, address string) *http2.Framer {
	t.Helper()
	c := s.dialFrom(t, address).send(http2.ClientPreface)
	frames := http2.NewFramer(c, c)
	if err := frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	return frames
}

// await reads frames up to one of a type.
func await(t *testing.T, frames *http2.Framer, want http2.FrameType) http2.Frame {
	t.Helper()
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if frame.Header().Type == want {
			return frame
		}
	}
}

func get(t *testing.T, frames *http2.Framer, id uint32, path string) {
	t.Helper()
	var block bytes.Buffer
	to := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", path}} {
		if err := to.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsOfHTTP2CountForTheirAddress(t *testing.T) {
	for name, o := range map[string]ConnectionsOptions{
		"a client":        {Max: 100, PerAddress: 3},
		"a trusted proxy": {Max: 100, PerAddress: 3, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		s := serveBound(t, o)
		c := s.h2(t)
		first, second := s.hold(c), s.hold(c)
		status := http.StatusServiceUnavailable
		if o.Trusted != nil {
			status = http.StatusOK
		}
		if res := c.ask("/api"); res.StatusCode != status {
			t.Errorf("%s: the third request got %d, want %d", name, res.StatusCode, status)
		}
		if a, b := first(), second(); a != http.StatusOK || b != http.StatusOK {
			t.Errorf("%s: %d and %d", name, a, b)
		}
	}
}

// HTTP/2 may read the next request before it reports that the last one has ended.
func TestAnActiveConnectionDoesNotWait(t *testing.T) {
	l, err := NewConnections(ConnectionsOptions{Max: 2, Fresh: freshPlaces, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := l.admit(near)
	l.settle(c, "/") // the request is read
	for _, step := range []struct {
		state   http.ConnState
		waiting int
	}{{http.StateActive, 0}, {http.StateIdle, 1}, {http.StateActive, 0}, {http.StateIdle, 1}} {
		l.Track(c, step.state)
		if l.waiting.Len() != step.waiting {
			t.Errorf("after %v, %d connections wait, want %d", step.state, l.waiting.Len(), step.waiting)
		}
	}
}

// A connection of HTTP/2 gives its place to another client only while it has no request.
func TestWaitingConnectionsOfHTTP2AreEvicted(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 2})
	c := s.h2(t)
	for range 50 { // requests that follow each other at once
		want(t, c.ask("/api"), http.StatusOK)
		s.hasBegun(t)
	}
	end := s.hold(c)
	want(t, s.dial(t).ask("/api"), http.StatusServiceUnavailable)
	select {
	case <-c.closed:
		t.Error("a connection with a request was evicted")
	default:
	}
	if status := end(); status != http.StatusOK {
		t.Errorf("its request got %d", status)
	}
	s.awaitRest(t)
	s.fill(t, 1)
	waitFor(t, "the connection is evicted", func() bool {
		_ = s.dial(t).ask("/api") // refused while the client has sent more that the server has not read
		select {
		case <-c.closed:
			return true
		default:
			return false
		}
	})
}

// awaitRest waits until there is one connection, and it waits for a request.
func (s *boundServer) awaitRest(t *testing.T) {
	t.Helper()
	waitFor(t, "the connection waits", func() bool {
		s.Connections.mu.Lock()
		defer s.Connections.mu.Unlock()
		return s.waiting.Len() == 1 && s.general == 1
	})
}

// The connection may be evicted after the server has read a request, and before that runs.
func TestRequestsOfAClosedConnectionDoNotRun(t *testing.T) {
	all := serveBound(t, ConnectionsOptions{Max: 2}).Connections
	for place, want := range map[place]bool{placeGeneral: true, placeEvicted: false, placeNone: false} {
		c := &connection{all: all, stream: &stream{on: &connection{all: all, place: place}}}
		if got := all.enter(c, "/api"); got != want {
			t.Errorf("with its connection on place %d, a request runs: %t, want %t", place, got, want)
		}
		all.release(c)
	}
}

// Many clients of HTTP/2 send a frame after an answer, such as the room for the next one,
// and connect before they have a request. With that they hold no place.
func TestFramesWithoutARequestHoldNoPlace(t *testing.T) {
	for name, requests := range map[string]int{"before the first request": 0, "after a request": 1} {
		s := serveBound(t, ConnectionsOptions{Max: 2})
		frames := s.frames(t, "127.0.0.1")
		for range requests {
			get(t, frames, 1, "/api")
			s.hasBegun(t)
			await(t, frames, http2.FrameHeaders)
		}
		s.awaitRest(t)
		if err := errors.Join(frames.WriteSettingsAck(), frames.WriteWindowUpdate(0, 1), frames.WritePing(false, [8]byte{})); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for ack := false; !ack; { // then the server has read all
			ack = await(t, frames, http2.FramePing).Header().Flags.Has(http2.FlagPingAck)
		}
		s.fill(t, 2)
	}
}

// Pings do not put off the eviction again and again.
func TestPingsHoldNoPlace(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 2})
	s.grace = 200 * time.Millisecond
	frames := s.frames(t, "127.0.0.9")
	get(t, frames, 1, "/api")
	s.hasBegun(t)
	await(t, frames, http2.FrameHeaders)
	s.awaitRest(t)
	s.fill(t, 1)
	go func() {
		for frames.WritePing(false, [8]byte{}) == nil {
			if _, err := frames.ReadFrame(); err != nil { // its answer
				return
			}
		}
	}()
	waitFor(t, "a newcomer gets the place", func() bool { return s.ask(t, "127.0.0.2") == http.StatusOK })
}

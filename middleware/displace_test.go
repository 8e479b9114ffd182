package middleware

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// crowdPlaces is the bound of the servers of these tests. One more than manyConnections
// of its places belong to a crowd.
const crowdPlaces = 2 * (manyConnections + 1)

// dialFrom connects from an address of the loopback network.
func (s *boundServer) dialFrom(t *testing.T, address string) *peerConn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).Dial("tcp", s.addr)
	if err != nil {
		t.Skipf("no connection from %s: %v", address, err)
	}
	return newPeer(t, c)
}

// ask sends a request on a new connection from an address, and returns the status.
func (s *boundServer) ask(t *testing.T, address string) int {
	t.Helper()
	return s.dialFrom(t, address).send("GET /honest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").answer().StatusCode
}

// crowd takes all places with the request from one address, and waits until the server
// counts all of them as slow.
func (s *boundServer) crowd(t *testing.T, address, request string) {
	t.Helper()
	for range s.Max() {
		s.dialFrom(t, address).send(request)
	}
	waitFor(t, "all places belong to slow clients", func() bool { return s.slowNow() == s.Max() })
}

// slowNow returns the number of connections that are slow.
func (s *boundServer) slowNow() int {
	s.Connections.mu.Lock()
	defer s.Connections.mu.Unlock()
	slow := 0
	for e := s.busy.Front(); e != nil; e = e.Next() {
		if e.Value.(*connection).isSlow(time.Now()) {
			slow++
		}
	}
	return slow
}

// slowRequests are the ways in which a client holds a connection that does not wait for a
// request.
var slowRequests = map[string]string{
	"part of the headers":    "GET /slow HTTP/1.1\r\nHost: x\r\nX-Part: o",
	"part of a body":         "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
	"part of a chunked body": "POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc",
	"unread answer":          "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
	"body after an answer":   "GET /honest HTTP/1.1\r\nHost: x\r\n\r\nPOST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
}

func TestOneSlowNetworkDoesNotTakeAllPlaces(t *testing.T) {
	for name, request := range slowRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
			s.crowd(t, "127.0.0.9", request)
			if status := s.ask(t, "127.0.0.2"); status != http.StatusOK {
				t.Errorf("status %d for a client of another network, want 200", status)
			}
		})
	}
}

// One connection of HTTP/2 carries the requests of a crowd.
func TestSlowStreamsOfOneNetworkDoNotTakeAllPlaces(t *testing.T) {
	body, _ := io.Pipe()
	for name, request := range map[string]*http.Request{
		"part of a body": httptest.NewRequest(http.MethodPost, "/slow", body),
		"unread answer":  httptest.NewRequest(http.MethodGet, "/large", nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
			c := s.h2From(t, "127.0.0.9")
			crowd := s.Max() - 1 // the connection has a place, too
			for range crowd {
				go c.stall(request)
			}
			waitFor(t, "all places belong to slow requests", func() bool { return s.slowNow() == crowd })
			if status := s.ask(t, "127.0.0.2"); status != http.StatusOK {
				t.Fatalf("status %d for a client of another network, want 200", status)
			}
			waitFor(t, "a request of the crowd has ended", func() bool { return s.running.Load() < int64(crowd) })
			if res := s.h2From(t, "127.0.0.2").ask("/honest"); res.StatusCode != http.StatusOK {
				t.Errorf("status %d for another client of HTTP/2, want 200", res.StatusCode)
			}
		})
	}
}

// A probe that has a reserved place takes none of a slow client.
func TestReservedPlacesComeBeforeThoseOfSlowClients(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
	s.crowd(t, "127.0.0.9", slowRequests["part of a body"])
	probe := s.dialFrom(t, "127.0.0.2")
	want(t, probe.ask("/healthz"), http.StatusOK)
	if slow := s.slowNow(); slow != s.Max() {
		t.Errorf("%d slow clients have a place, want %d", slow, s.Max())
	}
}

// reservedFull waits until all places of a reservation are taken.
func (s *boundServer) reservedFull(t *testing.T, reservation int) {
	t.Helper()
	waitFor(t, "all reserved places are taken", func() bool {
		s.Connections.mu.Lock()
		defer s.Connections.mu.Unlock()
		return s.reserved[reservation].Len() == s.options.Reserved[reservation].Places
	})
}

// While running requests have all general places, clients that send part of a request for
// each reserved place do not keep the probes out.
func TestSlowClientsDoNotBlockReservedPlaces(t *testing.T) {
	for name, request := range map[string]string{
		"part of the headers": "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Part: o",
		"part of a body":      "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
	} {
		for kind, slow := range map[string]time.Duration{"slow": 0, "one network, again and again": time.Hour} {
			s := serveBound(t, ConnectionsOptions{Max: 2})
			s.slow = slow
			for range s.Max() {
				s.dialFrom(t, "127.0.0.9").send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			waitFor(t, "all general places are taken", func() bool { return s.running.Load() == int64(s.Max()) })
			for range 2 {
				s.dialFrom(t, "127.0.0.9").send(request)
			}
			s.reservedFull(t, 1)
			if status := s.dialFrom(t, "127.0.0.2").ask("/healthz").StatusCode; status != http.StatusOK {
				t.Errorf("%s, %s: status %d for a probe", name, kind, status)
			}
			close(s.release)
		}
	}
}

// A running request keeps its reserved place, and a network that holds many of them takes
// none of the others.
func TestReservedPlacesOfOthersStay(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 1})
	s.slow = time.Hour
	s.fill(t, 1)
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		s.dialFrom(t, from).send("GET /verify?wait HTTP/1.1\r\nHost: x\r\n\r\n")
		s.hasBegun(t)
	}
	slow := s.dialFrom(t, "127.0.0.4").send("GET /verify HTTP/1.1\r\n")
	s.reservedFull(t, 0)
	for range 5 {
		want(t, s.dialFrom(t, "127.0.0.9").ask("/verify"), http.StatusServiceUnavailable)
	}
	want(t, slow.send("Host: x\r\n\r\n").answer(), http.StatusOK)
	close(s.release)
}

// A crowd that is displaced comes again: it gets no place of the others.
func TestSlowNetworkDisplacesNobody(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
	s.crowd(t, "127.0.0.9", slowRequests["part of a body"])
	var honest []*peerConn
	for range 2 {
		p := s.dialFrom(t, "127.0.0.2").send("POST /honest HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
		waitFor(t, "the request runs", func() bool { return slices.Contains(drained(s.began), "/honest") })
		honest = append(honest, p)
	}
	for range crowdPlaces {
		if status := s.ask(t, "127.0.0.9"); status != http.StatusServiceUnavailable {
			t.Fatalf("status %d for one more of the crowd, want 503", status)
		}
	}
	for _, p := range honest {
		want(t, p.send("cd").answer(), http.StatusOK)
	}
}

func drained(c chan string) []string {
	var all []string
	for {
		select {
		case text := <-c:
			all = append(all, text)
		default:
			return all
		}
	}
}

func TestOnlySlowConnectionsOfLargeNetworksAreDisplaced(t *testing.T) {
	body := slowRequests["part of a body"]
	t.Run("of a trusted proxy", func(t *testing.T) {
		s := serveBound(t, ConnectionsOptions{Max: crowdPlaces, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
		s.crowd(t, "127.0.0.9", body)
		if status := s.ask(t, "127.0.0.2"); status != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", status)
		}
	})
	t.Run("of many networks", func(t *testing.T) {
		s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
		for i := range s.Max() {
			s.dialFrom(t, fmt.Sprintf("127.0.1.%d", i+1)).send(body)
		}
		waitFor(t, "all requests run", func() bool { return len(s.began) == s.Max() })
		if status := s.ask(t, "127.0.0.2"); status != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", status)
		}
	})
}

// A request that the server works on is never displaced, whether or not its body is read.
func TestRunningRequestsAreNotDisplaced(t *testing.T) {
	for name, request := range map[string]string{
		"after the body":       "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd",
		"beside a body":        "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab",
		"before a 100":         "POST /work HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
		"without a body":       "GET /work HTTP/1.1\r\nHost: x\r\n\r\n",
		"on a kept connection": "GET /honest HTTP/1.1\r\nHost: x\r\n\r\nGET /work HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
			for range s.Max() {
				s.dialFrom(t, "127.0.0.9").send(request)
			}
			s.refusesOthers(t, s.Max())
		})
	}
	t.Run("over HTTP/2", func(t *testing.T) {
		t.Parallel()
		s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
		c := s.h2From(t, "127.0.0.9")
		c.ask("/honest") // the connection's own frames are written when this is answered
		answers := make(chan int, s.Max())
		for range s.Max() - 1 { // the connection has a place, too
			go func() {
				status := 0
				defer func() { answers <- status }() // also when ask fails
				status = c.ask("/work").StatusCode
			}()
		}
		s.refusesOthers(t, s.Max()-1)
		for range s.Max() - 1 {
			if status := <-answers; status != http.StatusOK {
				t.Fatalf("a running request got %d", status)
			}
		}
	})
}

// refusesOthers waits until requests run, sees that none of them is displaced, and lets them
// end.
func (s *boundServer) refusesOthers(t *testing.T, requests int) {
	t.Helper()
	waitFor(t, "all requests run", func() bool { return s.running.Load() == int64(requests) && s.slowNow() == 0 })
	if status := s.ask(t, "127.0.0.2"); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	if running := s.running.Load(); running != int64(requests) {
		t.Errorf("%d requests run, want %d", running, requests)
	}
	close(s.release)
}

// The reset of a stream needs its connection. If the client does not read from that, the
// connection is closed instead, so that no handler waits for it.
func TestStreamsOfABlockedConnectionEndWithIt(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: crowdPlaces})
	frames := s.frames(t, "127.0.0.9")
	large := uint32(1)
	for range s.Max() - 1 { // the connection has a place, too
		get(t, frames, large, "/short")
		large += 2
	}
	full := func() bool { return s.Open() == s.Max() }
	waitFor(t, "all places are taken", full)
	// In this test each write counts as slow at once. Those of the headers must be over.
	for range s.Max() - 1 {
		await(t, frames, http2.FrameHeaders)
	}
	waitFor(t, "the connection writes nothing", func() bool { return s.writing() == 0 })
	if status := s.ask(t, "127.0.0.2"); status != http.StatusOK { // the search visits the connection first
		t.Fatalf("status %d, want 200", status)
	}
	waitFor(t, "a place is free", func() bool { return !full() })
	get(t, frames, large, "/large")
	for _, id := range []uint32{0, large} {
		if err := frames.WriteWindowUpdate(id, 64<<20); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "the connection is blocked", func() bool { return s.writing() > 300*time.Millisecond && full() })
	if status := s.ask(t, "127.0.0.2"); status != http.StatusOK {
		t.Fatalf("status %d, want 200", status)
	}
	waitFor(t, "the crowd is gone", func() bool { return s.running.Load() == 0 && s.Open() <= 1 })
}

// While a connection is being closed, its streams give their places to others at once.
func TestStreamsOfAClosedConnectionAreDisplaced(t *testing.T) {
	all := &Connections{slow: time.Second}
	now := time.Now()
	for place, want := range map[place]string{placeGeneral: "nothing", placeEvicted: "the stream", placeNone: "the stream"} {
		on := &connection{all: all, place: place}
		on.writes.Store(int64(now.Sub(epoch)) + 1)
		c := &connection{all: all, stream: &stream{on: on}}
		got := map[*connection]string{nil: "nothing", c: "the stream", on: "the connection"}[c.displaceable(now)]
		if got != want {
			t.Errorf("with its connection on place %d, %s would be displaced, want %s", place, got, want)
		}
	}
}

// writing returns how long a write on a busy connection itself, not on one of its streams,
// has waited.
func (s *boundServer) writing() time.Duration {
	s.Connections.mu.Lock()
	defer s.Connections.mu.Unlock()
	longest := time.Duration(0)
	for e := s.busy.Front(); e != nil; e = e.Next() {
		c := e.Value.(*connection)
		if began := c.writes.Load(); began != 0 && c.stream == nil {
			longest = max(longest, time.Since(epoch)-time.Duration(began))
		}
	}
	return longest
}

// Requests of all kinds that come and go leave no connection in a list.
func TestListsOfConnectionsStayRight(t *testing.T) {
	s := serveBound(t, ConnectionsOptions{Max: 3})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 30 {
				c, err := net.Dial("tcp", s.addr)
				if err != nil {
					continue
				}
				text := "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"
				if i%2 == 0 {
					text = text[:len(text)-1-i]
				}
				_, _ = io.Copy(c, strings.NewReader(text))
				if i%2 == 1 {
					_, _ = io.Copy(io.Discard, c)
				}
				_ = c.Close()
			}
		})
	}
	all.Wait()
	waitFor(t, "no connection is left", func() bool { return s.Open() == 0 })
	s.Connections.mu.Lock()
	defer s.Connections.mu.Unlock()
	if s.busy.Len()+s.waiting.Len() != 0 {
		t.Errorf("%d busy and %d waiting connections are left", s.busy.Len(), s.waiting.Len())
	}
}

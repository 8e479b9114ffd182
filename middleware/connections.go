package middleware

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// evictionGrace is the time for which a connection may wait for its next request before
	// it can be evicted. So in a burst of connections, those beyond the bound get 503, and
	// the first ones can go on.
	evictionGrace = 250 * time.Millisecond

	// refusalsLoggedEvery is the time between two log lines about refused connections.
	refusalsLoggedEvery = time.Minute
)

// ConnectionsOptions configure Connections. Max and Fresh must be positive, and Log is
// required.
type ConnectionsOptions struct {
	Max int // concurrent connections with a request, or between two, without the reservations

	// Fresh bounds the connections whose first request line has not arrived, and those that
	// have got a refusal and not left yet. A flood of n connections a second leaves each of
	// them Fresh/n seconds for its request line.
	Fresh int

	PerAddress int            // of these from one client address or IPv6 /64; 0 = no bound
	Trusted    []netip.Prefix // proxies, to which PerAddress does not apply
	Reserved   []Reservation
	Log        *slog.Logger
}

// A Reservation keeps places for connections whose first request has one of the paths,
// such as health probes.
type Reservation struct {
	Paths  []string // as NormalizePath spells them
	Places int
}

// Connections bounds the connections of one listener, and so their memory. Serve a
// Listen of it, and give Track to the server as ConnState.
//
// A new connection is fresh: it is accepted, because only its first bytes reveal its
// purpose. The server's ReadHeaderTimeout bounds the time of its request line. Then it takes
// a general place. If all are taken, the general connection that has waited longest for its
// next request is evicted, unless it has waited for less than evictionGrace or its request
// has arrived unread; HTTP allows a server to close an idle connection (RFC 9112, 9.5).
// Otherwise the connection takes a place that is reserved for its path, or that of a slow
// client (see displaceReserved and displace), or gets a bare 503. If there are too many fresh
// connections, one that has got its 503 is closed, or else the oldest one. Accept waits until
// the server has read what that one has sent, so that a rush of connections is answered at
// the speed of the server.
//
// Closing connections beyond the bound unread would save one read, but it would also
// exclude the callback that a login waits for, and the health probes, without which an
// orchestrator kills the process.
//
//	accept ──► fresh ── request line ── place is free, or one is evicted ──► general
//	             │                  ├── path is reserved ──► reserved            ▲
//	             │                  ├── a slow client is displaced ──────────────┘
//	             │                  └── otherwise ──► 503 ──► leaving ──► closed
//	             └── too late, or too many ──► closed
type Connections struct {
	options ConnectionsOptions
	grace   time.Duration // evictionGrace; less in tests
	slow    time.Duration // slowAfter; less in tests

	mu        sync.Mutex
	general   int
	byNetwork map[string]int // general connections, without those of trusted proxies
	waiting   list.List      // general connections between two requests, the longest wait first
	busy      list.List      // general connections with a request
	fresh     list.List      // connections without a request line, the oldest first
	leaving   list.List      // connections that have got their 503, the oldest first
	reserved  []list.List    // connections of each reservation, the oldest first
	evicted   int            // not closed by the server yet
	refused   int            // since the last log line
	logged    time.Time
}

// NewConnections returns a Connections, or an error if o is incomplete.
func NewConnections(o ConnectionsOptions) (*Connections, error) {
	if o.Max <= 0 || o.Fresh <= 0 || o.PerAddress < 0 || o.Log == nil {
		return nil, errors.New("bounding connections: want a positive Max and Fresh, a PerAddress of at least 0, and a Log")
	}
	return &Connections{options: o, grace: evictionGrace, slow: slowAfter, byNetwork: map[string]int{}, reserved: make([]list.List, len(o.Reserved))}, nil
}

// Max returns the bound.
func (l *Connections) Max() int { return l.options.Max }

// Open returns the number of connections now.
func (l *Connections) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := l.general + l.fresh.Len() + l.leaving.Len()
	for i := range l.reserved {
		open += l.reserved[i].Len()
	}
	return open
}

// Listen returns a listener whose connections are counted. One Connections can serve
// several listeners.
func (l *Connections) Listen(ln net.Listener) net.Listener { return &boundListener{ln, l} }

type boundListener struct {
	net.Listener
	all *Connections
}

// Accept waits for no client, and for the server only as long as that needs to catch up.
func (b *boundListener) Accept() (net.Conn, error) {
	for {
		raw, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := b.all.admit(raw); c != nil {
			boundSendBuffer(raw)
			return c, nil
		}
	}
}

// sendBuffer bounds the bytes of an unread answer in the kernel. Without it the buffer
// grows to several megabytes beyond all our bounds, in memory that counts towards a
// container's limit.
const sendBuffer = 64 << 10

func boundSendBuffer(c net.Conn) {
	if conn, ok := c.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(sendBuffer) // a broken connection fails at its next use
	}
}

// Track is the server's ConnState. It reports connections that wait for their next
// request.
func (l *Connections) Track(nc net.Conn, state http.ConnState) {
	c := counted(nc)
	switch {
	case c == nil:
	case state == http.StateIdle:
		l.rest(c)
	case state == http.StateHijacked:
		l.handOver(c)
	case state == http.StateActive:
		if c.waits.Load() { // HTTP/2
			l.wake(c, true)
		}
		c.incomplete.Store(false)
	}
}

// networkOf returns the key in byNetwork, or "" for a peer that is not counted.
func (l *Connections) networkOf(remote string) string {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil { // not TCP
		return ""
	}
	addr := peer.Addr().Unmap().WithZone("")
	if isAmong(addr, l.options.Trusted) {
		return ""
	}
	return Network(addr.String())
}

// takeGeneral gives c a general place if there is one, or if find returns a connection
// that must make room for c. The caller must shut that victim after unlocking.
func (l *Connections) takeGeneral(c *connection, find func(l *Connections, newcomer *connection) *connection) (victim *connection, ok bool) {
	if most := l.options.PerAddress; most > 0 && c.network != "" && l.byNetwork[c.network] >= most {
		return nil, false
	}
	if l.general >= l.options.Max {
		if victim = find(l, c); victim == nil {
			return nil, false
		}
		l.evict(victim)
	}
	l.leave(c)
	c.place = placeGeneral
	l.general++
	if c.network != "" {
		l.byNetwork[c.network]++
	}
	return victim, true
}

// wait records that c, on a general place, waits for a request.
func (l *Connections) wait(c *connection) {
	if c.element == nil {
		c.element, c.since = l.waiting.PushBack(c), time.Now()
		c.waits.Store(true)
		c.incomplete.Store(false)
	}
}

// wake records that bytes have arrived on c, which waits. It reports whether c still has
// its place. With request, a request has begun. Otherwise it is not known yet, because
// clients of HTTP/2 send other frames, too: c waits on, and only the first bytes put its
// eviction off, so that pings do not.
func (l *Connections) wake(c *connection, request bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !c.waits.Load():
	case request:
		l.work(c)
	case !c.incomplete.Swap(true):
		l.waiting.MoveToBack(c.element)
		c.since = time.Now()
	}
	return c.place != placeEvicted
}

// rest records that c was answered. A connection on a reserved place no longer needs
// it: it takes a general one, or is closed.
func (l *Connections) rest(c *connection) {
	l.mu.Lock()
	var victim *connection
	if c.place == placeReserved {
		if l.general >= l.options.Max {
			l.evict(c)
			victim = c
		} else if _, ok := l.takeGeneral(c, longestWaiting); !ok { // too many from its address
			l.evict(c)
			victim = c
		}
	}
	if c.place == placeGeneral {
		l.unlist(c)
		l.wait(c)
	}
	l.mu.Unlock()
	victim.shut()
}

// placeAndUnlock gives c a general place, or one that is reserved for the path, and reports
// whether there was one. It displaces a slow client last: a probe that has a place of its
// own takes none of a user. The caller holds mu, which placeAndUnlock unlocks.
func (l *Connections) placeAndUnlock(c *connection, path string) bool {
	victim, ok := l.takeGeneral(c, longestWaiting)
	if !ok {
		victim, ok = l.takeReserved(c, path)
	}
	if !ok {
		victim, ok = l.takeGeneral(c, displace)
	}
	refused := 0
	if ok {
		l.work(c)
	} else {
		refused = l.countRefusal()
		l.turnAway(c)
	}
	l.mu.Unlock()
	victim.shut()
	l.logRefusals(refused)
	return ok
}

func (l *Connections) logRefusals(count int) {
	if count > 0 {
		l.options.Log.LogAttrs(context.Background(), slog.LevelWarn, "connections refused at the bound",
			slog.Int("refused", count), slog.Int("max_connections", l.options.Max))
	}
}

// takeReserved gives c a place that is reserved for the path, if there is one, or if a slow
// client must leave it. The caller must shut that victim after unlocking.
func (l *Connections) takeReserved(c *connection, path string) (victim *connection, ok bool) {
	i := slices.IndexFunc(l.options.Reserved, func(r Reservation) bool { return slices.Contains(r.Paths, path) })
	if i < 0 {
		return nil, false
	}
	if l.reserved[i].Len() >= l.options.Reserved[i].Places {
		if victim = displaceReserved(l, i, c); victim == nil {
			return nil, false
		}
		l.evict(victim)
	}
	l.leave(c)
	c.place, c.reservation = placeReserved, i
	c.element, c.since = l.reserved[i].PushBack(c), time.Now()
	return victim, true
}

// countRefusal counts a refusal. It returns the number to log, 0 if no log line is due.
func (l *Connections) countRefusal() int {
	l.refused++
	now := time.Now()
	if now.Sub(l.logged) < refusalsLoggedEvery {
		return 0
	}
	count := l.refused
	l.logged, l.refused = now, 0
	return count
}

// evict takes the place of c; the caller must shut c after unlocking.
func (l *Connections) evict(c *connection) {
	c.wasFresh = c.place == placeFresh
	l.leave(c)
	c.place = placeEvicted
	l.evicted++
}

// leave returns the place of c, of any kind.
func (l *Connections) leave(c *connection) {
	l.unlist(c)
	switch c.place {
	case placeGeneral:
		l.general--
		if c.network == "" {
			break
		}
		if l.byNetwork[c.network]--; l.byNetwork[c.network] == 0 {
			delete(l.byNetwork, c.network)
		}
	case placeEvicted:
		l.evicted--
	}
	c.place = placeNone
}

// unlist removes c from its list.
func (l *Connections) unlist(c *connection) {
	switch {
	case c.element == nil:
	case c.place == placeFresh:
		l.fresh.Remove(c.element)
	case c.place == placeLeaving:
		l.leaving.Remove(c.element)
	case c.place == placeReserved:
		l.reserved[c.reservation].Remove(c.element)
	case c.waits.Load():
		l.waiting.Remove(c.element)
	default:
		l.busy.Remove(c.element)
	}
	c.element = nil
	c.waits.Store(false)
}

// release returns the place of a closed connection. The server may call it several
// times.
func (l *Connections) release(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(c)
}

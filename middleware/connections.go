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
	// freshPlaces bounds the fresh connections: those that arrived while all general
	// places were taken, and whose first request is still unknown. A flood of n
	// connections a second leaves each of them freshPlaces/n seconds for its request
	// line.
	freshPlaces = 256

	// freshTimeout bounds the time for the request line of a fresh connection.
	freshTimeout = 2 * time.Second

	// evictionGrace is the time for which a connection may wait for a request before it
	// can be evicted. So in a burst of connections, those beyond the bound get 503, and
	// the first ones are not reset before the server reads their requests.
	evictionGrace = 250 * time.Millisecond

	// maxEvicted bounds the evicted connections that the server has not closed yet.
	// Beyond it, new connections are closed at once.
	maxEvicted = 256

	// refusalsLoggedEvery is the time between two log lines about refused connections.
	refusalsLoggedEvery = time.Minute
)

// ConnectionsOptions configure Connections. Max must be positive, and Log is required.
type ConnectionsOptions struct {
	Max        int            // concurrent connections, without the reservations
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
// A new connection takes a general place. If all are taken, the general connection that
// has waited longest for a request is evicted, unless it has waited for less than
// evictionGrace or its request has arrived unread; HTTP allows a server to close an
// idle connection (RFC 9112, 9.5). If none can be evicted, the new connection is fresh:
// it is accepted, because only its first bytes reveal its purpose, and has freshTimeout
// to send its request line. Then it gets a general place that has become free, or that
// of a slow client with too many of them (see displace), or one that is reserved for its
// path, or a bare 503. If there are too many fresh connections, the oldest one is closed.
//
// Closing connections beyond the bound unread would save one read, but it would also
// exclude the callback that a login waits for, and the health probes, without which an
// orchestrator kills the process.
//
//	          place is free,
//	accept ── or one is evicted ──► general ◄───────────────────┐
//	   └──── otherwise ──► fresh ── request line ── place is free again, or displaced
//	                         │                  ├── path is reserved ──► reserved
//	                         │                  └── otherwise ──► 503
//	                         └── too late, or too many ──► closed
type Connections struct {
	options ConnectionsOptions
	grace   time.Duration // evictionGrace; less in tests
	slow    time.Duration // slowAfter; less in tests

	mu        sync.Mutex
	general   int
	byNetwork map[string]int // general connections, without those of trusted proxies
	waiting   list.List      // general connections without a request, the longest wait first
	busy      list.List      // general connections with a request
	fresh     list.List      // the oldest first
	reserved  []int          // used places of each reservation
	evicted   int            // not closed by the server yet
	refused   int            // since the last log line
	logged    time.Time
}

// NewConnections returns a Connections, or an error if o is incomplete.
func NewConnections(o ConnectionsOptions) (*Connections, error) {
	if o.Max <= 0 || o.PerAddress < 0 || o.Log == nil {
		return nil, errors.New("bounding connections: want a positive Max, a PerAddress of at least 0, and a Log")
	}
	return &Connections{options: o, grace: evictionGrace, slow: slowAfter, byNetwork: map[string]int{}, reserved: make([]int, len(o.Reserved))}, nil
}

// Max returns the bound.
func (l *Connections) Max() int { return l.options.Max }

// Open returns the number of connections now.
func (l *Connections) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := l.general + l.fresh.Len()
	for _, used := range l.reserved {
		open += used
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

// Accept never waits for a place.
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
		if c.waits.Load() { // HTTP/2, whose next request was read before the last one ended
			l.wake(c)
		}
		c.incomplete.Store(false)
	}
}

// admit gives a new connection a place, or closes it and returns nil.
func (l *Connections) admit(raw net.Conn) *connection {
	c := &connection{Conn: raw, all: l, network: l.networkOf(raw.RemoteAddr().String())}
	l.mu.Lock()
	if l.evicted >= maxEvicted {
		l.mu.Unlock()
		_ = raw.Close()
		return nil
	}
	victim, ok := l.takeGeneral(c)
	if ok {
		l.wait(c)
	} else {
		if l.fresh.Len() >= freshPlaces {
			victim = l.fresh.Front().Value.(*connection)
			l.evict(victim)
		}
		c.place, c.undecided, c.lineBy = placeFresh, true, time.Now().Add(freshTimeout)
		c.element = l.fresh.PushBack(c)
	}
	l.mu.Unlock()
	victim.shut()
	if c.undecided {
		_ = c.SetReadDeadline(c.lineBy)
	}
	return c
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

// takeGeneral gives c a general place if there is one, or if a waiting connection can
// be evicted. The caller must shut that victim after unlocking.
func (l *Connections) takeGeneral(c *connection) (victim *connection, ok bool) {
	if most := l.options.PerAddress; most > 0 && c.network != "" && l.byNetwork[c.network] >= most {
		return nil, false
	}
	if l.general >= l.options.Max {
		victim = longestWaiting(l)
		if victim == nil && c.asked() {
			victim = displace(l, c.network)
		}
		if victim == nil {
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
	}
}

// wake records that bytes of a request have arrived. It reports whether c still has its
// place.
func (l *Connections) wake(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.waits.Load() {
		l.work(c)
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
		} else if _, ok := l.takeGeneral(c); !ok { // too many from its address
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

// settle decides about a fresh connection once the path of its first request is known.
// It reports whether the connection may continue.
func (l *Connections) settle(c *connection, path string) bool {
	l.mu.Lock()
	if c.place != placeFresh { // evicted in the meantime
		l.mu.Unlock()
		return false
	}
	return l.placeAndUnlock(c, path)
}

// placeAndUnlock gives c a general place, or one that is reserved for the path, and reports
// whether there was one. The caller holds mu, which placeAndUnlock unlocks.
func (l *Connections) placeAndUnlock(c *connection, path string) bool {
	victim, ok := l.takeGeneral(c)
	if ok {
		l.work(c)
	}
	ok = ok || l.takeReserved(c, path)
	refused := 0
	if !ok {
		refused = l.countRefusal()
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

func (l *Connections) takeReserved(c *connection, path string) bool {
	i := slices.IndexFunc(l.options.Reserved, func(r Reservation) bool { return slices.Contains(r.Paths, path) })
	if i < 0 || l.reserved[i] >= l.options.Reserved[i].Places {
		return false
	}
	l.leave(c)
	c.place, c.reservation = placeReserved, i
	l.reserved[i]++
	return true
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
	case placeReserved:
		l.reserved[c.reservation]--
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

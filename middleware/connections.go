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
	// freshPlaces bounds the connections whose first request is not known yet
	// while all general places are taken. A flood of n connections a second
	// leaves each of them freshPlaces/n seconds to send its request line.
	freshPlaces = 256

	// freshTimeout bounds how long such a connection may take for that.
	freshTimeout = 2 * time.Second

	// evictionGrace is how long a connection may wait for a request before it can
	// give way: of a burst of connections, those past the bound get 503, rather
	// than the first ones a reset before their requests were read.
	evictionGrace = 250 * time.Millisecond

	// maxEvicted bounds the connections that gave way and that the server has
	// not noticed yet. Past it, new connections are closed at once.
	maxEvicted = 256

	// refusalsLoggedEvery is the time between two lines about refused connections.
	refusalsLoggedEvery = time.Minute
)

// ConnectionsOptions configure Connections. Max must be positive.
type ConnectionsOptions struct {
	Max        int            // connections at once, outside the reservations
	PerAddress int            // of these from one client address, or one IPv6 /64; 0 means no bound
	Trusted    []netip.Prefix // proxies, for which PerAddress never holds
	Reserved   []Reservation
	Log        *slog.Logger
}

// A Reservation keeps places for the connections whose first request has one of
// the paths, such as health probes.
type Reservation struct {
	Paths  []string // in lower case, as NormalizePath spells them
	Places int
}

// Connections bounds the connections of one listener, and so their memory.
// Serve a Listen of it, and give Track to the server as ConnState.
//
// A new connection takes a general place. If all are taken, the general
// connection that has waited longest for a request gives way, unless that is
// evictionGrace or less, or its request has arrived and is not read yet: a
// client must expect that an idle connection is closed (RFC 9112, 9.5). If none
// gives way, the new connection is fresh: it is accepted, because its purpose is
// known only after its first bytes, and has freshTimeout to send its request
// line. Then it takes a general place after all, or one that is reserved for its
// path, or the answer is a bare 503. Of too many fresh connections, the oldest is
// closed.
//
// Closing a connection past the bound unseen would be cheaper by one read. It
// would also lock out the callback that a login waits for, and the health
// probes, after which an orchestrator kills the process.
//
//	          place is free,
//	accept ── or one that waits gives way ──► general ◄─────────┐
//	   └──── otherwise ──► fresh ── request line ── place is free again
//	                         │                  ├── path is reserved ──► reserved
//	                         │                  └── otherwise ──► 503
//	                         └── too late, or too many ──► closed
type Connections struct {
	options ConnectionsOptions
	grace   time.Duration // evictionGrace, less in tests

	mu        sync.Mutex
	general   int
	byNetwork map[string]int // general connections, when PerAddress is set
	waiting   list.List      // general connections without a request, the longest wait first
	fresh     list.List      // the oldest first
	reserved  []int          // one count for each reservation
	evicted   int            // not yet closed by the server
	refused   int            // since the last line in the log
	logged    time.Time
}

// NewConnections checks the options.
func NewConnections(o ConnectionsOptions) (*Connections, error) {
	if o.Max <= 0 || o.PerAddress < 0 || o.Log == nil {
		return nil, errors.New("making connections: want a positive Max, no negative PerAddress, and a Log")
	}
	return &Connections{options: o, grace: evictionGrace, byNetwork: map[string]int{}, reserved: make([]int, len(o.Reserved))}, nil
}

// Max returns the bound.
func (l *Connections) Max() int { return l.options.Max }

// Listen returns a listener whose connections count. One Connections can serve
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

// sendBuffer bounds what the kernel holds of an answer that a client has not
// read, in bytes. Without it the buffer grows to several megabytes, past every
// bound of ours, in memory that counts for a container's limit.
const sendBuffer = 64 << 10

func boundSendBuffer(c net.Conn) {
	if conn, ok := c.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(sendBuffer) // a connection that has just broken fails at its first use
	}
}

// Track is the ConnState of the server. It learns from it which connections
// wait for their next request.
func (l *Connections) Track(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*connection)
	if wrapped, isTLS := nc.(interface{ NetConn() net.Conn }); !ok && isTLS {
		c, ok = wrapped.NetConn().(*connection)
	}
	if ok && state == http.StateIdle {
		l.rest(c)
	}
}

// admit finds a place for a new connection, or closes it and returns nil.
func (l *Connections) admit(raw net.Conn) *connection {
	c := &connection{Conn: raw, all: l, network: l.networkOf(raw)}
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

// networkOf returns the key that PerAddress counts by, "" for a peer that is
// not counted.
func (l *Connections) networkOf(raw net.Conn) string {
	if l.options.PerAddress == 0 {
		return ""
	}
	peer, err := netip.ParseAddrPort(raw.RemoteAddr().String())
	if err != nil { // not TCP
		return ""
	}
	addr := peer.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(l.options.Trusted, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return ""
	}
	return Network(addr.String())
}

// takeGeneral gives c a general place if there is one, or if a connection that
// waits gives way; the caller closes that victim after unlocking.
func (l *Connections) takeGeneral(c *connection) (victim *connection, ok bool) {
	if c.network != "" && l.byNetwork[c.network] >= l.options.PerAddress {
		return nil, false
	}
	if l.general >= l.options.Max {
		oldest := l.waiting.Front()
		if oldest == nil {
			return nil, false
		}
		victim = oldest.Value.(*connection)
		if time.Since(victim.waitsSince) < l.grace {
			return nil, false
		}
		if hasUnread(victim.Conn) { // on a busy machine its request lies in the socket
			l.waiting.MoveToBack(oldest)
			victim.waitsSince = time.Now()
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

// wait notes that c, on a general place, waits for a request.
func (l *Connections) wait(c *connection) {
	if c.element == nil {
		c.element, c.waitsSince = l.waiting.PushBack(c), time.Now()
		c.waits.Store(true)
	}
}

// wake notes that bytes of a request have come, and reports whether c still has
// its place.
func (l *Connections) wake(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlist(c)
	return c.place != placeEvicted
}

// rest notes that c has been answered. A connection on a reserved place has no
// further use for it: it takes a general one, or ends.
func (l *Connections) rest(c *connection) {
	l.mu.Lock()
	var victim *connection
	if c.place == placeReserved {
		if l.general >= l.options.Max {
			l.evict(c)
			victim = c
		} else if _, ok := l.takeGeneral(c); !ok { // too many of its address
			l.evict(c)
			victim = c
		}
	}
	if c.place == placeGeneral {
		l.wait(c)
	}
	l.mu.Unlock()
	victim.shut()
}

// settle decides about a fresh connection once its first request's path is
// known, and reports whether it may go on.
func (l *Connections) settle(c *connection, path string) bool {
	l.mu.Lock()
	if c.place != placeFresh { // evicted in the meantime
		l.mu.Unlock()
		return false
	}
	victim, ok := l.takeGeneral(c)
	if !ok {
		ok = l.takeReserved(c, path)
	}
	count := 0
	if !ok {
		count = l.countRefusal()
	}
	l.mu.Unlock()
	victim.shut()
	if count > 0 {
		l.options.Log.LogAttrs(context.Background(), slog.LevelWarn, "connections refused at the bound",
			slog.Int("refused", count), slog.Int("max_connections", l.options.Max))
	}
	return ok
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

// countRefusal returns how many refusals a log line is due for, 0 for none yet.
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

// evict takes the place of c away; the caller must shut c after unlocking.
func (l *Connections) evict(c *connection) {
	l.leave(c)
	c.place = placeEvicted
	l.evicted++
}

// leave gives back the place of c, whichever it is.
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

// unlist removes c from the list it is in.
func (l *Connections) unlist(c *connection) {
	switch {
	case c.element == nil:
	case c.place == placeFresh:
		l.fresh.Remove(c.element)
	default:
		l.waiting.Remove(c.element)
	}
	c.element = nil
	c.waits.Store(false)
}

// release is called when the server closes c, any number of times.
func (l *Connections) release(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(c)
}

package middleware

import (
	"context"
	"net"
	"net/http"
	"time"
)

const (
	// slowAfter is the time that a client has for its request, or for the next bytes of
	// an answer, before it can be displaced.
	slowAfter = time.Second

	// A network with more than both of these connections holds many: more than a browser
	// opens, and than 1/manyShare of all places.
	manyConnections = 8
	manyShare       = 64

	// maxLooked bounds the connections that displace looks at each time.
	maxLooked = 64
)

// longestWaiting returns the connection that has waited longest for a request, or nil if
// it must not be evicted now.
func longestWaiting(l *Connections, _ *connection) *connection {
	oldest := l.waiting.Front()
	if oldest == nil {
		return nil
	}
	c := oldest.Value.(*connection)
	if time.Since(c.since) < l.grace {
		return nil
	}
	if hasUnread(c.Conn) { // on a busy machine its request is still in the socket
		l.waiting.MoveToBack(oldest)
		c.since = time.Now()
		return nil
	}
	return c
}

// displace returns a connection that must give its place to the newcomer, whose request
// line is known, or nil. It is one of a slow client whose network holds many places, and more than twice
// as many as the other network: one computer that opens connections and sends or reads
// slowly cannot take all places. The slow client loses a request that has not run, or
// an answer that it does not read. A request that the server works on is never
// displaced, and neither is one of a trusted proxy, which carries those of many clients.
func displace(l *Connections, newcomer *connection) *connection {
	now := time.Now()
	for range min(l.busy.Len(), maxLooked) {
		e := l.busy.Front()
		c := e.Value.(*connection)
		if c.network != "" && holdsMany(l, c.network, newcomer.network) && c.isSlow(now) {
			if c = c.displaceable(now); c != nil {
				return c
			}
		}
		l.busy.MoveToBack(e) // the next search begins with others
	}
	return nil
}

// displaceReserved returns the connection that must leave a full reservation for the
// newcomer, or nil: one of a slow client, or one whose request has not arrived yet and whose
// network holds many of the places. So a client does not block the health probes by sending
// part of a request for each of their places again and again. One of a trusted proxy stays.
func displaceReserved(l *Connections, reservation int, newcomer *connection) *connection {
	held := map[string]int{}
	for e := l.reserved[reservation].Front(); e != nil; e = e.Next() {
		held[e.Value.(*connection).network]++
	}
	many := max(1, l.options.Reserved[reservation].Places/4, 2*held[newcomer.network])
	now := time.Now()
	for e := l.reserved[reservation].Front(); e != nil; e = e.Next() {
		c := e.Value.(*connection)
		if c.network != "" && (c.isSlow(now) || c.incomplete.Load() && held[c.network] > many) {
			if c = c.displaceable(now); c != nil {
				return c
			}
		}
	}
	return nil
}

func holdsMany(l *Connections, network, other string) bool {
	held, others := l.byNetwork[network], 0
	if other != "" {
		others = l.byNetwork[other]
	}
	return held > max(manyConnections, l.options.Max/manyShare, 2*others)
}

// displaceable returns what must be closed to end the slow c: c itself or, if c is a stream
// whose reset could not be sent because the client does not read, its connection. It
// returns nil while that cannot be told yet.
func (c *connection) displaceable(now time.Time) *connection {
	if c.stream == nil || c.stream.on == nil {
		return c
	}
	switch on := c.stream.on; {
	case on.writes.Load() == 0, on.place != placeGeneral: // a closed connection ends c
		return c
	case on.isSlow(now):
		return on
	default:
		return nil
	}
}

// isSlow reports whether the server has waited for the client for too long.
func (c *connection) isSlow(now time.Time) bool {
	if began := c.writes.Load(); began != 0 {
		return now.Sub(epoch)-time.Duration(began) > c.all.slow
	}
	return c.incomplete.Load() && now.Sub(c.since) > c.all.slow && (c.Conn == nil || !hasUnread(c.Conn))
}

// epoch is the time from which connection.writes counts. It has a monotonic clock.
var epoch = time.Now()

// writePart is the most bytes that a client must take within slowAfter.
const writePart = 16 << 10

// timedWrite writes p in parts, and records how long each has to wait for the client.
func (c *connection) timedWrite(write func([]byte) (int, error), p []byte) (n int, err error) {
	defer c.writes.Store(0)
	for {
		c.writes.Store(int64(time.Since(epoch)) + 1) // never 0
		part := p[n:min(n+writePart, len(p))]
		m, err := write(part)
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// work records that a request has begun to arrive on c, which has a place.
func (l *Connections) work(c *connection) {
	if c.place == placeGeneral {
		l.unlist(c)
		c.element, c.since = l.busy.PushBack(c), time.Now()
	}
	c.incomplete.Store(c.stream == nil) // a stream has sent its headers
}

// handOver records that the server no longer reads requests from c.
func (l *Connections) handOver(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlist(c)
}

// Write records how long it has to wait for the client.
func (c *connection) Write(p []byte) (int, error) { return c.timedWrite(c.Conn.Write, p) }

type connectionKey struct{}

// Context is the server's ConnContext. It lets Discard report that it waits for a body, and a
// stream know its connection.
func (l *Connections) Context(ctx context.Context, nc net.Conn) context.Context {
	if c := counted(nc); c != nil {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	return ctx
}

// counted returns the connection of a Connections below nc, or nil.
func counted(nc net.Conn) *connection {
	if wrapped, isTLS := nc.(interface{ NetConn() net.Conn }); isTLS {
		nc = wrapped.NetConn()
	}
	c, _ := nc.(*connection)
	return c
}

// bodyOf returns the connection or the stream on which the body of r arrives, or nil if
// the connection carries other requests, too.
func bodyOf(r *http.Request) *connection {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	if c == nil || r.ProtoMajor > 1 && c.stream == nil {
		return nil
	}
	return c
}

package chat

import (
	"bufio"
	"cmp"
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	lru "github.com/hashicorp/golang-lru/v2"

	"cubegate/connectycube/xmpp"
)

// DefaultDomain is the domain of the JIDs unless Options say otherwise: the
// production domain, so that addresses look as they will.
const DefaultDomain = "chat.connectycube.com"

// subprotocol is XMPP's name among WebSockets: RFC 7395.
const subprotocol = "xmpp"

// Direction says where a stanza that is shown to a Tap went.
type Direction int

// The directions of a stanza.
const (
	FromClient Direction = iota + 1
	ToClient
)

// Options configure a Server. AppID, Accounts and Archive have no default; for
// everything else zero takes the default.
type Options struct {
	AppID    int64
	Domain   string // of the JIDs; default DefaultDomain
	Accounts Accounts
	Archive  Archive

	// Tap sees each frame that was read or is about to be written, before the
	// user is known with user 0. It is called from the sockets' goroutines, in
	// order for each direction of a socket, with no lock held. The text is as on
	// the wire: auth has the password in it.
	Tap func(d Direction, user int64, xml string)

	// Fault says what goes wrong with a stanza of a user who has logged in. It
	// is called like Tap.
	Fault func(user int64, stanza *xmpp.Element) Fault

	MaxFrame       int     // bytes a client may send at once; default 64 KiB
	Rate           float64 // frames a second from one connection, above which reading slows down; default 200
	MaxConnections int     // default 10000; beyond it 503
	MaxPerUser     int     // streams, lost ones that can be resumed included; default 20
	MaxQueue       int     // stanzas waiting for one stream, or not acknowledged by it; beyond it, or 4 MiB, or 64 MiB of all streams, the stream ends; default 1000
	MaxOffline     int     // messages kept for one user, 1 MiB at most, the oldest is dropped first; default 200, at most half of MaxQueue
	MaxKept        int     // messages kept for all users, 64 MiB at most; default 20000

	HandshakeTime time.Duration // from the upgrade to a bound resource; default 30 s
	WriteTime     time.Duration // for one frame; default 10 s
	PingAfter     time.Duration // of silence; default 1 minute
	PingTime      time.Duration // for an answer; default 30 s
	ResumeWindow  time.Duration // how long a lost stream can be resumed; default 5 minutes
}

func (o *Options) setDefaults() {
	o.Domain = strings.ToLower(cmp.Or(o.Domain, DefaultDomain))
	o.MaxFrame = cmp.Or(o.MaxFrame, 64<<10)
	o.Rate = cmp.Or(o.Rate, 200)
	o.MaxConnections = cmp.Or(o.MaxConnections, 10_000)
	o.MaxPerUser = cmp.Or(o.MaxPerUser, 20)
	o.MaxQueue = cmp.Or(o.MaxQueue, 1000)
	o.MaxOffline = min(cmp.Or(o.MaxOffline, 200), max(o.MaxQueue/2, 1)) // they come all at once
	o.MaxKept = cmp.Or(o.MaxKept, 20_000)
	o.HandshakeTime = cmp.Or(o.HandshakeTime, 30*time.Second)
	o.WriteTime = cmp.Or(o.WriteTime, 10*time.Second)
	o.PingAfter = cmp.Or(o.PingAfter, time.Minute)
	o.PingTime = cmp.Or(o.PingTime, 30*time.Second)
	o.ResumeWindow = cmp.Or(o.ResumeWindow, 5*time.Minute)
}

// Server is the chat of one application. It is an http.Handler for the
// WebSocket's address. It is safe for concurrent use. No method but ServeHTTP
// and Shutdown waits for anything, or calls Accounts or Archive.
type Server struct {
	o      Options
	rooms  string // the domain of rooms
	began  time.Time
	guard  *guard
	serial atomic.Uint64 // of resources and pings
	delay  atomic.Int64  // fault: nanoseconds each stanza to a client is held back
	queued atomic.Int64  // bytes that wait for all streams, as each stream's size counts them
	twice  atomic.Int64  // fault: stanzas with content still to be delivered twice

	mu        sync.Mutex // guards what follows; taken before a stream's own, never held while Accounts or Archive are called
	closing   bool
	serving   sync.WaitGroup
	sockets   map[*socket]struct{}
	users     map[int64]*account
	resumable map[string]*stream // by the id that enabled gave
	waiting   int                // streams without a socket
	ended     *lru.Cache[string, uint32]
	joined    map[string]map[*stream]struct{} // by dialog: who sent presence to its room
	watchers  map[int64]map[*stream]struct{}  // by user: who follows the status
	lastSeen  *lru.Cache[int64, time.Time]
	offline   backlog
	privacy   int // items in all lists
}

// account is what the chat knows of a user who is online or has something here.
type account struct {
	streams []*stream // in the order of binding
	kept    []*content
	size    int // bytes kept
	privacy privacy
}

// New makes a server without users online.
func New(o Options) *Server {
	o.setDefaults()
	return &Server{
		o:         o,
		rooms:     "muc." + o.Domain,
		began:     time.Now(),
		guard:     newGuard(),
		sockets:   map[*socket]struct{}{},
		users:     map[int64]*account{},
		resumable: map[string]*stream{},
		ended:     newLRU[string, uint32](4096),
		joined:    map[string]map[*stream]struct{}{},
		watchers:  map[int64]map[*stream]struct{}{},
		lastSeen:  newLRU[int64, time.Time](100_000),
	}
}

func newLRU[K comparable, V any](size int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](size)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return c
}

// ServeHTTP upgrades to a WebSocket and serves it until it ends. Pages of any
// origin may connect, as they may to the real service: nobody is known by a
// cookie here.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !offersXMPP(r) {
		http.Error(w, "the WebSocket subprotocol must be xmpp", http.StatusBadRequest)
		return
	}
	c := newSocket(s, r.RemoteAddr)
	if !s.admit(c) {
		http.Error(w, "no more connections", http.StatusServiceUnavailable)
		return
	}
	defer s.leave(c)
	raw := &hijacker{ResponseWriter: w}
	conn, err := websocket.Accept(raw, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true,
		OnPingReceived:     func(context.Context, []byte) bool { return !c.quiet.Load() },
	})
	if err != nil {
		close(c.ready) // Accept has answered
		return
	}
	c.serve(conn, raw.conn)
}

// hijacker keeps the connection that is under a WebSocket: closing that ends
// whatever waits for the peer.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}

func offersXMPP(r *http.Request) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(name), subprotocol) {
				return true
			}
		}
	}
	return false
}

func (s *Server) admit(c *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.sockets) >= s.o.MaxConnections {
		return false
	}
	s.sockets[c] = struct{}{}
	s.serving.Add(1)
	return true
}

func (s *Server) leave(c *socket) {
	s.mu.Lock()
	delete(s.sockets, c)
	s.mu.Unlock()
	s.serving.Done()
}

// Shutdown tells everyone goodbye and waits until they are gone. When ctx ends
// first it cuts the rest off and returns the context's error. New connections
// are refused from the start.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for c := range s.sockets {
		go c.dismiss("system-shutdown")
	}
	s.mu.Unlock()

	gone := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(gone)
	}()
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		err = ctx.Err()
		s.eachSocket(0, (*socket).drop)
		<-gone
	}
	s.endAll()
	return err
}

// endAll ends the streams that wait to be resumed, and with them their timers.
func (s *Server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.users {
		for _, st := range slices.Clone(a.streams) {
			s.end(st)
		}
	}
}

// account finds or makes what is known of a user. The lock is held.
func (s *Server) account(user int64) *account {
	a := s.users[user]
	if a == nil {
		a = &account{}
		s.users[user] = a
	}
	return a
}

// forget drops an account that holds nothing any more. The lock is held.
func (s *Server) forget(user int64) {
	if a := s.users[user]; a != nil && len(a.streams) == 0 && len(a.kept) == 0 && a.privacy.empty() {
		delete(s.users, user)
	}
}

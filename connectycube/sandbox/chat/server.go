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

// DefaultDomain is the default domain of JIDs: that of the real service, so that JIDs look
// the same.
const DefaultDomain = "chat.connectycube.com"

// subprotocol is XMPP's WebSocket subprotocol: RFC 7395.
const subprotocol = "xmpp"

// Direction is the direction of a stanza in a Tap.
type Direction int

// The directions of a stanza.
const (
	FromClient Direction = iota + 1
	ToClient
)

// Options configure a Server. AppID, Accounts and Archive are required; other zero fields
// have their defaults.
type Options struct {
	AppID    int64
	Domain   string // of the JIDs; default DefaultDomain
	Accounts Accounts
	Archive  Archive

	// Tap gets each frame after it was read or before it is written; user is 0
	// before the login. The sockets' goroutines call it without a lock, in order
	// for each direction of a socket. The text is that on the wire: auth contains
	// the password.
	Tap func(d Direction, user int64, xml string)

	// Fault returns the fault for a stanza of a logged-in user. It is called like Tap.
	Fault func(user int64, stanza *xmpp.Element) Fault

	// Changed is called after a change of block lists, without a lock; default: nothing.
	Changed func()

	// Typing learns that a user is typing or has stopped. It is called like Tap. Default:
	// nothing.
	Typing func(Typist)

	MaxFrame       int     // bytes of one frame from a client; default 64 KiB
	Rate           float64 // frames a second from one connection, above which reading slows down; default 200
	MaxConnections int     // default 10000; further ones get 503
	MaxPerUser     int     // streams, including lost ones that can be resumed; default 20
	MaxQueue       int     // stanzas waiting for one stream, or not acknowledged by it; beyond it, or 4 MiB, or 64 MiB of all streams, the stream ends; default 1000
	MaxOffline     int     // messages kept for one user, in at most 1 MiB; new ones replace the oldest; default 200, at most half of MaxQueue
	MaxKept        int     // messages kept for all users, in at most 64 MiB; default 20000

	HandshakeTime time.Duration // from the upgrade to a bound resource; default 30 s
	WriteTime     time.Duration // for one frame; default 10 s
	PingAfter     time.Duration // of silence; default 1 minute
	PingTime      time.Duration // for an answer; default 30 s
	ResumeWindow  time.Duration // in which a lost stream can be resumed; default 5 minutes
}

func (o *Options) setDefaults() {
	if o.Typing == nil {
		o.Typing = func(Typist) {}
	}
	o.Domain = strings.ToLower(cmp.Or(o.Domain, DefaultDomain))
	if o.Changed == nil {
		o.Changed = func() {}
	}
	o.MaxFrame = cmp.Or(o.MaxFrame, 64<<10)
	o.Rate = cmp.Or(o.Rate, 200)
	o.MaxConnections = cmp.Or(o.MaxConnections, 10_000)
	o.MaxPerUser = cmp.Or(o.MaxPerUser, 20)
	o.MaxQueue = cmp.Or(o.MaxQueue, 1000)
	o.MaxOffline = min(cmp.Or(o.MaxOffline, 200), max(o.MaxQueue/2, 1)) // a stream gets them all at once
	o.MaxKept = cmp.Or(o.MaxKept, 20_000)
	o.HandshakeTime = cmp.Or(o.HandshakeTime, 30*time.Second)
	o.WriteTime = cmp.Or(o.WriteTime, 10*time.Second)
	o.PingAfter = cmp.Or(o.PingAfter, time.Minute)
	o.PingTime = cmp.Or(o.PingTime, 30*time.Second)
	o.ResumeWindow = cmp.Or(o.ResumeWindow, 5*time.Minute)
}

// Server is the chat of one application. It is an http.Handler for the path of the
// WebSocket. It is safe for concurrent use. Only ServeHTTP and Shutdown wait, or call
// Accounts or Archive.
type Server struct {
	o      Options
	rooms  string // the domain of rooms
	began  time.Time
	guard  *guard
	serial atomic.Uint64 // of resources and pings
	delay  atomic.Int64  // fault: nanoseconds by which stanzas to clients are delayed
	queued atomic.Int64  // bytes that wait for all streams: the sum of the streams' sizes
	twice  atomic.Int64  // fault: number of messages to deliver twice

	mu        sync.Mutex // guards the fields below; taken before a stream's lock, never held during calls of Accounts or Archive
	closing   bool
	serving   sync.WaitGroup
	sockets   map[*socket]struct{}
	users     map[int64]*account
	resumable map[string]*stream // by the ID in enabled
	waiting   int                // streams without a socket
	ended     *lru.Cache[string, uint32]
	joined    map[string]map[*stream]struct{} // by dialog: streams that joined its room
	watchers  map[int64]map[*stream]struct{}  // by user: streams that follow the status
	lastSeen  *lru.Cache[int64, time.Time]
	offline   backlog
	privacy   int // items in all lists
}

// account is the chat's data about a user who is online or has lists or messages here.
type account struct {
	streams []*stream // in the order of binding
	kept    []*content
	size    int // bytes kept
	privacy privacy
}

// New returns a server without users online.
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

// ServeHTTP upgrades to a WebSocket and serves it until it ends. As with the real service,
// pages of any origin may connect: no cookie identifies a user.
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

// hijacker records the connection below a WebSocket. Closing that connection ends all waits
// for the peer.
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

// Shutdown ends all streams and waits until they have closed. If ctx ends first, it cuts
// the remaining ones and returns the context's error. The server refuses new connections
// from the start of the call.
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

// endAll ends the streams that wait for their resumption, and their timers.
func (s *Server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.users {
		for _, st := range slices.Clone(a.streams) {
			s.end(st)
		}
	}
}

// account finds or creates the account of a user. The caller holds the lock.
func (s *Server) account(user int64) *account {
	a := s.users[user]
	if a == nil {
		a = &account{}
		s.users[user] = a
	}
	return a
}

// forget removes an account without data. The caller holds the lock.
func (s *Server) forget(user int64) {
	if a := s.users[user]; a != nil && len(a.streams) == 0 && len(a.kept) == 0 && a.privacy.empty() {
		delete(s.users, user)
	}
}

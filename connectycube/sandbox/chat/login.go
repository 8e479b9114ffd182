package chat

import (
	"encoding/base64"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"cubegate/connectycube/xmpp"
)

// phase is the state of a handshake: RFC 7395, and RFC 6120, sections 6 and 7.
type phase int

const (
	greeting phase = iota // expects open
	proving               // expects auth
	proved                // expects open again
	binding               // expects bind or resume
)

// handshake handles a stanza before a stream is bound.
func (c *socket) handshake(e *xmpp.Element) error {
	switch {
	case e.Is(xmpp.NSFraming, "close"):
		_ = c.send(framingClose)
		c.close()
		return errDone
	case e.Is(xmpp.NSFraming, "open") && (c.phase == greeting || c.phase == proved):
		return c.open()
	case e.Is(xmpp.NSSASL, "auth") && c.phase == proving:
		return c.auth(e)
	case c.phase == binding && e.Is(xmpp.NSClient, "iq") && e.Child(xmpp.NSBind, "bind") != nil:
		return c.bind(e)
	case c.phase == binding && e.Is(xmpp.NSSM, "resume"):
		return c.resume(e)
	case c.phase == binding && e.Is(xmpp.NSSM, "enable"):
		return c.send(smFailed("unexpected-request"))
	}
	c.fail("not-authorized")
	return errDone
}

// open answers the opening of a stream. The client's to is the host that it dialed,
// which may differ from our domain.
func (c *socket) open() error {
	open := xmpp.New(xmpp.NSFraming, "open", "from", c.s.o.Domain, "id", randomID(), "version", "1.0")
	open.Attrs = append(open.Attrs, english)
	if err := c.send(open); err != nil {
		return err
	}
	features := xmpp.New(xmpp.NSStreams, "features")
	if c.phase == greeting {
		c.phase = proving
		// PLAIN only: the official SDK prefers SCRAM, and uses ANONYMOUS on a
		// connection that it does not trust.
		return c.send(features.With(xmpp.New(xmpp.NSSASL, "mechanisms").With(
			xmpp.New("", "mechanism").Saying("PLAIN"))))
	}
	c.phase = binding
	return c.send(features.With(
		xmpp.New(xmpp.NSSM, "sm"), xmpp.New(xmpp.NSBind, "bind"),
		xmpp.New(xmpp.NSSession, "session").With(xmpp.New("", "optional"))))
}

// auth checks user and secret. A refusal ends the stream, because otherwise the official
// SDK would stay at "connecting" forever.
func (c *socket) auth(e *xmpp.Element) error {
	user, condition := c.login(e)
	if condition != "" {
		_ = c.send(xmpp.New(xmpp.NSSASL, "failure").With(xmpp.New("", condition)))
		_ = c.send(framingClose)
		c.close()
		return errDone
	}
	c.user.Store(user)
	c.phase = proved
	return c.send(xmpp.New(xmpp.NSSASL, "success"))
}

// login returns the user, or the SASL condition of the failure.
func (c *socket) login(e *xmpp.Element) (user int64, condition string) {
	if e.Attr("mechanism") != "PLAIN" {
		return 0, "invalid-mechanism"
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(e.Text))
	if err != nil {
		return 0, "incorrect-encoding"
	}
	parts := strings.Split(string(raw), "\x00")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return 0, "malformed-request"
	}
	user, known := c.s.userOf(parts[1])
	if authzid := parts[0]; authzid != "" && authzid != parts[1]+"@"+c.s.o.Domain {
		return 0, "invalid-authzid"
	}
	keys := []string{"user " + parts[1], "ip " + hostOf(c.peer)}
	switch {
	case known && c.s.o.Accounts.Login(user, parts[2]):
		return user, ""
	case c.s.guard.closed(keys):
		return 0, "temporary-auth-failure"
	}
	c.s.guard.failed(keys)
	return 0, "not-authorized"
}

// userOf reads the local part of a user's JID, <user>-<application>.
func (s *Server) userOf(local string) (int64, bool) {
	id, app, ok := strings.Cut(local, "-")
	if !ok || app != strconv.FormatInt(s.o.AppID, 10) {
		return 0, false
	}
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n > 0 && id[0] != '+' && id[0] != '0'
}

func hostOf(peer string) string {
	h, _, err := net.SplitHostPort(peer)
	if err != nil {
		return peer
	}
	return h
}

// bind gives the connection a resource and a stream.
func (c *socket) bind(iq *xmpp.Element) error {
	if iq.Attr("type") != "set" {
		return c.send(refusal(iq, badRequest, ""))
	}
	user := c.user.Load()
	me := c.s.jid(user).With(c.s.resource(iq.Child(xmpp.NSBind, "bind").ChildText(xmpp.NSBind, "resource")))
	st := newStream(c.s, user, me)
	answer := resultOf(iq).With(xmpp.New(xmpp.NSBind, "bind").With(xmpp.New("", "jid").Saying(st.fullJID)))
	answer.Set("to", st.fullJID)
	st.queue = append(st.queue, outgoing{text: xmpp.Append(nil, &answer)})
	switch err := c.s.attach(st, c); {
	case errors.Is(err, errTooMany):
		return c.send(refusal(iq, resourceConstraint, "Too many connections of this user."))
	case err != nil:
		return err
	}
	c.begin(st)
	return nil
}

// begin starts the writing and the keep-alive of a bound socket.
func (c *socket) begin(st *stream) {
	c.st.Store(st)
	c.alive.Reset(c.s.o.PingAfter)
	go c.pump(st)
}

// resource returns a new resource: number, word, number, as on the real service. It must
// be long and unique, because the official SDK drops messages whose sender contains its
// own resource (docs/connectycube.md, Chat).
func (s *Server) resource(wanted string) string {
	unique := strconv.FormatInt(time.Now().Unix(), 10) + "-sandbox-" + strconv.FormatUint(1_000_000+s.serial.Add(1), 10)
	if wanted = strings.TrimSpace(wanted); wanted == "" || len(wanted) > 200 {
		return unique
	}
	return wanted + "-" + unique
}

// guard counts failed logins by user and by client IP. When it reconnects, the SDK
// repeats a wrong password every few seconds, forever. The guard turns away wrong secrets
// only: a forgotten device, or another program on the same machine, must not lock out a
// client with the right one.
type guard struct {
	table *lru.Cache[string, *rate.Limiter]
}

const (
	failuresOfUser = 10 // and one more every 6 seconds
	failuresOfIP   = 60 // and one more every second; many users may share a client IP
)

func newGuard() *guard {
	return &guard{newLRU[string, *rate.Limiter](10_000)}
}

// closed reports whether one of the keys has too many failures.
func (g *guard) closed(keys []string) bool {
	for _, key := range keys {
		if l, ok := g.table.Get(key); ok && l.Tokens() < 1 {
			return true
		}
	}
	return false
}

// Forgive resets all failed logins.
func (s *Server) Forgive() { s.guard.table.Purge() }

func (g *guard) failed(keys []string) {
	for _, key := range keys {
		l, ok := g.table.Get(key)
		if !ok {
			l = rate.NewLimiter(rate.Every(time.Second), failuresOfIP)
			if strings.HasPrefix(key, "user ") {
				l = rate.NewLimiter(rate.Every(6*time.Second), failuresOfUser)
			}
			g.table.Add(key, l)
		}
		l.Allow()
	}
}

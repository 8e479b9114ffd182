package chat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

const (
	app    = 1001
	domain = "chat.example.test"
	team   = "5c091060e588ce59fdf873d2" // a dialog of 101, 202 and 303
)

// fixture is a server with three users and an archive.
type fixture struct {
	t       testing.TB
	server  *chat.Server
	archive *archive
	http    *http.Client
}

// newFixture starts a server on connections that never leave the process, so that it also runs
// on synctest's clock.
func newFixture(t testing.TB, edit func(*chat.Options)) *fixture {
	t.Helper()
	a := newArchive()
	o := chat.Options{AppID: app, Domain: domain, Accounts: a, Archive: a}
	if edit != nil {
		edit(&o)
	}
	s := chat.New(o)
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: s}
	go srv.Serve(l)
	transport := &http.Transport{DialContext: l.dial, DisableKeepAlives: true}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		srv.Close()
		transport.CloseIdleConnections()
	})
	return &fixture{t, s, a, &http.Client{Transport: transport}}
}

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client is the client's end of a socket. Its own goroutine reads, so that the server never
// waits for the test.
type client struct {
	t     testing.TB
	conn  *websocket.Conn
	user  int64
	jid   string
	got   chan xmpp.Element // closed when the connection is
	last  xmpp.Element      // the last element that play read
	mute  atomic.Bool       // answers no pings
	stuck atomic.Bool       // reads no more
}

func (w *fixture) dial() *client {
	w.t.Helper()
	c, err := w.tryDial()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.conn.CloseNow() })
	return c
}

func (w *fixture) tryDial() (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://192.0.2.1/chat", &websocket.DialOptions{
		HTTPClient: w.http, Subprotocols: []string{"xmpp"}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	c := &client{t: w.t, conn: conn, got: make(chan xmpp.Element, 1000)}
	go c.listen()
	return c, nil
}

// play sends a frame and reports whether the answer has the name.
func (c *client) play(frame, name string) bool {
	patience := time.After(2 * time.Second)
	if c.trySend(frame) != nil {
		return false
	}
	for {
		select {
		case e, open := <-c.got:
			if !open {
				return false
			}
			if e.Name == name {
				c.last = e
				return true
			}
			if e.Name == "failed" || e.Name == "failure" || e.Name == "error" {
				return false
			}
		case <-patience:
			return false
		}
	}
}

func (c *client) listen() {
	defer close(c.got)
	for !c.stuck.Load() {
		_, frame, err := c.conn.Read(context.Background())
		if err != nil {
			return
		}
		all, err := xmpp.Parse(string(frame), xmpp.Limits{})
		if err != nil && !bytes.HasSuffix(frame, []byte(">")) {
			if _, _, cut := c.conn.Read(context.Background()); cut != nil {
				return // if a connection ends within a frame, Read may return the frame's beginning without an error
			}
		}
		if err != nil || len(all) != 1 {
			panic(fmt.Sprintf("the server wrote %q: %v", frame, err))
		}
		if e := all[0]; e.Name == "iq" && e.Child("urn:xmpp:ping", "ping") != nil && !c.mute.Load() {
			_ = c.trySend(`<iq type="result" id="` + e.Attr("id") + `" to="` + domain + `"/>`)
			continue
		}
		c.got <- all[0]
	}
}

func (c *client) send(frame string) {
	c.t.Helper()
	if err := c.trySend(frame); err != nil {
		c.t.Fatalf("sending %s: %v", frame, err)
	}
}

func (c *client) trySend(frame string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, []byte(frame))
}

// next returns the next element.
func (c *client) next() xmpp.Element {
	c.t.Helper()
	select {
	case e, ok := <-c.got:
		if !ok {
			c.t.Fatal("the connection ended")
		}
		return e
	case <-time.After(time.Minute):
		c.t.Fatal("nothing came")
	}
	panic("not reached")
}

// until skips elements until the wanted one comes.
func (c *client) until(name string, wanted func(*xmpp.Element) bool) xmpp.Element {
	c.t.Helper()
	for {
		if e := c.next(); e.Name == name && (wanted == nil || wanted(&e)) {
			return e
		}
	}
}

// quiet fails if anything except presence comes. It sends the server a request first: earlier
// elements arrive before its answer.
func (c *client) quiet() {
	c.t.Helper()
	for _, e := range c.sync() {
		if e.Name != "presence" && e.Name != "r" {
			c.t.Errorf("%d got %s", c.user, e.String())
		}
	}
}

// sync pings the server and returns the elements before the answer.
func (c *client) sync() []xmpp.Element {
	c.t.Helper()
	id := "sync-" + fmt.Sprint(time.Now().UnixNano())
	c.send(`<iq type="get" id="` + id + `"><ping xmlns="urn:xmpp:ping"/></iq>`)
	var before []xmpp.Element
	for {
		e := c.next()
		if e.Name == "iq" && e.Attr("id") == id {
			return before
		}
		before = append(before, e)
	}
}

const openFrame = `<open version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="127.0.0.1"/>`

func authFrame(user int64, secret string) string {
	plain := fmt.Sprintf("\x00%d-%d\x00%s", user, app, secret)
	return `<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + base64.StdEncoding.EncodeToString([]byte(plain)) + `</auth>`
}

// login logs in, up to the second features.
func (w *fixture) login(user int64) *client {
	w.t.Helper()
	c := w.dial()
	c.user = user
	c.send(openFrame)
	c.until("features", nil)
	c.send(authFrame(user, "password"))
	c.until("success", nil)
	c.send(openFrame)
	c.until("features", nil)
	return c
}

// bound logs in and binds a resource.
func (w *fixture) bound(user int64) *client {
	w.t.Helper()
	c := w.login(user)
	c.send(`<iq type="set" id="bind" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`)
	result := c.until("iq", nil)
	bind := result.Child(xmpp.NSBind, "bind")
	c.jid = bind.ChildText(xmpp.NSBind, "jid")
	return c
}

// online is a client in the state of the official SDK: carbons on, presence sent.
func (w *fixture) online(user int64) *client {
	w.t.Helper()
	c := w.bound(user)
	c.send(`<iq type="set" id="c"><enable xmlns="urn:xmpp:carbons:2"/></iq>`)
	c.send(`<presence xmlns="jabber:client"/>`)
	c.until("presence", nil)
	return c
}

func bareJID(user int64) string { return fmt.Sprintf("%d-%d@%s", user, app, domain) }

func roomJID(dialog string) string { return fmt.Sprintf("%d_%s@muc.%s", app, dialog, domain) }

// chatTo returns a 1:1 message in the SDK's form.
func chatTo(user int64, id, body string) string {
	return `<message to="` + bareJID(user) + `" type="chat" id="` + id + `" xmlns="jabber:client"><body>` + body +
		`</body><extraParams xmlns="jabber:client"><save_to_history>1</save_to_history></extraParams></message>`
}

func groupTo(dialog, id, body string) string {
	return `<message to="` + roomJID(dialog) + `" type="groupchat" id="` + id + `" xmlns="jabber:client"><body>` + body +
		`</body><extraParams xmlns="jabber:client"><save_to_history>1</save_to_history></extraParams></message>`
}

func body(e *xmpp.Element) string { return e.ChildText(xmpp.NSClient, "body") }

func extra(e *xmpp.Element, name string) string {
	if params := e.Child(xmpp.NSClient, "extraParams"); params != nil {
		return params.ChildText(xmpp.NSClient, name)
	}
	return ""
}

func says(text string) func(*xmpp.Element) bool {
	return func(e *xmpp.Element) bool { return body(e) == text }
}

// waitFor waits until a condition is true.
func waitFor(t testing.TB, condition string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout while waiting until %s", condition)
		}
	}
}

func id(n int) string { return fmt.Sprintf("%024x", n) }

func contains(e xmpp.Element, text string) bool { return strings.Contains(e.String(), text) }

package chat_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

func TestTheSubprotocolMustBeXMPP(t *testing.T) {
	w := newFixture(t, nil)
	for _, protocols := range [][]string{nil, {"other"}} {
		conn, answer, err := websocket.Dial(t.Context(), "ws://192.0.2.1/", &websocket.DialOptions{HTTPClient: w.http, Subprotocols: protocols})
		if err == nil {
			conn.CloseNow()
			t.Fatalf("%v was accepted", protocols)
		}
		if answer == nil || answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %v, %v", protocols, answer, err)
		}
	}
	conn, _, err := websocket.Dial(t.Context(), "ws://192.0.2.1/", &websocket.DialOptions{HTTPClient: w.http, Subprotocols: []string{"other", "xmpp"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if conn.Subprotocol() != "xmpp" {
		t.Errorf("selected %q", conn.Subprotocol())
	}
}

func TestPlainIsTheOnlyMechanismOffered(t *testing.T) {
	w := newFixture(t, nil)
	c := w.dial()
	c.send(openFrame)
	if open := c.next(); open.Attr("from") != domain || open.Attr("version") != "1.0" || open.Attr("id") == "" || open.Space != xmpp.NSFraming {
		t.Errorf("got %s", open.String())
	}
	want := `<stream:features xmlns:stream="http://etherx.jabber.org/streams"><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms></stream:features>`
	if features := c.next(); features.String() != want {
		t.Errorf("got %s", features.String())
	}
}

func plain(parts ...string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(parts, "\x00")))
}

func TestAuthentication(t *testing.T) {
	tests := []struct {
		name, mechanism, text, want string
	}{
		{"password", "PLAIN", plain("", "101-1001", "password"), "success"},
		{"session token", "PLAIN", plain("", "101-1001", "token"), "success"},
		{"own JID as authzid", "PLAIN", plain("101-1001@chat.example.test", "101-1001", "token"), "success"},
		{"another JID as authzid", "PLAIN", plain("202-1001@chat.example.test", "101-1001", "token"), "invalid-authzid"},
		{"wrong password", "PLAIN", plain("", "101-1001", "wrong"), "not-authorized"},
		{"unknown user", "PLAIN", plain("", "404-1001", "password"), "not-authorized"},
		{"another application", "PLAIN", plain("", "101-1002", "password"), "not-authorized"},
		{"no application", "PLAIN", plain("", "101", "password"), "not-authorized"},
		{"another spelling of the user", "PLAIN", plain("", "0101-1001", "password"), "not-authorized"},
		{"no password", "PLAIN", plain("", "101-1001", ""), "malformed-request"},
		{"too few parts", "PLAIN", plain("101-1001", "password"), "malformed-request"},
		{"no base64", "PLAIN", "!", "incorrect-encoding"},
		{"another mechanism", "SCRAM-SHA-1", "", "invalid-mechanism"},
		{"anonymous", "ANONYMOUS", "", "invalid-mechanism"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(t, nil)
			c := w.dial()
			c.send(openFrame)
			c.until("features", nil)
			c.send(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="` + tt.mechanism + `">` + tt.text + `</auth>`)
			answer := c.next()
			if tt.want == "success" {
				if !answer.Is(xmpp.NSSASL, "success") {
					t.Errorf("got %s", answer.String())
				}
				return
			}
			if !answer.Is(xmpp.NSSASL, "failure") || answer.Child(xmpp.NSSASL, tt.want) == nil {
				t.Errorf("got %s", answer.String())
			}
			c.until("close", nil)
			c.ended()
		})
	}
}

// ended waits for the end of the connection.
func (c *client) ended() {
	c.t.Helper()
	for {
		select {
		case _, open := <-c.got:
			if !open {
				return
			}
		case <-time.After(time.Minute):
			c.t.Fatal("the connection did not end")
		}
	}
}

// The SDK's reconnect repeats a wrong password forever.
func TestFailedLoginsAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		try := func(user int64, secret string) string {
			c := w.dial()
			c.send(openFrame)
			c.until("features", nil)
			c.send(authFrame(user, secret))
			answer := c.next()
			c.conn.CloseNow()
			if answer.Name == "success" {
				return answer.Name
			}
			return answer.Children[0].Name
		}
		for range 10 {
			if got := try(101, "wrong"); got != "not-authorized" {
				t.Fatalf("got %s", got)
			}
		}
		if got := try(101, "wrong"); got != "temporary-auth-failure" {
			t.Errorf("the eleventh wrong password: %s", got)
		}
		if got := try(101, "password"); got != "success" {
			t.Errorf("the right password after them: %s", got)
		}
		if got := try(202, "wrong"); got != "not-authorized" {
			t.Errorf("another user: %s", got)
		}
		time.Sleep(7 * time.Second)
		if got := try(101, "wrong"); got != "not-authorized" {
			t.Errorf("a while later: %s", got)
		}
		// One client IP, many users.
		for user := range int64(70) {
			try(1000+user, "wrong")
		}
		if got := try(202, "wrong"); got != "temporary-auth-failure" {
			t.Errorf("another user of the IP: %s", got)
		}
		if got := try(202, "password"); got != "success" {
			t.Errorf("the right password of another user of the IP: %s", got)
		}
		w.server.Forgive()
		if got := try(202, "wrong"); got != "not-authorized" {
			t.Errorf("after the failures were reset: %s", got)
		}
	})
}

func TestResourcesAreLongAndUnlikeEachOther(t *testing.T) {
	w := newFixture(t, nil)
	seen := map[string]bool{}
	for range 5 {
		_, resource, _ := strings.Cut(w.bound(101).jid, "/")
		parts := strings.Split(resource, "-")
		if len(resource) < 16 || len(parts) != 3 || parts[1] != "sandbox" || seen[resource] {
			t.Errorf("resource %q", resource)
		}
		seen[resource] = true
	}
	jids := map[string]bool{}
	for range 2 {
		c := w.login(101)
		c.send(`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>phone</resource></bind></iq>`)
		result := c.next()
		jid := result.Child(xmpp.NSBind, "bind").ChildText(xmpp.NSBind, "jid")
		if !strings.HasPrefix(jid, "101-1001@"+domain+"/phone-") || jids[jid] {
			t.Errorf("jid %q", jid)
		}
		jids[jid] = true
	}
}

func TestWhatComesTooEarlyEndsTheStream(t *testing.T) {
	w := newFixture(t, nil)
	for _, early := range []string{chatTo(202, id(1), "x"), authFrame(101, "password"), `<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`} {
		c := w.dial()
		c.send(early)
		if e := c.next(); !e.Is(xmpp.NSStreams, "error") {
			t.Errorf("got %s", e.String())
		}
		c.until("close", nil)
		c.ended()
	}
	c := w.login(101)
	c.send(chatTo(202, id(1), "x"))
	c.until("error", nil)
	c.ended()
	if len(w.archive.stored) != 0 {
		t.Error("it was stored")
	}
}

func TestBrokenFramesEndTheStreamByName(t *testing.T) {
	w := newFixture(t, nil)
	for frame, want := range map[string]string{
		`<message`:                           "not-well-formed",
		`<!DOCTYPE x><message/>`:             "restricted-xml",
		`<a>` + strings.Repeat("<b/>", 2000): "policy-violation",
		`<open xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`: "policy-violation",
		`<foo xmlns="urn:other"/>`:                            "unsupported-stanza-type",
	} {
		c := w.bound(101)
		c.send(frame)
		if e := c.until("error", nil); e.Child(xmpp.NSErrors, want) == nil {
			t.Errorf("%.30s: %s", frame, e.String())
		}
		c.ended()
	}
	c := w.bound(101)
	if err := c.trySend("<message>" + strings.Repeat("x", 70<<10)); err == nil {
		c.ended()
	}
	c = w.bound(101)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageBinary, []byte("<presence/>")); err != nil {
		t.Fatal(err)
	}
	c.until("error", nil)
}

func TestAHandshakeHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		start := time.Now()
		c := w.login(101) // and nothing more
		for range c.got {
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestCloseIsAnsweredAndEndsTheConnection(t *testing.T) {
	w := newFixture(t, nil)
	for _, c := range []*client{w.dial(), w.online(101)} {
		c.send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`)
		if e := c.next(); !e.Is(xmpp.NSFraming, "close") {
			t.Errorf("got %s", e.String())
		}
		c.ended()
	}
	waitFor(t, "no user is online", func() bool { return len(w.server.Online()) == 0 })
}

func TestShutdownSaysGoodbye(t *testing.T) {
	w := newFixture(t, nil)
	lost := w.managed(303)
	w.server.Drop(303)
	lost.ended()
	clients := []*client{w.online(101), w.dial(), w.login(202)}
	done := make(chan error)
	go func() { done <- w.server.Shutdown(t.Context()) }()
	for _, c := range clients {
		if e := c.until("error", nil); e.Child(xmpp.NSErrors, "system-shutdown") == nil {
			t.Errorf("got %s", e.String())
		}
		c.until("close", nil)
		c.ended()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s := w.server.Sockets(); len(s) != 0 {
		t.Errorf("left: %+v", s)
	}
	if _, answer, err := websocket.Dial(t.Context(), "ws://192.0.2.1/", &websocket.DialOptions{HTTPClient: w.http, Subprotocols: []string{"xmpp"}}); err == nil || answer == nil || answer.StatusCode != 503 {
		t.Errorf("a new connection: %v, %v", answer, err)
	}
}

func TestConnectionsAndStreamsAreBounded(t *testing.T) {
	w := newFixture(t, func(o *chat.Options) { o.MaxPerUser, o.MaxConnections = 2, 4 })
	w.bound(101)
	w.bound(101)
	c := w.login(101)
	c.send(`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`)
	if e := c.next(); e.Attr("type") != "error" || !contains(e, "resource-constraint") {
		t.Errorf("a third stream: %s", e.String())
	}
	w.dial()
	if _, answer, err := websocket.Dial(t.Context(), "ws://192.0.2.1/", &websocket.DialOptions{HTTPClient: w.http, Subprotocols: []string{"xmpp"}}); err == nil || answer == nil || answer.StatusCode != 503 {
		t.Errorf("a fifth connection: %v, %v", answer, err)
	}
}

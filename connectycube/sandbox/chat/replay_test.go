package chat_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"cubegate/connectycube/xmpp"
)

// recording is what the official SDK 6.1.2 sent in one situation: frames with the number of
// their connection.
type recording struct {
	Name   string
	Frames [][2]any
}

// Every recorded frame of the SDK gets the answer that the SDK needs, whatever server it
// talked to.
func TestTheOfficialSDKsFramesGetTheirAnswers(t *testing.T) {
	raw, err := os.ReadFile("testdata/sdk_frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []recording
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 35 {
		t.Fatalf("%d recordings", len(all))
	}
	for _, r := range all {
		t.Run(r.Name, func(t *testing.T) {
			w := newFixture(t, nil)
			w.archive.users[51941] = w.archive.users[101]
			w.archive.anySecret = true
			p := &player{w: w, clients: map[int]*client{}, over: map[int]bool{}}
			for _, frame := range r.Frames {
				p.play(t, int(frame[0].(float64)), frame[1].(string))
			}
		})
	}
}

type player struct {
	w       *fixture
	clients map[int]*client
	over    map[int]bool
	refused bool // the recorded server accepted a login that ours refuses; the rest cannot be replayed
}

func (p *player) play(t *testing.T, n int, frame string) {
	if p.refused {
		return
	}
	sent := parseFrame(t, frame)
	c := p.clients[n]
	// The recorder gave a reconnect the number of the previous connection.
	if c == nil || sent.Name == "open" && (p.over[n] || c.jid != "") {
		c = p.w.dial()
		p.clients[n], p.over[n] = c, false
	}
	if p.over[n] {
		return
	}
	c.send(frame)
	switch {
	case sent.Name == "open":
		c.until("open", nil)
		if f := c.until("features", nil); f.Space != xmpp.NSStreams {
			t.Errorf("features in %q", f.Space)
		}
	case sent.Name == "auth":
		p.auth(t, n, c, sent)
	case sent.Name == "close":
		c.until("close", nil)
		p.over[n] = true
	case sent.Name == "enable":
		c.until("enabled", nil)
	case sent.Name == "r":
		if a := c.until("a", nil); a.Attr("h") == "" || a.Attr("h") == "0" {
			t.Errorf("got %s", a.String())
		}
	case sent.Name == "iq" && (sent.Attr("type") == "get" || sent.Attr("type") == "set"):
		p.iq(t, c, sent)
	case sent.Name == "presence" && strings.Contains(sent.Attr("to"), "muc."):
		self := c.until("presence", func(e *xmpp.Element) bool { return e.Attr("from") == sent.Attr("to") })
		if x := self.Child("http://jabber.org/protocol/muc#user", "x"); self.Attr("id") != sent.Attr("id") || x == nil || x.Child(x.Space, "status").Attr("code") != "110" {
			t.Errorf("got %s", self.String())
		}
	case sent.Name == "presence":
		c.until("presence", nil)
	case sent.Name == "message":
		p.message(t, sent)
	}
}

func parseFrame(t *testing.T, frame string) xmpp.Element {
	t.Helper()
	all, err := xmpp.Parse(frame, xmpp.Limits{})
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v", frame, err)
	}
	return all[0]
}

func (p *player) auth(t *testing.T, n int, c *client, sent xmpp.Element) {
	wrong := sent.Attr("mechanism") != "PLAIN" || strings.HasSuffix(sent.Text, "d3Jvbmc=")
	if !wrong {
		c.until("success", nil)
		return
	}
	failure := c.until("failure", nil)
	if len(failure.Children) != 1 || sent.Attr("mechanism") == "PLAIN" && failure.Children[0].Name != "not-authorized" {
		t.Errorf("got %s", failure.String())
	}
	c.until("close", nil)
	p.over[n] = true
	p.refused = sent.Attr("mechanism") != "PLAIN"
}

func (p *player) iq(t *testing.T, c *client, sent xmpp.Element) {
	result := c.until("iq", func(e *xmpp.Element) bool { return e.Attr("id") == sent.Attr("id") })
	if result.Attr("type") != "result" {
		t.Errorf("%s was answered %s", sent.String(), result.String())
	}
	if bind := result.Child(xmpp.NSBind, "bind"); bind != nil {
		c.jid = bind.ChildText(xmpp.NSBind, "jid")
		_, resource, _ := strings.Cut(c.jid, "/")
		if len(resource) < 16 {
			t.Errorf("resource %q", resource)
		}
	}
}

// message checks that a message arrives at the connections of its recipients, if they exist.
func (p *player) message(t *testing.T, sent xmpp.Element) {
	to, err := xmpp.ParseJID(sent.Attr("to"))
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range p.clients {
		room := strings.HasPrefix(to.Domain, "muc.")
		if p.over[n] || c.jid == "" || !room && !strings.HasPrefix(c.jid, to.Local+"@") {
			continue
		}
		got := c.until("message", func(e *xmpp.Element) bool { return e.Attr("id") == sent.Attr("id") })
		if got.Attr("type") != sent.Attr("type") || got.Attr("from") == "" {
			t.Errorf("%s came out as %s", sent.String(), got.String())
		}
		for _, child := range sent.Children {
			if got.Child(child.Space, child.Name) == nil {
				t.Errorf("%s is missing in %s", child.Name, got.String())
			}
		}
		if body(&sent) != "" && sent.Attr("type") != "headline" && extra(&got, "dialog_id") == "" {
			t.Errorf("no dialog_id in %s", got.String())
		}
	}
}

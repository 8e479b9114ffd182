package sandbox_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"

	"github.com/coder/websocket"
)

// talker is a chat client that sends only what a test requires.
type talker struct {
	t    *testing.T
	conn *websocket.Conn
	seen []string
}

// talk logs a user in and sends presence.
func talk(t *testing.T, url, user, secret string) *talker {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+sandbox.ChatPath,
		&websocket.DialOptions{Subprotocols: []string{"xmpp"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	d := &talker{t: t, conn: conn}
	const open = `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="chat.connectycube.com" version="1.0"/>`
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "-1001\x00" + secret))
	d.say(open)
	d.hear("features")
	d.say(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + plain + `</auth>`)
	d.hear("<success")
	d.say(open)
	d.hear("bind")
	d.say(`<iq xmlns="jabber:client" type="set" id="b1"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`)
	d.hear("b1")
	d.say(`<presence xmlns="jabber:client"/>`)
	d.settle()
	return d
}

func (d *talker) say(frame string) {
	d.t.Helper()
	if err := d.conn.Write(d.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		d.t.Fatalf("%s: %v", frame, err)
	}
}

// hear waits for a frame that contains part.
func (d *talker) hear(part string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	for {
		_, frame, err := d.conn.Read(ctx)
		if err != nil {
			d.t.Fatalf("waiting for %s: %v; got %q", part, err, d.seen)
		}
		d.seen = append(d.seen, string(frame))
		if strings.Contains(string(frame), part) {
			return string(frame)
		}
	}
}

var settled int

// settle returns when all earlier frames are handled.
func (d *talker) settle() {
	d.t.Helper()
	settled++
	id := fmt.Sprintf("settle%d", settled)
	d.say(`<iq xmlns="jabber:client" type="get" id="` + id + `" to="chat.connectycube.com"><ping xmlns="urn:xmpp:ping"/></iq>`)
	d.hear(id)
}

// ended waits for the end of the connection.
func (d *talker) ended() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	for {
		if _, _, err := d.conn.Read(ctx); err != nil {
			if ctx.Err() != nil {
				d.t.Fatal("the connection did not end")
			}
			return
		}
	}
}

func (d *talker) message(to, id, body string) {
	d.t.Helper()
	d.say(`<message xmlns="jabber:client" type="chat" to="` + to + `-1001@chat.connectycube.com" id="` + id + `"><body>` + body +
		`</body><extraParams xmlns="jabber:client"><save_to_history>1</save_to_history></extraParams></message>`)
}

func (d *talker) count(part string) (n int) {
	for _, frame := range d.seen {
		n += strings.Count(frame, part)
	}
	return n
}

// talkers starts a sandbox with two users in the chat.
func talkers(t *testing.T) (s *sandbox.Sandbox, c caller, ids [2]string, devices [2]*talker) {
	t.Helper()
	s = sandbox.New(sandbox.Options{})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { _ = s.Close() })
	c = caller{t, srv.URL, srv.Client()}
	for i, login := range []string{"ann", "bob"} {
		ids[i] = c.signUp(`{"login":"` + login + `","password":"11111111"}`)
		devices[i] = talk(t, srv.URL, ids[i], "11111111")
	}
	return s, c, ids, devices
}

func TestDroppingSockets(t *testing.T) {
	s, c, ids, devices := talkers(t)
	if state := s.State(); len(state.Sockets) != 2 || state.Totals.Sockets != 2 || fmt.Sprint(state.Sockets[0].UserID) != ids[0] || !state.Sockets[0].Available {
		t.Errorf("sockets = %+v", state.Sockets)
	}
	if g := c.send("POST", "/_sandbox/drop", `{"user":`+ids[0]+`}`); g.text != `{"sockets":1}`+"\n" {
		t.Errorf("%d %s", g.status, g.text)
	}
	devices[0].ended()
	devices[1].settle()
	if g := c.send("POST", "/_sandbox/half-open", `{}`); g.str("sockets") != "1" {
		t.Errorf("%d %s", g.status, g.text)
	}
	devices[1].say(`<iq xmlns="jabber:client" type="get" id="void" to="chat.connectycube.com"><ping xmlns="urn:xmpp:ping"/></iq>`)
	if n := s.Drop(0); n != 1 {
		t.Errorf("%d sockets dropped, want 1", n)
	}
	devices[1].ended()
	if n := devices[1].count("void"); n != 0 {
		t.Error("a half-open socket answered")
	}
}

func TestFaultsOfTheChat(t *testing.T) {
	s, _, ids, devices := talkers(t)
	ann, bob := devices[0], devices[1]
	arm(t, s,
		sandbox.Fault{On: "chat", Kind: "drop", User: 1, Stanza: "message"}, // user 1 does not exist
		sandbox.Fault{On: "chat", Kind: "duplicate", Stanza: "message", Times: 1},
		sandbox.Fault{On: "chat", Kind: "refuse", Stanza: "message", Times: 1},
		sandbox.Fault{On: "chat", Kind: "delay", Stanza: "message", Delay: time.Millisecond, Times: 1},
		sandbox.Fault{On: "chat", Kind: "lost-answer", Stanza: "message", Times: 1},
	)
	ann.message(ids[1], "m1", "twice")
	ann.settle()
	ann.message(ids[1], "m2", "refused")
	if answer := ann.hear(`type="error"`); !strings.Contains(answer, "m2") {
		t.Errorf("refusal = %s", answer)
	}
	ann.message(ids[1], "m3", "delayed")
	ann.settle()
	ann.message(ids[1], "m4", "the last words")
	ann.ended()
	bob.hear("the last words")
	if bob.count("<body>twice") != 2 || bob.count("refused") != 0 || bob.count("<body>delayed") != 1 {
		t.Errorf("bob heard %q", bob.seen)
	}
	if n := s.State().Totals.Messages; n != 3 {
		t.Errorf("%d messages are stored, want 3", n)
	}
	if left := s.Faults(); len(left) != 1 {
		t.Errorf("faults = %+v", left)
	}
	arm(t, s, sandbox.Fault{On: "chat", Kind: "drop", Stanza: "message", Times: 1})
	bob.message(ids[0], "m5", "cut off")
	bob.ended()
	var shown []string
	for _, e := range s.Journal(0) {
		if e.Fault != "" {
			_, id, _ := strings.Cut(e.Stanza, ` id="`)
			shown = append(shown, fmt.Sprint(e.On, " ", e.Fault, " of ", e.UserID, " ", id[:min(2, len(id))]))
		}
	}
	want := fmt.Sprintf("chat duplicate of %[1]s m1, chat refuse of %[1]s m2, chat delay of %[1]s m3, chat lost-answer of %[1]s m4, chat drop of %[2]s m5", ids[0], ids[1])
	if got := strings.Join(shown, ", "); got != want {
		t.Errorf("the journal shows %s, want %s", got, want)
	}
}

func TestTheChatGoesByTheClockAndIntoTheJournal(t *testing.T) {
	s, _, ids, devices := talkers(t)
	if err := s.Advance(1000 * time.Hour); err != nil {
		t.Fatal(err)
	}
	devices[0].message(ids[1], "m1", "hello")
	devices[1].hear("hello")
	if at := s.State().Messages[0].Sent; time.Until(at) < 999*time.Hour {
		t.Errorf("sent at %s", at)
	}
	text := fmt.Sprintf("%+v", s.Journal(0))
	if !strings.Contains(text, "<body>hello") || !strings.Contains(text, "Direction:in") || !strings.Contains(text, "Direction:out") {
		t.Errorf("journal = %s", text)
	}
	if secret := base64.StdEncoding.EncodeToString([]byte("\x00" + ids[0] + "-1001\x0011111111")); strings.Contains(text, secret) || strings.Contains(text, "1111111") {
		t.Error("the journal shows the password")
	}
}

func TestAResetAndADeletedUserLeaveTheChat(t *testing.T) {
	s, _, _, devices := talkers(t)
	s.Reset()
	for _, d := range devices {
		d.ended()
	}
	if n := len(s.State().Sockets); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
}

// SASL may use any notation that XML allows; a password in pieces is not accepted.
func TestTheJournalMasksSASLInAnySpelling(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { _ = s.Close() })
	for _, frame := range []string{
		`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AGEtMTAwMQBvcGVuc2VzYW1l</auth>`,
		"\n" + `<s:auth xmlns:s='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEtMTAwMQBvcGVuc2VzYW1l</s:auth>`,
		`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AGEtMTAwMQBvcGVuc2VzYW1l`,
	} {
		conn, _, err := websocket.Dial(t.Context(), strings.Replace(srv.URL, "http", "ws", 1)+sandbox.ChatPath,
			&websocket.DialOptions{Subprotocols: []string{"xmpp"}})
		if err != nil {
			t.Fatal(err)
		}
		d := &talker{t: t, conn: conn}
		d.say(`<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="chat.connectycube.com" version="1.0"/>`)
		d.hear("features")
		d.say(frame)
		d.hear("<") // any answer
		conn.CloseNow()
	}
	if text := fmt.Sprintf("%+v", s.Journal(0)); strings.Contains(text, "AGEtMTAw") || !strings.Contains(text, "mechanism") {
		t.Errorf("journal = %s", text)
	}
}

package sandbox_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cubegate/connectycube/sandbox"
	"cubegate/connectycube/xmpp"
)

const jids = "-1001@chat.connectycube.com"

// chatter is a user in the chat.
type chatter struct {
	person
	conn *websocket.Conn
	got  chan xmpp.Element // messages; closed with the connection
}

// chatters are people who are also in the chat, with their session's token.
func chatters(t *testing.T, s *sandbox.Sandbox, logins ...string) []*chatter {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	var all []*chatter
	for _, p := range people(t, s, logins...) {
		d, err := enter(t.Context(), p.base, p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.conn.CloseNow() })
		all = append(all, d)
	}
	return all
}

// enter does the SDK's handshake, up to the echo of the presence.
func enter(ctx context.Context, url string, p person) (d *chatter, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+sandbox.ChatPath, &websocket.DialOptions{
		HTTPClient: p.http, Subprotocols: []string{"xmpp"}})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.CloseNow()
		}
	}()
	open := `<open version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="127.0.0.1"/>`
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + p.id + "-1001\x00" + p.token))
	for _, step := range []struct{ send, until string }{
		{open, "features"},
		{`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + auth + `</auth>`, "success"},
		{open, "features"},
		{`<iq type="set" id="b" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`, "iq"},
		{`<presence xmlns="jabber:client"/>`, "presence"},
	} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(step.send)); err != nil {
			return nil, err
		}
		for name := ""; name != step.until; {
			_, frame, err := conn.Read(ctx)
			if err != nil {
				return nil, err
			}
			all, err := xmpp.Parse(string(frame), xmpp.Limits{})
			if err != nil || all[0].Name == "failure" {
				return nil, fmt.Errorf("%s: %w", frame, err)
			}
			name = all[0].Name
		}
	}
	d = &chatter{p, conn, make(chan xmpp.Element, 10_000)}
	go d.listen()
	return d, nil
}

func (d *chatter) listen() {
	defer close(d.got)
	for {
		_, frame, err := d.conn.Read(context.Background())
		if err != nil {
			return
		}
		all, _ := xmpp.Parse(string(frame), xmpp.Limits{})
		for _, e := range all {
			if e.Name == "message" {
				d.got <- e
			}
		}
	}
}

func (d *chatter) write(stanza string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return d.conn.Write(ctx, websocket.MessageText, []byte(stanza))
}

// stanza sends a message stanza with the children in inside.
func (d *chatter) stanza(to, kind, id, inside string) {
	d.t.Helper()
	if err := d.write(`<message xmlns="jabber:client" to="` + to + `" type="` + kind + `" id="` + id + `">` + inside + `</message>`); err != nil {
		d.t.Fatal(err)
	}
}

// next returns the next message; nil if the connection ends instead.
func (d *chatter) next() *xmpp.Element {
	d.t.Helper()
	select {
	case e, open := <-d.got:
		if !open {
			return nil
		}
		return &e
	case <-time.After(time.Minute):
		d.t.Fatal("nothing arrived")
		return nil
	}
}

func body(e *xmpp.Element) string { return e.ChildText(xmpp.NSClient, "body") }

// extra returns the text of a child of extraParams.
func extra(e *xmpp.Element, name string) string {
	if p := e.Child(xmpp.NSClient, "extraParams"); p != nil {
		return p.ChildText(xmpp.NSClient, name)
	}
	return ""
}

const history = `<extraParams xmlns="jabber:client"><save_to_history>1</save_to_history></extraParams>`

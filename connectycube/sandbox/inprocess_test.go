package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"cubegate/connectycube/sandbox"
)

func TestInProcessTakesRequestsMadeByHand(t *testing.T) {
	client := sandbox.New(sandbox.Options{}).Client()
	for host, want := range map[string]int{"localhost:3001": 200, "sandbox.example": 403} {
		resp, err := client.Do(&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: host, Path: "/_sandbox/state"}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.ContentLength <= 0 {
			t.Errorf("%s: %s with %d bytes, want %d", host, resp.Status, resp.ContentLength, want)
		}
	}
}

type brokenBody struct{ closed bool }

var errBroken = errors.New("broken")

func (*brokenBody) Read([]byte) (int, error) { return 0, errBroken }
func (b *brokenBody) Close() error           { b.closed = true; return nil }

func TestInProcessReportsABodyItCannotRead(t *testing.T) {
	body := &brokenBody{}
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://sandbox.invalid/users", body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.New(sandbox.Options{}).Client().Do(req); !errors.Is(err, errBroken) || !body.closed {
		t.Errorf("error = %v, body closed: %v", err, body.closed)
	}
}

func TestATooLargeBodyIsABadRequest(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{}))
	if g := c.send("POST", "/session", application+`,"x":"`+strings.Repeat("x", 300<<10)+`"}`); g.status != 400 {
		t.Errorf("%d %.80s", g.status, g.text)
	}
}

func TestInProcessHasTheChat(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := chatters(t, s, "anna", "boris") // each dialed with a context that has ended
	a, b := all[0], all[1]
	big := strings.Repeat("x", 10_000)
	for range 20 { // more than a frame in each direction at once
		a.stanza(b.id+jids, "chat", "", `<body>`+big+`</body>`)
		b.stanza(a.id+jids, "chat", "", `<body>`+big+`</body>`)
	}
	for range 20 {
		for _, d := range all {
			if e := d.next(); e == nil || body(e) != big {
				t.Fatalf("got %v", e)
			}
		}
	}
	s.Drop(0)
	for _, d := range all {
		if e := d.next(); e != nil {
			t.Errorf("after the cut came %v", e)
		}
	}
}

func TestInProcessRefusesAnUpgradeWhoseCallerIsGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	conn, _, err := websocket.Dial(ctx, "ws://sandbox.invalid"+sandbox.ChatPath, &websocket.DialOptions{
		HTTPClient: sandbox.New(sandbox.Options{}).Client(), Subprotocols: []string{"xmpp"}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if err == nil {
		conn.CloseNow()
	}
}

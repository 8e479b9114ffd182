package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox/chat"
)

func TestMessagesKeptAreBounded(t *testing.T) {
	w := newFixture(t, func(o *chat.Options) { o.MaxOffline, o.MaxKept = 3, 4 })
	a := w.online(101)
	for i := range 5 {
		a.send(chatTo(202, id(i), id(i)))
	}
	for i := range 3 {
		a.send(chatTo(303, id(10+i), id(10+i)))
	}
	a.sync()
	b, c := w.online(202), w.online(303)
	if m := b.until("message", nil); body(&m) != id(4) {
		t.Errorf("got %s", m.String())
	}
	b.quiet()
	for i := range 3 {
		if m := c.until("message", nil); body(&m) != id(10+i) {
			t.Errorf("got %s", m.String())
		}
	}
}

func TestMessagesKeptAreBoundedInBytes(t *testing.T) {
	w := newFixture(t, nil)
	a := w.online(101)
	w.bound(202) // never comes online; it keeps the account in memory
	for round := range 2 {
		for i := range 30 { // of 50 KiB each
			a.send(chatTo(202, id(100*round+i), fmt.Sprint(i)+strings.Repeat(" ", 50<<10)))
		}
		a.sync()
		c := w.online(202)
		for i := 10; i < 30; i++ { // 20 are a mebibyte
			m := c.until("message", nil)
			if !strings.HasPrefix(body(&m), fmt.Sprint(i)) {
				t.Fatalf("message %d is %.300s", i, m.String())
			}
		}
		c.quiet()
		c.conn.CloseNow()
		waitFor(t, "he has left", func() bool { return len(w.server.Sockets()) == 2 })
	}
}

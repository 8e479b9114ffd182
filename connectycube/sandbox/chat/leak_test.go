package chat_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox/chat"
)

// A server that runs for months keeps no data of users who have left.
func TestNothingIsLeftOfThoseWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, func(o *chat.Options) { o.MaxOffline = 3 })
		for i := range 20 {
			a, b, c := w.online(101), w.managed(202), w.online(303)
			for _, c := range []*client{a, b.client, c} {
				c.send(join(team))
				c.send(iq("set", "", `<subscribe xmlns="https://connectycube.com/protocol/status_streaming" user_jid="`+bareJID(202)+`" enable="true"/>`))
				c.send(iq("set", "", `<query xmlns="jabber:iq:privacy"><list name="l"><item action="allow" order="1"/></list></query>`))
				c.sync()
			}
			c.send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`)
			c.ended()
			for n := range 5 {
				a.send(chatTo(303, id(10*i+n), fmt.Sprint(n)))
				a.send(chatTo(202, id(1000+10*i+n), fmt.Sprint(n)))
			}
			a.sync()
			b.conn.CloseNow()
			a.conn.CloseNow()
			w.login(101).conn.CloseNow()
			time.Sleep(10 * time.Minute)
		}
		for _, user := range []int64{101, 202, 303} { // waiting messages arrive, and lists are removed
			c := w.online(user)
			c.send(iq("set", "", `<query xmlns="jabber:iq:privacy"><list name="l"/></query>`))
			c.sync()
			c.conn.CloseNow()
		}
		time.Sleep(10 * time.Minute)
		for kind, n := range w.server.Holds() {
			if n != 0 {
				t.Errorf("%s: %d", kind, n)
			}
		}
	})
}

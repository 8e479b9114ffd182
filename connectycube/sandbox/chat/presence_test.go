package chat_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/xmpp"
)

const nsUser = "http://jabber.org/protocol/muc#user"

func join(dialog string) string {
	return `<presence id="x:join" to="` + roomJID(dialog) + `/101"><x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="0"/></x></presence>`
}

func status(e *xmpp.Element) string {
	if x := e.Child(nsUser, "x"); x != nil && x.Child(nsUser, "status") != nil {
		return x.Child(nsUser, "status").Attr("code")
	}
	return ""
}

func TestInitialPresenceIsEchoedAndMakesOnline(t *testing.T) {
	w := newFixture(t, nil)
	c := w.bound(202)
	if got := w.server.Online(); len(got) != 0 {
		t.Errorf("online: %v", got)
	}
	c.send(`<presence/>`)
	if e := c.next(); e.Attr("from") != c.jid || e.Attr("to") != c.jid {
		t.Errorf("got %s", e.String())
	}
	w.online(101)
	if got := w.server.Online(); !slices.Equal(got, []int64{101, 202}) {
		t.Errorf("online: %v", got)
	}
	c.send(`<presence type="unavailable"/>`)
	c.sync()
	if got := w.server.Online(); !slices.Equal(got, []int64{101}) {
		t.Errorf("online: %v", got)
	}
}

func TestRoomsTellOfThoseWhoJoinAndLeave(t *testing.T) {
	w := newFixture(t, nil)
	a, b, c := w.online(101), w.online(202), w.online(303)
	a.send(join(team))
	if e := a.next(); e.Attr("from") != roomJID(team)+"/101" || e.Attr("id") != "x:join" || status(&e) != "110" {
		t.Errorf("got %s", e.String())
	}
	b.send(join(team)) // with the name of another user, which is ignored
	if e := b.next(); e.Attr("from") != roomJID(team)+"/101" || status(&e) != "" {
		t.Errorf("the other user: %s", e.String())
	}
	if e := b.next(); e.Attr("from") != roomJID(team)+"/202" || status(&e) != "110" {
		t.Errorf("the user itself: %s", e.String())
	}
	if e := a.next(); e.Attr("from") != roomJID(team)+"/202" || e.Attr("type") != "" || e.Child(nsUser, "x") == nil {
		t.Errorf("the user who came: %s", e.String())
	}
	b.send(`<presence type="unavailable" to="` + roomJID(team) + `/202"/>`)
	if e := b.next(); e.Attr("type") != "unavailable" || status(&e) != "110" {
		t.Errorf("leaving: %s", e.String())
	}
	if e := a.next(); e.Attr("from") != roomJID(team)+"/202" || e.Attr("type") != "unavailable" {
		t.Errorf("the user who left: %s", e.String())
	}
	b.send(join(team))
	a.next()
	b.conn.CloseNow()
	if e := a.next(); e.Attr("from") != roomJID(team)+"/202" || e.Attr("type") != "unavailable" {
		t.Errorf("the lost user: %s", e.String())
	}
	again, second := w.online(202), w.online(202)
	for _, c := range []*client{again, second} {
		c.send(join(team))
		c.until("presence", func(e *xmpp.Element) bool { return status(e) == "110" })
	}
	second.send(`<presence type="unavailable"/>`)
	second.sync()
	if e := append(a.sync(), again.sync()...); len(e) != 1 || e[0].Attr("from") != roomJID(team)+"/202" || e[0].Attr("type") != "" {
		t.Errorf("of a second device: %v", e)
	}
	again.send(`<presence type="unavailable"/>`)
	if e := a.next(); e.Attr("from") != roomJID(team)+"/202" || e.Attr("type") != "unavailable" {
		t.Errorf("the unavailable user: %s", e.String())
	}
	if before := c.sync(); len(before) != 0 {
		t.Errorf("a user in no room got %v", before)
	}
}

func TestRoomsRefuseWhoIsNoOccupant(t *testing.T) {
	w := newFixture(t, nil)
	w.archive.dialogs[id(7)] = []int64{202}
	a := w.online(101)
	for dialog, code := range map[string]string{id(7): "403", id(8): "404"} {
		a.send(join(dialog))
		e := a.next()
		x, reason := e.Child("http://jabber.org/protocol/muc", "x"), e.Child(xmpp.NSClient, "error")
		if e.Name != "presence" || e.Attr("type") != "error" || e.Attr("id") != "x:join" || x == nil || reason == nil ||
			reason.Attr("code") != code || reason.ChildText(xmpp.NSStanzas, "text") == "" {
			t.Errorf("got %s", e.String())
		}
	}
}

// XEP-0045 has an answer to each attempt to join. A wrong domain is a frequent mistake.
func TestJoiningWhatIsNoRoomIsAnError(t *testing.T) {
	a := newFixture(t, nil).online(101)
	for _, room := range []string{"team@muc." + domain, "1001_" + team + "@conference." + domain, "a@b@c"} {
		a.send(`<presence id="x:join" to="` + room + `/101"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
		got := a.sync()
		if len(got) != 1 || got[0].Name != "presence" || got[0].Attr("type") != "error" || got[0].Attr("id") != "x:join" ||
			!contains(got[0], "item-not-found") {
			t.Errorf("%s: %v", room, got)
		}
	}
	a.send(`<presence type="unavailable" to="team@muc.` + domain + `/101"/>`)
	if got := a.sync(); len(got) != 0 {
		t.Errorf("leaving what is no room: %v", got)
	}
}

func TestExpelledUsersAreOutOfTheRoom(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	for _, c := range []*client{a, b} {
		c.send(join(team))
		c.until("presence", func(e *xmpp.Element) bool { return status(e) == "110" })
	}
	a.next()
	w.server.Expel(team, 202, 101)
	want := `<item affiliation="none" role="none" nick="202"><actor jid="` + bareJID(101) + `"/></item><status code="110"/><status code="301"/>`
	if e := b.next(); e.Attr("type") != "unavailable" || !contains(e, want) {
		t.Errorf("the expelled user: %s", e.String())
	}
	if e := a.next(); e.Attr("from") != roomJID(team)+"/202" || e.Attr("type") != "unavailable" {
		t.Errorf("the remaining user: %s", e.String())
	}
	w.server.Expel(team, 303, 101)
	a.send(`<presence type="unavailable" to="` + roomJID(team) + `/101"/>`)
	a.next()
	if before := append(a.sync(), b.sync()...); len(before) != 0 {
		t.Errorf("got %v", before)
	}
}

func iq(kind, to, query string) string {
	if to != "" {
		to = ` to="` + to + `"`
	}
	return `<iq type="` + kind + `" id="q"` + to + `>` + query + `</iq>`
}

// ask returns the answer to an iq.
func (c *client) ask(kind, to, query string) xmpp.Element {
	c.t.Helper()
	c.send(iq(kind, to, query))
	return c.until("iq", func(e *xmpp.Element) bool { return e.Attr("id") == "q" })
}

func TestRequestsAreAnswered(t *testing.T) {
	w := newFixture(t, nil)
	a := w.online(101)
	w.online(202)
	tests := []struct {
		name, kind, to, query, want string
	}{
		{"ping", "get", domain, `<ping xmlns="urn:xmpp:ping"/>`, "result"},
		{"ping without address", "get", "", `<ping xmlns="urn:xmpp:ping"/>`, "result"},
		{"session", "set", "", `<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/>`, "result"},
		{"carbons", "set", "", `<disable xmlns="urn:xmpp:carbons:2"/>`, "result"},
		{"background", "set", "", `<mobile xmlns="http://tigase.org/protocol/mobile#v2" enable="true"/>`, "result"},
		{"online user", "get", bareJID(202), `<query xmlns="jabber:iq:last"/>`, `seconds="0"`},
		{"unknown user", "get", bareJID(404), `<query xmlns="jabber:iq:last"/>`, "item-not-found"},
		{"age of the server", "get", domain, `<query xmlns="jabber:iq:last"/>`, `seconds="`},
		{"occupants online", "get", roomJID(team), `<query xmlns="http://jabber.org/protocol/disco#items"/>`,
			`<item jid="` + roomJID(team) + `/101"/><item jid="` + roomJID(team) + `/202"/></query>`},
		{"occupants of an unknown room", "get", roomJID(id(8)), `<query xmlns="http://jabber.org/protocol/disco#items"/>`, "item-not-found"},
		{"items of the server", "get", domain, `<query xmlns="http://jabber.org/protocol/disco#items"/>`, "result"},
		{"features", "get", domain, `<query xmlns="http://jabber.org/protocol/disco#info"/>`, `var="urn:xmpp:carbons:2"`},
		{"roster", "get", "", `<query xmlns="jabber:iq:roster"/>`, `<query xmlns="jabber:iq:roster"/>`},
		{"unknown", "get", "", `<query xmlns="jabber:iq:version"/>`, "service-unavailable"},
		{"known, but the other way", "set", "", `<ping xmlns="urn:xmpp:ping"/>`, "service-unavailable"},
		{"nothing", "get", "", ``, "bad-request"},
		{"no type", "", "", `<ping xmlns="urn:xmpp:ping"/>`, "bad-request"},
		{"unknown type", "put", domain, `<ping xmlns="urn:xmpp:ping"/>`, "bad-request"},
		{"another domain", "get", "other.test", `<ping xmlns="urn:xmpp:ping"/>`, "bad-request"},
		{"follow an invalid JID", "set", "", `<subscribe xmlns="https://connectycube.com/protocol/status_streaming" user_jid="x" enable="true"/>`, "bad-request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := a.ask(tt.kind, tt.to, tt.query)
			if !contains(answer, tt.want) || answer.Attr("from") != tt.to || answer.Attr("to") != a.jid {
				t.Errorf("want %s, got %s", tt.want, answer.String())
			}
		})
	}
	a.send(iq("result", domain, ""))
	a.send(iq("error", domain, `<query xmlns="jabber:iq:version"/>`))
	a.quiet() // answers are not answered
	for _, s := range w.server.Sockets() {
		if s.UserID == 101 && !s.Inactive {
			t.Error("not shown as being in the background")
		}
	}
}

func TestRequestsToADeviceReachIt(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	a.send(iq("get", b.jid, `<query xmlns="jabber:iq:version"/>`))
	if e := b.next(); e.Attr("from") != a.jid || e.Attr("to") != b.jid || e.Attr("id") != "q" {
		t.Errorf("got %s", e.String())
	}
	b.send(iq("result", a.jid, `<query xmlns="jabber:iq:version"/>`))
	if e := a.next(); e.Attr("from") != b.jid || e.Attr("type") != "result" {
		t.Errorf("got %s", e.String())
	}
	a.send(iq("result", bareJID(202)+"/nowhere", ""))
	a.quiet() // an answer is never answered
	if e := a.ask("get", bareJID(202)+"/nowhere", `<query xmlns="jabber:iq:version"/>`); !contains(e, "service-unavailable") {
		t.Errorf("got %s", e.String())
	}
}

func TestRequestsOfNoTypeReachNoDevice(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	if e := a.ask("put", b.jid, `<query xmlns="jabber:iq:version"/>`); !contains(e, "bad-request") {
		t.Errorf("got %s", e.String())
	}
	b.quiet()
}

func TestLastActivityOfWhoIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		a, b := w.online(101), w.online(202)
		b.conn.CloseNow()
		time.Sleep(42 * time.Second)
		last := `<query xmlns="jabber:iq:last"/>`
		if e := a.ask("get", bareJID(202), last); !contains(e, `seconds="42"`) {
			t.Errorf("by chat: %s", e.String())
		}
		w.archive.mu.Lock()
		w.archive.users[202] = time.Now().Add(-7 * time.Second)
		w.archive.mu.Unlock()
		if e := a.ask("get", bareJID(202), last); !contains(e, `seconds="7"`) {
			t.Errorf("by REST since: %s", e.String())
		}
		if e := a.ask("get", bareJID(303), last); contains(e, `seconds="0"`) {
			t.Errorf("never seen, but online: %s", e.String())
		}
	})
}

func TestFollowersHearOfComingsAndGoings(t *testing.T) {
	w := newFixture(t, nil)
	a := w.online(101)
	follow := func(enable string) {
		a.ask("set", "", `<subscribe xmlns="https://connectycube.com/protocol/status_streaming" user_jid="`+bareJID(202)+`" enable="`+enable+`"/>`)
	}
	follow("true")
	want := func(seconds string) {
		t.Helper()
		e := a.next()
		if e.Name != "iq" || e.Attr("type") != "set" || e.Attr("from") != bareJID(202) || e.Attr("id") == "" || e.Child("jabber:iq:last", "query").Attr("seconds") != seconds {
			t.Errorf("got %s", e.String())
		}
	}
	b := w.online(202)
	want("0")
	second := w.online(202)
	a.quiet() // he was online before
	second.conn.CloseNow()
	waitFor(t, "one has ended", func() bool { return len(w.server.Sockets()) == 2 })
	a.quiet()
	b.conn.CloseNow()
	want("1")
	follow("false")
	w.online(202)
	a.quiet()
}

func TestSilentSocketsArePingedAndCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		a, b := w.online(101), w.online(202)
		b.mute.Store(true)
		start := time.Now()
		if e := <-b.got; e.Child("urn:xmpp:ping", "ping") == nil {
			t.Errorf("got %s", e.String())
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("pinged after %v", took)
		}
		for range b.got {
		}
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("cut off after %v", took)
		}
		time.Sleep(time.Hour)
		a.sync() // a client that answers stays
	})
}

package chat_test

import (
	"testing"

	"cubegate/connectycube/xmpp"
)

func TestBlockLists(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	const kinds = `<message/><presence-in/><presence-out/><iq/>`
	list := func(children string) string {
		return `<query xmlns="jabber:iq:privacy"><list name="l">` +
			`<item type="jid" value="` + bareJID(101) + `" action="deny" order="1">` + children + `</item>` +
			`<item type="jid" value="muc.` + domain + `/101" action="deny" order="2">` + children + `</item></list></query>`
	}
	set := func(query string) {
		t.Helper()
		if e := b.ask("set", "", query); e.Attr("type") != "result" {
			t.Fatalf("%s: %s", query, e.String())
		}
	}
	def := func(name string) string {
		return `<query xmlns="jabber:iq:privacy"><default name="` + name + `"/></query>`
	}

	set(list(kinds))
	a.send(chatTo(202, id(1), "not yet"))
	b.until("message", says("not yet"))
	set(def("l"))
	a.send(chatTo(202, id(2), "blocked"))
	if e := a.until("message", nil); e.Attr("type") != "error" || e.Attr("id") != id(2) || !contains(e, `code="503"`) {
		t.Errorf("got %s", e.String())
	}
	a.send(groupTo(team, id(3), "blocked too"))
	a.until("message", says("blocked too"))
	a.send(`<message to="` + bareJID(202) + `" type="chat"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`)
	a.quiet()
	b.quiet()
	b.send(chatTo(101, id(4), "one way")) // a block with kinds does not stop the blocker
	a.until("message", says("one way"))

	set(list(""))
	b.send(chatTo(101, id(5), "both ways"))
	if e := b.until("message", nil); e.Attr("type") != "error" || !contains(e, `code="406"`) {
		t.Errorf("got %s", e.String())
	}
	b.send(`<message to="` + bareJID(101) + `" type="chat"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`)
	b.sync()
	a.quiet()
	for _, m := range w.archive.stored {
		if m.Body == "blocked" || m.Body == "both ways" {
			t.Errorf("%q was stored", m.Body)
		}
	}

	names := b.ask("get", "", `<query xmlns="jabber:iq:privacy"/>`)
	if !contains(names, `<default name="l"/><list name="l"/>`) {
		t.Errorf("got %s", names.String())
	}
	if e := b.ask("get", "", `<query xmlns="jabber:iq:privacy"><list name="l"/></query>`); !contains(e, `value="`+bareJID(101)+`" action="deny" order="1"/><item`) {
		t.Errorf("got %s", e.String())
	}
	// It also applies while he is absent.
	b.conn.CloseNow()
	waitFor(t, "he has left", func() bool { return len(w.server.Sockets()) == 1 })
	a.send(chatTo(202, id(6), "blocked"))
	if e := a.until("message", nil); e.Attr("type") != "error" {
		t.Errorf("got %s", e.String())
	}
	b = w.online(202)
	b.quiet()
	set(`<query xmlns="jabber:iq:privacy"><active/></query>`)
	set(`<query xmlns="jabber:iq:privacy"><default/></query>`)
	set(`<query xmlns="jabber:iq:privacy"><list name="l"/></query>`)
	a.send(chatTo(202, id(7), "free"))
	b.until("message", says("free"))
}

func TestBlockListsRefuse(t *testing.T) {
	w := newFixture(t, nil)
	a := w.online(101)
	item := func(attrs string) string {
		return `<query xmlns="jabber:iq:privacy"><list name="l"><item ` + attrs + `/></list></query>`
	}
	for query, want := range map[string]string{
		`<query xmlns="jabber:iq:privacy"/>`:                                 "bad-request",
		item(`action="deny"`):                                                "bad-request",
		item(`action="shoot" order="1"`):                                     "bad-request",
		item(`action="deny" order="-1"`):                                     "bad-request",
		`<query xmlns="jabber:iq:privacy"><other/></query>`:                  "bad-request",
		`<query xmlns="jabber:iq:privacy"><list/><list/></query>`:            "bad-request",
		`<query xmlns="jabber:iq:privacy"><list name="nothing"/></query>`:    "item-not-found",
		`<query xmlns="jabber:iq:privacy"><default name="nothing"/></query>`: "item-not-found",
		`<query xmlns="jabber:iq:privacy"><active name="nothing"/></query>`:  "item-not-found",
	} {
		if e := a.ask("set", "", query); !contains(e, want) {
			t.Errorf("%s: %s", query, e.String())
		}
	}
	if e := a.ask("get", "", `<query xmlns="jabber:iq:privacy"><list name="nothing"/></query>`); !contains(e, "item-not-found") {
		t.Errorf("got %s", e.String())
	}
	for i := range 20 {
		a.ask("set", "", `<query xmlns="jabber:iq:privacy"><list name="`+id(i)+`"><item action="allow" order="1"/></list></query>`)
	}
	if e := a.ask("set", "", item(`action="allow" order="1"`)); !contains(e, "resource-constraint") {
		t.Errorf("got %s", e.String())
	}
}

func TestBlockListItemsCountByTheirOrderAndKind(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	set := func(query string) {
		t.Helper()
		if e := b.ask("set", "", `<query xmlns="jabber:iq:privacy">`+query+`</query>`); e.Attr("type") != "result" {
			t.Fatalf("%s: %s", query, e.String())
		}
	}
	tests := []struct {
		name, items    string
		direct, inRoom bool
	}{
		{"the lower order first", `<item action="deny" order="2"/><item type="jid" value="` + bareJID(101) + `" action="allow" order="1"/>`, true, false},
		{"of rooms alone", `<item type="jid" value="muc.` + domain + `/101" action="deny" order="1"/>`, true, false},
		{"of 1:1 alone", `<item type="jid" value="` + bareJID(101) + `" action="deny" order="1"><message/></item>`, false, true},
		{"of requests alone", `<item type="jid" value="` + bareJID(101) + `" action="deny" order="1"><iq/></item>`, true, true},
		{"about contacts", `<item type="subscription" value="none" action="deny" order="1"/><item type="group" action="deny" order="2"/>`, true, true},
		{"another user", `<item type="jid" value="` + bareJID(303) + `" action="deny" order="1"/>`, true, true},
	}
	for i, tt := range tests {
		set(`<list name="l">` + tt.items + `</list>`)
		set(`<default name="l"/>`)
		a.send(chatTo(202, id(2*i), "direct"))
		a.send(groupTo(team, id(2*i+1), "in room"))
		a.sync()
		direct, inRoom := false, false
		for _, e := range b.sync() {
			direct = direct || body(&e) == "direct"
			inRoom = inRoom || body(&e) == "in room"
		}
		if direct != tt.direct || inRoom != tt.inRoom {
			t.Errorf("%s: 1:1 came %v, room came %v", tt.name, direct, inRoom)
		}
	}
	set(`<active name="l"/>`)
	set(`<list name="l"/>`)
	if e := b.ask("get", "", `<query xmlns="jabber:iq:privacy"/>`); !contains(e, `<query xmlns="jabber:iq:privacy"/>`) {
		t.Errorf("the removed list is still used: %s", e.String())
	}
}

func TestAnActiveListIsForOneDeviceAlone(t *testing.T) {
	w := newFixture(t, nil)
	a, phone, tablet := w.online(101), w.online(202), w.online(202)
	phone.ask("set", "", `<query xmlns="jabber:iq:privacy"><list name="l"><item action="deny" order="1"/></list></query>`)
	phone.ask("set", "", `<query xmlns="jabber:iq:privacy"><active name="l"/></query>`)
	a.send(chatTo(202, id(1), "hi"))
	tablet.until("message", says("hi"))
	a.send(`<message type="chat" id="2" to="` + phone.jid + `"><body>x</body></message>`)
	a.send(iq("get", phone.jid, `<query xmlns="jabber:iq:version"/>`))
	if e := a.until("iq", nil); !contains(e, "service-unavailable") {
		t.Errorf("got %s", e.String())
	}
	phone.quiet()
}

// If a user blocks another, neither sees the other.
func TestBlockListsHidePresence(t *testing.T) {
	const kinds = `<message/><presence-in/><presence-out/><iq/>`
	tests := []struct {
		name, items  string
		told, inRoom bool // the blocked user is told of the blocker
		last         bool
	}{
		{"unknown user", `<item type="jid" value="` + bareJID(404) + `" action="deny" order="1"/>`, true, true, true},
		{"with the kinds of the SDK", `<item type="jid" value="` + bareJID(101) + `" action="deny" order="1">` + kinds + `</item>` +
			`<item type="jid" value="muc.` + domain + `/101" action="deny" order="2">` + kinds + `</item>`, false, false, false},
		{"1:1 alone", `<item type="jid" value="` + bareJID(101) + `" action="deny" order="1"/>`, false, true, false},
		{"requests alone", `<item type="jid" value="` + bareJID(101) + `" action="deny" order="1"><iq/></item>`, true, true, false},
		{"incoming presence alone", `<item type="jid" value="` + bareJID(101) + `" action="deny" order="1"><presence-in/></item>`, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(t, nil)
			a, b := w.online(101), w.online(202)
			for _, query := range []string{`<list name="l">` + tt.items + `</list>`, `<default name="l"/>`} {
				if e := b.ask("set", "", `<query xmlns="jabber:iq:privacy">`+query+`</query>`); e.Attr("type") != "result" {
					t.Fatalf("%s: %s", query, e.String())
				}
			}
			subscribe := `<subscribe xmlns="https://connectycube.com/protocol/status_streaming" user_jid="` + bareJID(202) + `" enable="true"/>`
			if e := a.ask("set", "", subscribe); e.Attr("type") != "result" {
				t.Errorf("following: %s", e.String())
			}
			a.send(join(team))
			a.until("presence", func(e *xmpp.Element) bool { return status(e) == "110" })
			b.send(join(team))
			b.sync()
			b.send(`<presence type="unavailable"/>`)
			b.send(`<presence/>`)
			b.sync()
			told, inRoom := false, false
			for _, e := range a.sync() {
				told = told || e.Name == "iq" && e.Attr("from") == bareJID(202)
				inRoom = inRoom || e.Name == "presence" && e.Attr("from") == roomJID(team)+"/202"
			}
			if told != tt.told || inRoom != tt.inRoom {
				t.Errorf("told %v, in the room %v", told, inRoom)
			}
			e := a.ask("get", bareJID(202), `<query xmlns="jabber:iq:last"/>`)
			if last := e.Attr("type") == "result"; last != tt.last || !last && !contains(e, "service-unavailable") {
				t.Errorf("last activity: %s", e.String())
			}
			if e := a.ask("get", roomJID(team), `<query xmlns="http://jabber.org/protocol/disco#items"/>`); contains(e, roomJID(team)+"/202") != tt.inRoom {
				t.Errorf("items of the room: %s", e.String())
			}
		})
	}
}

func TestBlockListsKeepPresenceOut(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	a.ask("set", "", `<subscribe xmlns="https://connectycube.com/protocol/status_streaming" user_jid="`+bareJID(202)+`" enable="true"/>`)
	a.ask("set", "", `<query xmlns="jabber:iq:privacy"><list name="l"><item action="deny" order="1"><presence-in/></item></list></query>`)
	a.ask("set", "", `<query xmlns="jabber:iq:privacy"><active name="l"/></query>`)
	a.send(join(team))
	a.until("presence", nil)
	b.send(join(team))
	b.send(`<presence type="unavailable"/>`)
	b.sync()
	if got := a.sync(); len(got) != 0 {
		t.Errorf("a user who blocks presence got %v", got)
	}
}

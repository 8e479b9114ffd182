package chat_test

import (
	"strings"
	"testing"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// Through the room, a private message would reach every occupant, and the history.
func TestPrivateMessagesToAnOccupantOfARoomAreRefused(t *testing.T) {
	w := newFixture(t, nil)
	a, b, c := w.online(101), w.online(202), w.online(303)
	seat := roomJID(team) + "/202"
	for kind, inside := range map[string]string{
		"chat":      `<body>for you alone</body><extraParams xmlns="jabber:client"><save_to_history>1</save_to_history></extraParams>`,
		"groupchat": `<body>for you alone</body>`,
		"normal":    `<body>for you alone</body>`,
		"headline":  `<extraParams xmlns="jabber:client"><moduleIdentifier>WebRTCVideoChat</moduleIdentifier></extraParams>`,
	} {
		for _, more := range []string{inside,
			`<composing xmlns="http://jabber.org/protocol/chatstates"/>`,
			`<displayed xmlns="urn:xmpp:chat-markers:0" id="` + id(1) + `"/>`,
			`<body>x</body><replace xmlns="urn:xmpp:message-correct:0" id="` + id(1) + `"/>`,
			`<remove xmlns="urn:xmpp:message-delete:0" id="` + id(1) + `"/>`,
		} {
			a.send(`<message to="` + seat + `" type="` + kind + `" id="p">` + more + `</message>`)
			e := a.until("message", nil)
			refusal := e.Child(xmpp.NSClient, "error")
			if e.Attr("type") != "error" || e.Attr("id") != "p" || e.Attr("from") != seat || refusal == nil ||
				refusal.Child(xmpp.NSStanzas, "forbidden") == nil || !contains(e, "private messages") {
				t.Errorf("%s with %s: got %s", kind, more, e.String())
			}
		}
	}
	a.send(`<message to="` + seat + `" type="error" id="p"><body>x</body></message>`) // never answered
	for _, each := range []*client{a, b, c} {
		each.quiet()
	}
	if n := len(w.archive.stored); n != 0 {
		t.Errorf("%d messages are stored", n)
	}
	a.send(groupTo(team, id(2), "for all")) // the room itself still works
	for _, each := range []*client{a, b, c} {
		each.until("message", says("for all"))
	}
}

// The sandbox removes receipts of XEP-0184, so a client must not wait for one.
func TestRequestsForReceiptsAreTakenOut(t *testing.T) {
	w := newFixture(t, nil)
	a, tablet, b := w.online(101), w.online(101), w.online(202)
	const asks = `<request xmlns="urn:xmpp:receipts"/>`
	a.send(strings.Replace(chatTo(202, id(1), "one"), "</message>", asks+"</message>", 1))
	if m := b.until("message", nil); contains(m, "receipts") || body(&m) != "one" {
		t.Errorf("1:1 got %s", m.String())
	}
	if m := tablet.until("message", nil); contains(m, "receipts") || !contains(m, "one") {
		t.Errorf("the carbon is %s", m.String())
	}
	a.send(strings.Replace(groupTo(team, id(2), "two"), "</message>", asks+"</message>", 1))
	for _, c := range []*client{a, b} {
		if m := c.until("message", says("two")); contains(m, "receipts") {
			t.Errorf("%d got %s", c.user, m.String())
		}
	}
	a.send(`<message to="` + bareJID(202) + `" type="chat" id="t"><composing xmlns="http://jabber.org/protocol/chatstates"/>` + asks + `</message>`)
	if m := b.until("message", nil); contains(m, "receipts") || !contains(m, "composing") {
		t.Errorf("typing became %s", m.String())
	}
	a.send(`<message to="` + bareJID(202) + `" type="chat" id="n">` + asks + `</message>`) // nothing is left
	a.send(`<message to="` + bareJID(202) + `" type="chat" id="o"><request xmlns="urn:example:other"/></message>`)
	if m := b.until("message", nil); m.Attr("id") != "o" || !contains(m, "urn:example:other") {
		t.Errorf("another request became %s", m.String())
	}
}

// Client libraries for XMPP use UUIDs and other IDs, by which they recognize the echo.
func TestMessageIDsOfAnyFormAreKept(t *testing.T) {
	w := newFixture(t, func(o *chat.Options) { o.Archive = forms{o.Archive} })
	a, b := w.online(101), w.online(202)
	for _, form := range []string{"0e0a1b8a-3a0f-4c3e-9e62-1a3f0a6f2b7c", "1", "purple3f2a", strings.ToUpper(id(0xabc)), "lx&amp;&quot;é", strings.Repeat("x", 3000)} {
		want := strings.NewReplacer("&amp;", "&", "&quot;", `"`).Replace(form)
		a.send(groupTo(team, form, "all"))
		for _, c := range []*client{a, b} {
			if m := c.until("message", nil); m.Attr("id") != want || extra(&m, "message_id") == want || extra(&m, "message_id") == "" {
				t.Errorf("%d got %s", c.user, m.String())
			}
		}
		a.send(chatTo(202, form, "you"))
		if m := b.until("message", nil); m.Attr("id") != want {
			t.Errorf("1:1 got %s", m.String())
		}
	}
}

// forms is an archive that stores IDs of its own form only, as the sandbox's does.
type forms struct{ chat.Archive }

func (f forms) Post(m chat.Message) (chat.Posted, error) {
	given := m.ID
	m.ID = id(len(given))
	p, err := f.Archive.Post(m)
	p.StanzaID = given
	return p, err
}

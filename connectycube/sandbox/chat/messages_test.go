package chat_test

import (
	"testing"

	"cubegate/connectycube/xmpp"
)

func TestOneToOneReachesEveryDeviceWithTheServersAdditions(t *testing.T) {
	w := newFixture(t, nil)
	a, phone, tablet := w.online(101), w.online(202), w.online(202)
	a.send(chatTo(202, id(1), "hi"))
	for _, c := range []*client{phone, tablet} {
		m := c.until("message", nil)
		if m.Attr("from") != a.jid || m.Attr("to") != bareJID(202) || m.Attr("type") != "chat" || m.Attr("id") != id(1) || body(&m) != "hi" {
			t.Errorf("got %s", m.String())
		}
		if extra(&m, "dialog_id") == "" || extra(&m, "message_id") != id(1) || extra(&m, "date_sent") == "" || extra(&m, "save_to_history") != "1" {
			t.Errorf("additions are missing: %s", m.String())
		}
		if m.Child("urn:xmpp:chat-markers:0", "markable") == nil {
			t.Errorf("no markable: %s", m.String())
		}
	}
	a.quiet()
}

func TestWhatTheServerSaysClientsCannot(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	a.send(`<message to="` + bareJID(202) + `" from="303-1001@` + domain + `/x" type="chat" id="` + id(1) + `"><body>hi</body><extraParams xmlns="jabber:client">` +
		`<message_id>forged</message_id><date_sent>1</date_sent><dialog_id>forged</dialog_id><own>1</own></extraParams></message>`)
	m := b.until("message", nil)
	if m.Attr("from") != a.jid || contains(m, "forged") || contains(m, "<date_sent>1</date_sent>") || extra(&m, "own") != "1" || extra(&m, "save_to_history") != "" {
		t.Errorf("got %s", m.String())
	}
	if len(w.archive.stored) != 0 {
		t.Error("stored without save_to_history")
	}
}

func TestGroupNeedsNoJoinAndEchoesToTheSender(t *testing.T) {
	w := newFixture(t, nil)
	clients := []*client{w.online(101), w.online(202), w.online(303)}
	clients[0].send(groupTo(team, id(1), "all"))
	for _, c := range clients {
		m := c.until("message", nil)
		if m.Attr("from") != roomJID(team)+"/101" || m.Attr("type") != "groupchat" || extra(&m, "dialog_id") != team || body(&m) != "all" {
			t.Errorf("%d got %s", c.user, m.String())
		}
	}
	if n := len(w.archive.stored); n != 1 {
		t.Errorf("%d messages stored", n)
	}
}

func TestCarbonsGoToTheSendersOtherDevicesThatWantThem(t *testing.T) {
	w := newFixture(t, nil)
	a, other, b := w.online(101), w.online(101), w.online(202)
	plain, absent := w.bound(101), w.bound(101)
	plain.send(`<presence/>`)
	plain.until("presence", nil)
	absent.send(`<iq type="set" id="c"><enable xmlns="urn:xmpp:carbons:2"/></iq>`)
	absent.until("iq", nil)
	a.send(chatTo(202, id(1), "hi"))
	b.until("message", nil)
	m := other.until("message", nil)
	sent := m.Child("urn:xmpp:carbons:2", "sent")
	if sent == nil || m.Attr("from") != bareJID(101) || m.Attr("to") != other.jid {
		t.Fatalf("got %s", m.String())
	}
	inner := sent.Children[0].Children[0]
	if inner.Attr("from") != a.jid || inner.Attr("to") != bareJID(202) || body(&inner) != "hi" || extra(&inner, "dialog_id") == "" {
		t.Errorf("forwarded %s", inner.String())
	}
	for _, c := range []*client{a, plain, absent} {
		c.quiet()
	}
}

// An app may use the room JID of a dialog of two.
func TestADialogOfTwoIsPrivateByWhateverAddress(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	a.send(chatTo(202, id(1), "makes it"))
	first := b.until("message", nil)
	a.send(groupTo(extra(&first, "dialog_id"), id(2), "by its room"))
	if m := b.until("message", nil); m.Attr("type") != "chat" || m.Attr("from") != a.jid || body(&m) != "by its room" {
		t.Errorf("got %s", m.String())
	}
	a.quiet()
}

func TestOfReceiptsAndChangesOnlySomeAreCopied(t *testing.T) {
	w := newFixture(t, nil)
	a, other := w.online(101), w.online(101)
	w.online(202)
	tests := []struct {
		name, inner string
		copied      bool
	}{
		{"edit", `<body>x</body><replace xmlns="urn:xmpp:message-correct:0" id="1"/>`, true},
		{"deletion", `<remove xmlns="urn:xmpp:message-delete:0" id="1"/>`, true},
		{"read", `<displayed xmlns="urn:xmpp:chat-markers:0" id="1"/>`, true},
		{"received", `<received xmlns="urn:xmpp:chat-markers:0" id="1"/>`, false},
		{"typing", `<composing xmlns="http://jabber.org/protocol/chatstates"/>`, false},
		{"private", `<body>x</body><private xmlns="urn:xmpp:carbons:2"/>`, false},
	}
	for _, tt := range tests {
		a.send(`<message to="` + bareJID(202) + `" type="chat" id="1">` + tt.inner + `</message>`)
		a.sync()
		if got := other.sync(); len(got) > 0 != tt.copied {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestForgedCarbonsAndDelaysAreStripped(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	for _, forged := range []string{
		`<sent xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0"><message from="303-1001@chat.example.test"><body>x</body></message></forwarded></sent>`,
		`<sent xmlns="urn:other"><forwarded xmlns="urn:xmpp:forward:0"><message><body>x</body></message></forwarded></sent>`,
		`<received xmlns="urn:xmpp:carbons:2"/>`,
		`<private xmlns="urn:xmpp:carbons:2"/>`,
		`<delay xmlns="urn:xmpp:delay" stamp="2001-01-01T00:00:00Z"/>`,
		`<reactions user_id="303" message_id="1"/>`,
	} {
		a.send(`<message to="` + bareJID(202) + `" type="chat"><body>hi</body>` + forged + `</message>`)
		m := b.until("message", nil)
		for _, word := range []string{"<sent", "forwarded", "carbons", "<delay", "<reactions"} {
			if contains(m, word) {
				t.Errorf("%s came through: %s", word, m.String())
			}
		}
	}
	a.send(`<message to="` + bareJID(202) + `" type="chat"><sent xmlns="urn:xmpp:carbons:2"/></message>`)
	a.sync()
	b.quiet()
}

func TestTypingIsPassedOnAndNeverStored(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	for _, state := range []string{"composing", "paused"} {
		a.send(`<message to="` + bareJID(202) + `" type="chat"><` + state + ` xmlns="http://jabber.org/protocol/chatstates"/></message>`)
		if m := b.until("message", nil); m.Attr("from") != a.jid || !contains(m, state) {
			t.Errorf("got %s", m.String())
		}
		a.send(`<message to="` + roomJID(team) + `" type="groupchat"><` + state + ` xmlns="http://jabber.org/protocol/chatstates"/></message>`)
		for _, c := range []*client{a, b} {
			if m := c.until("message", nil); m.Attr("from") != roomJID(team)+"/101" || !contains(m, state) {
				t.Errorf("got %s", m.String())
			}
		}
	}
	if len(w.archive.stored) != 0 {
		t.Error("typing was stored")
	}
	c := w.online(303)
	c.quiet() // not kept for an absent user either
}

func TestMarkersAreStoredAndPassedOn(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	for i, marker := range []string{"received", "displayed"} {
		b.send(`<message to="` + bareJID(101) + `" type="chat" id="` + id(i) + `"><` + marker + ` xmlns="urn:xmpp:chat-markers:0" id="` + id(9) +
			`"/><extraParams xmlns="jabber:client"><dialog_id>` + team + `</dialog_id></extraParams></message>`)
		m := a.until("message", nil)
		if child := m.Child("urn:xmpp:chat-markers:0", marker); child == nil || child.Attr("id") != id(9) || extra(&m, "dialog_id") != team || m.Attr("from") != b.jid {
			t.Errorf("got %s", m.String())
		}
		if got := w.archive.marks[i]; got.MessageID != id(9) || got.DialogID != team || int(got.Kind) != i+1 {
			t.Errorf("stored %+v", got)
		}
	}
}

func TestEditsAndDeletionsAreStoredAndPassedOn(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	a.send(chatTo(202, id(1), "one"))
	a.send(groupTo(team, id(2), "two"))
	b.until("message", says("two"))
	a.until("message", says("two"))

	a.send(`<message to="` + bareJID(202) + `" type="chat" id="e"><body>new</body><replace xmlns="urn:xmpp:message-correct:0" id="` + id(1) + `" last="true"/><extraParams xmlns="jabber:client"><dialog_id>forged</dialog_id></extraParams></message>`)
	m := b.until("message", nil)
	if r := m.Child("urn:xmpp:message-correct:0", "replace"); r == nil || r.Attr("id") != id(1) || body(&m) != "new" || extra(&m, "dialog_id") != w.archive.posted[0].DialogID {
		t.Errorf("edit: %s", m.String())
	}
	a.send(`<message to="` + roomJID(team) + `" type="groupchat" id="d"><remove xmlns="urn:xmpp:message-delete:0" id="` + id(2) + `"/><extraParams xmlns="jabber:client"><dialog_id>` + team + `</dialog_id></extraParams></message>`)
	for _, c := range []*client{a, b} {
		if m := c.until("message", nil); m.Child("urn:xmpp:message-delete:0", "remove") == nil || m.Attr("from") != roomJID(team)+"/101" {
			t.Errorf("deletion: %s", m.String())
		}
	}
	if got := w.archive.changes; len(got) != 2 || got[0].Body != "new" || !got[0].Last || got[0].Remove || !got[1].Remove || got[1].DialogID != team {
		t.Errorf("stored %+v", got)
	}
	// A message of another user.
	b.send(`<message to="` + bareJID(101) + `" type="chat" id="x"><remove xmlns="urn:xmpp:message-delete:0" id="` + id(1) + `"/></message>`)
	if m := b.until("message", nil); m.Attr("type") != "error" || m.Attr("id") != "x" || !contains(m, "forbidden") {
		t.Errorf("got %s", m.String())
	}
	a.quiet()
}

func TestSystemMessagesGetASenderAndAreNotKept(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	frame := func(user int64) string {
		return `<message type="headline" id="s" to="` + bareJID(user) + `"><body>x</body><extraParams xmlns="jabber:client"><moduleIdentifier>SystemNotifications</moduleIdentifier><k>v</k></extraParams></message>`
	}
	a.send(frame(202))
	if m := b.until("message", nil); m.Attr("from") != a.jid || m.Attr("type") != "headline" || extra(&m, "k") != "v" || extra(&m, "dialog_id") != "" {
		t.Errorf("got %s", m.String())
	}
	a.send(frame(303))
	a.quiet()
	w.online(303).quiet()
	if len(w.archive.stored) != 0 {
		t.Error("a system message was stored")
	}
}

func TestRefusedMessagesComeBackAsErrors(t *testing.T) {
	w := newFixture(t, nil)
	a := w.online(101)
	w.archive.dialogs["5c091060e588ce59fdf873d3"] = []int64{202, 303}
	tests := []struct {
		name, frame, code, condition string
	}{
		{"unknown user", chatTo(404, "m", "x"), "503", "service-unavailable"},
		{"unknown dialog", groupTo("5c091060e588ce59fdf873d9", "m", "x"), "404", "item-not-found"},
		{"not an occupant", groupTo("5c091060e588ce59fdf873d3", "m", "x"), "403", "forbidden"},
		{"typing there", `<message id="m" type="groupchat" to="` + roomJID("5c091060e588ce59fdf873d3") + `"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`, "403", "forbidden"},
		{"another domain", `<message id="m" type="chat" to="202-1001@other.test"><body>x</body></message>`, "404", "item-not-found"},
		{"another application", `<message id="m" type="chat" to="202-1002@chat.example.test"><body>x</body></message>`, "404", "item-not-found"},
		{"the server", `<message id="m" type="chat" to="chat.example.test"><body>x</body></message>`, "503", "service-unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a.send(tt.frame)
			m := a.until("message", nil)
			e := m.Child(xmpp.NSClient, "error")
			if e == nil || m.Attr("type") != "error" || m.Attr("id") != "m" || e.Attr("code") != tt.code ||
				e.Child(xmpp.NSStanzas, tt.condition) == nil || e.ChildText(xmpp.NSStanzas, "text") == "" {
				t.Errorf("got %s", m.String())
			}
		})
	}
	a.send(`<message type="error" id="m" to="202-1001@other.test"/>`)
	a.quiet()
}

func TestOfflineMessagesComeWithTheirTime(t *testing.T) {
	w := newFixture(t, nil)
	a := w.online(101)
	a.send(chatTo(202, id(1), "one"))
	a.send(groupTo(team, id(2), "group")) // an absent user reads the history
	a.until("message", nil)
	b := w.bound(202)
	a.send(chatTo(202, id(3), "two")) // bound, and no presence yet
	a.send(groupTo(team, id(4), "early"))
	a.sync()
	b.quiet()
	b.send(`<presence/>`)
	for _, want := range []string{"one", "two", "early"} {
		m := b.until("message", nil)
		if delay := m.Child("urn:xmpp:delay", "delay"); body(&m) != want || delay == nil || delay.Attr("stamp") == "" {
			t.Errorf("want %q with a delay, got %s", want, m.String())
		}
	}
	b.quiet()
	second := w.online(202)
	second.quiet() // no message comes twice
}

func TestAMessageToOneDeviceGoesThereAlone(t *testing.T) {
	w := newFixture(t, nil)
	a, phone, tablet := w.online(101), w.online(202), w.online(202)
	a.send(`<message type="chat" id="1" to="` + phone.jid + `"><body>x</body></message>`)
	phone.until("message", says("x"))
	a.sync()
	tablet.quiet()
}

// Typing in a room comes through the room, whatever type the app sends.
func TestWhatGoesThroughARoomIsGroupchat(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	for sent, want := range map[string]string{"chat": "groupchat", "groupchat": "groupchat", "headline": "headline"} {
		a.send(`<message to="` + roomJID(team) + `" type="` + sent + `"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`)
		if m := b.until("message", nil); m.Attr("type") != want {
			t.Errorf("sent as %s: %s", sent, m.String())
		}
	}
}

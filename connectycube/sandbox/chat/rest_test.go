package chat_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

func TestRESTMessagesAreDelivered(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	m := chat.Message{From: 101, Body: "by REST", Save: true, Params: []xmpp.Element{
		xmpp.New("", "k").Saying("v"), xmpp.New("", "bad key").Saying("v"), xmpp.New("", "attachment", "id", "7", "type", "image")}}
	p := chat.Posted{DialogID: team, MessageID: id(1), Sent: time.Unix(1643634366, 0), Recipients: []int64{101, 202, 303}}
	w.server.Deliver(m, p)
	for _, c := range []*client{a, b} {
		e := c.until("message", nil)
		if e.Attr("from") != roomJID(team)+"/101" || e.Attr("type") != "groupchat" || e.Attr("id") != id(1) || body(&e) != "by REST" ||
			extra(&e, "k") != "v" || extra(&e, "date_sent") != "1643634366" || !contains(e, `<attachment id="7" type="image"/>`) || contains(e, "bad key") {
			t.Errorf("group: %s", e.String())
		}
	}
	p.Private, p.Recipients, p.MessageID = true, []int64{101, 202}, id(2)
	w.server.Deliver(m, p)
	if e := b.until("message", nil); e.Attr("from") != bareJID(101) || e.Attr("type") != "chat" || e.Attr("id") != id(2) {
		t.Errorf("private: %s", e.String())
	}
	if e := a.until("message", nil); e.Child("urn:xmpp:carbons:2", "sent") == nil {
		t.Errorf("the sender's device: %s", e.String())
	}
	m.To = 303
	w.server.Deliver(m, p)
	if e := w.online(303).until("message", nil); e.Child("urn:xmpp:delay", "delay") == nil || !contains(e, "2022-01-31T13:06:06") {
		t.Errorf("the absent user: %s", e.String())
	}
}

func TestRESTNews(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	n := chat.Notice{By: 202, MessageID: id(1), DialogID: team, Recipients: []int64{101, 202, 303}}

	w.server.NotifyReaction(chat.Reaction{By: 202, MessageID: id(1), DialogID: team, Add: "👍", Remove: "👎", Recipients: n.Recipients, Private: true})
	e := a.until("message", nil)
	if e.Attr("type") != "chat" || e.Attr("from") != bareJID(202) || extra(&e, "dialog_id") != team ||
		!contains(e, `<reactions user_id="202" message_id="`+id(1)+`"><reaction add="true" type="👍"/><reaction remove="true" type="👎"/></reactions>`) {
		t.Errorf("reaction: %s", e.String())
	}
	b.until("message", nil)

	w.server.NotifyRemoval(n)
	for _, c := range []*client{a, b} {
		e := c.until("message", nil)
		if e.Attr("from") != roomJID(team)+"/202" || e.Attr("type") != "groupchat" || e.Child("urn:xmpp:message-delete:0", "remove").Attr("id") != id(1) {
			t.Errorf("removal: %s", e.String())
		}
	}
	systemID := w.server.Signal(chat.Signal{From: 202, To: 101, Module: "SystemNotifications", Params: []xmpp.Element{xmpp.New("", "k").Saying("v")}})
	e = a.until("message", nil)
	if e.Attr("type") != "headline" || e.Attr("id") != systemID || len(systemID) != 24 || e.Attr("from") != bareJID(202) ||
		extra(&e, "moduleIdentifier") != "SystemNotifications" || extra(&e, "k") != "v" {
		t.Errorf("system: %s", e.String())
	}
	w.online(303).quiet() // only present users are notified
}

func TestKickedUsersAreGone(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.managed(202)
	w.server.Kick(202)
	if e := b.until("error", nil); e.Child(xmpp.NSErrors, "not-authorized") == nil {
		t.Errorf("got %s", e.String())
	}
	b.ended()
	if e := w.resume(b); e.Name != "failed" {
		t.Errorf("resuming: %s", e.String())
	}
	a.send(chatTo(303, id(1), "x"))
	a.sync()
	w.server.Kick(303)
	if n := w.server.Holds()["kept"]; n != 0 {
		t.Errorf("%d are still counted", n)
	}
	w.online(303).quiet()
	b = w.managed(202)
	w.server.Drop(202)
	b.ended()
	w.server.Kick(202)
	for _, s := range w.server.Sockets() {
		if s.UserID == 202 {
			t.Errorf("a lost stream is left: %+v", s)
		}
	}
}

func TestSocketsTellWhatTheyAre(t *testing.T) {
	w := newFixture(t, nil)
	w.managed(202)
	w.bound(101)
	got := w.server.Sockets()
	if len(got) != 2 || got[0].UserID != 101 || got[0].Available || got[0].Managed || !strings.Contains(got[0].Resource, "-sandbox-") ||
		got[1].UserID != 202 || !got[1].Available || !got[1].Managed || got[1].Waiting || got[1].Since.IsZero() || got[1].Peer == "" {
		t.Errorf("got %+v", got)
	}
}

func TestTheTapSeesBothDirections(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	w := newFixture(t, func(o *chat.Options) {
		o.Tap = func(d chat.Direction, user int64, xml string) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, map[chat.Direction]string{chat.FromClient: "< ", chat.ToClient: "> "}[d]+xml)
			if strings.Contains(xml, "<presence") && user != 101 || strings.Contains(xml, "<auth") && user != 0 {
				t.Errorf("user %d sent %s", user, xml)
			}
		}
	})
	w.online(101)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 14 || seen[0] != "< "+openFrame || !slices.Contains(seen, "< "+authFrame(101, "password")) {
		t.Errorf("seen %q", seen)
	}
}

func TestFaultsOfOneStanza(t *testing.T) {
	var next chat.Fault
	w := newFixture(t, func(o *chat.Options) {
		o.Fault = func(user int64, e *xmpp.Element) chat.Fault {
			if user != 101 || e.Name != "message" {
				return chat.Fault{}
			}
			f := next
			next = chat.Fault{}
			return f
		}
	})
	a, b := w.online(101), w.online(202)

	next = chat.Fault{Refuse: true}
	a.send(chatTo(202, id(1), "x"))
	if e := a.until("message", nil); e.Attr("type") != "error" || e.Attr("id") != id(1) {
		t.Errorf("refuse: %s", e.String())
	}
	next = chat.Fault{Duplicate: true}
	a.send(chatTo(202, id(2), "twice"))
	b.until("message", says("twice"))
	b.until("message", says("twice"))
	b.quiet()
	next = chat.Fault{LostAnswer: true}
	a.send(chatTo(202, id(3), "and gone"))
	a.ended()
	b.until("message", says("and gone"))
	a = w.online(101)
	next = chat.Fault{Drop: true}
	a.send(chatTo(202, id(4), "lost"))
	a.ended()
	b.quiet()
	if len(w.archive.stored) != 2 {
		t.Errorf("%d messages stored", len(w.archive.stored))
	}
}

func TestADuplicateFaultDoublesWhateverItMeets(t *testing.T) {
	armed := false
	w := newFixture(t, func(o *chat.Options) {
		o.Fault = func(user int64, _ *xmpp.Element) chat.Fault {
			if !armed || user != 101 {
				return chat.Fault{}
			}
			armed = false
			return chat.Fault{Duplicate: true}
		}
	})
	a, b := w.online(101), w.online(202)
	inner := func(text string) string {
		return `<message to="` + bareJID(202) + `" type="chat" id="i">` + text + `</message>`
	}
	for name, frame := range map[string]string{
		"typing":   inner(`<composing xmlns="http://jabber.org/protocol/chatstates"/>`),
		"receipt":  inner(`<received xmlns="urn:xmpp:chat-markers:0" id="1"/>`),
		"edit":     inner(`<body>x</body><replace xmlns="urn:xmpp:message-correct:0" id="1"/>`),
		"headline": `<message to="` + bareJID(202) + `" type="headline"><extraParams xmlns="jabber:client"/></message>`,
		"content":  chatTo(202, id(1), "x"),
	} {
		armed = true
		a.send(frame)
		a.sync()
		if got := b.sync(); len(got) != 2 || got[0].String() != got[1].String() {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, frame := range map[string]string{
		"presence": `<presence/>`,
		"iq":       iq("get", "", `<ping xmlns="urn:xmpp:ping"/>`),
	} {
		armed = true
		a.send(frame)
		if got := a.sync(); len(got) != 2 || got[0].String() != got[1].String() {
			t.Errorf("%s: %v", name, got)
		}
	}
	armed = true
	a.send(chatTo(303, id(2), "waits"))
	a.sync()
	c := w.online(303)
	c.until("message", says("waits"))
	c.until("message", says("waits"))
	c.quiet()
	if n := len(w.archive.stored); n != 2 {
		t.Errorf("%d messages stored, want 2", n)
	}
}

func TestDuplicateCountsDown(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	w.server.Duplicate(2)
	for i := range 3 {
		a.send(chatTo(202, id(i), "x"))
	}
	for range 5 {
		b.until("message", nil)
	}
	b.quiet()
}

func TestDelayedStanzasKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		a, b := w.online(101), w.online(202)
		w.server.DelayStanzas(5 * time.Second)
		start := time.Now()
		a.send(chatTo(202, id(1), "one"))
		synctest.Wait()
		w.server.DelayStanzas(0)
		a.send(chatTo(202, id(2), "two"))
		for _, want := range []string{"one", "two"} {
			if m := b.until("message", nil); body(&m) != want {
				t.Errorf("got %s", m.String())
			}
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAHalfOpenSocketSaysNothingUntilItIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		a, b := w.online(101), w.managed(202)
		if n := w.server.HalfOpen(202); n != 1 {
			t.Errorf("%d sockets", n)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.conn.Ping(ctx); err == nil {
			t.Error("it answers a ping")
		}
		a.send(chatTo(202, id(1), "into the void"))
		b.send(chatTo(101, id(2), "from the void"))
		a.quiet()
		time.Sleep(95 * time.Second)
		select {
		case e, open := <-b.got:
			t.Errorf("got %s, open %v", e.String(), open)
		default:
		}
		if s := w.server.Sockets(); len(s) != 2 || !s[1].Waiting {
			t.Errorf("the server has not noticed: %+v", s)
		}
		old := b.client
		if e := w.resume(b); e.Name != "resumed" {
			t.Fatalf("got %s", e.String())
		}
		if m := b.take("message"); body(&m) != "into the void" {
			t.Errorf("got %s", m.String())
		}
		w.server.Drop(0)
		old.ended()
		b.ended()
	})
}

func TestAHalfOpenSocketEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		b := w.online(202)
		w.server.HalfOpen(0)
		start := time.Now()
		for range b.got {
		}
		if took := time.Since(start); took < 10*time.Minute || took > 12*time.Minute {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestDropSparesTheOthers(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.online(202)
	if n := w.server.Drop(202); n != 1 {
		t.Errorf("%d sockets", n)
	}
	b.ended()
	a.sync()
}

// A client that floods is slowed down, not cut off.
func TestTheRateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, func(o *chat.Options) { o.Rate = 10 })
		a := w.online(101)
		start := time.Now()
		for range 60 {
			a.send(`<message to="` + bareJID(202) + `" type="chat"><paused xmlns="http://jabber.org/protocol/chatstates"/></message>`)
		}
		a.sync()
		if took := time.Since(start); took < 4*time.Second || took > 8*time.Second {
			t.Errorf("61 frames at 10 a second took %v", took)
		}
		start = time.Now()
		a.send(strings.Repeat(`<presence/>`, 60))
		a.sync()
		if took := time.Since(start); took < 5*time.Second || took > 8*time.Second {
			t.Errorf("60 stanzas of one frame at 10 a second took %v", took)
		}
	})
}

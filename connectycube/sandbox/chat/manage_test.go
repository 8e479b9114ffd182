package chat_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

const ns = ` xmlns="urn:xmpp:sm:3"`

// managed is a client with stream management that counts its stanzas.
type managed struct {
	*client
	id   string
	h    uint32
	seen []string // bodies
}

func (w *fixture) managed(user int64) *managed {
	w.t.Helper()
	c := w.bound(user)
	c.send(`<enable` + ns + ` resume="true"/>`)
	enabled := c.until("enabled", nil)
	if enabled.Attr("resume") != "true" || enabled.Attr("id") == "" || enabled.Attr("max") != "300" {
		w.t.Fatalf("got %s", enabled.String())
	}
	m := &managed{client: c, id: enabled.Attr("id")}
	c.send(`<presence/>`)
	m.take("presence")
	return m
}

// take reads up to an element with the name and counts the stanzas.
func (m *managed) take(name string) xmpp.Element {
	m.t.Helper()
	for {
		e := m.next()
		m.note(e)
		if e.Name == name {
			return e
		}
	}
}

func (m *managed) note(e xmpp.Element) {
	if e.Space == xmpp.NSClient {
		m.h++
	}
	if text := body(&e); text != "" {
		m.seen = append(m.seen, text)
	}
}

// resume resumes the stream on a new connection.
func (w *fixture) resume(m *managed) xmpp.Element {
	w.t.Helper()
	jid := m.jid
	m.client = w.login(m.user)
	m.jid = jid
	m.send(`<resume` + ns + ` previd="` + m.id + `" h="` + strconv.Itoa(int(m.h)) + `"/>`)
	return m.next()
}

func TestStreamManagementCountsAndAsks(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.managed(101), w.managed(202)
	a.send(chatTo(202, id(1), "hi"))
	a.send(`<r` + ns + `/>`)
	if e := a.take("a"); e.Attr("h") != "2" { // the presence and the message
		t.Errorf("got %s", e.String())
	}
	b.take("message")
	if b.take("r"); b.h != 2 {
		t.Errorf("%d stanzas", b.h)
	}
	b.send(`<a` + ns + ` h="2"/>`)
	waitFor(t, "it is acknowledged", func() bool {
		for _, s := range w.server.Sockets() {
			if s.UserID == 202 && s.Unacked > 0 {
				return false
			}
		}
		return true
	})
	a.send(chatTo(202, id(2), "again"))
	b.take("message")
	b.take("r")
	b.send(`<enable` + ns + `/>`)
	if e := b.take("failed"); e.Child(xmpp.NSStanzas, "unexpected-request") == nil {
		t.Errorf("enabled again: %s", e.String())
	}
	b.send(`<a` + ns + ` h="7"/>`)
	b.take("error") // it cannot have received that many
	b.ended()
}

func TestResumingReplaysWhatWasNotAcknowledgedAndOnlyThat(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.managed(202)
	a.send(chatTo(202, id(1), "acknowledged"))
	b.take("message")
	b.send(`<a` + ns + ` h="2"/>`)
	a.send(chatTo(202, id(2), "not acknowledged"))
	b.until("message", nil) // and lost: not counted
	w.server.Drop(202)
	b.ended()
	a.send(chatTo(202, id(3), "missed"))
	a.sync()
	waitFor(t, "the stream waits", func() bool {
		s := w.server.Sockets()
		return len(s) == 2 && s[1].Waiting
	})
	if e := w.resume(b); e.Name != "resumed" || e.Attr("previd") != b.id || e.Attr("h") != "1" {
		t.Fatalf("got %s", e.String())
	}
	for _, want := range []string{"not acknowledged", "missed"} {
		if m := b.take("message"); body(&m) != want || m.Child("urn:xmpp:delay", "delay") != nil {
			t.Errorf("want %q, got %s", want, m.String())
		}
	}
	b.take("r")
	b.quiet()
	b.send(chatTo(101, id(4), "back")) // the same stream: it needs no presence
	if m := a.until("message", nil); m.Attr("from") != b.jid {
		t.Errorf("got %s", m.String())
	}
}

// The counts for the old connection would be wrong on the new one.
func TestResumingForgetsOldAcknowledgements(t *testing.T) {
	w := newFixture(t, nil)
	b := w.managed(202)
	w.server.DelayStanzas(time.Minute)
	b.send(`<r` + ns + `/>`)
	waitFor(t, "the answer is held back", func() bool { return w.server.Sockets()[0].Queued == 1 })
	w.server.Drop(202)
	b.ended()
	w.server.DelayStanzas(0)
	if e := w.resume(b); e.Name != "resumed" {
		t.Fatalf("got %s", e.String())
	}
	b.quiet()
}

func TestResumingRefuses(t *testing.T) {
	w := newFixture(t, nil)
	b := w.managed(202)
	for name, frame := range map[string]string{
		"an unknown id":    `<resume` + ns + ` previd="nothing" h="0"/>`,
		"of another user":  `<resume` + ns + ` previd="` + b.id + `" h="0"/>`,
		"without a number": `<resume` + ns + ` previd="` + b.id + `" h="x"/>`,
	} {
		c := w.login(101)
		c.send(frame)
		if e := c.next(); e.Name != "failed" {
			t.Errorf("%s: %s", name, e.String())
		}
		// A client that failed may still bind.
		c.send(`<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`)
		if e := c.next(); e.Attr("type") != "result" {
			t.Errorf("%s: %s", name, e.String())
		}
	}
	w.server.Drop(202)
	b.h = 77
	if e := w.resume(b); e.Name != "error" {
		t.Errorf("more than was sent: %s", e.String())
	}
}

func TestResumingASocketThatLooksAliveIsAConflict(t *testing.T) {
	w := newFixture(t, nil)
	b := w.managed(202)
	old := b.client
	if e := w.resume(b); e.Name != "resumed" {
		t.Fatalf("got %s", e.String())
	}
	if e := old.until("error", nil); e.Child(xmpp.NSErrors, "conflict") == nil {
		t.Errorf("got %s", e.String())
	}
	old.ended()
	b.quiet()
	if n := len(w.server.Sockets()); n != 1 {
		t.Errorf("%d streams", n)
	}
}

// The old connection may still send stanzas. After the resumption on another connection they
// are not counted, so they must have no effect either.
func TestTheOldConnectionIsNotHeardAfterResumption(t *testing.T) {
	w := newFixture(t, nil)
	w.archive.gate = make(chan struct{})
	a := w.managed(101)
	old := a.client
	old.send(chatTo(202, id(1), "waits at the gate") + chatTo(202, id(2), "too late"))
	w.archive.gate <- struct{}{} // the archive has the first one
	a.client = w.login(101)
	a.send(`<resume` + ns + ` previd="` + a.id + `" h="1"/>`)
	old.until("error", nil) // the stream has moved
	w.archive.gate <- struct{}{}
	if e := a.next(); e.Name != "resumed" || e.Attr("h") != "2" {
		t.Errorf("got %s", e.String())
	}
	old.ended()
	a.sync()
	if len(w.archive.stored) != 1 {
		t.Errorf("stored %+v", w.archive.stored)
	}
}

func TestAStreamThatNobodyResumesLeavesItsMessagesToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		a, b := w.online(101), w.managed(202)
		w.server.Drop(202)
		b.ended()
		a.send(chatTo(202, id(1), "missed"))
		a.sync()
		time.Sleep(5*time.Minute - time.Second)
		if n := len(w.server.Sockets()); n != 2 {
			t.Fatalf("%d streams before the end of the window", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(w.server.Sockets()); n != 1 {
			t.Fatalf("%d streams after it", n)
		}
		if e := w.resume(b); e.Name != "failed" || e.Attr("h") != "1" {
			t.Errorf("got %s", e.String())
		}
		c := w.online(202)
		if m := c.until("message", nil); body(&m) != "missed" || m.Child("urn:xmpp:delay", "delay") == nil {
			t.Errorf("got %s", m.String())
		}
	})
}

func TestWithoutResumptionUnacknowledgedMessagesAreKept(t *testing.T) {
	w := newFixture(t, nil)
	a := w.online(101)
	b := w.bound(202)
	b.send(`<enable` + ns + `/>`)
	if e := b.until("enabled", nil); e.Attr("id") != "" || e.Attr("resume") != "" {
		t.Errorf("got %s", e.String())
	}
	b.send(`<presence/>`)
	b.until("presence", nil)
	a.send(chatTo(202, id(1), "one"))
	b.until("message", nil)
	b.send(`<a` + ns + ` h="2"/>`)
	b.sync()
	a.send(chatTo(202, id(2), "two"))
	a.send(groupTo(team, id(3), "three"))
	b.until("message", says("three"))
	w.server.Drop(202)
	waitFor(t, "it has ended", func() bool { return len(w.server.Sockets()) == 1 })
	c := w.online(202)
	for _, want := range []string{"two", "three"} {
		if m := c.until("message", nil); body(&m) != want || m.Child("urn:xmpp:delay", "delay") == nil {
			t.Errorf("want %q, got %s", want, m.String())
		}
	}
	c.quiet()
}

// A message that one device has received is not kept because another device lost it.
func TestWhatOneDeviceGotIsNotKeptForAnother(t *testing.T) {
	w := newFixture(t, nil)
	a, phone, tablet := w.online(101), w.managed(202), w.online(202)
	a.send(chatTo(202, id(1), "hi"))
	tablet.until("message", nil)
	phone.take("message")
	phone.send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`) // not acknowledged
	phone.ended()
	waitFor(t, "it has ended", func() bool { return len(w.server.Sockets()) == 2 })
	w.online(202).quiet()
	tablet.quiet()
}

// The lost streams of a crashing app do not lock its user out.
func TestLostStreamsMakeRoomForNewOnes(t *testing.T) {
	w := newFixture(t, func(o *chat.Options) { o.MaxPerUser = 2 })
	a := w.online(101)
	var lost []*managed
	for range 2 {
		b := w.managed(202)
		b.conn.CloseNow()
		lost = append(lost, b)
	}
	waitFor(t, "both wait", func() bool {
		s := w.server.Sockets()
		return len(s) == 3 && s[1].Waiting && s[2].Waiting
	})
	a.send(chatTo(202, id(1), "hi"))
	a.sync()
	w.online(202).quiet() // the second stream still holds the message
	if e := w.resume(lost[0]); e.Name != "failed" {
		t.Errorf("the older one: %s", e.String())
	}
	if e := w.resume(lost[1]); e.Name != "resumed" {
		t.Errorf("the newer one: %s", e.String())
	}
	lost[1].until("message", says("hi"))
}

package chat_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// loadClients is the number of clients of TestLoadLosesNothing.
const loadClients = 100

// A hundred clients send messages while sockets are cut, fall silent, delay and
// duplicate stanzas, and clients resume their streams or bind new ones. All stored
// messages arrive. The test runs in a bubble, which also fails if a goroutine is left.
func TestLoadLosesNothing(t *testing.T) {
	synctest.Test(t, testLoad)
}

func testLoad(t *testing.T) {
	w := newFixture(t, func(o *chat.Options) {
		o.MaxQueue, o.PingAfter, o.PingTime, o.ResumeWindow = 4000, time.Second, time.Second, time.Second
	})
	users := make([]int64, loadClients)
	for i := range loadClients {
		users[i] = int64(1000 + i)
		w.archive.users[users[i]] = time.Time{}
	}
	w.archive.dialogs[id(1)] = users

	stop, drained := make(chan struct{}), make(chan struct{})
	var sending, running sync.WaitGroup
	all := make([]*loadClient, loadClients)
	for i := range all {
		c := &loadClient{w: w, user: users[i], dice: rand.New(rand.NewPCG(7, uint64(i))), seen: map[string]int{}}
		all[i] = c
		sending.Add(1)
		running.Go(func() { c.run(stop, drained, sending.Done) })
	}
	running.Go(func() { disturb(w.server, stop) })
	time.Sleep(4 * time.Second)
	close(stop)
	sending.Wait()
	time.Sleep(10 * time.Second) // clients notice dead sockets, reconnect and resume
	lost, stored := missing(w, all)
	close(drained)
	running.Wait()
	if lost != 0 || stored < 1000 {
		t.Errorf("%d of %d messages were lost, want none of 1000 or more", lost, stored)
	}
	t.Logf("%d messages, %d of a group", stored, groupMessages(w))
}

// disturb breaks, delays and duplicates at random until stop is closed.
func disturb(s *chat.Server, stop chan struct{}) {
	dice := rand.New(rand.NewPCG(7, 7))
	for {
		select {
		case <-stop:
			s.DelayStanzas(0)
			return
		case <-time.After(5 * time.Millisecond):
		}
		user := int64(1000 + dice.IntN(loadClients))
		switch dice.IntN(10) {
		case 0:
			s.HalfOpen(user)
		case 1:
			s.Duplicate(3)
		case 2:
			s.DelayStanzas(time.Duration(dice.IntN(5)) * time.Millisecond)
		default:
			s.Drop(user)
		}
		s.Sockets()
		s.Online()
	}
}

// missing counts the stored 1:1 messages that have not arrived, and all stored messages.
func missing(w *fixture, clients []*loadClient) (n, stored int) {
	w.archive.mu.Lock()
	defer w.archive.mu.Unlock()
	for _, m := range w.archive.stored {
		if m.To == 0 {
			continue
		}
		s := clients[m.To-1000]
		s.mu.Lock()
		if s.seen[m.Body] == 0 {
			n++
		}
		s.mu.Unlock()
	}
	return n, len(w.archive.stored)
}

func groupMessages(w *fixture) int {
	n := 0
	for _, m := range w.archive.stored {
		if m.To == 0 {
			n++
		}
	}
	return n
}

// loadClient is a client that reconnects after each failure.
type loadClient struct {
	w    *fixture
	user int64
	dice *rand.Rand
	sent int

	c      *client
	id     string // of the stream, to resume it
	h      uint32 // stanzas received on the stream
	silent int    // ticks without a stanza

	mu   sync.Mutex
	seen map[string]int
}

// run sends messages until stop is closed, then calls quiet, and receives messages until
// drained is closed.
func (s *loadClient) run(stop, drained chan struct{}, quiet func()) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if s.c == nil && !s.connect() {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		select {
		case e, open := <-s.c.got:
			if !open {
				s.c = nil
				continue
			}
			s.take(e)
		case <-ticker.C:
			s.tick(stop != nil)
		case <-stop:
			stop = nil
			quiet()
		case <-drained:
			s.c.conn.CloseNow()
			return
		}
	}
}

func (s *loadClient) tick(sending bool) {
	if s.silent++; s.silent > 20 { // half-open
		s.c.conn.CloseNow()
		s.c = nil
		return
	}
	frame := `<r` + ns + `/>`
	if sending {
		s.sent++
		text := fmt.Sprintf("%d-%d", s.user, s.sent)
		frame = chatTo(int64(1000+s.dice.IntN(loadClients)), "", text)
		if s.dice.IntN(100) == 0 {
			frame = groupTo(id(1), "", text)
		}
	}
	_ = s.c.trySend(frame) // reading reports a failure
}

func (s *loadClient) take(e xmpp.Element) {
	s.silent = 0
	switch {
	case e.Name == "r":
		_ = s.c.trySend(`<a` + ns + ` h="` + strconv.Itoa(int(s.h)) + `"/>`)
	case e.Space == xmpp.NSClient:
		s.h++
		if e.Child("urn:xmpp:ping", "ping") != nil {
			_ = s.c.trySend(`<iq type="result" id="` + e.Attr("id") + `"/>`)
		}
		if text := body(&e); text != "" {
			s.mu.Lock()
			s.seen[text]++
			s.mu.Unlock()
		}
	}
}

// connect resumes the stream, or binds a new one if that fails.
func (s *loadClient) connect() bool {
	c, err := s.w.tryDial()
	if err != nil {
		return false
	}
	c.mute.Store(true) // take replies to pings, because they count as stanzas
	ok := c.play(openFrame, "features") && c.play(authFrame(s.user, "password"), "success") && c.play(openFrame, "features")
	if !ok {
		c.conn.CloseNow()
		return false
	}
	if s.dice.IntN(3) == 0 {
		s.id = "" // the app restarts
	}
	if s.id != "" && c.play(`<resume`+ns+` previd="`+s.id+`" h="`+strconv.Itoa(int(s.h))+`"/>`, "resumed") {
		_ = c.trySend(`<presence/>`) // the first one may be lost
		s.c, s.silent = c, 0
		return true
	}
	s.id, s.h = "", 0
	if !c.play(`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`, "iq") ||
		!c.play(`<enable`+ns+` resume="true"/>`, "enabled") {
		c.conn.CloseNow()
		return false
	}
	s.id = c.last.Attr("id")
	_ = c.trySend(`<presence/>`)
	s.c, s.silent = c, 0
	return true
}

package chat_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// Two hundred clients send, while sockets are cut, become silent or slow, and are resumed or
// bound anew. All stored messages arrive.
func TestAStormLosesNothing(t *testing.T) {
	const clients = 200
	duration := 4 * time.Second
	if testing.Short() {
		duration = 2 * time.Second
	}
	before := runtime.NumGoroutine()
	w := newFixture(t, func(o *chat.Options) {
		o.MaxQueue, o.PingAfter, o.PingTime, o.ResumeWindow = 4000, time.Second, time.Second, time.Second
	})
	everyone := make([]int64, clients)
	for i := range clients {
		everyone[i] = int64(1000 + i)
		w.archive.users[everyone[i]] = time.Time{}
	}
	w.archive.dialogs[id(1)] = everyone

	stop, drained := make(chan struct{}), make(chan struct{})
	var sending, running sync.WaitGroup
	storm := make([]*stormy, clients)
	for i := range storm {
		s := &stormy{w: w, user: everyone[i], dice: rand.New(rand.NewPCG(7, uint64(i))), seen: map[string]int{}}
		storm[i] = s
		sending.Add(1)
		running.Go(func() { s.run(stop, drained, sending.Done) })
	}
	running.Go(func() { misfortune(w.server, stop) })
	time.Sleep(duration)
	close(stop)
	sending.Wait()
	lost, stored, still := 0, 0, 0
	waitForLong(t, func() bool {
		before := stored
		if lost, stored = missing(w, storm); lost == 0 && stored == before {
			still++ // some may be sent and not yet stored
		} else {
			still = 0
		}
		return still > 20
	})
	close(drained)
	running.Wait()
	if lost != 0 {
		t.Errorf("%d of %d messages were lost", lost, stored)
	}
	waitFor(t, "all sockets have ended", func() bool { w.server.Drop(0); return runtime.NumGoroutine() <= before+10 })
	t.Logf("%d messages, %d of a group", len(w.archive.stored), groupMessages(w))
}

func waitForLong(t *testing.T, ok func() bool) {
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// misfortune disturbs the sockets.
func misfortune(s *chat.Server, stop chan struct{}) {
	dice := rand.New(rand.NewPCG(7, 7))
	for {
		select {
		case <-stop:
			s.DelayStanzas(0)
			return
		case <-time.After(5 * time.Millisecond):
		}
		user := int64(1000 + dice.IntN(200))
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

// missing counts the stored 1:1 messages that did not arrive, and all stored ones.
func missing(w *fixture, storm []*stormy) (n, stored int) {
	w.archive.mu.Lock()
	defer w.archive.mu.Unlock()
	for _, m := range w.archive.stored {
		if m.To == 0 {
			continue
		}
		s := storm[m.To-1000]
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

// stormy is a client that always comes back.
type stormy struct {
	w    *fixture
	user int64
	dice *rand.Rand
	sent int

	c      *client
	id     string // for the resumption
	h      uint32
	silent int // ticks

	mu   sync.Mutex
	seen map[string]int
}

func (s *stormy) run(stop, drained chan struct{}, quiet func()) {
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

func (s *stormy) tick(sending bool) {
	if s.silent++; s.silent > 20 { // half-open
		s.c.conn.CloseNow()
		s.c = nil
		return
	}
	frame := `<r` + ns + `/>`
	if sending {
		s.sent++
		text := fmt.Sprintf("%d-%d", s.user, s.sent)
		frame = chatTo(int64(1000+s.dice.IntN(200)), "", text)
		if s.dice.IntN(100) == 0 {
			frame = groupTo(id(1), "", text)
		}
	}
	_ = s.c.trySend(frame) // a failure appears when reading
}

func (s *stormy) take(e xmpp.Element) {
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

// connect resumes, or binds if that fails.
func (s *stormy) connect() bool {
	c, err := s.w.tryDial()
	if err != nil {
		return false
	}
	c.mute.Store(true) // pings count; take answers them
	ok := c.play(openFrame, "features") && c.play(authFrame(s.user, "password"), "success") && c.play(openFrame, "features")
	if !ok {
		c.conn.CloseNow()
		return false
	}
	if s.dice.IntN(3) == 0 {
		s.id = "" // the app was restarted
	}
	if s.id != "" && c.play(`<resume`+ns+` previd="`+s.id+`" h="`+strconv.Itoa(int(s.h))+`"/>`, "resumed") {
		_ = c.trySend(`<presence/>`) // the first may not have arrived
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

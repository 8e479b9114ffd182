package chat_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// Break the recipient's connection after every possible number of stanzas, and resume with
// the client's count: no message may be lost or come twice.
func TestBreaksAtEveryPointLoseNothing(t *testing.T) {
	const messages = 6
	for point := range 2*messages + 3 {
		t.Run(strconv.Itoa(point), func(t *testing.T) {
			w := newFixture(t, nil)
			a, b := w.online(101), w.managed(202)
			for i := range messages {
				a.send(chatTo(202, id(i), fmt.Sprint(i)))
				if i == messages/2 {
					a.sync()
				}
			}
			for range point { // every element counts as a point, including r
				select {
				case e := <-b.got:
					b.note(e)
					if e.Name == "r" && point%2 == 0 {
						b.send(`<a` + ns + ` h="` + strconv.Itoa(int(b.h)) + `"/>`)
					}
				case <-time.After(20 * time.Millisecond):
				}
			}
			w.server.Drop(202)
			if e := w.resume(b); e.Name != "resumed" {
				t.Fatalf("got %s", e.String())
			}
			for len(b.seen) < messages {
				b.take("message")
			}
			b.quiet()
			for i, text := range b.seen {
				if text != fmt.Sprint(i) {
					t.Fatalf("got %v", b.seen)
				}
			}
		})
	}
}

// The other direction: a client resends the stanzas that the server has not counted, and no
// message is stored twice.
func TestTheServersCountIsExactWhereverTheSocketBreaks(t *testing.T) {
	for point := range 5 {
		t.Run(strconv.Itoa(point), func(t *testing.T) {
			seen := 0
			w := newFixture(t, func(o *chat.Options) {
				o.Fault = func(_ int64, e *xmpp.Element) chat.Fault {
					if e.Name != "message" {
						return chat.Fault{}
					}
					seen++
					return chat.Fault{Drop: seen == point+1 && point%2 == 0, LostAnswer: seen == point+1 && point%2 == 1}
				}
			})
			a := w.managed(101)
			frames := []string{`<presence/>`} // the first counted one
			for i := range 5 {
				frames = append(frames, chatTo(202, id(i), fmt.Sprint(i)))
			}
			for _, frame := range frames[1:] {
				if a.trySend(frame) != nil {
					break
				}
			}
			a.ended()
			resumed := w.resume(a)
			h, err := strconv.Atoi(resumed.Attr("h"))
			if resumed.Name != "resumed" || err != nil {
				t.Fatalf("got %s", resumed.String())
			}
			for _, frame := range frames[h:] {
				a.send(frame)
			}
			a.sync()
			if len(w.archive.stored) != 5 {
				t.Errorf("%d messages stored", len(w.archive.stored))
			}
			for i, m := range w.archive.stored {
				if m.Body != fmt.Sprint(i) {
					t.Errorf("message %d is %q", i, m.Body)
				}
			}
		})
	}
}

func TestAClientThatNeverAcknowledgesIsCutOff(t *testing.T) {
	w := newFixture(t, func(o *chat.Options) { o.MaxQueue = 40 })
	a, b := w.online(101), w.managed(202)
	for i := range 50 {
		a.send(chatTo(202, id(i), fmt.Sprint(i)))
	}
	b.ended()
	waitFor(t, "its stream has ended", func() bool { return len(w.server.Sockets()) == 1 })
	a.sync()
	c := w.online(202)
	for i := 30; i < 50; i++ { // the server keeps half of a queue
		if m := c.until("message", nil); body(&m) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.String())
		}
	}
	c.quiet()
}

func TestWhatWaitsForAStreamIsBoundedInBytes(t *testing.T) {
	w := newFixture(t, nil)
	a, b := w.online(101), w.managed(202)
	for i := range 100 { // of 50 KiB each; 84 are 4 MiB
		a.send(chatTo(202, id(i), strings.Repeat("x", 50<<10)))
	}
	came := 0
	for range b.got {
		came++
	}
	if came > 90 {
		t.Errorf("%d messages arrived", came)
	}
}

func TestASlowReaderIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, func(o *chat.Options) { o.MaxQueue = 40 })
		a, b := w.online(101), w.online(202)
		b.stuck.Store(true)
		a.send(chatTo(202, id(0), "wakes it"))
		synctest.Wait()
		start := time.Now()
		a.send(chatTo(202, id(1), "cannot be written"))
		for len(w.server.Sockets()) > 1 {
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took < 9*time.Second || took > 12*time.Second {
			t.Errorf("cut off after %v", took)
		}
		c := w.online(202)
		if m := c.until("message", nil); body(&m) != "cannot be written" {
			t.Errorf("got %s", m.String())
		}
	})
}

package tokens

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The state counts the waiting and running hashes by class, and each wait is observed once.
func TestStateOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hasher{queue: newQueue(1, time.Hour)}
		var waits []HashWait
		h.queue.observe = func(w HashWait) { waits = append(waits, w) }
		expect := func(when string, running int, strangers, known HashLoad) {
			t.Helper()
			s := h.State()
			if s.Slots != 1 || s.Running != running || s.Classes[Strangers] != strangers || s.Classes[Known] != known {
				t.Errorf("%s: %+v, want %d running, strangers %+v, known %+v", when, s, running, strangers, known)
			}
		}
		expect("idle", 0, HashLoad{}, HashLoad{})
		release := occupy(t, h.queue) // a lane of its own
		expect("one runs", 1, HashLoad{0, 1}, HashLoad{})
		leaving, leave := context.WithCancel(t.Context())
		for range 3 {
			go func() { _ = h.queue.do(t.Context(), Turn{Lanes: []string{"192.0.2.1"}}, func() {}) }()
		}
		go func() { _ = h.queue.do(t.Context(), Turn{Class: Known, Lanes: []string{"ada", "phone"}}, func() {}) }()
		go func() { _ = h.queue.do(leaving, Turn{Lanes: []string{"192.0.2.2"}}, func() {}) }()
		synctest.Wait()
		expect("five wait", 1, HashLoad{4, 3}, HashLoad{1, 1})
		time.Sleep(time.Second)
		leave()
		synctest.Wait()
		expect("one has left", 1, HashLoad{3, 2}, HashLoad{1, 1})
		time.Sleep(time.Second)
		release()
		synctest.Wait()
		if s := h.State(); s.Running != 0 || s.Classes[Strangers].Waiting != 0 || s.Classes[Known].Waiting != 0 {
			t.Errorf("at the end: %+v", s)
		}
		byClass, left := map[HashClass]int{}, 0
		for _, w := range waits[1:] { // without the one that did not wait
			switch {
			case errors.Is(w.Err, context.Canceled) && w.Took == time.Second:
				left++
			case w.Err == nil && w.Took == 2*time.Second:
				byClass[w.Class]++
			}
		}
		if waits[0] != (HashWait{Class: Strangers}) || left != 1 || byClass[Strangers] != 3 || byClass[Known] != 1 {
			t.Errorf("observed %+v", waits)
		}
	})
}

// A refusal is observed with its reason.
func TestRefusalIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last HashWait
		q := newQueue(1, time.Second)
		q.observe = func(w HashWait) { last = w }
		defer occupy(t, q)()
		err := q.do(t.Context(), Turn{Class: Known, Lanes: []string{"ada"}}, ran(t))
		if full, ok := errors.AsType[*QueueError](last.Err); !ok || full.Reason != ErrBusy || last.Class != Known || last.Took != time.Second || err == nil {
			t.Errorf("observed %+v, error %v", last, err)
		}
	})
}

func TestHasherObservesWaits(t *testing.T) {
	var waits []HashWait
	h, err := NewHasher(Params{Memory: 64, Iterations: 1, Observe: func(w HashWait) { waits = append(waits, w) }})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := h.Hash(t.Context(), Turn{}, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Compare(t.Context(), Turn{Class: Known, Lanes: []string{"ada"}}, "correct horse", stored); err != nil {
		t.Fatal(err)
	}
	if len(waits) != 2 || waits[0].Class != Strangers || waits[1].Class != Known {
		t.Errorf("observed %+v, want a stranger and a known client", waits)
	}
}

// A stranger that the queue refuses before it waits is observed, too; one that it lets in
// is not, before it waits.
func TestRefusedAnnouncementIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hasher{queue: newQueue(1, 10*work)} // room for ten
		var waits []HashWait
		end := waitInLanes(t, h.queue, slices.Repeat([][]string{{"crowd"}}, 10)...)
		h.queue.observe = func(w HashWait) { waits = append(waits, w) }
		if arrived, err := h.Announce(Turn{Lanes: []string{"alone"}}); err == nil {
			arrived()
		}
		_, err := h.Announce(Turn{Lanes: []string{"crowd"}})
		if len(waits) != 1 || waits[0].Class != Strangers || waits[0].Took != 0 || !errors.Is(waits[0].Err, ErrLaneFull) || err == nil {
			t.Errorf("observed %+v, error %v", waits, err)
		}
		h.queue.observe = func(HashWait) {}
		end()
	})
}

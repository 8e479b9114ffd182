package tokens

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// turnsOf returns a turn of each class, which no other client has.
func turnsOf(i int) map[HashClass]Turn {
	name := fmt.Sprint(i)
	return map[HashClass]Turn{Strangers: network(name), Known: device(name, "phone"), Callbacks: callback(name)}
}

// waits is what became of clients that ask for hashes, by class.
type waits struct {
	mu              sync.Mutex
	served, refused map[HashClass]int
}

func newWaits() *waits { return &waits{served: map[HashClass]int{}, refused: map[HashClass]int{}} }

// ask lets a client ask for a hash, and returns as soon as it waits or is refused.
func (w *waits) ask(t *testing.T, q *hashQueue, turn Turn) {
	t.Helper()
	go func() {
		err := q.do(t.Context(), turn, func() { time.Sleep(work) })
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil {
			w.refused[turn.Class]++
			return
		}
		w.served[turn.Class]++
	}()
	synctest.Wait()
}

// soFar returns how many are served and refused.
func (w *waits) soFar() (served, refused map[HashClass]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.served), maps.Clone(w.refused)
}

// Each class with waiters has the same number of turns, and a class without waiters none.
func TestClassesAreServedInTurn(t *testing.T) {
	for _, busy := range [][]HashClass{{Strangers}, {Known}, {Callbacks}, {Strangers, Callbacks}, {Known, Callbacks}, {Strangers, Known}, {Strangers, Known, Callbacks}} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, time.Hour)
			w := newWaits()
			release := occupy(t, q)
			for i := range 20 {
				for _, class := range busy {
					w.ask(t, q, turnsOf(i)[class])
				}
			}
			release()
			time.Sleep(work*time.Duration(5*len(busy)) + work/2)
			synctest.Wait()
			served, _ := w.soFar()
			for _, class := range busy {
				if served[class] != 5 {
					t.Errorf("beside each other, %v: %v are served, want 5 of each", busy, served)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		})
	}
}

// At the bound, each class keeps a third of the queue, whatever the others do, and half of it
// beside one other. A crowd fills what the others leave.
func TestClassesKeepTheirShareOfTheQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		first, then   map[HashClass]int // clients that ask, in this order
		keeps         map[HashClass]int // that wait at the end
		refusesOthers bool
	}{
		"callbacks displace none of the few": {
			first: map[HashClass]int{Strangers: 4, Known: 4}, then: map[HashClass]int{Callbacks: 50},
			keeps: map[HashClass]int{Strangers: 4, Known: 4, Callbacks: 4},
		},
		"strangers displace no callback": {
			first: map[HashClass]int{Callbacks: 4, Known: 2}, then: map[HashClass]int{Strangers: 50},
			keeps: map[HashClass]int{Callbacks: 4, Known: 2, Strangers: 6},
		},
		"a crowd of strangers makes room for callbacks": {
			first: map[HashClass]int{Strangers: 12}, then: map[HashClass]int{Callbacks: 50},
			keeps: map[HashClass]int{Strangers: 6, Callbacks: 6}, refusesOthers: true,
		},
		"two crowds make room for callbacks": {
			first: map[HashClass]int{Strangers: 6, Known: 6}, then: map[HashClass]int{Callbacks: 50},
			keeps: map[HashClass]int{Strangers: 4, Known: 4, Callbacks: 4}, refusesOthers: true,
		},
		"callbacks alone fill the queue": {
			then: map[HashClass]int{Callbacks: 50}, keeps: map[HashClass]int{Callbacks: 12},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, 12*work) // room for twelve
			w := newWaits()
			release := occupy(t, q)
			for n, ask := range []map[HashClass]int{tt.first, tt.then} {
				for class, clients := range ask {
					for i := range clients {
						w.ask(t, q, turnsOf(100*n + i)[class])
					}
				}
			}
			_, refused := w.soFar()
			for _, class := range HashClasses() {
				if got := q.classes[class].waiting; got != tt.keeps[class] {
					t.Errorf("%s: %d %v wait, want %d", name, got, class, tt.keeps[class])
				}
				if n := refused[class]; n > 0 && tt.first[class] > 0 && !tt.refusesOthers {
					t.Errorf("%s: %d %v are displaced", name, n, class)
				}
			}
			release()
			time.Sleep(time.Minute)
			synctest.Wait()
		})
	}
}

// The names of the classes are labels of metrics.
func TestClassesHaveNames(t *testing.T) {
	if got := fmt.Sprint(HashClasses()); got != "[strangers known callbacks]" || len(HashClasses()) != int(classes) {
		t.Errorf("%s, want all %d", got, classes)
	}
}

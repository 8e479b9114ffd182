package tokens

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// manyNetworks is the turn of a client of a crowd that has more networks than the queue
// below has places, as on a server whose hashes are slow.
func manyNetworks(i int) Turn { return network(fmt.Sprint("attacker ", i%50)) }

func newSmallQueue() *hashQueue { return newQueue(1, 20*work) }

// A crowd of more networks than the queue has places keeps out no stranger, whether it
// ignores the times that refusals tell or waits for them.
func TestQueueServesAStrangerBesideMoreNetworksThanPlaces(t *testing.T) {
	asTold := func(e *QueueError) time.Duration { return e.After }
	for name, tt := range map[string]struct {
		clients int
		pause   func(*QueueError) time.Duration
	}{
		"at once":                        {300, aMoment},
		"as told":                        {300, asTold},
		"as told, one from each network": {50, asTold},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newSmallQueue()
			end := crowdWith(t, q, tt.clients, manyNetworks, tt.pause)
			time.Sleep(100 * work) // each network has had its first hash
			for n := range 20 {
				if waited, err := askOnce(t, q, fmt.Sprint("honest ", n)); err != nil || waited > 3*work {
					t.Errorf("crowd that comes back %s: stranger %d waited %v, %v", name, n, waited, err)
				}
				time.Sleep(work)
			}
			end()
		})
	}
}

// A crowd that ignores refusals is told from others before its networks have had a hash.
func TestQueueKnowsAnImpatientCrowdAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newSmallQueue()
		end := crowd(t, q, 300, manyNetworks)
		time.Sleep(5 * work)
		if waited, err := askOnce(t, q, "honest"); err != nil || waited > 3*work {
			t.Errorf("the stranger waited %v, %v", waited, err)
		}
		end()
	})
}

// askOnce lets one stranger log in. It returns the time that the stranger waits for the hash.
func askOnce(t *testing.T, q *hashQueue, name string) (waited time.Duration, err error) {
	t.Helper()
	start := time.Now()
	err = askAsLoginDoes(t.Context(), q, network(name), func() { waited = time.Since(start) - lookUp })
	return waited, err
}

// A client that comes back after the time that it was told stands like a new one.
func TestPatienceLeavesNoPressure(t *testing.T) {
	for name, tt := range map[string]struct {
		early time.Duration
		want  int
	}{
		"a moment before the time":   {time.Millisecond, 1},
		"a moment after the time":    {-time.Millisecond, 0},
		"at the time, to the moment": {0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, 10*work) // room for ten
			end := waitInLanes(t, q, []string{"a"}, []string{"a"}, []string{"b"}, []string{"c"}, []string{"d"}, []string{"e"}, []string{"f"}, []string{"g"}, []string{"h"}, []string{"i"})
			var full *QueueError
			if _, err := q.arrive([]string{"a"}); !errors.As(err, &full) {
				t.Fatalf("error = %v, want a QueueError", err)
			}
			end()
			time.Sleep(full.After - tt.early)
			before := q.classes[0].inner["a"].pressure() // its hashes
			arrived, err := q.arrive([]string{"a"})
			if err != nil {
				t.Fatal(err)
			}
			arrived()
			if got := q.classes[0].inner["a"].pressure() - before; got != tt.want {
				t.Errorf("%s: pressure grows by %d, want %d", name, got, tt.want)
			}
		})
	}
}

// Networks are forgotten after a time, and the one with the oldest event when there are
// too many.
func TestQueueForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Hour)
		hash := func(name string) {
			if err := q.do(t.Context(), network(name), func() { time.Sleep(time.Microsecond) }); err != nil {
				t.Fatal(err)
			}
		}
		hash("first")
		for n := range maxRemembered {
			hash(fmt.Sprint(n))
		}
		if got := len(q.classes[0].inner); got != maxRemembered || q.history.memories.Len() != got || q.classes[0].inner["first"] != nil {
			t.Errorf("%d lanes and %d memories, want %d without the first", got, q.history.memories.Len(), maxRemembered)
		}
		time.Sleep(remembered)
		hash("last")
		if got := len(q.classes[0].inner); got != 1 {
			t.Errorf("%d lanes after %v, want only the last one", got, remembered)
		}
	})
}

package tokens

import (
	"context"
	"fmt"
	"math"
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

// A crowd with many networks stays out of the queue's sight as far as it can: each network
// rests for a minute after a hash, its clients hang up before their turn, some are not
// announced, and its own accounts take the turns of known devices.
func TestQueueServesAStrangerBesideNetworksThatRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newSmallQueue()
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 420 {
			turn := network(fmt.Sprint("attacker ", i))
			if i >= 400 {
				turn = device(fmt.Sprint("own account ", i), "device")
			}
			go askAndHangUp(ctx, q, turn)
		}
		time.Sleep(2 * time.Minute)
		for n := range 20 {
			if waited, err := askOnce(t, q, fmt.Sprint("honest ", n)); err != nil || waited > time.Second {
				t.Errorf("stranger %d waited %v, %v", n, waited, err)
			}
			time.Sleep(work)
		}
		cancel()
		time.Sleep(2 * time.Minute)
	})
}

// askAndHangUp asks for hashes, waits for each at most a second, and rests after each.
func askAndHangUp(ctx context.Context, q *hashQueue, turn Turn) {
	for ctx.Err() == nil {
		once, hangUp := context.WithTimeout(ctx, time.Second)
		rest := work
		_ = q.do(once, turn, func() {
			time.Sleep(work)
			if turn.Class != Known {
				rest = time.Minute
			}
		})
		hangUp()
		time.Sleep(rest)
	}
}

// askOnce lets one stranger log in. It returns the time that the stranger waits for the hash.
func askOnce(t *testing.T, q *hashQueue, name string) (waited time.Duration, err error) {
	t.Helper()
	start := time.Now()
	err = askAsLoginDoes(t.Context(), q, network(name), func() { waited = time.Since(start) - lookUp })
	return waited, err
}

// events returns the weight of a lane's events, as if they all happened now.
func events(q *hashQueue, class HashClass, name string) float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.classes[class].inner[name]
	if l == nil || l.memory == nil || l.memory.pressure == 0 {
		return 0
	}
	return math.Exp2(l.memory.pressure - q.history.clock())
}

func refuseLane(q *hashQueue, class HashClass, name string, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.history.refused(q.classes[class].lane([]string{name}), after)
}

func announceOnce(t *testing.T, q *hashQueue, turn Turn) {
	t.Helper()
	arrived, err := q.arrive(turn)
	if err != nil {
		t.Fatal(err)
	}
	arrived()
}

// A client that comes back after the time that it was told stands like a new one. The rule
// also holds for clients that are not announced: those of a registration, those from a
// network that the account has used, and known devices.
func TestPatienceLeavesNoPressure(t *testing.T) {
	hash := func(turn Turn) func(*testing.T, *hashQueue) {
		return func(t *testing.T, q *hashQueue) {
			if err := q.do(t.Context(), turn, func() {}); err != nil {
				t.Error(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		class  HashClass
		lane   string
		ask    func(*testing.T, *hashQueue)
		hashes float64
	}{
		"an announcement":      {Strangers, "a", func(t *testing.T, q *hashQueue) { announceOnce(t, q, network("a")) }, 0},
		"a hash of a stranger": {Strangers, "a", hash(network("a")), 1},
		"a hash of a device":   {Known, "ada", hash(device("ada", "phone")), 1},
	} {
		for early, want := range map[time.Duration]float64{time.Millisecond: 1, 0: 0, -time.Millisecond: 0} {
			synctest.Test(t, func(t *testing.T) {
				q := newSmallQueue()
				refuseLane(q, tt.class, tt.lane, 5*time.Second)
				time.Sleep(5*time.Second - early)
				tt.ask(t, q)
				if got := events(q, tt.class, tt.lane) - tt.hashes; got != want {
					t.Errorf("%s %v before the time: %v events beside the hashes, want %v", name, early, got, want)
				}
			})
		}
	}
}

// One refusal counts once, however many people behind the address come back too early, and
// all of them are told by the earliest refusal.
func TestOneRefusalIsOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newSmallQueue()
		refuseLane(q, Strangers, "office", 5*time.Second)
		time.Sleep(3 * time.Second)
		refuseLane(q, Strangers, "office", 5*time.Second)
		time.Sleep(2 * time.Second)
		announceOnce(t, q, network("office"))
		if got := events(q, Strangers, "office"); got != 0 {
			t.Errorf("the first one comes back as told: %v events", got)
		}
		refuseLane(q, Strangers, "office", 5*time.Second)
		for range 10 {
			announceOnce(t, q, network("office"))
		}
		if got := events(q, Strangers, "office"); got != 1 {
			t.Errorf("ten come back at once: %v events, want 1", got)
		}
	})
}

// An event loses half of its weight in each half-life, and refusals do not keep it.
func TestEventsLoseWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newSmallQueue()
		hash := func(name string, times int) {
			for range times {
				if err := q.do(t.Context(), network(name), func() {}); err != nil {
					t.Fatal(err)
				}
			}
		}
		pressure := func(name string) float64 { return q.classes[Strangers].inner[name].pressure() }
		hash("twice, earlier", 2)
		time.Sleep(halfLife - time.Second)
		hash("once, before", 1)
		if pressure("twice, earlier") <= pressure("once, before") {
			t.Error("two hashes weigh less than one before a half-life has passed")
		}
		time.Sleep(2 * time.Second)
		hash("once", 1)
		if pressure("twice, earlier") >= pressure("once") {
			t.Error("two hashes weigh more than one after a half-life")
		}
		for range 70 {
			refuseLane(q, Strangers, "once", 10*time.Second)
			time.Sleep(10 * time.Second)
			announceOnce(t, q, network("once"))
		}
		if got := pressure("once"); got != 0 {
			t.Errorf("pressure %v after 700 s of patience, want 0", got)
		}
	})
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
		if got := len(q.classes[Strangers].inner); got != maxRemembered || q.history.memories.Len() != got || q.classes[Strangers].inner["first"] != nil {
			t.Errorf("%d lanes and %d memories, want %d without the first", got, q.history.memories.Len(), maxRemembered)
		}
		time.Sleep(remembered)
		hash("last")
		if got := len(q.classes[Strangers].inner); got != 1 {
			t.Errorf("%d lanes after %v, want only the last one", got, remembered)
		}
	})
}

// Callbacks leave no memory, whether they are served or refused: the next one with the same
// email stands like one with an email that was never asked about. So the queue does not
// tell which users log in, and an attacker with many emails does not make it forget networks.
func TestCallbacksLeaveNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 10*work) // room for ten
		if err := q.do(t.Context(), callback("ada"), func() {}); err != nil {
			t.Error(err)
		}
		release := occupy(t, q)
		w := newWaits()
		for range 11 {
			w.ask(t, q, callback("bob"))
		}
		if _, refused := w.soFar(); refused[Callbacks] != 1 {
			t.Errorf("%v are refused, want one", refused)
		}
		announceOnce(t, q, callback("ada"))
		release()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(q.classes[Callbacks].inner); n != 0 || q.history.memories.Len() != 1 { // that of occupy
			t.Errorf("%d emails and %d lanes are remembered", n, q.history.memories.Len())
		}
	})
}

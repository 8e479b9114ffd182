package tokens

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// queueClient is a client of both the queue and the rules.
type queueClient struct {
	ruled
	hangUp func()
	finish chan bool // ends the hash
	begun  bool
	ended  bool
	err    error
	left   func() // ends the announcement
}

// randomQueue drives a queue with random clients, one step at a time.
type randomQueue struct {
	t       *testing.T
	dice    *rand.Rand
	q       *hashQueue
	rules   *queueRules
	clients []*queueClient // those that wait, arrive or are hashed
	longest time.Duration  // pause between two steps
}

func (r *randomQueue) step() {
	time.Sleep(time.Duration(r.dice.Int64N(int64(r.longest))))
	r.rules.room = r.q.room()
	switch n := r.dice.IntN(10); {
	case n < 5:
		r.enter()
	case n < 7:
		r.arrive()
	case len(r.clients) > 0:
		r.leave(r.clients[r.dice.IntN(len(r.clients))])
	}
	synctest.Wait()
}

// turn returns a random client: a device or the network of an account, an IPv4 address, a /64 in
// a /48, or a callback. Some are much more frequent than others.
func (r *randomQueue) turn() Turn {
	rare := func(n int) int { return min(r.dice.IntN(n), r.dice.IntN(n)) }
	switch r.dice.IntN(5) {
	case 0:
		return device(fmt.Sprint("account", rare(6)), fmt.Sprint("device", rare(2)))
	case 1:
		return Turn{Lanes: []string{fmt.Sprint("site", rare(2)), fmt.Sprint("net", rare(4))}}
	case 2:
		return callback(fmt.Sprint("email", rare(6)))
	}
	return network(fmt.Sprint("ip", rare(8)))
}

func (r *randomQueue) enter() {
	turn := r.turn()
	c := r.start(turn)
	c.path = append(append([]string{turn.Class.String()}, turn.Lanes...), "")
	if turn.Class == Known && len(in(r.rules.waiting, c.path[:2])) >= accountWaiting {
		c.path = append(append([]string{"strangers"}, turn.Networks...), "")
	}
	r.rules.enter(&c.ruled)
	if may := r.rules.excess(&c.ruled); len(may) > 0 {
		i := slices.IndexFunc(r.clients, func(c *queueClient) bool { return c.ended && slices.Contains(may, &c.ruled) })
		if i < 0 {
			r.t.Fatal("none of the waiters that the rules choose has made room")
		}
		out := &r.clients[i].ruled
		r.rules.refuse(out, r.rules.reason(out), r.told())
	}
}

// start lets a client ask for a hash.
func (r *randomQueue) start(turn Turn) *queueClient {
	c := &queueClient{finish: make(chan bool)}
	ctx, hangUp := context.WithCancel(r.t.Context())
	c.hangUp = hangUp
	go func() {
		c.err = r.q.do(ctx, turn, func() { c.begun = true; <-c.finish })
		c.ended = true
	}()
	synctest.Wait()
	r.clients = append(r.clients, c)
	return c
}

// told returns the time that a refusal of this moment tells: TestQueueEstimatesItsWait
// has the rule.
func (r *randomQueue) told() time.Duration {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	depth := len(r.rules.waiting)
	return max(time.Second, time.Duration(depth)*r.q.mean/time.Duration(r.q.slots))
}

func (r *randomQueue) arrive() {
	turn := r.turn()
	if turn.Class == Known {
		return
	}
	c := &queueClient{}
	c.path = append([]string{turn.Class.String()}, turn.Lanes...)
	want := r.rules.arrive(&c.ruled)
	var err error
	c.left, err = r.q.arrive(turn)
	if got := reasonOf(err); got != want {
		r.t.Fatalf("announcement of %v: %v, want %v", c.path, got, want)
	}
	if want != nil {
		r.rules.refuse(&c.ruled, want, r.told())
		return
	}
	r.clients = append(r.clients, c)
}

func (r *randomQueue) leave(c *queueClient) {
	c.stop()
	r.rules.leave(&c.ruled)
}

// stop ends the announcement, the wait or the hash of a client.
func (c *queueClient) stop() {
	switch {
	case c.left != nil:
		c.left()
		c.ended = true
	case c.begun:
		close(c.finish)
	default:
		c.hangUp()
	}
	synctest.Wait()
}

// compare compares what each client has reached with the rules, and forgets those that have
// left.
func (r *randomQueue) compare() {
	r.t.Helper()
	for _, c := range r.clients {
		if got := reasonOf(c.err); got != c.refused {
			r.t.Fatalf("%v is refused with %v, want %v", c.path, got, c.refused)
		}
		if runs := slices.Contains(r.rules.running, &c.ruled); !c.ended && c.left == nil && c.begun != runs {
			r.t.Fatalf("%v runs: %v, want %v", c.path, c.begun, runs)
		}
	}
	r.forgetEnded()
}

func (r *randomQueue) forgetEnded() {
	r.clients = slices.DeleteFunc(r.clients, func(c *queueClient) bool { return c.ended })
}

func (r *randomQueue) end() {
	for len(r.clients) > 0 {
		r.clients[0].stop()
		r.forgetEnded()
	}
}

// checkRandomQueues drives a queue for each seed by 300 steps, and checks its counts after each.
// mean is the expected time of a hash.
func checkRandomQueues(t *testing.T, seeds uint64, mean, longest time.Duration, step func(*randomQueue)) {
	t.Helper()
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 12))
			slots := 1 + dice.IntN(3)
			r := &randomQueue{t: t, dice: dice, q: newHashQueue(slots, time.Minute, mean), rules: newQueueRules(slots), longest: longest}
			for range 300 {
				step(r)
				checkCounts(t, r.q)
			}
			r.end()
			checkCounts(t, r.q)
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// The queue serves, refuses and keeps waiting the same clients as the rules, whatever
// happens.
func TestQueueFollowsItsRules(t *testing.T) {
	checkRandomQueues(t, 100, 5*time.Second, 100*time.Millisecond, func(r *randomQueue) {
		r.step()
		r.compare()
	})
}

// checkCounts checks what must hold for the lanes at any time.
func checkCounts(t *testing.T, q *hashQueue) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	running, remembered := 0, 0
	for c, class := range q.classes {
		running += class.running
		checkLane(t, class)
		for name, top := range class.inner {
			if top.memory != nil {
				remembered++
				if top.memory.lane != top || top.memory.place.Value != top.memory {
					t.Fatalf("the memory of %q is that of another lane", name)
				}
			}
		}
		if class.waiting > 0 && q.free > 0 && HashClass(c) != Known {
			t.Fatalf("%d %v wait for a free slot", class.waiting, HashClass(c))
		}
	}
	if remembered != q.history.memories.Len() {
		t.Fatalf("%d lanes have a memory, %d memories are kept", remembered, q.history.memories.Len())
	}
	if running+q.free != q.slots {
		t.Fatalf("%d hashes run and %d slots of %d are free", running, q.free, q.slots)
	}
	for e := q.history.memories.Front(); e != nil && e.Next() != nil; e = e.Next() {
		if e.Value.(*memory).latest.After(e.Next().Value.(*memory).latest) {
			t.Fatal("the memories are out of order")
		}
	}
}

// checkLane checks the counts of a lane and of those inside.
func checkLane(t *testing.T, l *lane) {
	t.Helper()
	waiting, running, arriving, active := l.queue.Len(), 0, 0, 0
	for name, inner := range l.inner {
		checkLane(t, inner)
		waiting, running, arriving = waiting+inner.waiting, running+inner.running, arriving+inner.arriving
		inUse := inner.waiting+inner.running+inner.arriving > 0
		switch {
		case inner.name != name || inner.outer != l:
			t.Fatalf("lane %q is kept as %q", inner.name, name)
		case !inUse && (inner.memory == nil || inner.index >= 0):
			t.Fatalf("lane %q is not in use, has index %d and memory %v", name, inner.index, inner.memory)
		case inUse && (inner.index < 0 || l.active[inner.index] != inner):
			t.Fatalf("lane %q is in use and not active", name)
		case inUse:
			active++
		}
	}
	if len(l.inner) > 0 && (waiting != l.waiting || running != l.running) || arriving > l.arriving || active != len(l.active) {
		t.Fatalf("lane %q: %d wait, %d run, %d arrive, %d lanes are active; inside %d, %d, %d, %d",
			l.name, l.waiting, l.running, l.arriving, len(l.active), waiting, running, arriving, active)
	}
}

// The counts hold while lanes are forgotten, waits take too long, and the room changes, too.
func TestQueueCountsWhileItForgets(t *testing.T) {
	checkRandomQueues(t, 20, work, time.Second, (*randomQueue).forgetfulStep)
}

// forgetfulStep is a step without rules. Some come after a pause in which lanes are forgotten.
func (r *randomQueue) forgetfulStep() {
	pause := int64(0)
	if r.dice.IntN(20) == 0 {
		pause = r.dice.Int64N(int64(2 * remembered))
	}
	time.Sleep(time.Duration(pause + r.dice.Int64N(int64(r.longest))))
	turn := r.turn()
	switch n := r.dice.IntN(10); {
	case n < 5:
		r.start(turn)
	case n < 7 && turn.Class != Known:
		if left, err := r.q.arrive(turn); err == nil {
			r.clients = append(r.clients, &queueClient{left: left})
		}
	case len(r.clients) > 0:
		r.clients[r.dice.IntN(len(r.clients))].stop()
	}
	synctest.Wait()
	r.forgetEnded()
}

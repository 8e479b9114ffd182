package tokens

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	// ErrBusy means that too many passwords are being hashed: try again later.
	ErrBusy = errors.New("too many passwords are being hashed")

	// ErrLaneFull means that too many of the waiting passwords come from where
	// this one comes from.
	ErrLaneFull = errors.New("too many passwords wait in this lane")
)

// QueueError is an ErrBusy or an ErrLaneFull with the time after which a turn
// is likely.
type QueueError struct {
	Reason error
	After  time.Duration // at least a second
}

func (e *QueueError) Error() string { return "waiting to hash password: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *QueueError) Unwrap() error { return e.Reason }

// Turn says in which lane a password waits for its hash. Lanes of one level are
// served in turn, so that a crowd in one lane makes only that lane longer.
type Turn struct {
	// Known is for a client that seems to belong to the account: by the token
	// of a device that has logged in before, by a login session, or by a
	// network from which the account has one. The known and the strangers are
	// two classes, served in turn.
	Known bool

	// Lanes are the names of the lane and of the one inside it, outermost
	// first: the account and the device of the known, the networks of a
	// stranger. Those who share a network with an account get a lane beside
	// that of its devices, which they would make longer otherwise. No names are
	// a lane of their own.
	Lanes []string

	// Networks are the lanes of the same client as a stranger. It waits there
	// if the lane of the account has no place left.
	Networks []string

	// Start is called when the turn has come. An error gives the turn to the
	// next one, and is returned as it is. Nil is no more to ask.
	Start func() error
}

// Bounds of the lane of one account. A person logs in on a few devices at a
// time; what is more waits as a stranger does.
const (
	accountRunning = 1
	accountWaiting = 4
)

// meanWeight is the part of the moving mean that the last hash makes up.
const meanWeight = 0.1

// hashQueue lets a few pieces of work run at once and the others wait in lanes.
// Without a bound 200 logins at once took 6.4 GB and were served at 21 a second;
// two at a time took 122 MB and were served at 57.
//
// Its only bound on waiting is one for all, so that a crowd on an idle server
// is served. When that is reached, the newest of the longest lane makes room
// (longest queue drop: RFC 7567 section 4, "fair queuing"): who comes alone is
// never pushed out by who comes in crowds. Each class may fill half of the
// queue whatever the other does.
type hashQueue struct {
	maxWait time.Duration // for a turn

	mu        sync.Mutex
	slots     int // pieces of work that may run at once
	free      int
	mean      time.Duration // moving, of one piece of work
	classes   [2]*lane      // strangers, known
	lastKnown bool          // the class that was served last
}

func newHashQueue(slots int, maxWait, mean time.Duration) *hashQueue {
	return &hashQueue{maxWait: maxWait, free: slots, slots: slots, mean: max(mean, time.Microsecond), classes: [2]*lane{{}, {}}}
}

// waiter is one piece of work that waits.
type waiter struct {
	lane  *lane         // the innermost
	place *list.Element // in its queue
	turn  chan error    // of one: nil when the turn has come
}

// do runs work, which cannot be interrupted, in the calling goroutine. It holds
// its slot until work returns, whatever becomes of ctx in the meantime: the
// memory is in use for so long. It returns a QueueError or ctx's error, wrapped,
// when work has not run.
func (q *hashQueue) do(ctx context.Context, t Turn, work func()) error {
	if err := ctx.Err(); err != nil { // else a free slot might win over a client that has left
		return fmt.Errorf("hashing password: %w", err)
	}
	top, err := q.enter(ctx, t)
	if err != nil {
		return err
	}
	started := time.Now()
	took := func() time.Duration { return time.Since(started) }
	defer func() { q.leave(top, took()) }()
	if t.Start != nil {
		if err := t.Start(); err != nil {
			took = func() time.Duration { return 0 } // no hash: the mean stays as it is
			return err
		}
	}
	work()
	return nil
}

// enter waits for a turn. It returns the top lane, whose work runs then.
func (q *hashQueue) enter(ctx context.Context, t Turn) (*lane, error) {
	q.mu.Lock()
	known, lanes := t.Known, t.Lanes
	if known && q.class(true).lengthOf(lanes[0]) >= accountWaiting {
		known, lanes = false, t.Networks
	}
	w := q.class(known).lane(append(lanes[:len(lanes):len(lanes)], "")).push()
	q.dispatch()
	if w.place != nil {
		q.makeRoom(w, known)
	}
	q.mu.Unlock()

	timer := time.NewTimer(q.maxWait)
	defer timer.Stop()
	select {
	case err := <-w.turn:
		return w.lane.top(), err
	case <-timer.C:
		return q.abandon(w, &QueueError{ErrBusy, q.maxWait})
	case <-ctx.Done():
		return q.abandon(w, fmt.Errorf("waiting to hash password: %w", ctx.Err()))
	}
}

// abandon takes a waiter out of the queue, unless its turn has come just now.
func (q *hashQueue) abandon(w *waiter, why error) (*lane, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place == nil {
		if err := <-w.turn; err != nil {
			return nil, err
		}
		return w.lane.top(), nil
	}
	w.remove()
	return nil, why
}

// leave gives back the slot of a piece of work that took a time, or of one that
// did not begin.
func (q *hashQueue) leave(top *lane, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if took > 0 {
		q.mean += time.Duration(meanWeight * float64(took-q.mean))
	}
	q.free++
	top.running--
	top.tidy()
	q.dispatch()
}

func (q *hashQueue) class(known bool) *lane {
	if known {
		return q.classes[1]
	}
	return q.classes[0]
}

// dispatch gives the free slots to the waiters whose turn it is.
func (q *hashQueue) dispatch() {
	for q.free > 0 {
		known := !q.lastKnown
		w := q.next(known)
		if w == nil {
			known = !known
			w = q.next(known)
		}
		if w == nil {
			return
		}
		q.lastKnown = known
		q.free--
		w.lane.top().running++
		w.turn <- nil
	}
}

// next takes out the waiter of a class whose turn it is, or returns nil.
func (q *hashQueue) next(known bool) *waiter {
	if known {
		return q.classes[1].next(accountRunning)
	}
	return q.classes[0].next(noLimit)
}

// room is how many may wait: those that get their turn within maxWait.
func (q *hashQueue) room() int {
	return max(q.slots, int(float64(q.maxWait)/float64(q.mean)*float64(q.slots)))
}

// makeRoom refuses one waiter when the newcomer w is one too many.
func (q *hashQueue) makeRoom(w *waiter, known bool) {
	room := q.room()
	if q.classes[0].waiting+q.classes[1].waiting <= room {
		return
	}
	crowded := q.class(known)
	if crowded.waiting <= room/2 { // the other class has more than its half
		crowded = q.class(!known)
	}
	out := crowded.newest(w)
	reason := ErrLaneFull
	if !out.lane.top().isLongest() {
		reason = ErrBusy // no lane is longer than the others
	}
	q.refuse(out, reason)
}

// refuse takes a waiter out of the queue.
func (q *hashQueue) refuse(w *waiter, reason error) {
	depth := q.classes[0].waiting + q.classes[1].waiting
	w.remove()
	after := time.Duration(depth) * q.mean / time.Duration(q.slots)
	w.turn <- &QueueError{reason, max(time.Second, after)}
}

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
	// ErrBusy means that too many passwords wait to be hashed.
	ErrBusy = errors.New("too many passwords wait to be hashed")

	// ErrLaneFull means that too many of the waiting passwords are in the lane of this
	// one.
	ErrLaneFull = errors.New("too many passwords wait in this lane")
)

// QueueError is ErrBusy or ErrLaneFull with the time after which a turn is likely.
type QueueError struct {
	Reason error
	After  time.Duration // at least a second
}

func (e *QueueError) Error() string { return "waiting to hash password: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *QueueError) Unwrap() error { return e.Reason }

// Turn selects the lane in which a password waits for its hash. The queue serves the
// lanes of one level in turn, so that a crowd in one lane delays that lane alone.
type Turn struct {
	Class HashClass

	// Lanes are the names of the lane and of the lane inside it, the outermost first:
	// account and device for a known client, the networks for a stranger, the email for a
	// callback. A client that only shares a network with an account gets a lane beside
	// those of the account's devices, which it would delay otherwise. An empty list is a
	// lane of its own.
	Lanes []string

	// Networks are the lanes of a known client as a stranger. The client waits there if
	// the lane of the account is full.
	Networks []string

	// Start is called at the beginning of the turn, unless it is nil. If it returns an
	// error, the turn goes to the next waiter, and the caller gets that error.
	Start func() error
}

// Bounds of the lane of one account with known clients. A person logs in on few devices at a
// time; further logins wait as strangers.
const (
	accountRunning = 1
	accountWaiting = 4
)

// leastWeight is the weight of the latest hash in the moving mean, after the first ones: the
// time that is expected before any hash counts as one of them.
const leastWeight = 0.1

// hashQueue runs a bounded number of hashes at once; the others wait in lanes. Without
// a bound, 200 concurrent logins took 6.4 GB at 21 logins a second; two at a time took
// 122 MB at 57.
//
// The only bound on the number of waiters is one for all, so that an idle server serves
// a crowd. At the bound, the newest waiter of the longest lane is refused (longest
// queue drop: RFC 7567 section 4, "fair queuing"), so that a crowd never displaces a
// single client. A crowd of more networks than the queue has places makes all lanes equally
// long; then the one with the most pressure makes room. Of the classes, the
// longest makes room, so that each may fill a third of the queue, whatever the others do, and
// half of it beside one other.
type hashQueue struct {
	maxWait time.Duration  // for a turn
	observe func(HashWait) // Params.Observe

	mu      sync.Mutex
	slots   int // hashes that may run at once
	free    int
	mean    time.Duration // moving, of one hash
	hashes  int           // in the mean
	classes [classes]*lane
	last    HashClass // that was served
	history history
}

func newHashQueue(slots int, maxWait, expected time.Duration) *hashQueue {
	return &hashQueue{
		maxWait: maxWait, observe: func(HashWait) {}, free: slots, slots: slots, mean: max(expected, time.Microsecond), hashes: 1,
		classes: [classes]*lane{Strangers: {}, Known: {}, Callbacks: {forgets: true}}, history: history{start: time.Now()},
	}
}

// waiter is one hash that waits.
type waiter struct {
	lane  *lane         // the innermost
	place *list.Element // in the lane's queue
	turn  chan error    // gets one value: nil at the beginning of the turn
}

// do runs work in the calling goroutine. Work cannot be interrupted, so it keeps its
// slot until it returns, even if ctx ends: its memory is in use until then. If work has
// not run, do returns a QueueError, or the wrapped error of ctx.
func (q *hashQueue) do(ctx context.Context, t Turn, work func()) error {
	if err := ctx.Err(); err != nil { // a free slot must not be spent on a client that has left
		return fmt.Errorf("hashing password: %w", err)
	}
	begun := time.Now()
	l, err := q.enter(ctx, t)
	q.observe(HashWait{Class: t.Class, Took: time.Since(begun), Err: err})
	if err != nil {
		return err
	}
	started := time.Now()
	took := func() time.Duration { return time.Since(started) }
	defer func() { q.leave(l, took()) }()
	if t.Start != nil {
		if err := t.Start(); err != nil {
			took = func() time.Duration { return 0 } // no hash has run: the mean stays
			return err
		}
	}
	work()
	return nil
}

// enter waits for a turn. It returns the innermost lane of the waiter.
func (q *hashQueue) enter(ctx context.Context, t Turn) (*lane, error) {
	q.mu.Lock()
	class, lanes := t.Class, t.Lanes
	if class == Known && q.classes[Known].lengthOf(lanes[0]) >= accountWaiting {
		class, lanes = Strangers, t.Networks
	}
	l := q.classes[class].lane(append(lanes[:len(lanes):len(lanes)], ""))
	q.history.asked(l)
	w := l.push()
	q.dispatch()
	if w.place != nil {
		q.makeRoom(w, class)
	}
	q.mu.Unlock()

	timer := time.NewTimer(q.maxWait)
	defer timer.Stop()
	select {
	case err := <-w.turn:
		return w.lane, err
	case <-timer.C:
		return q.abandon(w, &QueueError{ErrBusy, q.maxWait})
	case <-ctx.Done():
		return q.abandon(w, fmt.Errorf("waiting to hash password: %w", ctx.Err()))
	}
}

// abandon removes a waiter from the queue, unless its turn has just begun.
func (q *hashQueue) abandon(w *waiter, reason error) (*lane, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place == nil {
		if err := <-w.turn; err != nil {
			return nil, err
		}
		return w.lane, nil
	}
	if told, ok := errors.AsType[*QueueError](reason); ok {
		q.history.refused(w.lane, told.After)
	}
	w.remove()
	return nil, reason
}

// leave returns a slot. took is the time of the hash, or 0 if none has run.
func (q *hashQueue) leave(l *lane, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if took > 0 {
		q.hashes++
		q.mean += time.Duration(max(leastWeight, 1/float64(q.hashes)) * float64(took-q.mean))
	}
	for ; l != nil; l = l.outer {
		l.running--
		l.update()
	}
	q.free++
	q.dispatch()
}

// dispatch gives the free slots to the next waiters.
func (q *hashQueue) dispatch() {
	for q.free > 0 {
		w := q.next()
		if w == nil {
			return
		}
		q.free--
		q.history.count(w.lane)
		w.turn <- nil
	}
}

// next removes and returns the next waiter, or nil. The classes are served in turn; one without
// waiters is passed over.
func (q *hashQueue) next() *waiter {
	for i := range classes {
		class, limit := (q.last+1+i)%classes, noLimit
		if class == Known {
			limit = accountRunning
		}
		if w := q.classes[class].next(limit); w != nil {
			q.last = class
			return w
		}
	}
	return nil
}

// room returns how many may wait: as many as get their turn within maxWait.
func (q *hashQueue) room() int {
	return max(q.slots, int(float64(q.maxWait)/float64(q.mean)*float64(q.slots)))
}

// waiting returns how many wait.
func (q *hashQueue) waiting() (n int) {
	for _, class := range q.classes {
		n += class.waiting
	}
	return n
}

// makeRoom refuses one waiter if w, the newest, exceeds the bound. Among equally long classes,
// that of w makes room.
func (q *hashQueue) makeRoom(w *waiter, class HashClass) {
	if q.waiting() <= q.room() {
		return
	}
	crowded := q.classes[class]
	for _, other := range q.classes {
		if other.waiting > crowded.waiting {
			crowded = other
		}
	}
	out := crowded.newest(w)
	reason := ErrLaneFull
	if !out.lane.top().isLongest() {
		reason = ErrBusy // no lane is the longest
	}
	q.refuse(out, reason)
}

// refuse removes a waiter from the queue and wakes it with an error.
func (q *hashQueue) refuse(w *waiter, reason error) {
	err := q.refusal(reason)
	q.history.refused(w.lane, err.After)
	w.remove()
	w.turn <- err
}

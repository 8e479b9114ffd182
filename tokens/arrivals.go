package tokens

import (
	"slices"
	"time"
)

// arrive announces a client that is about to look up an account, and then to wait for
// its turn. It returns a [QueueError] if the queue would refuse the client as soon as it
// waits: the look-ups, which cost more than the refusal, would be wasted. Announced clients
// count as waiters of their lanes. A lane without waiters and pressure always passes. The
// returned function ends the announcement; call it once, before the wait begins.
func (q *hashQueue) arrive(t Turn) (leave func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	class, lanes := q.classes[t.Class], t.Lanes
	if len(lanes) > 0 {
		if top := class.inner[lanes[0]]; top != nil {
			q.history.asked(top)
		}
	}
	if class.expected() >= q.share(t.Class) && class.isLongestWith(lanes) {
		return nil, q.refuseArrival(class.inner[lanes[0]])
	}
	l := class.lane(lanes)
	announce(l, 1)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		announce(l, -1)
	}, nil
}

// refuseArrival notes the refusal of an announced client, and returns its error.
func (q *hashQueue) refuseArrival(top *lane) *QueueError {
	reason := ErrLaneFull
	if top.expected() == 0 {
		reason = ErrBusy
	}
	err := q.refusal(reason)
	q.history.refused(top, err.After)
	return err
}

// announce adds n to the arrivals of a lane.
func announce(l *lane, n int) {
	for ; l != nil; l = l.outer {
		l.arriving += n
		l.update()
	}
}

// share returns how many waiters of a class the queue keeps beside those of the other classes:
// what they leave, and no less than each of those keeps that are longer.
func (q *hashQueue) share(class HashClass) int {
	others := make([]int, 0, classes)
	for c, other := range q.classes {
		if HashClass(c) != class {
			others = append(others, other.waiting)
		}
	}
	slices.Sort(others)
	room, sharing := q.room(), len(q.classes)
	for _, waiting := range others {
		if waiting <= room/sharing {
			room, sharing = room-waiting, sharing-1
		}
	}
	return room / sharing
}

// expected returns the number of waiters of a lane once all that are announced have arrived.
func (l *lane) expected() int { return l.waiting + l.arriving }

// isLongestWith reports whether one more waiter makes each lane of a path the one that
// makes room: no lane beside it is longer, or as long with more pressure. It is false for a
// lane that has neither waiters nor pressure.
func (l *lane) isLongestWith(path []string) bool {
	for _, name := range path {
		own := l.inner[name]
		if own == nil || own.expected() == 0 && own.pressure() == 0 {
			return false
		}
		with := load{own.expected() + 1, own.pressure()}
		for _, other := range l.active {
			if coming := (load{other.expected(), other.pressure()}); other != own && coming.exceeds(with) {
				return false
			}
		}
		l = own
	}
	return len(path) > 0
}

// refusal returns the error for a waiter that the queue does not take.
func (q *hashQueue) refusal(reason error) *QueueError {
	after := time.Duration(q.waiting()) * q.mean / time.Duration(q.slots)
	return &QueueError{reason, max(time.Second, after)}
}

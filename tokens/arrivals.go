package tokens

import "time"

// arrive announces a stranger that is about to look up an account, and then to wait for
// a hash. It returns a [QueueError] if the queue is full and the stranger's lane has
// waiters, none of the other lanes being longer: the queue would refuse it, and the
// look-ups, which cost more than the refusal, would be wasted. Announced strangers count
// as waiters of their lanes. A lane without waiters always passes. The returned function ends the announcement; call it once, before the
// wait begins.
func (q *hashQueue) arrive(lanes []string) (leave func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if strangers := q.classes[0]; q.isCrowded(strangers) && strangers.isLongestWith(lanes) {
		return nil, q.refusal(ErrLaneFull)
	}
	l := q.classes[0].lane(lanes)
	for in := l; in != nil; in = in.outer {
		in.arriving++
	}
	return func() { q.arrived(l) }, nil
}

// arrived ends the announcement of a stranger.
func (q *hashQueue) arrived(l *lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for in := l; in != nil; in = in.outer {
		in.arriving--
	}
	for ; l.outer != nil; l = l.outer {
		l.tidy()
	}
}

// isCrowded reports whether the queue is full and strangers fill more than their half.
func (q *hashQueue) isCrowded(strangers *lane) bool {
	room := q.room()
	coming := strangers.expected()
	return coming > room/2 && coming+q.classes[1].waiting >= room
}

// expected returns the number of waiters of a lane once all that are announced have arrived.
func (l *lane) expected() int { return l.waiting + l.arriving }

// isLongestWith reports whether one more waiter makes each lane of a path at least as
// long as the lanes beside it, and none of the path was empty.
func (l *lane) isLongestWith(path []string) bool {
	for _, name := range path {
		own := l.inner[name]
		if own == nil || own.expected() == 0 {
			return false
		}
		for _, other := range l.inner {
			if other.expected() > own.expected()+1 {
				return false
			}
		}
		l = own
	}
	return len(path) > 0
}

// refusal returns the error for a waiter that the queue does not take.
func (q *hashQueue) refusal(reason error) *QueueError {
	depth := q.classes[0].waiting + q.classes[1].waiting
	after := time.Duration(depth) * q.mean / time.Duration(q.slots)
	return &QueueError{reason, max(time.Second, after)}
}

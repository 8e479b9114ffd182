package tokens

import "time"

// arrive announces a stranger that is about to look up an account, and then to wait for
// a hash. It returns a [QueueError] if the queue would refuse the stranger as soon as it
// waits: the look-ups, which cost more than the refusal, would be wasted. Announced strangers
// count as waiters of their lanes. A lane without waiters and pressure always passes. The
// returned function ends the announcement; call it once, before the wait begins.
func (q *hashQueue) arrive(lanes []string) (leave func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	strangers := q.classes[0]
	if len(lanes) > 0 {
		if top := strangers.inner[lanes[0]]; top != nil {
			q.history.asked(top)
		}
	}
	if q.isCrowded(strangers) && strangers.isLongestWith(lanes) {
		return nil, q.refuseArrival(strangers.inner[lanes[0]])
	}
	l := strangers.lane(lanes)
	announce(l, 1)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		announce(l, -1)
	}, nil
}

// refuseArrival notes the refusal of a stranger, and returns its error.
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

// isCrowded reports whether the queue is full and strangers fill more than their half.
func (q *hashQueue) isCrowded(strangers *lane) bool {
	room := q.room()
	coming := strangers.expected()
	return coming > room/2 && coming+q.classes[1].waiting >= room
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
	depth := q.classes[0].waiting + q.classes[1].waiting
	after := time.Duration(depth) * q.mean / time.Duration(q.slots)
	return &QueueError{reason, max(time.Second, after)}
}

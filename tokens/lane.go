package tokens

import "container/list"

// lane is a queue of waiters, or a set of lanes that are served in turn. A class is the
// outermost lane; the lanes directly inside it are its top lanes.
//
// The order is that of FQ-CoDel (RFC 8290 section 4.2). A lane that starts to wait is
// fresh and need not wait for a whole round. After its first turn it is an old lane,
// even if it is empty by then, so that a quick return does not make it fresh again. An
// old lane that has waited longer than the fresh ones gets every second turn, so that
// no lane starves.
type lane struct {
	name  string
	outer *lane
	inner map[string]*lane

	waiting  int       // waiters in this lane, with all lanes inside
	arriving int       // strangers that are about to wait in it; see hashQueue.arrive
	running  int       // of a top lane: its running hashes
	queue    list.List // of an innermost lane: *waiter, the oldest first

	fresh, old list.List // of *lane, the next one first
	oldNext    bool

	turns *list.List    // the list of the outer lane that contains this one, or nil
	place *list.Element // in turns
	since int           // the outer lane's count when this one was put into turns
	count int           // how many lanes were put into fresh or old
}

// lane returns the innermost lane of a path. It creates missing lanes.
func (l *lane) lane(path []string) *lane {
	for _, name := range path {
		next := l.inner[name]
		if next == nil {
			next = &lane{name: name, outer: l}
			if l.inner == nil {
				l.inner = map[string]*lane{}
			}
			l.inner[name] = next
		}
		l = next
	}
	return l
}

// push appends a waiter to an innermost lane.
func (l *lane) push() *waiter {
	w := &waiter{lane: l, turn: make(chan error, 1)}
	w.place = l.queue.PushBack(w)
	for ; l.outer != nil; l = l.outer {
		if l.turns == nil {
			l.enlist(&l.outer.fresh)
		}
		l.waiting++
	}
	l.waiting++
	return w
}

// remove removes a waiter that got no turn. Its lane leaves no trace.
func (w *waiter) remove() {
	w.take()
	for l := w.lane; l.outer != nil; l = l.outer {
		if l.waiting == 0 && l.turns == &l.outer.fresh {
			l.enlist(nil)
		}
		l.tidy()
	}
}

// take removes a waiter from its queue and from the counts.
func (w *waiter) take() {
	w.lane.queue.Remove(w.place)
	w.place = nil
	for l := w.lane; l != nil; l = l.outer {
		l.waiting--
	}
}

// enlist moves a lane to the end of a list of its outer lane, or out of all lists if
// turns is nil.
func (l *lane) enlist(turns *list.List) {
	if l.turns != nil {
		l.turns.Remove(l.place)
	}
	l.turns, l.place = turns, nil
	if turns != nil {
		l.place = turns.PushBack(l)
		l.outer.count++
		l.since = l.outer.count
	}
}

// tidy deletes a lane without waiters, arrivals, running hashes and place in a list.
func (l *lane) tidy() {
	if l.waiting+l.arriving+l.running == 0 && l.turns == nil {
		delete(l.outer.inner, l.name)
	}
}

// top returns the top lane that contains l.
func (l *lane) top() *lane {
	for l.outer.outer != nil {
		l = l.outer
	}
	return l
}

// next removes and returns the next waiter, or nil. It skips inner lanes with at least
// limit running hashes.
func (l *lane) next(limit int) *waiter {
	if front := l.queue.Front(); front != nil {
		w := front.Value.(*waiter)
		w.take()
		return w
	}
	fresh, old := firstWaiting(&l.fresh, limit), firstWaiting(&l.old, limit)
	inner := fresh
	if fresh == nil || old != nil && l.oldNext && old.since < fresh.since {
		inner = old
	}
	if inner == nil {
		return nil
	}
	l.oldNext = inner == fresh
	inner.enlist(&l.old)
	return inner.next(noLimit)
}

// noLimit is a limit that no number of running hashes reaches.
const noLimit = 1 << 30

// firstWaiting returns the first lane with a waiter that may run. It removes lanes that
// have become empty since their last turn.
func firstWaiting(turns *list.List, limit int) *lane {
	for e := turns.Front(); e != nil; {
		l := e.Value.(*lane)
		e = e.Next()
		switch {
		case l.waiting == 0:
			l.enlist(nil)
			l.tidy()
		case l.running < limit:
			return l
		}
	}
	return nil
}

// lengthOf returns the number of waiters in the inner lane called name.
func (l *lane) lengthOf(name string) int {
	if inner := l.inner[name]; inner != nil {
		return inner.waiting
	}
	return 0
}

// newest returns the last waiter of the longest lane. Among equally long lanes it
// prefers one that has had a turn recently, then the lane of the newcomer: frequent
// clients never displace a rare one.
func (l *lane) newest(newcomer *waiter) *waiter {
	if back := l.queue.Back(); back != nil {
		return back.Value.(*waiter)
	}
	var longest *lane
	for _, inner := range l.inner {
		if longest == nil || inner.waiting > longest.waiting || inner.waiting == longest.waiting && inner.rank(newcomer) > longest.rank(newcomer) {
			longest = inner
		}
	}
	return longest.newest(newcomer)
}

// rank orders equally long lanes: the newest waiter of the highest is refused.
func (l *lane) rank(newcomer *waiter) int {
	switch {
	case l.turns == &l.outer.old:
		return 2
	case newcomer.isIn(l):
		return 1
	}
	return 0
}

func (w *waiter) isIn(l *lane) bool {
	for in := w.lane; in != nil; in = in.outer {
		if in == l {
			return true
		}
	}
	return false
}

// isLongest reports whether a top lane has several waiters, and more than any other.
func (l *lane) isLongest() bool {
	for _, other := range l.outer.inner {
		if other != l && other.waiting >= l.waiting {
			return false
		}
	}
	return l.waiting > 1
}

package tokens

import "container/list"

// lane is a queue of waiters, or lanes that are served in turn. A class is the
// lane around all of its lanes; the lanes right inside it are its top lanes.
//
// The order is that of FQ-CoDel (RFC 8290 section 4.2): a lane that begins to
// wait is fresh and need not wait for a whole round, and after its first turn it
// is one of the old ones, also when it is empty by then: coming back soon does
// not make it fresh again. An old lane that waits for longer than the fresh ones
// gets every second turn, so that no lane starves.
type lane struct {
	name  string
	outer *lane
	inner map[string]*lane

	waiting int       // waiters in here
	running int       // of a top lane: its work that runs
	queue   list.List // of *waiter, the oldest first; of an innermost lane

	fresh, old list.List // of *lane, the next one first
	oldNext    bool

	turns *list.List    // the list of the outer lane that this one is in, or nil
	place *list.Element // in turns
	since int           // when it got there, by the outer lane's count
	count int           // of lanes that got into a list here
}

// lane returns the innermost lane of a path, and makes what is missing.
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

// push adds a waiter to the end of an innermost lane.
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

// remove takes a waiter out that got no turn. Its lane has gained nothing, so it
// leaves no trace.
func (w *waiter) remove() {
	w.take()
	for l := w.lane; l.outer != nil; l = l.outer {
		if l.waiting == 0 && l.turns == &l.outer.fresh {
			l.enlist(nil)
		}
		l.tidy()
	}
}

// take takes a waiter out of its queue and the counts.
func (w *waiter) take() {
	w.lane.queue.Remove(w.place)
	w.place = nil
	for l := w.lane; l != nil; l = l.outer {
		l.waiting--
	}
}

// enlist moves a lane to the end of a list of its outer lane, or out of all.
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

// tidy forgets a lane in which nothing is left.
func (l *lane) tidy() {
	if l.waiting == 0 && l.running == 0 && l.turns == nil {
		delete(l.outer.inner, l.name)
	}
}

// top is the top lane around a lane.
func (l *lane) top() *lane {
	for l.outer.outer != nil {
		l = l.outer
	}
	return l
}

// next takes out the waiter whose turn it is, or returns nil. Lanes right
// inside with as much running work as limit are passed over.
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

// noLimit is the limit of lanes whose running work is not counted.
const noLimit = 1 << 30

// firstWaiting finds the next lane with a waiter that may run. It drops the
// lanes that have emptied since their last turn.
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

// lengthOf is how many wait in the lane of a name right inside.
func (l *lane) lengthOf(name string) int {
	if inner := l.inner[name]; inner != nil {
		return inner.waiting
	}
	return 0
}

// newest is the last waiter of the longest lane. Of several that are equally
// long it is one that has had turns of late, else that of the newcomer: a client
// that comes seldom is not pushed out by those that come again and again.
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

// rank orders equally long lanes by who has to make room first.
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

// isLongest reports whether a top lane is longer than all others, and a crowd.
func (l *lane) isLongest() bool {
	for _, other := range l.outer.inner {
		if other != l && other.waiting >= l.waiting {
			return false
		}
	}
	return l.waiting > 1
}

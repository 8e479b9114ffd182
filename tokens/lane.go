package tokens

import (
	"container/list"
	"slices"
)

// lane is a queue of waiters, or a set of lanes that are served in turn. A class is the
// outermost lane; the lanes directly inside it are its top lanes.
//
// Every second turn goes to the lane with the least pressure, and every other one to the lane
// that has waited longest since its last turn. So a rare client goes before frequent ones, and
// no lane starves. (FQ-CoDel, RFC 8290 section 4.2, prefers its "new" queues for the same
// reason, but forgets a queue as soon as it is empty. Hashes are so few that the networks of a
// crowd are often empty.)
type lane struct {
	name   string
	outer  *lane
	inner  map[string]*lane
	active []*lane // those of inner with waiters, arrivals or running hashes, in no order
	index  int     // in outer.active, or -1

	waiting  int       // waiters in this lane, with all lanes inside
	arriving int       // clients that are about to wait in it; see hashQueue.arrive
	running  int       // hashes, with those of all lanes inside
	queue    list.List // of an innermost lane: *waiter, the oldest first

	count     int  // of since
	since     int  // the outer lane's count when this one began to wait, or had its last turn
	rareFirst bool // the latest turn went to the lane with the least pressure

	memory  *memory // of a top lane, or nil
	forgets bool    // a class whose top lanes have no memory
}

// lane returns the innermost lane of a path. It creates missing lanes.
func (l *lane) lane(path []string) *lane {
	for _, name := range path {
		next := l.inner[name]
		if next == nil {
			next = &lane{name: name, outer: l, index: -1}
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
	for ; l != nil; l = l.outer {
		if l.waiting++; l.waiting == 1 {
			l.goLast()
		}
		l.update()
	}
	return w
}

// remove removes a waiter from its queue and from the counts.
func (w *waiter) remove() {
	w.lane.queue.Remove(w.place)
	w.place = nil
	for l := w.lane; l != nil; l = l.outer {
		l.waiting--
		l.update()
	}
}

// goLast puts a lane behind the others in the order of their waits.
func (l *lane) goLast() {
	if l.outer != nil {
		l.outer.count++
		l.since = l.outer.count
	}
}

// update keeps the active lanes of the outer lane, and forgets a lane of which nothing is
// left. Call it after a change of its counts.
func (l *lane) update() {
	if l.outer == nil {
		return
	}
	active := &l.outer.active
	switch inUse := l.expected()+l.running > 0; {
	case inUse && l.index < 0:
		l.index = len(*active)
		*active = append(*active, l)
	case !inUse && l.index >= 0:
		last := len(*active) - 1
		(*active)[last].index = l.index
		(*active)[l.index] = (*active)[last]
		*active = slices.Delete(*active, last, last+1)
		l.index = -1
	}
	if l.index < 0 && l.memory == nil {
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

// next removes and returns the waiter whose turn it is, and counts its hash as running. It
// skips lanes inside with at least limit running hashes, and returns nil if there is none.
func (l *lane) next(limit int) *waiter {
	if front := l.queue.Front(); front != nil {
		w := front.Value.(*waiter)
		for in := w.lane; in != nil; in = in.outer {
			in.running++
		}
		w.remove()
		return w
	}
	rarest, longest := l.candidates(limit)
	if rarest == nil {
		return nil
	}
	l.rareFirst = !l.rareFirst
	chosen := longest
	if l.rareFirst {
		chosen = rarest
	}
	chosen.goLast()
	return chosen.next(noLimit)
}

// noLimit is a limit that no number of running hashes reaches.
const noLimit = 1 << 30

// candidates returns the waiting inner lane with the least pressure, and the one that has
// waited longest; nil, nil if all have reached the limit.
func (l *lane) candidates(limit int) (rarest, longest *lane) {
	for _, in := range l.active {
		if in.waiting == 0 || in.running >= limit {
			continue
		}
		if longest == nil || in.since < longest.since {
			longest = in
		}
		if rarest == nil || in.pressure() < rarest.pressure() || in.pressure() == rarest.pressure() && in.since < rarest.since {
			rarest = in
		}
	}
	return rarest, longest
}

// pressure returns what a lane has asked of the queue of late, for comparisons: of a top
// lane that of its memory, which exceeds 1, and of a lane without memory its running hashes.
func (l *lane) pressure() float64 {
	if l.memory == nil {
		return float64(l.running)
	}
	return l.memory.pressure
}

// lengthOf returns the number of waiters in the inner lane called name.
func (l *lane) lengthOf(name string) int {
	if inner := l.inner[name]; inner != nil {
		return inner.waiting
	}
	return 0
}

// newest returns the last waiter of the longest lane. Among equally long lanes it prefers
// the one with the most pressure, then the lane of the newcomer: frequent clients never
// displace a rare one.
func (l *lane) newest(newcomer *waiter) *waiter {
	if back := l.queue.Back(); back != nil {
		return back.Value.(*waiter)
	}
	var longest *lane
	for _, in := range l.active {
		switch {
		case in.waiting == 0:
		case longest == nil || in.load().exceeds(longest.load()) || newcomer.isIn(in) && !longest.load().exceeds(in.load()):
			longest = in
		}
	}
	return longest.newest(newcomer)
}

// load is what lanes are compared by when one has to make room.
type load struct {
	waiters  int
	pressure float64
}

func (l *lane) load() load { return load{l.waiting, l.pressure()} }

// exceeds reports whether a has more waiters than b, or as many and more pressure.
func (a load) exceeds(b load) bool {
	return a.waiters > b.waiters || a.waiters == b.waiters && a.pressure > b.pressure
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
	for _, other := range l.outer.active {
		if other != l && other.waiting >= l.waiting {
			return false
		}
	}
	return l.waiting > 1
}

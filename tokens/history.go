package tokens

import (
	"container/list"
	"time"
)

// Bounds of what the queue remembers.
const (
	// remembered is how long a lane is remembered after its latest event. A client that
	// tries less often than this costs little.
	remembered = time.Minute

	// maxRemembered bounds the remembered lanes, of about 400 bytes each.
	maxRemembered = 10_000

	// maxPressure is the pressure from which lanes are treated alike: many people behind
	// one address fare like those of any other busy network.
	maxPressure = 64
)

// memory is what the queue remembers of a top lane.
//
// Its events are the lane's hashes, and its requests that came before the time that a
// refusal had told. The first kind tells a network that guesses patiently from one that
// logs in; the second one tells a crowd before it has had a hash, while a client that is
// refused and waits as told stands no worse than a new one.
type memory struct {
	lane   *lane
	events int
	latest time.Time // of an event or a refusal
	told   time.Time // the time after which the lane was told to try again
	place  *list.Element
}

// history is the memories of the lanes, in the order of their latest events.
type history struct {
	memories list.List // of *memory
}

// recall returns the memory of the top lane of l, which it creates if it is missing, as that
// with the latest event.
func (h *history) recall(l *lane) *memory {
	l = l.top()
	if l.memory == nil {
		l.memory = &memory{lane: l}
		l.memory.place = h.memories.PushBack(l.memory)
	}
	h.memories.MoveToBack(l.memory.place)
	l.memory.latest = time.Now()
	h.forget()
	return l.memory
}

// hashed notes that a hash of a lane has ended.
func (h *history) hashed(l *lane) { h.recall(l).events++ }

// refused notes that a lane was told to try again after a time.
func (h *history) refused(l *lane, after time.Duration) {
	m := h.recall(l)
	m.told = m.latest.Add(after)
}

// asked notes a request of a top lane, if it comes before the time that the lane was told.
func (h *history) asked(top *lane) {
	if top != nil && top.memory != nil && time.Now().Before(top.memory.told) {
		h.recall(top).events++
	}
}

// forget ends the memories that are too old or too many.
func (h *history) forget() {
	for e := h.memories.Front(); e != nil; e = h.memories.Front() {
		m := e.Value.(*memory)
		if h.memories.Len() <= maxRemembered && time.Since(m.latest) < remembered {
			return
		}
		h.memories.Remove(e)
		m.lane.memory = nil
		m.lane.update()
	}
}

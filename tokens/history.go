package tokens

import (
	"container/list"
	"math"
	"time"
)

// Bounds of what the queue remembers.
const (
	// halfLife is the time in which an event loses half of its weight. With one minute, a user
	// who mistypes a password twice stands worse than each of 400 networks that guess.
	halfLife = 5 * time.Minute

	// remembered is how long a lane is remembered after its latest event or refusal.
	remembered = 2 * halfLife

	// maxRemembered bounds the remembered lanes, of about 400 bytes each.
	maxRemembered = 10_000
)

// memory is what the queue remembers of a top lane, except those of callbacks: whether an email
// stands better or worse would tell which users log in. It would also not help, because an
// attacker can use every email once.
//
// Its events are the lane's turns, and its requests that came before the time that a
// refusal had told. The first kind tells a network that guesses patiently from one that
// logs in; the second one tells a crowd before it has had a hash, while a client that is
// refused and waits as told stands no worse than a new one.
type memory struct {
	lane *lane

	// pressure is the weight of the events, as the binary logarithm of what it would be if
	// none had lost weight since the start of the clock. So that of two lanes can be compared
	// at any time without a look at the clock ("forward decay", Cormode et al., ICDE 2009).
	// 0 means no event.
	pressure float64

	latest time.Time // event or refusal
	told   time.Time // the time after which the lane was told to try again, or zero once it came back earlier
	place  *list.Element
}

// history is the memories of the lanes, in the order of their latest events or refusals.
type history struct {
	start    time.Time // of the clock
	memories list.List // of *memory
}

// clock returns the time in half-lives, at least 1.
func (h *history) clock() float64 {
	return 1 + float64(time.Since(h.start))/float64(halfLife)
}

// recall returns the memory of the top lane of l as that with the latest event. It creates
// a missing one.
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

// count notes an event of a lane.
func (h *history) count(l *lane) {
	if l.top().outer.forgets {
		return
	}
	now, m := h.clock(), h.recall(l)
	if m.pressure == 0 {
		m.pressure = now
	} else {
		m.pressure = now + math.Log2(1+math.Exp2(m.pressure-now))
	}
}

// refused notes that a lane was told to try again after a time. If several of its clients
// were told, the first time counts.
func (h *history) refused(l *lane, after time.Duration) {
	if l.top().outer.forgets {
		return
	}
	m := h.recall(l)
	if !m.told.After(m.latest) {
		m.told = m.latest.Add(after)
	}
}

// asked notes a request of a lane, if it comes before the time that the lane was told. One
// refusal counts once.
func (h *history) asked(l *lane) {
	m := l.top().memory
	if m == nil {
		return
	}
	if h.clock()-m.pressure > float64(remembered/halfLife) { // refusals have kept it
		m.pressure = 0
	}
	if time.Now().Before(m.told) {
		m.told = time.Time{}
		h.count(l)
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

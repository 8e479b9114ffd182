package tokens

import "time"

// HashClass is one of the two classes of waiters; see [Turn].
type HashClass string

// The classes.
const (
	Strangers HashClass = "strangers"
	Known     HashClass = "known"
)

func classOf(known bool) HashClass {
	if known {
		return Known
	}
	return Strangers
}

// HashWait is one wait for a turn to hash.
type HashWait struct {
	Class HashClass     // that the password belongs to; if its lane is full, it waits as a stranger
	Took  time.Duration // 0 also for one that was refused before it waited
	Err   error         // nil: the turn came; else a [QueueError], or the error of the context
}

// HashLoad is the load of one class of the queue.
type HashLoad struct {
	Waiting int // passwords
	Lanes   int // in which passwords wait, are announced, or are hashed
}

// HashState is the state of the queue of a [Hasher].
type HashState struct {
	Slots   int // hashes that may run at once
	Running int
	Classes map[HashClass]HashLoad
}

// State returns the state of the queue. It takes the same time for any number of waiters.
func (h *Hasher) State() HashState {
	q := h.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	load := func(known bool) HashLoad { return HashLoad{q.class(known).waiting, len(q.class(known).active)} }
	return HashState{
		Slots: q.slots, Running: q.slots - q.free,
		Classes: map[HashClass]HashLoad{Strangers: load(false), Known: load(true)},
	}
}

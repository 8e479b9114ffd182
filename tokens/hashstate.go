package tokens

import "time"

// HashClass is one of the classes of waiters, which the queue serves in turn.
type HashClass int

// The classes.
const (
	// Strangers are clients of which only the network is known.
	Strangers HashClass = iota

	// Known clients probably belong to the account: they present the token of a device that
	// has logged in before, have a login session, or come from a network in which the
	// account has one.
	Known

	// Callbacks are passwords that ConnectyCube presents. They all come from one network,
	// which as a stranger would share one lane.
	Callbacks

	classes // their number
)

// HashClasses lists the classes.
func HashClasses() []HashClass { return []HashClass{Strangers, Known, Callbacks} }

// String returns the name of a class in the metrics.
func (c HashClass) String() string { return [classes]string{"strangers", "known", "callbacks"}[c] }

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
	s := HashState{Slots: q.slots, Running: q.slots - q.free, Classes: map[HashClass]HashLoad{}}
	for _, class := range HashClasses() {
		s.Classes[class] = HashLoad{q.classes[class].waiting, len(q.classes[class].active)}
	}
	return s
}

package transport

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds of the answers to GraphQL requests.
const (
	maxAnswer      = 1 << 20         // bytes of one answer's data
	maxUnwritten   = 48 << 20        // bytes of all answers that are built or written at a time
	minReadRate    = 16 << 10        // bytes a second; a slower client is disconnected
	writeGrace     = 5 * time.Second // for an answer of any size
	bytesPerValue  = 256             // reserved before the size is known: a name, a short text, punctuation
	smallestAnswer = 1 << 10         // reserved for each answer
)

// answerRoom bounds the memory of answers that clients have not read yet. The
// zero value is ready to use.
type answerRoom struct {
	unwritten atomic.Int64
}

// reservation is the part of maxUnwritten that one answer takes. A nil reservation
// takes nothing: answers without data need none.
type reservation struct {
	answers *answerRoom
	bytes   int64
}

// reserve takes room for an answer with a number of values. It returns false if there
// is none; the client then gets 503 before any work is done. Otherwise the caller must
// call release.
func (a *answerRoom) reserve(values int) (*reservation, bool) {
	r := &reservation{answers: a, bytes: int64(min(maxAnswer, smallestAnswer+values*bytesPerValue))}
	if a.unwritten.Add(r.bytes) > maxUnwritten {
		r.release()
		return nil, false
	}
	return r, true
}

// resize sets the reservation to the size of the answer. It never fails, because the
// work is done by then, and no answer exceeds [maxAnswer].
func (r *reservation) resize(bytes int64) {
	r.answers.unwritten.Add(bytes - r.bytes)
	r.bytes = bytes
}

// release returns the room. It may be called twice.
func (r *reservation) release() {
	if r != nil {
		r.resize(0)
	}
}

// write sends the parts of a body, and disconnects a client that reads an answer with data
// more slowly than minReadRate. Its deadline replaces the route's for this answer. An answer
// without a reservation keeps that of the route: it may refuse a body that is still on its
// way, and net/http sends it only after the rest of that body. The header must contain the
// length of the body.
func (a *answerRoom) write(w http.ResponseWriter, r *reservation, parts ...[]byte) {
	var size int64
	for _, p := range parts {
		size += int64(len(p))
	}
	if r != nil {
		r.resize(size)
		limit := writeGrace + time.Duration(size)*time.Second/minReadRate
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)) // a test's recorder has none
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return // the client has gone, or is too slow
		}
	}
}

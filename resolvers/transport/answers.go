package transport

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds of the answers to GraphQL requests.
const (
	maxAnswer      = 1 << 20         // bytes of one answer's data
	maxUnwritten   = 48 << 20        // bytes of all answers that are made or written at one time
	minReadRate    = 16 << 10        // bytes a second; a client that reads slower is cut
	writeGrace     = 5 * time.Second // for an answer of any size
	bytesPerValue  = 256             // reserved before the size is known: a name, a short text, punctuation
	smallestAnswer = 1 << 10         // reserved for each answer
)

// answerRoom bounds the memory of answers that clients have not read yet. The
// zero value is ready to use.
type answerRoom struct {
	unwritten atomic.Int64
}

// reservation is the part of the bound that one answer takes. A nil one takes
// nothing, as an answer that only refuses does.
type reservation struct {
	answers *answerRoom
	bytes   int64
}

// reserve takes room for an answer of a number of values. It returns false
// when there is none: the client gets 503 before any work is done for it. In
// the other case the caller must call release.
func (a *answerRoom) reserve(values int) (*reservation, bool) {
	r := &reservation{answers: a, bytes: int64(min(maxAnswer, smallestAnswer+values*bytesPerValue))}
	if a.unwritten.Add(r.bytes) > maxUnwritten {
		r.release()
		return nil, false
	}
	return r, true
}

// resize sets the size to what the answer has become. It never fails: the work
// is done by now, and no answer is larger than [maxAnswer].
func (r *reservation) resize(bytes int64) {
	r.answers.unwritten.Add(bytes - r.bytes)
	r.bytes = bytes
}

// release gives the room back. It may be called twice.
func (r *reservation) release() {
	if r != nil {
		r.resize(0)
	}
}

// write sends the parts of a body, and cuts the connection of a client that
// reads it slower than 16 KiB/s. Its deadline replaces the server's for this
// answer. The header must give the body's length.
func (a *answerRoom) write(w http.ResponseWriter, r *reservation, parts ...[]byte) {
	var size int64
	for _, p := range parts {
		size += int64(len(p))
	}
	if r != nil {
		r.resize(size)
	}
	limit := writeGrace + time.Duration(size)*time.Second/minReadRate
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)) // a test's recorder has none
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return // the client has gone, or was cut
		}
	}
}

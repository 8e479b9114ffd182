package embedded

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

const (
	maxCursors     = 500
	cursorIdle     = 10 * time.Minute
	maxCursorBytes = 64 << 20 // held by all cursors together
	maxSortBytes   = 32 << 20 // held by one sort
	maxBatchBytes  = 16 << 20
	firstBatchSize = 101 // documents, when the client does not say; MongoDB's number
)

// cursor is a result that a client reads in batches. If an index has the order, the cursor
// keeps only its position and continues in a new transaction. Between two batches it then
// sees the writes of others, as in MongoDB. Otherwise it keeps the sorted documents.
type cursor struct {
	id   int64
	ns   string
	busy bool
	used time.Time

	docs  []document // the rest of a result in memory
	bytes int        // of docs and filter

	plan       *plan // nil for a result in memory
	at         position
	filter     *filter
	projection *projection
	skip       int64
	limit      int64 // documents still to return
}

// held is the approximate number of bytes that the cursor keeps between two commands.
func (cur *cursor) held() int { return cur.bytes + 64*len(cur.at.seen) }

// maxPosition is more than the bytes that an array of a batch has for each document beside it.
const maxPosition = 16

// batch collects documents for one answer.
type batch struct {
	array []byte
	n     int
}

func newBatch() *batch { return &batch{array: make([]byte, 4, 512)} }

func (b *batch) add(d document) {
	b.array = slices.Grow(b.array, len(d)+maxPosition)
	b.array = bsoncore.AppendDocumentElement(b.array, strconv.Itoa(b.n), d)
	b.n++
}

func (b *batch) full(size int64) bool { return int64(b.n) >= size || len(b.array) >= maxBatchBytes }

func (b *batch) value() value { return (&builder{b: b.array}).array() }

// next fills b up to size documents and reports whether the result is complete.
func (cur *cursor) next(ctx context.Context, t *txn, b *batch, size int64) (done bool, err error) {
	if cur.plan == nil {
		for len(cur.docs) > 0 && !b.full(size) {
			b.add(cur.docs[0])
			cur.bytes -= len(cur.docs[0])
			cur.docs = cur.docs[1:]
		}
		return len(cur.docs) == 0, nil
	}
	c := t.catalog.collections[cur.ns]
	if c == nil || slices.ContainsFunc(cur.plan.indexes(), func(ix *index) bool { return !c.index(ix.name).same(ix) }) {
		return true, fail(codePlanKilled, "collection or index dropped or changed under the cursor")
	}
	done = true
	if cur.limit == 0 {
		return true, nil
	}
	if size == 0 {
		return false, nil
	}
	err = cur.plan.walk(ctx, t, c, &cur.at, func(_ []byte, d document) (bool, error) {
		if !cur.filter.matches(d) {
			return true, nil
		}
		if cur.skip > 0 {
			cur.skip--
			return true, nil
		}
		b.add(cur.projection.apply(d))
		cur.limit--
		if cur.limit == 0 {
			return false, nil
		}
		done = !b.full(size)
		return done, nil
	})
	return done, err
}

// cursors holds the cursors that clients have not read to the end.
type cursors struct {
	mu    sync.Mutex
	open  map[int64]*cursor
	bytes int
}

// keep stores a cursor between two commands and sets its id.
func (cs *cursors) keep(cur *cursor) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, d := range cur.docs {
		cur.bytes += len(d)
	}
	if len(cs.open) >= maxCursors || cs.bytes+cur.held() > maxCursorBytes {
		return fail(codeMemoryLimit, "too many open cursors, or too many bytes in them; close cursors or read with a limit")
	}
	if cs.open == nil {
		cs.open = map[int64]*cursor{}
	}
	for cur.id == 0 || cs.open[cur.id] != nil {
		cur.id = rand.Int64N(math.MaxInt64)
	}
	cur.used = time.Now()
	cs.open[cur.id] = cur
	cs.bytes += cur.held()
	return nil
}

// acquire returns a cursor to one getMore at a time, until release.
func (cs *cursors) acquire(id int64, ns string) (*cursor, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cur := cs.open[id]
	switch {
	case cur == nil || cur.ns != ns:
		return nil, fail(codeCursorNotFound, "cursor id %d not found", id)
	case cur.busy:
		return nil, fail(codeCursorInUse, "cursor id %d is already in use", id)
	}
	cur.busy = true
	cs.bytes -= cur.held()
	return cur, nil
}

// release ends the use that acquire began. It removes a cursor that is done or has outgrown
// maxCursorBytes.
func (cs *cursors) release(cur *cursor, done bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cur.busy, cur.used = false, time.Now()
	if done || cs.bytes+cur.held() > maxCursorBytes {
		delete(cs.open, cur.id)
		return
	}
	cs.bytes += cur.held()
}

func (cs *cursors) kill(id int64, ns string) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cur := cs.open[id]
	if cur == nil || cur.ns != ns || cur.busy {
		return false
	}
	delete(cs.open, id)
	cs.bytes -= cur.held()
	return true
}

func (cs *cursors) expire(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for id, cur := range cs.open {
		if !cur.busy && now.Sub(cur.used) > cursorIdle {
			delete(cs.open, id)
			cs.bytes -= cur.held()
		}
	}
}

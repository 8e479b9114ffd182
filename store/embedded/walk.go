package embedded

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"
)

// position is the position of a walk, with which a cursor continues in another transaction.
type position struct {
	branch int // of a union
	span   int
	after  []byte // the last entry visited in this span; nil before the first

	// seen holds the visited documents of an index over arrays, in which one document has
	// several entries.
	seen map[string]bool
}

// maxSeen bounds position.seen, which costs some 50 bytes an entry.
const maxSeen = 500_000

// markSeen notes a document and reports whether it was noted before.
func (at *position) markSeen(id []byte) (before bool, err error) {
	if at.seen == nil {
		at.seen = map[string]bool{}
	}
	if at.seen[string(id)] {
		return true, nil
	}
	if len(at.seen) == maxSeen {
		return false, fail(codeMemoryLimit, "more than %d documents found through an index over arrays", maxSeen)
	}
	at.seen[string(id)] = true
	return false, nil
}

// visitor gets a document with the key of its _id, both valid only during the call.
type visitor func(id []byte, d document) (more bool, err error)

// walk calls visit with each document of the plan, starting at a position, until visit
// wants no more.
func (p *plan) walk(ctx context.Context, t *txn, c *collection, at *position, visit visitor) error {
	if p.union != nil {
		return p.walkUnion(ctx, t, c, at, visit)
	}
	_, err := p.walkSpans(ctx, t, c, at, visit)
	return err
}

// walkSpans walks one index. more is false if visit wants no more.
func (p *plan) walkSpans(ctx context.Context, t *txn, c *collection, at *position, visit visitor) (more bool, err error) {
	w := walker{plan: p, docs: t.docs(c), at: at, visit: visit}
	w.entries = w.docs.Cursor()
	if p.ix != nil {
		w.entries = t.entries(c, p.ix).Cursor()
	}
	for ; at.span < len(p.spans); at.span, at.after = at.span+1, nil {
		if more, err = w.walkSpan(ctx, p.spans[at.span]); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// walker is the state of one walk in one transaction.
type walker struct {
	plan    *plan
	docs    *bbolt.Bucket
	entries *bbolt.Cursor // of the index, or of docs
	at      *position
	visit   visitor
	steps   int
}

func (w *walker) walkSpan(ctx context.Context, s span) (more bool, err error) {
	for k, v := w.plan.seek(w.entries, s, w.at.after); k != nil && s.contains(k); k, v = w.plan.advance(w.entries) {
		if w.steps++; w.steps%128 == 0 && ctx.Err() != nil {
			return false, contextError(ctx)
		}
		if more, err = w.visitEntry(k, v); err != nil {
			return false, err
		}
		if !more {
			w.at.after = bytes.Clone(k)
			return false, nil
		}
	}
	return true, nil
}

// visitEntry visits the document that an entry leads to, unless it was visited before.
func (w *walker) visitEntry(k, v []byte) (more bool, err error) {
	if w.plan.ix == nil {
		return w.visit(k, v)
	}
	if w.plan.ix.multikey {
		if seen, err := w.at.markSeen(v); seen || err != nil {
			return true, err
		}
	}
	return w.visit(v, w.docs.Get(v))
}

func (p *plan) advance(cur *bbolt.Cursor) (k, v []byte) {
	if p.reverse {
		return cur.Prev()
	}
	return cur.Next()
}

// seek moves to the first entry of a span, or to the entry that follows after.
func (p *plan) seek(cur *bbolt.Cursor, s span, after []byte) (k, v []byte) {
	if !p.reverse {
		from := s.lo
		if after != nil {
			from = after
		}
		k, v = cur.Seek(from)
		if after != nil && bytes.Equal(k, after) {
			return cur.Next()
		}
		return k, v
	}
	before := s.hi
	if after != nil {
		before = after
	}
	if before == nil {
		return cur.Last()
	}
	if k, _ = cur.Seek(before); k == nil {
		return cur.Last()
	}
	return cur.Prev()
}

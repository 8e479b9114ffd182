package embedded

import (
	"bytes"
	"context"
	"slices"
)

// buildMemory bounds, in bytes, the entries of a new index that are sorted at once. 500,000
// entries for email addresses need two passes. bbolt's transaction needs about twice
// the size of the whole index beside it.
const buildMemory = 32 << 20

// entryRun sorts entries of an index in bounded memory. It takes any number of entries and
// keeps the smallest ones that fit; those it had to let go come in a later pass.
type entryRun struct {
	limit  int    // bytes to hold
	after  []byte // entries up to this one were in an earlier pass; nil in the first
	before []byte // entries from this one on are left to a later pass; nil while all fit

	held    []byte // entries and their ids, one behind the other
	entries []heldEntry
	twice   []byte // id of a second document with the same entry, which a unique index refuses
}

// heldEntry is where an entry and its id lie in held.
type heldEntry struct{ at, entry, id int }

const heldEntrySize = 24

func (r *entryRun) entry(e heldEntry) []byte { return r.held[e.at : e.at+e.entry] }
func (r *entryRun) id(e heldEntry) []byte    { return r.held[e.at+e.entry : e.at+e.entry+e.id] }

// add takes one entry, copied. It reports false when there is no point in adding more,
// because two documents have the same one.
func (r *entryRun) add(entry, id []byte) bool {
	if r.after != nil && bytes.Compare(entry, r.after) <= 0 || r.before != nil && bytes.Compare(entry, r.before) >= 0 {
		return true
	}
	r.entries = append(r.entries, heldEntry{len(r.held), len(entry), len(id)})
	r.held = append(append(r.held, entry...), id...)
	if len(r.held)+heldEntrySize*len(r.entries) > r.limit && len(r.entries) > 1 {
		r.cut()
	}
	return r.twice == nil
}

// sort puts the entries in order, and finds a second document with the same one. Which of
// two is the second is decided by their ids.
func (r *entryRun) sort() {
	slices.SortFunc(r.entries, func(a, b heldEntry) int {
		if c := bytes.Compare(r.entry(a), r.entry(b)); c != 0 {
			return c
		}
		return bytes.Compare(r.id(a), r.id(b))
	})
	for i := 1; i < len(r.entries) && r.twice == nil; i++ {
		if bytes.Equal(r.entry(r.entries[i]), r.entry(r.entries[i-1])) {
			r.twice = bytes.Clone(r.id(r.entries[i]))
		}
	}
}

// cut leaves the greater half to a later pass.
func (r *entryRun) cut() {
	r.sort()
	middle := len(r.entries) / 2
	r.before = bytes.Clone(r.entry(r.entries[middle]))
	held := make([]byte, 0, len(r.held))
	for i, e := range r.entries[:middle] {
		r.entries[i].at = len(held)
		held = append(held, r.held[e.at:e.at+e.entry+e.id]...)
	}
	r.held, r.entries = held, r.entries[:middle]
}

// next begins the next pass, and reports false when there is none.
func (r *entryRun) next() bool {
	if r.before == nil {
		return false
	}
	r.after = bytes.Clone(r.entry(r.entries[len(r.entries)-1]))
	r.before, r.held, r.entries = nil, r.held[:0], r.entries[:0]
	return true
}

// build fills a new index and adds it to the catalog. The entries are put in order:
// bbolt keeps a bucket that grows in one transaction in one list, and an entry in the
// middle moves all that follow it.
func (t *txn) build(ctx context.Context, c *collection, ix *index) error {
	b, err := t.tx.Bucket(bucketData).Bucket([]byte(c.ns)).CreateBucket(ix.bucket())
	if err := t.wrote(err); err != nil {
		return err
	}
	b.FillPercent = fullPages
	if err := t.fill(ctx, c, ix, buildMemory, b.Put); err != nil {
		if t.broken != nil {
			return err
		}
		return t.abandon(c, ix, err)
	}
	return t.store(c.with(append(slices.Clone(c.indexes), ix)))
}

// fill calls put with every entry of ix in ascending order, and reads the collection as
// often as the memory, in bytes, demands.
func (t *txn) fill(ctx context.Context, c *collection, ix *index, memory int, put func(entry, id []byte) error) error {
	for r := (&entryRun{limit: memory}); ; {
		if err := t.collect(ctx, c, ix, r); err != nil {
			return err
		}
		if r.sort(); r.twice != nil {
			return duplicate(c, ix.name, ix.pattern, t.docs(c).Get(r.twice))
		}
		for i, e := range r.entries {
			if i%128 == 0 && ctx.Err() != nil {
				return expired(ctx)
			}
			if err := t.wrote(put(r.entry(e), r.id(e))); err != nil {
				return err
			}
		}
		if !r.next() {
			return nil
		}
	}
}

// collect gives r the entries of all documents, and notes whether they hold arrays.
func (t *txn) collect(ctx context.Context, c *collection, ix *index, r *entryRun) error {
	docs := t.docs(c).Cursor()
	for id, d := docs.First(); id != nil; id, d = docs.Next() {
		if ctx.Err() != nil {
			return expired(ctx)
		}
		k, err := ix.keysFor(d)
		if err != nil {
			return err
		}
		ix.multikey = ix.multikey || k.array
		for _, key := range k.keys {
			if !r.add(ix.entry(key, id), id) {
				return nil
			}
		}
	}
	return nil
}

// abandon removes what build has begun, because the transaction goes on for other commands.
func (t *txn) abandon(c *collection, ix *index, cause error) error {
	if err := t.wrote(t.tx.Bucket(bucketData).Bucket([]byte(c.ns)).DeleteBucket(ix.bucket())); err != nil {
		return err
	}
	return cause
}

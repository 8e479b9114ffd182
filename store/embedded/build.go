package embedded

import (
	"bytes"
	"context"
	"slices"
)

// buildMemory bounds, in bytes, the entries of a new index that are sorted at once. 500,000
// entries for emails need two passes. In addition, bbolt's transaction needs about twice
// the size of the whole index.
const buildMemory = 32 << 20

// entryRun sorts entries of an index in bounded memory. It accepts any number of entries and
// keeps the smallest ones that fit; a later pass sorts the others.
type entryRun struct {
	limit  int    // bytes to hold
	after  []byte // entries up to this one were in an earlier pass; nil in the first
	before []byte // a later pass sorts entries from this one on; nil while all fit

	held     []byte // entries and their ids, concatenated
	entries  []heldEntry
	repeated []byte // id of a second document with an equal entry, which a unique index refuses
}

// heldEntry is the place of an entry and its id in held.
type heldEntry struct{ at, entry, id int }

const heldEntrySize = 24

func (r *entryRun) entry(e heldEntry) []byte { return r.held[e.at : e.at+e.entry] }
func (r *entryRun) id(e heldEntry) []byte    { return r.held[e.at+e.entry : e.at+e.entry+e.id] }

// add copies one entry. It returns false when two documents have equal entries, so that
// more entries are useless.
func (r *entryRun) add(entry, id []byte) bool {
	if r.after != nil && bytes.Compare(entry, r.after) <= 0 || r.before != nil && bytes.Compare(entry, r.before) >= 0 {
		return true
	}
	r.entries = append(r.entries, heldEntry{len(r.held), len(entry), len(id)})
	r.held = append(append(r.held, entry...), id...)
	if len(r.held)+heldEntrySize*len(r.entries) > r.limit && len(r.entries) > 1 {
		r.dropGreaterHalf()
	}
	return r.repeated == nil
}

// sort sorts the entries and finds two documents with equal ones. The second of the two is
// the one with the greater id.
func (r *entryRun) sort() {
	slices.SortFunc(r.entries, func(a, b heldEntry) int {
		if c := bytes.Compare(r.entry(a), r.entry(b)); c != 0 {
			return c
		}
		return bytes.Compare(r.id(a), r.id(b))
	})
	for i := 1; i < len(r.entries) && r.repeated == nil; i++ {
		if bytes.Equal(r.entry(r.entries[i]), r.entry(r.entries[i-1])) {
			r.repeated = bytes.Clone(r.id(r.entries[i]))
		}
	}
}

// dropGreaterHalf leaves the greater half of the entries to a later pass.
func (r *entryRun) dropGreaterHalf() {
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

// next begins the next pass. It returns false after the last one.
func (r *entryRun) next() bool {
	if r.before == nil {
		return false
	}
	r.after = bytes.Clone(r.entry(r.entries[len(r.entries)-1]))
	r.before, r.held, r.entries = nil, r.held[:0], r.entries[:0]
	return true
}

// build fills a new index and adds it to the catalog. It puts the entries in ascending order
// because bbolt keeps a bucket that grows in one transaction in one list, and an insertion in
// the middle moves all later entries.
func (t *txn) build(ctx context.Context, c *collection, ix *index) error {
	b, err := t.tx.Bucket(bucketData).Bucket([]byte(c.ns)).CreateBucket(ix.bucket())
	if err := t.recordWrite(err); err != nil {
		return err
	}
	b.FillPercent = fullPages
	if err := t.fill(ctx, c, ix, buildMemory, b.Put); err != nil {
		if t.broken != nil {
			return err
		}
		return t.abandon(c, ix, err)
	}
	return t.store(c.withIndexes(append(slices.Clone(c.indexes), ix)))
}

// fill calls put with every entry of ix in ascending order. Less memory, in bytes, means
// that fill reads the collection more often.
func (t *txn) fill(ctx context.Context, c *collection, ix *index, memory int, put func(entry, id []byte) error) error {
	for r := (&entryRun{limit: memory}); ; {
		if err := t.collect(ctx, c, ix, r); err != nil {
			return err
		}
		if r.sort(); r.repeated != nil {
			return duplicate(c, ix.name, ix.pattern, t.docs(c).Get(r.repeated))
		}
		for i, e := range r.entries {
			if i%128 == 0 && ctx.Err() != nil {
				return contextError(ctx)
			}
			if err := t.recordWrite(put(r.entry(e), r.id(e))); err != nil {
				return err
			}
		}
		if !r.next() {
			return nil
		}
	}
}

// collect adds the entries of all documents to r and notes whether an array is indexed.
func (t *txn) collect(ctx context.Context, c *collection, ix *index, r *entryRun) error {
	docs := t.docs(c).Cursor()
	for id, d := docs.First(); id != nil; id, d = docs.Next() {
		if ctx.Err() != nil {
			return contextError(ctx)
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

// abandon removes an index that build did not finish, because other commands use the same
// transaction.
func (t *txn) abandon(c *collection, ix *index, cause error) error {
	if err := t.recordWrite(t.tx.Bucket(bucketData).Bucket([]byte(c.ns)).DeleteBucket(ix.bucket())); err != nil {
		return err
	}
	return cause
}

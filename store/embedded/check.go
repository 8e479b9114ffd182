package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// maxProblems bounds what Check reports of one file.
const maxProblems = 100

// errEnough ends a check that has found maxProblems.
var errEnough = errors.New("more problems than are reported")

// problems are what a check has found, one line each.
type problems []string

func (p *problems) add(format string, args ...any) error {
	if len(*p) == maxProblems {
		return errEnough
	}
	*p = append(*p, fmt.Sprintf(format, args...))
	return nil
}

// Check reads the whole file, which no server may have open, and returns what is wrong with
// it, at most 100 lines: first with the pages, then, with those right, what bbolt's own
// checker finds, and then with documents and indexes. It changes nothing. The error is
// ErrLocked when a server has the file open, and wraps ErrDamaged when the file cannot
// even be opened. A value that is wrong and well-formed is not noticed: pages have no
// checksums.
func Check(ctx context.Context, file string) ([]string, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening %s: %w", file, err)
	}
	f := &datafile{faults: faults{file, slog.New(slog.DiscardHandler)}}
	if _, err := inspect(file); err != nil {
		return nil, fmt.Errorf("opening %s: %w", file, err)
	}
	err := f.faults.run(func() (err error) {
		f.db, err = bbolt.Open(file, 0, &bbolt.Options{ReadOnly: true, Timeout: lockWait, OpenFile: f.open})
		return err
	})
	if err != nil {
		f.abandon(err)
		return nil, fmt.Errorf("opening %s: %w", file, openError(err))
	}
	defer func() { _ = f.db.Close() }()
	var found problems
	for _, step := range []func(context.Context, *problems) error{f.checkPages, f.checkTree, f.checkData} {
		if err := step(ctx, &found); err != nil && !errors.Is(err, errEnough) {
			return found, fmt.Errorf("checking %s: %w", file, err)
		}
		if len(found) > 0 { // what follows trusts it
			break
		}
	}
	return found, nil
}

// checkPages follows all references, without the map: bbolt's checker reads that on a
// goroutine of its own, where a fault would end the process.
func (f *datafile) checkPages(ctx context.Context, found *problems) error {
	w, err := f.walk(ctx, found)
	if err != nil {
		return err
	}
	return w.run()
}

// checkBranches follows the references of all branch pages, which are about one page in a
// hundred, when a server starts. A branch that leads back to itself would end the process:
// bbolt goes down it until the stack overflows, which nothing recovers.
func (f *datafile) checkBranches() error {
	var found problems
	w, err := f.walk(context.Background(), &found)
	if err != nil {
		return err
	}
	w.branchesOnly = true
	if err := w.run(); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	// A bad meta page alone is what a crash may leave; bbolt goes by the other one.
	found = slices.DeleteFunc(found, func(line string) bool { return strings.HasSuffix(line, wrongChecksum) })
	if len(found) > 0 {
		return fmt.Errorf("%w (%s); %s", ErrDamaged, found[0], damageAdvice)
	}
	return nil
}

func (f *datafile) walk(ctx context.Context, found *problems) (*pageWalk, error) {
	info, err := f.handle.Stat()
	if err != nil {
		return nil, err
	}
	return &pageWalk{ctx: ctx, file: f.handle, size: int64(f.db.Info().PageSize), length: info.Size(), found: found}, nil
}

// checkTree runs bbolt's checker: the order of keys, and pages that nothing refers to.
func (f *datafile) checkTree(ctx context.Context, found *problems) error {
	return f.view(func(tx *bbolt.Tx) error {
		var enough error
		for err := range tx.Check() { // to the end, or its goroutine would stay
			if enough == nil {
				enough = found.add("%v", err)
			}
			if ctx.Err() != nil {
				enough = ctx.Err()
			}
		}
		return enough
	})
}

// checkData compares documents and index entries with one another.
func (f *datafile) checkData(ctx context.Context, found *problems) error {
	return f.view(func(tx *bbolt.Tx) error {
		prepared, err := isPrepared(tx)
		if err != nil || !prepared { // a file that a first start has only just begun
			return err
		}
		if tx.Bucket(bucketCatalog) == nil || tx.Bucket(bucketData) == nil {
			return found.add("the catalog, or the data, is missing")
		}
		cat, err := loadCatalog(tx)
		if err != nil {
			return found.add("catalog: %v", err)
		}
		t := &txn{tx: tx, catalog: cat}
		for _, c := range cat.collections {
			if err := t.checkCollection(ctx, c, found); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkCollection checks every document, and that each index has exactly its entries.
func (t *txn) checkCollection(ctx context.Context, c *collection, found *problems) error {
	if data := t.tx.Bucket(bucketData).Bucket([]byte(c.ns)); data == nil || data.Bucket(bucketDocs) == nil {
		return found.add("collection %s has no documents' bucket", c.ns)
	}
	entries := map[string]int{} // of each index, that the documents demand
	docs := t.docs(c).Cursor()
	for id, d := docs.First(); id != nil; id, d = docs.Next() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.checkDocument(c, id, d, entries, found); err != nil {
			return err
		}
	}
	for _, ix := range c.indexes {
		b := t.bucket(c.ns, ix.bucket())
		if b == nil {
			continue // reported with each document
		}
		if n := b.Stats().KeyN; n != entries[ix.name] {
			if err := found.add("collection %s: index %s has %d entries, and the documents demand %d", c.ns, ix.name, n, entries[ix.name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *txn) checkDocument(c *collection, id []byte, d document, entries map[string]int, found *problems) error {
	if validate(d) != nil {
		return found.add("collection %s: the document with the key %x is not BSON", c.ns, id)
	}
	if key, err := idKey(d); err != nil || !bytes.Equal(key, id) {
		return found.add("collection %s: the document with the key %x has another _id", c.ns, id)
	}
	for _, ix := range c.indexes {
		k, err := ix.keysFor(d)
		if err != nil {
			return found.add("collection %s: the document with the key %x does not fit the index %s: %v", c.ns, id, ix.name, err)
		}
		b := t.bucket(c.ns, ix.bucket())
		for _, key := range k.keys {
			entries[ix.name]++
			if b != nil && bytes.Equal(b.Get(ix.entry(key, id)), id) {
				continue
			}
			if err := found.add("collection %s: the index %s does not lead to the document with the key %x", c.ns, ix.name, id); err != nil {
				return err
			}
		}
	}
	return nil
}

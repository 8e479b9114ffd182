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

// maxFindings bounds the findings of one Check.
const maxFindings = 100

// errEnough ends a check after maxFindings.
var errEnough = errors.New("too many findings")

// findings describe the damage that a check has found, one line each.
type findings []string

func (p *findings) add(format string, args ...any) error {
	if len(*p) == maxFindings {
		return errEnough
	}
	*p = append(*p, fmt.Sprintf(format, args...))
	return nil
}

// Check reads the whole file and returns its findings, at most 100 lines. No server may have
// the file open. Check examines the pages, then the tree with bbolt's own checker, then
// documents and indexes; findings in one step end the check after that step. Check never
// writes. The error is ErrLocked when a server has the file open, and wraps ErrDamaged when
// the file cannot be opened. Pages have no checksums, so Check cannot notice a wrong value
// that is well-formed.
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
	var found findings
	for _, step := range []func(context.Context, *findings) error{f.checkPages, f.checkTree, f.checkData} {
		if err := step(ctx, &found); err != nil && !errors.Is(err, errEnough) {
			return found, fmt.Errorf("checking %s: %w", file, err)
		}
		if len(found) > 0 { // the next step trusts this one
			break
		}
	}
	return found, nil
}

// checkPages follows all references between pages and reads with system calls. bbolt's checker
// reads the memory map on its own goroutine, where a fault would end the process.
func (f *datafile) checkPages(ctx context.Context, found *findings) error {
	w, err := f.walk(ctx, found)
	if err != nil {
		return err
	}
	return w.run()
}

// checkBranches follows the references of all branch pages, about one page in a hundred, when
// a server starts. bbolt would follow a branch that refers to itself until the stack
// overflows, and no code can recover from that.
func (f *datafile) checkBranches() error {
	var found findings
	w, err := f.walk(context.Background(), &found)
	if err != nil {
		return err
	}
	w.branchesOnly = true
	if err := w.run(); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	// A crash may leave one bad meta page; bbolt uses the other one.
	found = slices.DeleteFunc(found, func(line string) bool { return strings.HasSuffix(line, wrongChecksum) })
	if len(found) > 0 {
		return fmt.Errorf("%w (%s); %s", ErrDamaged, found[0], damageAdvice)
	}
	return nil
}

func (f *datafile) walk(ctx context.Context, found *findings) (*pageWalk, error) {
	info, err := f.handle.Stat()
	if err != nil {
		return nil, err
	}
	return &pageWalk{ctx: ctx, file: f.handle, size: int64(f.db.Info().PageSize), length: info.Size(), found: found}, nil
}

// checkTree runs bbolt's checker, which examines the order of keys and finds unreferenced pages.
func (f *datafile) checkTree(ctx context.Context, found *findings) error {
	return f.view(func(tx *bbolt.Tx) error {
		var enough error
		for err := range tx.Check() { // to the end, or its goroutine would leak
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
func (f *datafile) checkData(ctx context.Context, found *findings) error {
	return f.view(func(tx *bbolt.Tx) error {
		prepared, err := isPrepared(tx)
		if err != nil || !prepared { // the first start was interrupted
			return err
		}
		if tx.Bucket(bucketCatalog) == nil || tx.Bucket(bucketData) == nil {
			return found.add("the catalog or the data is missing")
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
func (t *txn) checkCollection(ctx context.Context, c *collection, found *findings) error {
	if data := t.tx.Bucket(bucketData).Bucket([]byte(c.ns)); data == nil || data.Bucket(bucketDocs) == nil {
		return found.add("collection %s has no documents' bucket", c.ns)
	}
	entries := map[string]int{} // expected number, by index
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
			if err := found.add("collection %s: index %s has %d entries, want %d", c.ns, ix.name, n, entries[ix.name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *txn) checkDocument(c *collection, id []byte, d document, entries map[string]int, found *findings) error {
	if validate(d) != nil {
		return found.add("collection %s: the document with the key %x is not BSON", c.ns, id)
	}
	if key, err := idKey(d); err != nil || !bytes.Equal(key, id) {
		return found.add("collection %s: the document with the key %x has a different _id", c.ns, id)
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

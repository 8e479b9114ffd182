package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// datafile is the open database file.
type datafile struct {
	db      *bbolt.DB
	handle  *os.File // bbolt's own
	faults  faults
	log     *slog.Logger
	disk    disk
	catalog catalogCache

	// lost is set after bbolt has panicked while it held its locks: over the pages that
	// describe the whole file, or in a rollback. No code may call bbolt after that.
	lost atomic.Bool
}

// openFile opens or creates the file. It does not write to an existing file, because a server
// must start on a full disk, serve reads, and recover.
func openFile(o Options) (*datafile, error) {
	f := &datafile{faults: faults{o.File, o.Log}, log: o.Log}
	isNew, err := inspect(o.File)
	if err != nil {
		return nil, err
	}
	err = f.faults.run(func() (err error) {
		f.db, err = bbolt.Open(o.File, 0o600, &bbolt.Options{
			Timeout:         lockWait,
			NoSync:          o.NoSync,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: mmapSize,
			NoStatistics:    true,
			OpenFile:        f.open,
		})
		return err
	})
	if err != nil {
		f.abandon(err)
		return nil, openError(err)
	}
	if err := f.prepare(isNew && !o.NoSync); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *datafile) open(name string, flag int, mode os.FileMode) (*os.File, error) {
	var err error
	f.handle, err = os.OpenFile(name, flag, mode)
	return f.handle, err
}

// abandon closes the file that bbolt leaves open after a panic. After an error, bbolt has
// closed the file.
func (f *datafile) abandon(err error) {
	if f.handle != nil && errors.Is(err, ErrDamaged) {
		unlock(f.handle)
		_ = f.handle.Close()
	}
}

// prepare creates the buckets of a new file. In an old one it checks the format, the length and
// the references of the branches.
func (f *datafile) prepare(isNew bool) error {
	if err := f.checkBranches(); err != nil {
		return err
	}
	prepared := false
	err := f.view(func(tx *bbolt.Tx) (err error) {
		prepared, err = isPrepared(tx)
		return err
	})
	if err == nil && !prepared {
		err = f.faults.run(func() error { return f.db.Update(makeBuckets) })
	}
	if err == nil && isNew {
		err = syncFolder(filepath.Dir(f.faults.file))
	}
	return err
}

// inspect refuses a path that is not a regular file, before bbolt waits for its lock.
func inspect(path string) (isNew bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, errors.New("not a regular file; move it away or choose another folder")
	}
	return info.Size() == 0, nil
}

// resetAdvice is for a file that cannot be opened. The server's secret in the same folder
// belongs to the file, so the folder must move as a whole.
const resetAdvice = "restore it from a copy, or move the whole folder away to start with an empty database"

// openError explains why a file cannot be opened, and names the remedy.
func openError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w: its first pages are invalid (%w); %s", ErrDamaged, err, resetAdvice)
	case strings.Contains(err.Error(), "file size too small"): // bbolt has no sentinel for it
		return fmt.Errorf("%w: it is truncated (%w); %s", ErrDamaged, err, resetAdvice)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; make it readable and writable for the user of the server process", err)
	}
	return err
}

// syncFolder makes the name of a new file durable.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// begin starts a transaction, with the catalog that it sees.
func (f *datafile) begin(writable bool) (*txn, error) {
	if f.lost.Load() {
		return nil, fmt.Errorf("%s: %w; %s", f.faults.file, ErrDamaged, damageAdvice)
	}
	t := &txn{}
	err := f.faults.run(func() (err error) {
		if t.tx, err = f.db.Begin(writable); err != nil {
			return fmt.Errorf("beginning: %w", err)
		}
		t.catalog, err = f.catalog.at(t.tx)
		return err
	})
	if err == nil {
		return t, nil
	}
	if t.tx != nil {
		f.rollback(t)
	} else if errors.Is(err, ErrDamaged) {
		f.lost.Store(true)
	}
	return nil, err
}

// view reads without the catalog, which a new file does not have.
func (f *datafile) view(read func(*bbolt.Tx) error) error {
	return f.faults.run(func() error { return f.db.View(read) })
}

// commit ends t. Either all of its changes are on the disk, or none.
func (f *datafile) commit(t *txn) error {
	err := f.faults.run(t.tx.Commit)
	if err != nil {
		f.rollback(t) // needed after a panic; after an error bbolt has closed it
		f.log.LogAttrs(context.Background(), slog.LevelError, "commit failed", slog.Any("err", err))
		return f.disk.recordFailure(fmt.Errorf("committing: %w", err))
	}
	f.catalog.publish(t.catalog)
	return nil
}

// rollback ends t without its changes. If bbolt panics in a damaged file, it keeps its lock.
func (f *datafile) rollback(t *txn) {
	err := f.faults.run(t.tx.Rollback)
	if err != nil && !errors.Is(err, berrors.ErrTxClosed) {
		f.lost.Store(true)
		f.log.LogAttrs(context.Background(), slog.LevelError, "rollback failed", slog.Any("err", err))
	}
}

// close waits for the transactions that are open.
func (f *datafile) close() error {
	if f.lost.Load() { // bbolt would wait forever for its own lock
		return fmt.Errorf("closing %s: %w", f.faults.file, ErrDamaged)
	}
	return f.db.Close()
}

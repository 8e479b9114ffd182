package embedded

import (
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

	// lost is set when bbolt has panicked where it keeps its locks: over the pages that
	// describe the whole file, or in a rollback. Nothing may ask it again.
	lost atomic.Bool
}

// openFile opens or makes the file. It writes nothing to a file that is there: a server
// must start on a full disk, to serve what can be read and to recover.
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

// abandon closes what bbolt has left open when it panicked. An error of its own leaves
// nothing open.
func (f *datafile) abandon(err error) {
	if f.handle != nil && errors.Is(err, ErrDamaged) {
		unlock(f.handle)
		_ = f.handle.Close()
	}
}

// prepare makes the buckets of a new file, and checks an old one: its format, that it is as
// long as it says, and that its branches lead somewhere.
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

// inspect refuses what is no file, before bbolt waits for its lock.
func inspect(path string) (isNew bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, errors.New("it is not a regular file; move it away, or name another folder")
	}
	return info.Size() == 0, nil
}

// beginAdvice is for a file that cannot even be opened. The secret beside it
// belongs to it, so the folder goes as a whole.
const beginAdvice = "restore it from a copy, or move the whole folder away to begin anew"

// openError says in which way a file cannot be opened, and what helps.
func openError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w: it does not begin like one (%w); %s", ErrDamaged, err, beginAdvice)
	case strings.Contains(err.Error(), "file size too small"): // bbolt has no sentinel for it
		return fmt.Errorf("%w: it ends too early (%w); %s", ErrDamaged, err, beginAdvice)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; make it readable and writable for the user that runs the server", err)
	}
	return err
}

// syncFolder makes a new file's name survive a power failure.
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

// view reads without the catalog, which may not be there yet.
func (f *datafile) view(read func(*bbolt.Tx) error) error {
	return f.faults.run(func() error { return f.db.View(read) })
}

// commit ends t with its changes on the disk, or with none of them.
func (f *datafile) commit(t *txn) error {
	err := f.faults.run(t.tx.Commit)
	if err != nil {
		f.rollback(t) // a panic has left it open; after an error it is closed already
		f.log.Error("commit failed", "err", err)
		return f.disk.failed(fmt.Errorf("committing: %w", err))
	}
	f.catalog.publish(t.catalog)
	return nil
}

// rollback ends t without its changes. It may panic in a damaged file, and then keeps bbolt's
// lock.
func (f *datafile) rollback(t *txn) {
	err := f.faults.run(t.tx.Rollback)
	if err != nil && !errors.Is(err, berrors.ErrTxClosed) {
		f.lost.Store(true)
		f.log.Error("rollback failed", "err", err)
	}
}

// close waits for the transactions that are open.
func (f *datafile) close() error {
	if f.lost.Load() { // bbolt would wait for a lock that nothing gives back
		return fmt.Errorf("closing %s: %w", f.faults.file, ErrDamaged)
	}
	return f.db.Close()
}

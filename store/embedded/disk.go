package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// probeSize is the number of bytes that a probe writes. It exceeds the writes of most
	// batches: a small write may succeed with the last free pages of a full disk.
	probeSize = 1 << 20

	probeEvery = time.Second // shortest time between two probes
)

// keyProbe is the key in the meta bucket that a probe writes and removes.
var keyProbe = []byte("probe")

// disk knows whether the file can be written. A failed commit makes the file unwritable. Only a
// probe makes it writable again, because a small write may succeed on a full disk.
type disk struct {
	mu      sync.Mutex
	failure error // of the last write; nil while the file can be written
	probing bool
	probed  time.Time // when the last probe ended
}

// recordFailure notes that a write failed and returns the error for the client. It ignores
// errors of the transaction that do not concern the file.
func (d *disk) recordFailure(err error) error {
	for _, other := range []error{berrors.ErrTxClosed, berrors.ErrTxNotWritable, berrors.ErrDatabaseNotOpen, ErrDamaged} {
		if errors.Is(err, other) {
			return err
		}
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	code := codeFileStreamFailed
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) {
			code = codeOutOfDiskSpace
		}
	}
	err = fail(code, "the database file cannot be written: %v", err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
	return err
}

// startProbe reports whether the caller must probe now. If not, the error is the known state.
func (d *disk) startProbe(now time.Time) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure == nil || d.probing || now.Sub(d.probed) < probeEvery {
		return false, d.failure
	}
	d.probing = true
	return true, nil
}

// endProbe stores the result of a probe and returns it.
func (d *disk) endProbe(err error, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.probing, d.probed, d.failure = false, now, err
	return err
}

// writable returns nil while the file can be written, and otherwise the error of the last
// write. After a failure it probes, so that the first call after space has returned
// succeeds without a restart.
func (f *datafile) writable() error {
	now := time.Now()
	due, err := f.disk.startProbe(now)
	if !due {
		return err
	}
	err = f.faults.run(f.probe)
	if err != nil {
		err = f.disk.recordFailure(err)
	} else {
		f.log.LogAttrs(context.Background(), slog.LevelInfo, "database file is writable again", slog.String("file", f.faults.file))
	}
	return f.disk.endProbe(err, time.Now())
}

// probe writes and removes probeSize incompressible bytes. The space remains in the file as
// free pages for later writes. The probe has its own transaction, so that a batch of the
// writer cannot fail with it.
func (f *datafile) probe() error {
	if f.lost.Load() {
		return ErrDamaged
	}
	value := make([]byte, probeSize)
	var seed [32]byte
	_, _ = rand.NewChaCha8(seed).Read(value) // never fails
	err := f.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyProbe, value) })
	if err == nil {
		err = f.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyProbe) })
	}
	if err != nil {
		return fmt.Errorf("probing: %w", err)
	}
	return nil
}

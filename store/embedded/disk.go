package embedded

import (
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
	// probeSize is how much a probe writes, in bytes. It is more than the writes of most
	// batches, so that the server is not called writable for the few pages that a single
	// small write finds among the free ones.
	probeSize = 1 << 20

	probeEvery = time.Second // between two probes, however often clients ask
)

// keyProbe is the key in the meta bucket that a probe writes and removes again.
var keyProbe = []byte("probe")

// disk knows whether the file can be written. A failed commit says no; only a probe says
// yes again, because a small write may succeed on a disk that is full for the next one.
type disk struct {
	mu      sync.Mutex
	failure error // of the last write; nil while the file can be written
	probing bool
	probed  time.Time // when the last probe ended
}

// failed notes that a write failed, and returns the error for the client. Errors that are
// about the transaction, and not about the file, change nothing.
func (d *disk) failed(err error) error {
	for _, other := range []error{berrors.ErrTxClosed, berrors.ErrTxNotWritable, berrors.ErrDatabaseNotOpen, ErrDamaged} {
		if errors.Is(err, other) {
			return err
		}
	}
	if f := (*failure)(nil); errors.As(err, &f) {
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

// due reports whether to probe now, and otherwise what is known.
func (d *disk) due(now time.Time) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure == nil || d.probing || now.Sub(d.probed) < probeEvery {
		return false, d.failure
	}
	d.probing = true
	return true, nil
}

// settle ends a probe with its outcome.
func (d *disk) settle(err error, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.probing, d.probed, d.failure = false, now, err
	return err
}

// writable returns nil while the file can be written, and else the error of the last
// write. After a failure it probes, so that the first question after space has returned
// gets the right answer, without a restart.
func (f *datafile) writable() error {
	now := time.Now()
	due, err := f.disk.due(now)
	if !due {
		return err
	}
	err = f.faults.run(f.probe)
	if err != nil {
		err = f.disk.failed(err)
	} else {
		f.log.Info("database file can be written again", slog.String("file", f.faults.file))
	}
	return f.disk.settle(err, time.Now())
}

// probe writes and removes probeSize bytes that do not compress. What it took stays in the
// file as free pages, for the writes that follow. It shares no transaction with the
// writer, whose batch must not fail with it.
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

package core

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// ErrInUse means that another process keeps its state in the file.
var ErrInUse = errors.New("sandbox: another process uses the data file")

const (
	saveEvery  = time.Second      // at most, after a change
	usedEvery  = time.Minute      // at most, if sessions were only used
	retryAfter = 10 * time.Second // after a failed write
)

// stateFile keeps the state in a file for the next run: one JSON object, replaced as
// a whole, readable for its owner only. It holds hashes of secrets: argon2id of
// passwords, and SHA-256 of tokens, which are too long to guess.
type stateFile struct {
	file   string
	lock   io.Closer
	log    *slog.Logger
	state  func() (state any, again bool, err error) // again: another write would change the file
	wake   chan struct{}
	stop   chan struct{}
	done   chan error   // the result of the last write
	latest atomic.Int64 // Unix seconds of the last write
}

// Keep reads the state from a file, whose folder must exist, and writes changes to
// it until Close. If it cannot read the file, it returns an error and leaves the
// file unchanged.
func (s *Application) Keep(file string) error {
	lock, err := lockFile(file + ".lock")
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	s.Passwords.kept = true
	isOld, err := s.load(file)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", file, err), lock.Close())
	}
	k := &stateFile{
		file: file, lock: lock, log: s.log, state: s.snapshot,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan error, 1),
	}
	s.file.Store(k)
	if isOld {
		k.notify() // the passwords in the old format must not stay
	}
	go k.run()
	return nil
}

// Close writes the state for the last time, if Keep was called. The error is that of
// the write. A second call is no error.
func (s *Application) Close() error {
	if k := s.file.Swap(nil); k != nil {
		close(k.stop)
		return errors.Join(<-k.done, k.lock.Close())
	}
	return nil
}

// Changed schedules a write of the file.
func (s *Application) Changed() {
	if k := s.file.Load(); k != nil {
		k.notify()
	}
}

// Used schedules a write if sessions were only used and the file is older than a minute.
func (s *Application) Used() {
	if k := s.file.Load(); k != nil && time.Since(time.Unix(k.latest.Load(), 0)) > usedEvery {
		k.notify()
	}
}

func (k *stateFile) notify() {
	select {
	case k.wake <- struct{}{}:
	default: // a write is already scheduled
	}
}

// run writes after a change. It then rests at least nine times as long as the write
// took, so that a large state does not keep the machine busy.
func (k *stateFile) run() {
	for {
		select {
		case <-k.stop:
			k.done <- k.write()
			return
		case <-k.wake:
		}
		began := time.Now()
		rest := retryAfter
		if err := k.write(); err != nil {
			k.log.LogAttrs(context.Background(), slog.LevelWarn, "state of the sandbox not written", slog.Any("err", err))
			k.notify()
		} else {
			rest = max(saveEvery, 9*time.Since(began))
		}
		select {
		case <-k.stop:
			k.done <- k.write()
			return
		case <-time.After(rest):
		}
	}
}

// write replaces the file. At every moment, the file holds either the old or the new
// state, even after a crash of the machine.
func (k *stateFile) write() error {
	state, again, err := k.state()
	if err != nil {
		return err
	}
	k.latest.Store(time.Now().Unix())
	temporary := k.file + ".new" // a fixed name: a crash leaves at most one
	out, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	err = json.NewEncoder(buffered).Encode(state)
	err = errors.Join(err, buffered.Flush(), out.Chmod(0o600), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(temporary, k.file)
	}
	if err != nil {
		_ = os.Remove(temporary) // on a full disk, a partial file would take the room of a complete one
		return err
	}
	if again {
		k.notify()
	}
	return syncFolder(filepath.Dir(k.file))
}

// syncFolder makes a rename durable. Some systems do not support that; then nothing
// else can be done.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = folder.Sync()
	return folder.Close()
}

// snapshot returns the state to write.
func (s *Application) snapshot() (state any, again bool, err error) {
	saved := s.save()
	again, err = s.harden(saved)
	return saved, again, err
}

// load reads the file into an empty sandbox. A missing file means an empty state.
// isOld means that the file has an older version than this program writes.
func (s *Application) load(file string) (isOld bool, err error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return false, fmt.Errorf("the sandbox's data file is damaged and was left as it is; move it away to start empty: %w", err)
	}
	if head.Version < 1 || head.Version > savedVersion {
		return false, fmt.Errorf("the sandbox's data file has version %d, and this program reads 1 to %d", head.Version, savedVersion)
	}
	var saved savedState
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	err = dec.Decode(&saved)
	if err == nil {
		err = s.restore(&saved)
	}
	if err != nil {
		return false, fmt.Errorf("the sandbox's data file is damaged and was left as it is; move it away to start empty: %w", err)
	}
	return saved.Version < savedVersion, nil
}

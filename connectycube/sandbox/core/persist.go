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

// ErrInUse is what Open returns when another process keeps its state in the file.
var ErrInUse = errors.New("sandbox: another process uses the data file")

const (
	saveEvery  = time.Second      // at most, when something changed
	usedEvery  = time.Minute      // at most, when sessions were merely used
	retryAfter = 10 * time.Second // when the file could not be written
)

// stateFile keeps the state in a file, so that the next run finds it: one JSON
// object, replaced as a whole, readable for its owner only. Of secrets it has
// hashes: argon2id of passwords, SHA-256 of tokens, which cannot be guessed.
type stateFile struct {
	file   string
	lock   io.Closer
	log    *slog.Logger
	state  func() (state any, again bool, err error) // again: another write would change the file
	wake   chan struct{}
	stop   chan struct{}
	done   chan error   // what the last writing came to
	latest atomic.Int64 // Unix seconds of the last writing
}

// Keep reads the state from a file, whose folder must exist, and writes it there
// from then on, until Close. A file that cannot be understood is an error and
// stays as it is.
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
		k.notify() // what it says of passwords must not stay
	}
	go k.run()
	return nil
}

// Close writes the state for the last time, if Keep was called. The error is
// that of writing. Closing twice is no error.
func (s *Application) Close() error {
	if k := s.file.Swap(nil); k != nil {
		close(k.stop)
		return errors.Join(<-k.done, k.lock.Close())
	}
	return nil
}

// Changed says that the file is out of date.
func (s *Application) Changed() {
	if k := s.file.Load(); k != nil {
		k.notify()
	}
}

// Used says that nothing but the lives of sessions may have changed.
func (s *Application) Used() {
	if k := s.file.Load(); k != nil && time.Since(time.Unix(k.latest.Load(), 0)) > usedEvery {
		k.notify()
	}
}

func (k *stateFile) notify() {
	select {
	case k.wake <- struct{}{}:
	default: // it will be written anyway
	}
}

// run writes after a change, and takes at least nine times as long a rest as
// writing took: a large state must not keep the machine busy.
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

// write replaces the file. At every moment either the old or the new state is
// there, also after a crash of the machine.
func (k *stateFile) write() error {
	state, again, err := k.state()
	if err != nil {
		return err
	}
	k.latest.Store(time.Now().Unix())
	temporary := k.file + ".new" // always the same: a crash leaves one at most
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
		_ = os.Remove(temporary) // on a full disk, half of a new state takes the room that a whole one needs
		return err
	}
	if again {
		k.notify()
	}
	return syncFolder(filepath.Dir(k.file))
}

// syncFolder makes a rename last. Not every system can do that, and where it
// cannot there is nothing else to do.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = folder.Sync()
	return folder.Close()
}

// snapshot is the state as it is written.
func (s *Application) snapshot() (state any, again bool, err error) {
	saved := s.save()
	again, err = s.harden(saved)
	return saved, again, err
}

// load reads the file into an empty sandbox. No file is an empty one. isOld
// means that this program writes another version.
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
		return false, fmt.Errorf("the sandbox's data file is damaged and was left as it is; move it away to begin anew: %w", err)
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
		return false, fmt.Errorf("the sandbox's data file is damaged and was left as it is; move it away to begin anew: %w", err)
	}
	return saved.Version < savedVersion, nil
}

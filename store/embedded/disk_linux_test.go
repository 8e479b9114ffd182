package embedded

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// fillDisk makes every write to the file fail with ENOSPC until the returned function is
// called. It replaces bbolt's descriptor with /dev/full.
func fillDisk(t *testing.T, s *Server) (free func()) {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no /dev/full on this system: %v", err)
	}
	defer func() { _ = full.Close() }()
	fd := int(s.file.handle.Fd())
	saved, err := syscall.Dup(fd) // shares the lock of the file
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Dup3(int(full.Fd()), fd, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := syscall.Dup3(saved, fd, syscall.O_CLOEXEC); err != nil {
			t.Error(err)
		}
		_ = syscall.Close(saved)
	})
}

func pingOf(t *testing.T, c *mongo.Collection) error {
	t.Helper()
	return c.Database().RunCommand(t.Context(), D{{Key: "ping", Value: 1}}).Err()
}

// TestFullDiskIsReportedAndPasses checks that writes on a full disk fail with MongoDB's code and
// have no effect, that reads succeed, and that ping fails until space has returned.
func TestFullDiskIsReportedAndPasses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "full.db")
	s := startAt(t, Options{File: file})
	c := connect(t, s).Database("test").Collection("c")
	makeIndex(t, c, D{{Key: "email", Value: 1}}, nil)
	insertAll(t, c, D{{Key: "_id", Value: 1}, {Key: "email", Value: "a"}})

	free := fillDisk(t, s)
	defer free()
	var wg sync.WaitGroup
	for i := range 20 { // batches fail as a whole, and each of their commands gets the error
		wg.Go(func() {
			_, err := c.InsertOne(t.Context(), D{{Key: "_id", Value: 100 + i}, {Key: "email", Value: "b"}})
			wantCode(t, "insert on a full disk", err, codeOutOfDiskSpace)
		})
	}
	wg.Wait()
	_, err := c.UpdateOne(t.Context(), D{{Key: "_id", Value: 1}}, D{{Key: "$set", Value: D{{Key: "email", Value: "z"}}}})
	wantCode(t, "update on a full disk", err, codeOutOfDiskSpace)
	for range 2 { // the second one comes between two probes
		// The probe grows the file, and /dev/full refuses that with another error.
		wantCode(t, "ping on a full disk", pingOf(t, c), codeFileStreamFailed)
	}
	if got := all(t, c, D{{Key: "email", Value: "a"}}); len(got) != 1 {
		t.Errorf("reading on a full disk: %v", got)
	}

	free()
	waitUntil(t, "ping succeeds, because the disk has space again", func() bool { return pingOf(t, c) == nil })
	insertAll(t, c, D{{Key: "_id", Value: 2}, {Key: "email", Value: "c"}})
	checkIndexes(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := startAt(t, Options{File: file})
	c = connect(t, again).Database("test").Collection("c")
	if got := all(t, c, D{}); len(got) != 2 {
		t.Errorf("after a restart: %v, want the two acknowledged documents", got)
	}
	checkIndexes(t, again)
}

// TestStartWritesNothingToAnOldFile checks that a server can start on a full disk.
func TestStartWritesNothingToAnOldFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "old.db")
	s, err := Start(Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = Start(Options{File: file}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("opening changed the file, %v", err)
	}
}

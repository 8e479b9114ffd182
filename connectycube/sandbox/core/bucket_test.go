package core

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// store adds a file with content to b and returns its UID.
func (b *Bucket) store(t *testing.T, content string) string {
	t.Helper()
	uid := RandomHex(17)
	b.Add(Blob{UID: uid, Owner: 1})
	raw, err := b.Read(strings.NewReader(content), uid)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Fill(uid, raw) {
		t.Fatal("the file was dropped before it had its content")
	}
	return uid
}

// text returns the content of a file.
func (b *Bucket) text(uid string) string {
	file, known := b.BeginDownload(uid)
	if !known {
		return ""
	}
	defer b.EndDownload(file.Content)
	raw, _ := io.ReadAll(file.Content.Reader())
	return string(raw)
}

func (b *Bucket) has(uid string) bool { _, known := b.Find(uid); return known }

// check compares the counted bytes with those of the contents.
func (b *Bucket) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var held int64
	for e := b.order.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Blob).Content; c != nil {
			for _, piece := range c.pieces {
				held += int64(cap(piece))
			}
		}
	}
	if held != b.bytes || b.bytes > b.maxBytes || len(b.byID) != b.order.Len() || len(b.byUID) != b.order.Len() {
		t.Errorf("%d bytes are counted, there are %d of at most %d; %d, %d and %d files", b.bytes, held, b.maxBytes, len(b.byID), len(b.byUID), b.order.Len())
	}
}

func TestTheOldestFilesMakeRoom(t *testing.T) {
	b := newBucket(100)
	empty := RandomHex(17)
	b.Add(Blob{UID: empty})
	first, second, third := b.store(t, strings.Repeat("1", 40)), b.store(t, strings.Repeat("2", 40)), b.store(t, strings.Repeat("3", 40))
	b.check(t)
	if b.has(first) || !b.has(second) || !b.has(third) {
		t.Errorf("first %t, second %t, third %t", b.has(first), b.has(second), b.has(third))
	}
	if !b.has(empty) {
		t.Error("a file without content was dropped, which makes no room")
	}
	b.store(t, strings.Repeat("4", 100))
	b.check(t)
	if b.has(second) || b.has(third) {
		t.Error("there are other files beside one as large as the bucket")
	}
}

func TestNewContentTakesTheOldOnesPlace(t *testing.T) {
	b := newBucket(100)
	uid := b.store(t, strings.Repeat("1", 40))
	for range 5 {
		raw, err := b.Read(strings.NewReader(strings.Repeat("2", 50)), uid)
		if err != nil || !b.Fill(uid, raw) {
			t.Fatalf("%+v, %v", raw, err)
		}
		b.check(t)
	}
}

func TestFilesAreBoundedInNumber(t *testing.T) {
	b := newBucket(0)
	first := b.store(t, "x")
	for range maxBlobs {
		b.Add(Blob{UID: RandomHex(17)})
	}
	b.check(t)
	if b.has(first) || b.order.Len() != maxBlobs {
		t.Errorf("%d files, the first there: %t", b.order.Len(), b.has(first))
	}
}

func TestWhatDoesNotArriveIsNotCounted(t *testing.T) {
	broken := errors.New("broken")
	for name, content := range map[string]io.Reader{
		"too large":  strings.NewReader(strings.Repeat("x", 101)),
		"breaks off": io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken)),
	} {
		b := newBucket(100)
		old := b.store(t, "old")
		if _, err := b.Read(content, old); err == nil {
			t.Errorf("%s: no error", name)
		}
		b.check(t)
		if got := b.text(old); got != "old" {
			t.Errorf("%s: the old content is %q", name, got)
		}
	}
}

func TestAFileThatIsDeletedWhileItArrives(t *testing.T) {
	b := newBucket(100)
	uid := b.store(t, "old")
	raw, err := b.Read(strings.NewReader("new"), uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(uid, 1); err != nil {
		t.Fatal(err)
	}
	if b.Fill(uid, raw) {
		t.Error("a deleted file takes content")
	}
	b.check(t)

	uid = b.store(t, "old")
	if raw, err = b.Read(strings.NewReader("new"), uid); err != nil {
		t.Fatal(err)
	}
	b.clear()
	b.Fill(uid, raw)
	b.check(t)
}

// Concurrent uploads, downloads, deletions and a reset leave the count right.
func TestBucketUnderRace(t *testing.T) {
	b := newBucket(2000)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 60 {
				uid := RandomHex(17)
				b.Add(Blob{UID: uid, Owner: int64(i)})
				raw, err := b.Read(bytes.NewReader(make([]byte, 37*n%400)), uid)
				if err != nil { // other uploads left no room
					continue
				}
				b.Fill(uid, raw)
				if file, known := b.BeginDownload(uid); known {
					_, _ = io.Copy(io.Discard, file.Content.Reader())
					b.EndDownload(file.Content)
				}
				if n%3 == 0 {
					_ = b.Remove(uid, int64(i)) // it may have been dropped already
				}
				if n%25 == 24 {
					b.clear()
				}
				_ = b.OwnedBy(int64(i))
				_, _ = b.Change(uid, int64(i), func(f *Blob) error { f.Name = fmt.Sprint(n); return nil })
			}
		})
	}
	all.Wait()
	b.check(t)
}

// The bytes of a running download count until it ends, so that slow readers of
// replaced files cannot fill the memory.
func TestContentCountsWhileItIsDownloaded(t *testing.T) {
	for name, let := range map[string]func(b *Bucket, uid string){
		"deleted":  func(b *Bucket, uid string) { _ = b.Remove(uid, 1) },
		"reset":    func(b *Bucket, _ string) { b.clear() },
		"replaced": func(b *Bucket, uid string) { raw, _ := b.Read(strings.NewReader(""), uid); b.Fill(uid, raw) },
		"kept":     func(*Bucket, string) {},
	} {
		b := newBucket(100)
		uid := b.store(t, strings.Repeat("1", 70))
		first, known := b.BeginDownload(uid)
		second, _ := b.BeginDownload(uid)
		if !known {
			t.Fatal("the file is not there")
		}
		let(b, uid)
		other := RandomHex(17)
		b.Add(Blob{UID: other})
		full := func() error {
			raw, err := b.Read(strings.NewReader(strings.Repeat("2", 40)), other)
			if err == nil {
				b.Fill(other, raw)
			}
			return err
		}
		if err := full(); !errors.Is(err, ErrNoRoom) {
			t.Errorf("%s: beside two downloads: %v", name, err)
		}
		b.EndDownload(first.Content)
		if err := full(); !errors.Is(err, ErrNoRoom) {
			t.Errorf("%s: beside one download: %v", name, err)
		}
		if got, _ := io.ReadAll(second.Content.Reader()); string(got) != strings.Repeat("1", 70) {
			t.Errorf("%s: the download got %q", name, got)
		}
		b.EndDownload(second.Content)
		if err := full(); err != nil {
			t.Errorf("%s: after the downloads: %v", name, err)
		}
		b.check(t)
	}
}

// An upload that cannot fit drops no file.
func TestRefusedUploadDropsNothing(t *testing.T) {
	b := newBucket(100)
	loaded, small := b.store(t, strings.Repeat("1", 70)), b.store(t, "2")
	file, _ := b.BeginDownload(loaded)
	defer b.EndDownload(file.Content)
	late := RandomHex(17)
	b.Add(Blob{UID: late})
	for range 40 {
		b.reserve(1, late)
	}
	if b.reserve(1, late) {
		t.Error("more than the bound was reserved")
	}
	if !b.has(loaded) {
		t.Error("a file that is being downloaded was dropped")
	}
	if b.has(small) {
		t.Error("the small file did not make room")
	}
	b.release(30)
	kept := b.store(t, "3")
	if b.reserve(60, late) || !b.has(kept) {
		t.Error("a refused reservation drops files")
	}
}

// A content takes only the memory of its pieces, and can be read from any offset.
func TestContentTakesNoMoreThanIsCounted(t *testing.T) {
	b := newBucket(1 << 20)
	for _, n := range []int{0, 1, b.pieceSize - 1, b.pieceSize, b.pieceSize + 1, 5*b.pieceSize + 17} {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(i * 7)
		}
		uid := b.store(t, string(want))
		b.check(t)
		file, _ := b.BeginDownload(uid)
		if err := iotest.TestReader(file.Content.Reader(), want); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		b.EndDownload(file.Content)
	}
}

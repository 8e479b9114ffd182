package core

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"time"
)

// Bounds of files. A new file replaces the oldest ones and their content if it
// needs their room. https://developers.connectycube.com/server/storage has the size
// of one file.
const (
	maxBlobs            = 10_000
	MaxBlobBytes        = 100 << 20 // of one file
	defaultMaxBlobBytes = 128 << 20 // of all files, with running uploads and downloads
	mostBlobBytes       = 8 << 30   // upper bound of that setting
	maxPieceBytes       = 64 << 10  // of a content
)

// Blob is a file: its description, and its content after the upload.
type Blob struct {
	ID          int64
	UID         string
	Owner       int64
	Name        string
	ContentType string
	Public      bool
	Size        int64 // as declared
	Created     time.Time
	Updated     time.Time
	Completed   time.Time     // zero: not declared complete
	Content     *Content      // nil before the first upload; replaced, never changed
	place       *list.Element // in Bucket.order
}

// IsComplete reports whether the upload was declared complete.
func (b *Blob) IsComplete() bool { return !b.Completed.IsZero() }

// Bucket is the sandbox's storage service; ConnectyCube uses a separate one. Its
// lock is taken last: a method that holds it takes no other lock. Bucket returns
// copies only.
type Bucket struct {
	key       [32]byte // signs links
	maxBytes  int64
	pieceSize int

	mu    sync.Mutex
	last  int64 // ID
	bytes int64 // of all contents, of running uploads, and of dropped contents with running downloads
	byID  map[int64]*Blob
	byUID map[string]*Blob
	order *list.List // *Blob, oldest first
}

func newBucket(maxBytes int64) *Bucket {
	if maxBytes <= 0 {
		maxBytes = defaultMaxBlobBytes
	}
	b := &Bucket{maxBytes: min(maxBytes, mostBlobBytes)}
	b.pieceSize = int(max(1, min(maxPieceBytes, b.maxBytes/64))) // one upload cannot take a whole small bucket at once
	rand.Read(b.key[:])                                          // never fails, by its documentation
	b.clear()
	return b
}

// clear drops all files. Running uploads stay counted until they end.
func (b *Bucket) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, file := range b.byID {
		b.abandon(file.Content)
	}
	b.byID, b.byUID, b.order = map[int64]*Blob{}, map[string]*Blob{}, list.New()
}

// Add stores a new file without content and returns its ID.
func (b *Bucket) Add(file Blob) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.order.Len() >= maxBlobs {
		b.drop(b.order.Front().Value.(*Blob))
	}
	b.last++
	file.ID = b.last
	file.place = b.order.PushBack(&file)
	b.byID[file.ID], b.byUID[file.UID] = &file, &file
	return file.ID
}

// drop removes a file. The caller holds the lock.
func (b *Bucket) drop(file *Blob) {
	b.abandon(file.Content)
	b.order.Remove(file.place)
	delete(b.byID, file.ID)
	delete(b.byUID, file.UID)
}

// abandon records that no file has c anymore. The caller holds the lock.
func (b *Bucket) abandon(c *Content) {
	if c == nil {
		return
	}
	c.isGone = true
	if c.readers == 0 {
		b.bytes -= c.size
	}
}

// BeginDownload finds a file with content. If it finds one, EndDownload must follow.
func (b *Bucket) BeginDownload(name string) (Blob, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file := b.lookUp(name)
	if file == nil || file.Content == nil {
		return Blob{}, false
	}
	file.Content.readers++
	return *file, true
}

// EndDownload releases content that was replaced or dropped during the download.
func (b *Bucket) EndDownload(c *Content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.readers--
	if c.readers == 0 && c.isGone {
		b.bytes -= c.size
	}
}

// lookUp finds a file by ID or UID, whose forms differ. The caller holds the lock.
func (b *Bucket) lookUp(name string) *Blob {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		return b.byID[id]
	}
	return b.byUID[name]
}

// Find returns a copy of the file with this ID or UID.
func (b *Bucket) Find(name string) (Blob, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file := b.lookUp(name)
	if file == nil {
		return Blob{}, false
	}
	return *file, true
}

// own finds a file that the user may change. The caller holds the lock.
func (b *Bucket) own(name string, user int64) (*Blob, error) {
	file := b.lookUp(name)
	switch {
	case file == nil:
		return nil, ErrNoResource
	case file.Owner != user:
		return nil, ErrForbidden
	}
	return file, nil
}

// Change edits a user's own file, unless edit fails.
func (b *Bucket) Change(name string, user int64, edit func(*Blob) error) (Blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file, err := b.own(name, user)
	if err == nil {
		err = edit(file)
	}
	if err != nil {
		return Blob{}, err
	}
	return *file, nil
}

// Remove deletes a user's own file.
func (b *Bucket) Remove(name string, user int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	file, err := b.own(name, user)
	if err != nil {
		return err
	}
	b.drop(file)
	return nil
}

// OwnedBy lists a user's files, oldest first.
func (b *Bucket) OwnedBy(user int64) (own []Blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.order.Front(); e != nil; e = e.Next() {
		if file := e.Value.(*Blob); file.Owner == user {
			own = append(own, *file)
		}
	}
	return own
}

// reserve reserves n bytes for an upload to the file uid. To make room, it drops
// the oldest files, except that file and those that are being downloaded. It drops
// none if that is not enough.
func (b *Bucket) reserve(n int64, uid string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing := b.bytes + n - b.maxBytes
	var leaving []*Blob
	for e := b.order.Front(); e != nil && missing > 0; e = e.Next() {
		if file := e.Value.(*Blob); file.UID != uid && file.Content != nil && file.Content.size > 0 && file.Content.readers == 0 {
			leaving = append(leaving, file)
			missing -= file.Content.size
		}
	}
	if missing > 0 {
		return false
	}
	for _, file := range leaving {
		b.drop(file)
	}
	b.bytes += n
	return true
}

func (b *Bucket) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= n
}

// Fill sets the content of a file, whose bytes were reserved, and reports whether
// the file still exists.
func (b *Bucket) Fill(uid string, c *Content) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	file := b.byUID[uid]
	if file == nil {
		b.bytes -= c.size
		return false
	}
	b.abandon(file.Content)
	file.Content = c
	return true
}

// Link is an upload or download link to a file. No field contains a line feed.
type Link struct {
	Verb    string // the HTTP method
	UID     string
	Expires string // as it stands in the link
}

// Sign returns the signature that proves that the sandbox made the link.
func (b *Bucket) Sign(l Link) string {
	mac := hmac.New(sha256.New, b.key[:])
	mac.Write([]byte(l.Verb + "\n" + l.UID + "\n" + l.Expires))
	return hex.EncodeToString(mac.Sum(nil))
}

// Signed reports whether signature is the one that Sign returns.
func (b *Bucket) Signed(l Link, signature string) bool {
	return hmac.Equal([]byte(b.Sign(l)), []byte(signature))
}

// HeldBytes returns the counted bytes: of all contents, of running uploads, and of
// dropped contents with running downloads.
func (b *Bucket) HeldBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

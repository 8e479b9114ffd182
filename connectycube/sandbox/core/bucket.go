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

// Bounds of files. When a new one needs room the oldest go, with their content.
const (
	maxBlobs            = 10_000
	MaxBlobBytes        = 100 << 20 // of one file (doc)
	defaultMaxBlobBytes = 128 << 20 // of all files, those arriving and leaving among them
	mostBlobBytes       = 8 << 30   // upper bound of that
	maxPieceBytes       = 64 << 10  // of a content
)

// Blob is a file: what is known of it, and the content once it was uploaded.
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
	Content     *Content      // nil before the first upload; never written to, only replaced
	place       *list.Element // in Bucket.order
}

// IsComplete reports whether the upload was declared complete.
func (b *Blob) IsComplete() bool { return !b.Completed.IsZero() }

// Bucket stands in for the storage service that ConnectyCube uses. Its lock is
// taken last: whoever holds it calls nobody. What it gives out are copies.
type Bucket struct {
	key       [32]byte // signs links
	maxBytes  int64
	pieceSize int

	mu    sync.Mutex
	last  int64 // id
	bytes int64 // of all contents, of those just arriving, and of those gone that are still being downloaded
	byID  map[int64]*Blob
	byUID map[string]*Blob
	order *list.List // *blob, oldest first
}

func newBucket(maxBytes int64) *Bucket {
	if maxBytes <= 0 {
		maxBytes = defaultMaxBlobBytes
	}
	b := &Bucket{maxBytes: min(maxBytes, mostBlobBytes)}
	b.pieceSize = int(max(1, min(maxPieceBytes, b.maxBytes/64))) // of a small bucket no upload takes all at once
	rand.Read(b.key[:])                                          // never fails, by its documentation
	b.clear()
	return b
}

// clear forgets all files. What is just arriving stays counted until it is there
// or given up.
func (b *Bucket) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, file := range b.byID {
		b.abandon(file.Content)
	}
	b.byID, b.byUID, b.order = map[int64]*Blob{}, map[string]*Blob{}, list.New()
}

// Add stores a new file without content and returns its id.
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

// drop forgets a file. The lock is held.
func (b *Bucket) drop(file *Blob) {
	b.abandon(file.Content)
	b.order.Remove(file.place)
	delete(b.byID, file.ID)
	delete(b.byUID, file.UID)
}

// abandon notes that no file has c any more. The lock is held.
func (b *Bucket) abandon(c *Content) {
	if c == nil {
		return
	}
	c.isGone = true
	if c.readers == 0 {
		b.bytes -= c.size
	}
}

// BeginDownload finds a file that has content. When it does, EndDownload must follow.
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

// EndDownload lets content go that was replaced or dropped meanwhile.
func (b *Bucket) EndDownload(c *Content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.readers--
	if c.readers == 0 && c.isGone {
		b.bytes -= c.size
	}
}

// lookUp finds a file by id or uid, which cannot be mistaken for each other. The
// lock is held.
func (b *Bucket) lookUp(name string) *Blob {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		return b.byID[id]
	}
	return b.byUID[name]
}

// Find returns a copy of the file with this id or uid.
func (b *Bucket) Find(name string) (Blob, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file := b.lookUp(name)
	if file == nil {
		return Blob{}, false
	}
	return *file, true
}

// own finds a file that user may change. The lock is held.
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

// reserve takes n bytes of the bound for content that is arriving. The oldest
// files make room, but for the one that it is for and those being downloaded,
// and only when that is enough.
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

// Fill gives a file its content, whose bytes were reserved, and reports whether
// the file is still there.
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

// HeldBytes is what is counted: all contents, those just arriving, and those gone
// that are still being downloaded.
func (b *Bucket) HeldBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

package sandbox

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
	maxBlobBytes        = 100 << 20 // of one file (doc)
	defaultMaxBlobBytes = 128 << 20 // of all files, those arriving and leaving among them
	mostBlobBytes       = 8 << 30   // upper bound of that
	maxPieceBytes       = 64 << 10  // of a content
)

// blob is a file: what is known of it, and the content once it was uploaded.
type blob struct {
	id          int64
	uid         string
	owner       int64
	name        string
	contentType string
	public      bool
	size        int64 // as declared
	created     time.Time
	updated     time.Time
	completed   time.Time     // zero: not declared complete
	content     *content      // nil before the first upload; never written to, only replaced
	place       *list.Element // in bucket.order
}

func (b *blob) isComplete() bool { return !b.completed.IsZero() }

// bucket stands in for the storage service that ConnectyCube uses. Its lock is
// taken last: whoever holds it calls nobody. What it gives out are copies.
type bucket struct {
	key       [32]byte // signs links
	maxBytes  int64
	pieceSize int

	mu    sync.Mutex
	last  int64 // id
	bytes int64 // of all contents, of those just arriving, and of those gone that are still being downloaded
	byID  map[int64]*blob
	byUID map[string]*blob
	order *list.List // *blob, oldest first
}

func newBucket(maxBytes int64) *bucket {
	if maxBytes <= 0 {
		maxBytes = defaultMaxBlobBytes
	}
	b := &bucket{maxBytes: min(maxBytes, mostBlobBytes)}
	b.pieceSize = int(max(1, min(maxPieceBytes, b.maxBytes/64))) // of a small bucket no upload takes all at once
	rand.Read(b.key[:])                                          // never fails, by its documentation
	b.clear()
	return b
}

// clear forgets all files. What is just arriving stays counted until it is there
// or given up.
func (b *bucket) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, file := range b.byID {
		b.abandon(file.content)
	}
	b.byID, b.byUID, b.order = map[int64]*blob{}, map[string]*blob{}, list.New()
}

// add stores a new file without content and returns its id.
func (b *bucket) add(file blob) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.order.Len() >= maxBlobs {
		b.drop(b.order.Front().Value.(*blob))
	}
	b.last++
	file.id = b.last
	file.place = b.order.PushBack(&file)
	b.byID[file.id], b.byUID[file.uid] = &file, &file
	return file.id
}

// drop forgets a file. The lock is held.
func (b *bucket) drop(file *blob) {
	b.abandon(file.content)
	b.order.Remove(file.place)
	delete(b.byID, file.id)
	delete(b.byUID, file.uid)
}

// abandon notes that no file has c any more. The lock is held.
func (b *bucket) abandon(c *content) {
	if c == nil {
		return
	}
	c.isGone = true
	if c.readers == 0 {
		b.bytes -= c.size
	}
}

// beginDownload finds a file that has content. When it does, endDownload must follow.
func (b *bucket) beginDownload(name string) (blob, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file := b.lookUp(name)
	if file == nil || file.content == nil {
		return blob{}, false
	}
	file.content.readers++
	return *file, true
}

// endDownload lets content go that was replaced or dropped meanwhile.
func (b *bucket) endDownload(c *content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.readers--
	if c.readers == 0 && c.isGone {
		b.bytes -= c.size
	}
}

// lookUp finds a file by id or uid, which cannot be mistaken for each other. The
// lock is held.
func (b *bucket) lookUp(name string) *blob {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		return b.byID[id]
	}
	return b.byUID[name]
}

func (b *bucket) find(name string) (blob, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file := b.lookUp(name)
	if file == nil {
		return blob{}, false
	}
	return *file, true
}

// own finds a file that user may change. The lock is held.
func (b *bucket) own(name string, user int64) (*blob, error) {
	file := b.lookUp(name)
	switch {
	case file == nil:
		return nil, errNoResource
	case file.owner != user:
		return nil, errForbidden
	}
	return file, nil
}

// change edits a user's own file, unless edit fails.
func (b *bucket) change(name string, user int64, edit func(*blob) error) (blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	file, err := b.own(name, user)
	if err == nil {
		err = edit(file)
	}
	if err != nil {
		return blob{}, err
	}
	return *file, nil
}

func (b *bucket) remove(name string, user int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	file, err := b.own(name, user)
	if err != nil {
		return err
	}
	b.drop(file)
	return nil
}

// ownedBy lists a user's files, oldest first.
func (b *bucket) ownedBy(user int64) (own []blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.order.Front(); e != nil; e = e.Next() {
		if file := e.Value.(*blob); file.owner == user {
			own = append(own, *file)
		}
	}
	return own
}

// reserve takes n bytes of the bound for content that is arriving. The oldest
// files make room, but for the one that it is for and those being downloaded,
// and only when that is enough.
func (b *bucket) reserve(n int64, uid string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing := b.bytes + n - b.maxBytes
	var leaving []*blob
	for e := b.order.Front(); e != nil && missing > 0; e = e.Next() {
		if file := e.Value.(*blob); file.uid != uid && file.content != nil && file.content.size > 0 && file.content.readers == 0 {
			leaving = append(leaving, file)
			missing -= file.content.size
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

func (b *bucket) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= n
}

// fill gives a file its content, whose bytes were reserved, and reports whether
// the file is still there.
func (b *bucket) fill(uid string, c *content) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	file := b.byUID[uid]
	if file == nil {
		b.bytes -= c.size
		return false
	}
	b.abandon(file.content)
	file.content = c
	return true
}

// sign proves that a link was made here. What goes in never has a line feed.
func (b *bucket) sign(verb, uid, expires string) string {
	mac := hmac.New(sha256.New, b.key[:])
	mac.Write([]byte(verb + "\n" + uid + "\n" + expires))
	return hex.EncodeToString(mac.Sum(nil))
}

func (b *bucket) signed(verb, uid, expires, signature string) bool {
	return hmac.Equal([]byte(b.sign(verb, uid, expires)), []byte(signature))
}

// heldBytes is what is counted: all contents, those just arriving, and those gone
// that are still being downloaded.
func (b *bucket) heldBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

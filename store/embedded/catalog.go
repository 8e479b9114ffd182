package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"go.etcd.io/bbolt"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// The names of the buckets and keys; doc.go draws the whole.
var (
	bucketMeta    = []byte("meta")
	bucketCatalog = []byte("catalog")
	bucketData    = []byte("data")
	bucketDocs    = []byte("d")
	keyFormat     = []byte("format")
	keyGeneration = []byte("generation")
)

const format = 1 // of the file; a file with another one is not opened

// catalog is what collections and indexes there are. It is immutable; the
// generation in the file tells a reader whether the one in memory fits its transaction.
type catalog struct {
	generation  uint64
	collections map[string]*collection // by namespace
}

type collection struct {
	ns      string // database.collection
	indexes []*index
}

// index is a secondary index. The one on _id is the document bucket itself.
type index struct {
	name     string
	pattern  pattern
	unique   bool
	sparse   bool
	partial  *filter
	ttl      int64 // seconds; -1 without
	multikey bool  // some document had an array under a key
	spec     document
}

func (c *collection) index(name string) *index {
	i := slices.IndexFunc(c.indexes, func(ix *index) bool { return ix.name == name })
	if i < 0 {
		return nil
	}
	return c.indexes[i]
}

// same says whether a plan made for other still holds.
func (ix *index) same(other *index) bool {
	return ix != nil && ix.multikey == other.multikey && bytes.Equal(ix.spec, other.spec)
}

// with gives a copy of c with other indexes.
func (c *collection) with(indexes []*index) *collection {
	return &collection{ns: c.ns, indexes: indexes}
}

// storedCollection is a catalog entry in the file.
type storedCollection struct {
	Indexes []storedIndex
}

type storedIndex struct {
	Spec     bson.Raw
	Multikey bool
}

func (c *collection) marshal() ([]byte, error) {
	var s storedCollection
	for _, ix := range c.indexes {
		s.Indexes = append(s.Indexes, storedIndex{bson.Raw(ix.spec), ix.multikey})
	}
	return bson.Marshal(s)
}

func unmarshalCollection(ns string, b []byte) (*collection, error) {
	var s storedCollection
	if err := bson.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	c := &collection{ns: ns}
	for _, stored := range s.Indexes {
		ix, err := parseIndex(slices.Clone(document(stored.Spec)))
		if err != nil {
			return nil, err
		}
		ix.multikey = stored.Multikey
		c.indexes = append(c.indexes, ix)
	}
	return c, nil
}

// catalogCache keeps the catalog of the last commit.
type catalogCache struct{ last atomic.Pointer[catalog] }

func (cc *catalogCache) publish(c *catalog) { cc.last.Store(c) }

// at gives the catalog that tx sees. It is read anew only when tx is older or newer
// than the last commit known here.
func (cc *catalogCache) at(tx *bbolt.Tx) (*catalog, error) {
	if c := cc.last.Load(); c != nil && c.generation == generation(tx) {
		return c, nil
	}
	return loadCatalog(tx)
}

func generation(tx *bbolt.Tx) uint64 {
	return binary.BigEndian.Uint64(tx.Bucket(bucketMeta).Get(keyGeneration))
}

func loadCatalog(tx *bbolt.Tx) (*catalog, error) {
	c := &catalog{generation: generation(tx), collections: map[string]*collection{}}
	err := tx.Bucket(bucketCatalog).ForEach(func(ns, entry []byte) (err error) {
		c.collections[string(ns)], err = unmarshalCollection(string(ns), entry)
		return err
	})
	return c, err
}

// isPrepared reports whether the file has its buckets, and checks its format if so.
func isPrepared(tx *bbolt.Tx) (bool, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return false, nil
	}
	if got := meta.Get(keyFormat); len(got) != 1 || got[0] != format {
		return false, fmt.Errorf("format %v, want %d", got, format)
	}
	return true, nil
}

// makeBuckets prepares a new file.
func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketCatalog, bucketData} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if err := meta.Put(keyFormat, []byte{format}); err != nil {
		return err
	}
	return meta.Put(keyGeneration, make([]byte, 8))
}

// txn is one bbolt transaction with the catalog that belongs to it.
type txn struct {
	tx      *bbolt.Tx
	catalog *catalog
	dirty   bool  // something was written
	broken  error // bbolt refused a write: nothing of this transaction may be committed
}

func (t *txn) bucket(ns string, name []byte) *bbolt.Bucket {
	return t.tx.Bucket(bucketData).Bucket([]byte(ns)).Bucket(name)
}

// fullPages is how far bbolt fills a page of documents before it splits it. New _ids
// are mostly greater than all before, so the half left empty by default would stay empty.
const fullPages = 0.9

func (t *txn) docs(c *collection) *bbolt.Bucket {
	b := t.bucket(c.ns, bucketDocs)
	b.FillPercent = fullPages
	return b
}

func (t *txn) entries(c *collection, ix *index) *bbolt.Bucket {
	return t.bucket(c.ns, ix.bucket())
}

func (ix *index) bucket() []byte { return []byte("i" + ix.name) }

// wrote notes the outcome of a write to the file; the writer looks at broken before it commits.
func (t *txn) wrote(err error) error {
	t.dirty = true
	if err != nil {
		t.broken = err
	}
	return err
}

// ensure gives the collection, made now if need be.
func (t *txn) ensure(ns string) (*collection, error) {
	if c := t.catalog.collections[ns]; c != nil {
		return c, nil
	}
	b, err := t.tx.Bucket(bucketData).CreateBucket([]byte(ns))
	if err == nil {
		_, err = b.CreateBucket(bucketDocs)
	}
	if err := t.wrote(err); err != nil {
		return nil, err
	}
	c := &collection{ns: ns}
	return c, t.store(c)
}

// store puts c into the catalog in place of the collection of that name.
func (t *txn) store(c *collection) error {
	entry, err := c.marshal()
	if err == nil {
		err = t.tx.Bucket(bucketCatalog).Put([]byte(c.ns), entry)
	}
	if err := t.wrote(err); err != nil {
		return err
	}
	return t.changeCatalog(func(cs map[string]*collection) { cs[c.ns] = c })
}

// drop removes a collection with all it holds.
func (t *txn) drop(ns string) error {
	err := t.tx.Bucket(bucketData).DeleteBucket([]byte(ns))
	if err == nil {
		err = t.tx.Bucket(bucketCatalog).Delete([]byte(ns))
	}
	if err := t.wrote(err); err != nil {
		return err
	}
	return t.changeCatalog(func(cs map[string]*collection) { delete(cs, ns) })
}

func (t *txn) changeCatalog(change func(map[string]*collection)) error {
	next := &catalog{generation: t.catalog.generation + 1, collections: maps.Clone(t.catalog.collections)}
	change(next.collections)
	t.catalog = next
	return t.wrote(t.tx.Bucket(bucketMeta).Put(keyGeneration, binary.BigEndian.AppendUint64(nil, next.generation)))
}

// idIndexSpec is what listIndexes says about the document bucket.
var idIndexSpec = bsoncore.NewDocumentBuilder().
	AppendInt32("v", 2).
	AppendDocument("key", bsoncore.NewDocumentBuilder().AppendInt32("_id", 1).Build()).
	AppendString("name", "_id_").
	Build()

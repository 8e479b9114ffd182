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

// The names of the buckets and keys; doc.go shows the whole structure.
var (
	bucketMeta    = []byte("meta")
	bucketCatalog = []byte("catalog")
	bucketData    = []byte("data")
	bucketDocs    = []byte("d")
	keyFormat     = []byte("format")
	keyGeneration = []byte("generation")
)

const format = 1 // of the file; openFile refuses any other format

// catalog lists the collections and their indexes. It is immutable. The generation in the
// file tells a reader whether the catalog in memory fits its transaction.
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
	multikey bool  // a document has, or had, an array under a key
	spec     document
}

func (c *collection) index(name string) *index {
	i := slices.IndexFunc(c.indexes, func(ix *index) bool { return ix.name == name })
	if i < 0 {
		return nil
	}
	return c.indexes[i]
}

// same reports whether a plan for other is also valid for ix.
func (ix *index) same(other *index) bool {
	return ix != nil && ix.multikey == other.multikey && bytes.Equal(ix.spec, other.spec)
}

// withIndexes returns a copy of c with other indexes.
func (c *collection) withIndexes(indexes []*index) *collection {
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

// catalogCache keeps the catalog of the last commit, or of the first transaction.
type catalogCache struct{ last atomic.Pointer[catalog] }

func (cc *catalogCache) publish(c *catalog) { cc.last.Store(c) }

// at returns the catalog that tx sees at its beginning. It reads the file only for the first
// transaction, and if tx is older or newer than the last published commit.
func (cc *catalogCache) at(tx *bbolt.Tx) (*catalog, error) {
	last := cc.last.Load()
	if last != nil && last.generation == generation(tx) {
		return last, nil
	}
	c, err := loadCatalog(tx)
	if err == nil && last == nil {
		cc.last.CompareAndSwap(nil, c)
	}
	return c, err
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

// isPrepared reports whether the file has its buckets. If so, it checks the format.
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

// makeBuckets creates the buckets of a new file.
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

// txn is one bbolt transaction with its catalog.
type txn struct {
	tx      *bbolt.Tx
	catalog *catalog
	dirty   bool  // a command has written
	broken  error // bbolt refused a write, so the transaction must not be committed
}

func (t *txn) bucket(ns string, name []byte) *bbolt.Bucket {
	return t.tx.Bucket(bucketData).Bucket([]byte(ns)).Bucket(name)
}

// fullPages is how far bbolt fills a page of documents before it splits the page. Most new
// _ids are greater than all others, so the half that bbolt leaves empty by default would
// stay empty.
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

// recordWrite notes the result of a write to the file and returns it. The writer checks broken
// before it commits.
func (t *txn) recordWrite(err error) error {
	t.dirty = true
	if err != nil {
		t.broken = err
	}
	return err
}

// ensure returns the collection and creates it if it is missing.
func (t *txn) ensure(ns string) (*collection, error) {
	if c := t.catalog.collections[ns]; c != nil {
		return c, nil
	}
	b, err := t.tx.Bucket(bucketData).CreateBucket([]byte(ns))
	if err == nil {
		_, err = b.CreateBucket(bucketDocs)
	}
	if err := t.recordWrite(err); err != nil {
		return nil, err
	}
	c := &collection{ns: ns}
	return c, t.store(c)
}

// store replaces the collection of the same name in the catalog.
func (t *txn) store(c *collection) error {
	entry, err := c.marshal()
	if err == nil {
		err = t.tx.Bucket(bucketCatalog).Put([]byte(c.ns), entry)
	}
	if err := t.recordWrite(err); err != nil {
		return err
	}
	return t.changeCatalog(func(cs map[string]*collection) { cs[c.ns] = c })
}

// drop removes a collection with its documents and indexes.
func (t *txn) drop(ns string) error {
	err := t.tx.Bucket(bucketData).DeleteBucket([]byte(ns))
	if err == nil {
		err = t.tx.Bucket(bucketCatalog).Delete([]byte(ns))
	}
	if err := t.recordWrite(err); err != nil {
		return err
	}
	return t.changeCatalog(func(cs map[string]*collection) { delete(cs, ns) })
}

func (t *txn) changeCatalog(change func(map[string]*collection)) error {
	next := &catalog{generation: t.catalog.generation + 1, collections: maps.Clone(t.catalog.collections)}
	change(next.collections)
	t.catalog = next
	return t.recordWrite(t.tx.Bucket(bucketMeta).Put(keyGeneration, binary.BigEndian.AppendUint64(nil, next.generation)))
}

// idIndexSpec describes the document bucket in the answer to listIndexes.
var idIndexSpec = bsoncore.NewDocumentBuilder().
	AppendInt32("v", 2).
	AppendDocument("key", bsoncore.NewDocumentBuilder().AppendInt32("_id", 1).Build()).
	AppendString("name", "_id_").
	Build()

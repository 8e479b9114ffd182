package embedded

import (
	"bytes"
	"math"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

const maxIndexes = 64 // of one collection; MongoDB's limit

func createIndexes(c *call) (bson.D, error) {
	ns, err := c.namespace("createIndexes")
	if err != nil {
		return nil, err
	}
	specs := c.documents("indexes")
	ignoreUnknown := c.bool("ignoreUnknownIndexOptions", false)
	c.accept("commitQuorum") // there is one member
	if err := c.finish(); err != nil {
		return nil, err
	}
	if len(specs) == 0 {
		return nil, fail(codeBadValue, "Must specify at least one index to create")
	}
	wanted := make([]*index, len(specs))
	for i, spec := range specs {
		if ignoreUnknown {
			spec = knownOptions(spec)
		}
		if wanted[i], err = parseNewIndex(normalizeSpec(spec)); err != nil {
			return nil, err
		}
	}
	existed := c.collection(ns) != nil
	col, err := c.t.ensure(ns)
	if err != nil {
		return nil, err
	}
	before := len(col.indexes) + 1
	if err := c.build(ns, wanted); err != nil {
		return nil, err
	}
	after := len(c.collection(ns).indexes) + 1
	answer := bson.D{{Key: "numIndexesBefore", Value: int32(before)}, {Key: "numIndexesAfter", Value: int32(after)},
		{Key: "createdCollectionAutomatically", Value: !existed}}
	if before == after {
		answer = append(answer, bson.E{Key: "note", Value: "all indexes already exist"})
	}
	return answer, nil
}

// parseNewIndex is parseIndex with the checks that an older version of this package did not make.
func parseNewIndex(spec document) (*index, error) {
	if ttl, ok := lookup(spec, "expireAfterSeconds"); ok && isNumber(ttl) && !(asFloat(ttl) >= 0) {
		return nil, fail(codeCannotCreateIndex, "TTL index 'expireAfterSeconds' option must be within an acceptable range, from 0 to %d", math.MaxInt32)
	}
	return parseIndex(spec)
}

// indexOptions are the options of an index that MongoDB 7 knows.
var indexOptions = words(`
	v key name ns unique sparse partialFilterExpression expireAfterSeconds background hidden collation prepareUnique storageEngine
	weights default_language language_override textIndexVersion 2dsphereIndexVersion bits min max bucketSize dropDups
	wildcardProjection columnstoreProjection clustered`)

// knownOptions returns the specification without options that MongoDB does not know, which the
// option ignoreUnknownIndexOptions allows. mongorestore sends it for dumps of old versions.
func knownOptions(spec document) document {
	b := newBuilder()
	for k, v := range fields(spec) {
		if indexOptions[k] {
			b.add(k, v)
		}
	}
	return b.document()
}

// build creates the missing indexes: all of them or none.
func (c *call) build(ns string, wanted []*index) error {
	var built []*index
	undo := func(cause error) error {
		for _, ix := range built {
			if err := c.dropIndex(ns, ix); err != nil {
				return err
			}
		}
		return cause
	}
	for _, ix := range wanted {
		col := c.collection(ns)
		exists, err := col.conflict(ix)
		if err != nil {
			return undo(err)
		}
		if exists {
			continue
		}
		if len(col.indexes)+1 >= maxIndexes {
			return undo(fail(codeCannotCreateIndex, "too many indexes for %s, the limit is %d", ns, maxIndexes))
		}
		if err := c.t.build(c.ctx, col, ix); err != nil {
			return undo(err)
		}
		built = append(built, ix)
	}
	return nil
}

// normalizeSpec returns the specification as listIndexes shows it: v comes first, and
// options without an effect are left out.
func normalizeSpec(spec document) document {
	b := newBuilder()
	b.add("v", int32Value(2))
	for k, v := range fields(spec) {
		isFalse := v.Type == bsoncore.TypeBoolean && !v.Boolean()
		_, number := asInt(v)
		if k == "background" || k == "ns" || k == "dropDups" || isFalse || k == "v" && number && asFloat(v) == 2 {
			continue
		}
		b.add(k, v)
	}
	return b.document()
}

// conflict reports whether ix exists. The error names an index that prevents ix.
func (c *collection) conflict(ix *index) (exists bool, err error) {
	if isIDKey(ix.pattern) {
		if ix.unique || ix.sparse || ix.partial != nil {
			return false, fail(codeIndexSpecOption, "an _id index takes no options")
		}
		return true, nil // every collection has it
	}
	if ix.name == "_id_" {
		return false, fail(codeBadValue, "The index name '_id_' is reserved for the _id index")
	}
	if old := c.index(ix.name); old != nil {
		switch {
		case !old.sameKeys(ix):
			return false, fail(codeIndexKeySpecs, "An existing index has the same name as the requested index, but other keys or options: %s", ix.name)
		case old.ttl != ix.ttl:
			return false, fail(codeIndexOptions, "An equivalent index already exists with the same name but different options: %s", ix.name)
		}
		return true, nil
	}
	for _, old := range c.indexes {
		if old.sameKeys(ix) {
			return false, fail(codeIndexOptions, "Index already exists with a different name: %s", old.name)
		}
	}
	return false, nil
}

func isIDKey(p pattern) bool { return len(p) == 1 && p[0].path == "_id" && !p[0].desc }

// sameKeys compares the options that identify an index in MongoDB: keys, filter, uniqueness and
// sparseness.
func (ix *index) sameKeys(other *index) bool {
	of := func(i *index, field string) []byte { v, _ := lookup(i.spec, field); return v.Data }
	samePattern := slices.EqualFunc(ix.pattern, other.pattern, func(a, b patternField) bool { return a.path == b.path && a.desc == b.desc })
	return samePattern && ix.unique == other.unique && ix.sparse == other.sparse &&
		bytes.Equal(of(ix, "partialFilterExpression"), of(other, "partialFilterExpression"))
}

func (c *call) dropIndex(ns string, ix *index) error {
	col := c.collection(ns)
	rest := slices.DeleteFunc(slices.Clone(col.indexes), func(other *index) bool { return other.name == ix.name })
	if err := c.t.recordWrite(c.t.tx.Bucket(bucketData).Bucket([]byte(ns)).DeleteBucket(ix.bucket())); err != nil {
		return err
	}
	return c.t.store(col.withIndexes(rest))
}

func dropIndexes(c *call) (bson.D, error) {
	ns, err := c.namespace("dropIndexes")
	if err != nil {
		return nil, err
	}
	which, _ := c.get("index")
	if err := c.finish(); err != nil {
		return nil, err
	}
	col := c.collection(ns)
	if col == nil {
		return nil, fail(codeNamespaceNotFound, "ns not found %s", ns)
	}
	chosen, err := col.selectIndexes(which)
	if err != nil {
		return nil, err
	}
	for _, ix := range chosen {
		if err := c.dropIndex(ns, ix); err != nil {
			return nil, err
		}
	}
	return bson.D{{Key: "nIndexesWas", Value: int32(len(col.indexes) + 1)}}, nil
}

// selectIndexes returns the indexes that a dropIndexes names: "*", a name, several names, or a
// key.
func (c *collection) selectIndexes(which value) ([]*index, error) {
	names := []value{which}
	switch which.Type {
	case bsoncore.TypeString:
		if stringOf(which) == "*" {
			return c.indexes, nil
		}
	case bsoncore.TypeArray:
		names = valuesOf(which)
	case bsoncore.TypeEmbeddedDocument:
		for _, ix := range c.indexes {
			if key, _ := lookup(ix.spec, "key"); sameValue(key, which) {
				return []*index{ix}, nil
			}
		}
		return nil, fail(codeIndexNotFound, "can't find index with key: %s", which)
	}
	var chosen []*index
	for _, name := range names {
		if name.Type != bsoncore.TypeString {
			return nil, fail(codeTypeMismatch, "dropIndexes.index must be a name, a list of names, or a key")
		}
		if stringOf(name) == "_id_" {
			return nil, fail(codeInvalidOptions, "cannot drop _id index")
		}
		ix := c.index(stringOf(name))
		if ix == nil {
			return nil, fail(codeIndexNotFound, "index not found with name [%s]", stringOf(name))
		}
		chosen = append(chosen, ix)
	}
	return chosen, nil
}

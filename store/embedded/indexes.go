package embedded

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// parseIndex reads an index specification of createIndexes or the catalog and refuses
// unsupported options.
func parseIndex(spec document) (*index, error) {
	f := newForm("createIndexes.indexes", spec)
	ix := &index{name: f.string("name"), unique: f.bool("unique", false), sparse: f.bool("sparse", false), ttl: -1, spec: spec}
	key, partial := f.document("key"), f.document("partialFilterExpression")
	if v := f.int("v", 2); v != 2 {
		return nil, fail(codeCannotCreateIndex, "index version v=%d is not supported, only 2", v)
	}
	if _, ok := f.get("expireAfterSeconds"); ok {
		ix.ttl = f.count("expireAfterSeconds", -1)
	}
	f.accept("background", "ns", "dropDups") // without effect since MongoDB 4.2, 4.4 and 3.0
	f.reject("hidden", "collation", "prepareUnique", "storageEngine")
	if err := f.finish(); err != nil {
		return nil, &failure{code: indexFailureCode(err), message: err.Error()}
	}
	if len(ix.name) == 0 || strings.ContainsRune(ix.name, 0) || len(ix.name) > 1024 {
		return nil, fail(codeFailedToParse, "an index needs a name of 1 to 1024 bytes without NUL")
	}
	if isEmpty(key) {
		return nil, fail(codeCannotCreateIndex, "index keys cannot be empty")
	}
	var err error
	if ix.pattern, err = parsePattern(key, codeCannotCreateIndex); err != nil {
		return nil, err
	}
	if partial != nil {
		if ix.partial, err = parsePartial(partial); err != nil {
			return nil, err
		}
		if ix.sparse {
			return nil, fail(codeCannotCreateIndex, "cannot mix \"partialFilterExpression\" and \"sparse\" options")
		}
	}
	if ix.ttl > math.MaxInt32 {
		return nil, fail(codeCannotCreateIndex, "TTL index 'expireAfterSeconds' must be at most %d", math.MaxInt32)
	}
	if ix.ttl >= 0 && (len(ix.pattern) != 1 || ix.pattern[0].path == "_id") {
		return nil, fail(codeCannotCreateIndex, "TTL indexes are single-field indexes, and not on _id")
	}
	return ix, nil
}

func indexFailureCode(err error) code {
	if c := asFailure(err).code; c != codeUnknownField {
		return c
	}
	return codeIndexSpecOption
}

func parsePartial(d document) (*filter, error) {
	f, err := compileFilter(d)
	if err != nil {
		return nil, err
	}
	if len(f.predicates) != len(f.tests) {
		return nil, fail(codeCannotCreateIndex, "unsupported expression in partial index: $or or $nor")
	}
	for _, p := range f.predicates {
		switch {
		case slices.Contains([]string{"$eq", "$gt", "$gte", "$lt", "$lte", "$type", "$in"}, p.op):
		case p.op == "$exists" && truthy(p.arg):
		default:
			return nil, fail(codeCannotCreateIndex, "unsupported expression in partial index: %s", p.op)
		}
	}
	return f, nil
}

// keysFor returns the keys of d in the index: none if the index is sparse or partial and leaves
// d out.
func (ix *index) keysFor(d document) (patternKeys, error) {
	if ix.partial != nil && !ix.partial.matches(d) {
		return patternKeys{}, nil
	}
	k, err := ix.pattern.keys(d)
	if err != nil || ix.sparse && !k.present {
		return patternKeys{array: k.array}, err
	}
	for i := range k.keys {
		k.keys[i] = truncateKey(k.keys[i])
	}
	return k, nil
}

// indexChange is the change of one index when a document changes.
type indexChange struct {
	ix          *index
	add, remove [][]byte
	array       bool
}

// keepsKeys reports whether two documents have the same keys because they have the same
// fields. It does not know for a partial index.
func (ix *index) keepsKeys(before, after document) bool {
	return ix.partial == nil && !slices.ContainsFunc(ix.pattern, func(f patternField) bool {
		was, had := lookup(before, f.parts[0])
		is, has := lookup(after, f.parts[0])
		return had != has || was.Type != is.Type || !bytes.Equal(was.Data, is.Data)
	})
}

// indexChanges compares the keys of a document before and after a change. Either document may
// be nil. It does not write, and returns an error for a duplicate.
func (t *txn) indexChanges(c *collection, id []byte, before, after document) ([]indexChange, error) {
	changes := make([]indexChange, 0, len(c.indexes))
	for _, ix := range c.indexes {
		if before != nil && after != nil && ix.keepsKeys(before, after) {
			continue
		}
		var was, is patternKeys
		var err error
		if before != nil {
			if was, err = ix.keysFor(before); err != nil {
				return nil, err
			}
		}
		if after != nil {
			if is, err = ix.keysFor(after); err != nil {
				return nil, err
			}
		}
		ch := indexChange{ix: ix, add: without(is.keys, was.keys), remove: without(was.keys, is.keys), array: is.array}
		if ix.unique {
			for _, key := range ch.add {
				if other := t.entries(c, ix).Get(key); other != nil && !bytes.Equal(other, id) {
					return nil, duplicate(c, ix.name, ix.pattern, after)
				}
			}
		}
		changes = append(changes, ch)
	}
	return changes, nil
}

// without returns the keys of a that are not in b. Both are sorted.
func without(a, b [][]byte) [][]byte {
	var rest [][]byte
	for _, k := range a {
		if _, found := slices.BinarySearchFunc(b, k, bytes.Compare); !found {
			rest = append(rest, k)
		}
	}
	return rest
}

// apply writes index changes that indexChanges has checked.
func (t *txn) apply(c *collection, id []byte, changes []indexChange) error {
	for _, ch := range changes {
		if len(ch.add)+len(ch.remove) == 0 {
			continue
		}
		b := t.entries(c, ch.ix)
		for _, key := range ch.remove {
			if err := t.recordWrite(b.Delete(ch.ix.entry(key, id))); err != nil {
				return err
			}
		}
		for _, key := range ch.add {
			if err := t.recordWrite(b.Put(ch.ix.entry(key, id), id)); err != nil {
				return err
			}
		}
	}
	for _, ch := range changes {
		if ch.array && !ch.ix.multikey {
			return t.markMultikey(c, changes)
		}
	}
	return nil
}

// entry returns the key in the index's bucket. A unique index has one document for each key.
func (ix *index) entry(key, id []byte) []byte {
	if ix.unique {
		return key
	}
	return append(key[:len(key):len(key)], id...)
}

func (t *txn) markMultikey(c *collection, changes []indexChange) error {
	indexes := slices.Clone(c.indexes)
	for i, ix := range indexes {
		if slices.ContainsFunc(changes, func(ch indexChange) bool { return ch.ix == ix && ch.array }) {
			marked := *ix
			marked.multikey = true
			indexes[i] = &marked
		}
	}
	return t.store(c.withIndexes(indexes))
}

// duplicate returns MongoDB's error 11000, which names the index and the key.
func duplicate(c *collection, name string, p pattern, d document) error {
	keyPattern, keyValue, text := bson.D{}, bson.D{}, []string{}
	for _, f := range p {
		direction := int32(1)
		if f.desc {
			direction = -1
		}
		v, below, found := descend(d, f.parts)
		if !found || len(below) > 0 {
			v = nullValue
		}
		v.Data = bytes.Clone(v.Data)
		keyPattern = append(keyPattern, bson.E{Key: f.path, Value: direction})
		keyValue = append(keyValue, bson.E{Key: f.path, Value: raw(v)})
		text = append(text, fmt.Sprintf("%s: %s", f.path, shorten(v)))
	}
	return &failure{
		code: codeDuplicateKey,
		message: fmt.Sprintf("E11000 duplicate key error collection: %s index: %s dup key: { %s }",
			c.ns, name, strings.Join(text, ", ")),
		extra: bson.D{{Key: "keyPattern", Value: keyPattern}, {Key: "keyValue", Value: keyValue}},
	}
}

func shorten(v value) string {
	if v.Type == bsoncore.TypeNull {
		return "null"
	}
	text := v.String()
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "..."
	}
	return text
}

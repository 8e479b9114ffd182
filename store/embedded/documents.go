package embedded

import (
	"bytes"
	"context"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// The writer's operations on single documents. Each function makes all checks before the
// first write, so that an error leaves the document unchanged.

// insert stores a new document. The first field of d must be _id; see withID.
func (t *txn) insert(ns string, d document) error {
	c, err := t.ensure(ns)
	if err != nil {
		return err
	}
	if len(d) > maxDocument {
		return fail(codeBadValue, "object to insert too large. size in bytes: %d, max size: %d", len(d), maxDocument)
	}
	id, err := idKey(d)
	if err != nil {
		return err
	}
	if v, _ := lookup(d, "_id"); dollarField(v) != "" {
		return fail(codeDollarField, "_id fields may not contain '$'-prefixed fields: %s is not valid for storage.", dollarField(v))
	}
	docs := t.docs(c)
	if docs.Get(id) != nil {
		return duplicate(c, "_id_", idPattern, d)
	}
	changes, err := t.indexChanges(c, id, nil, d)
	if err != nil {
		return err
	}
	if err := t.recordWrite(docs.Put(id, d)); err != nil {
		return err
	}
	return t.apply(c, id, changes)
}

// replace stores after instead of before. Both have the same _id.
func (t *txn) replace(c *collection, id []byte, before, after document) error {
	if len(after) > maxDocument {
		return fail(codeUpdateTooLarge, "Resulting document after update is larger than %d", maxDocument)
	}
	if !validDocument(after, 0) {
		return fail(codeOverflow, "the resulting document is nested deeper than %d levels", maxDepth)
	}
	changes, err := t.indexChanges(c, id, before, after)
	if err != nil {
		return err
	}
	if err := t.recordWrite(t.docs(c).Put(id, after)); err != nil {
		return err
	}
	return t.apply(c, id, changes)
}

func (t *txn) remove(c *collection, id []byte, before document) error {
	changes, err := t.indexChanges(c, id, before, nil)
	if err != nil {
		return err
	}
	if err := t.recordWrite(t.docs(c).Delete(id)); err != nil {
		return err
	}
	return t.apply(c, id, changes)
}

// idKey returns the key of d in the document bucket.
func idKey(d document) ([]byte, error) {
	v, _ := lookup(d, "_id")
	n := 0
	for name := range fields(d) {
		if name == "_id" {
			n++
		}
	}
	if n > 1 {
		return nil, fail(codeBadValue, "can't have multiple _id fields in one document")
	}
	switch v.Type {
	case bsoncore.TypeArray, bsoncore.TypeRegex, bsoncore.TypeUndefined:
		return nil, fail(codeBadValue, "can't use a %s for _id", v.Type)
	}
	key := keyOf(v)
	if len(key) > maxIDKey {
		return nil, fail(codeKeyTooLong, "an _id has at most about %d bytes", maxIDKey)
	}
	return key, nil
}

// dollarField returns the first field below v whose name begins with a dollar.
func dollarField(v value) string {
	if v.Type != bsoncore.TypeEmbeddedDocument && v.Type != bsoncore.TypeArray {
		return ""
	}
	for name, below := range fields(v.Data) {
		if strings.HasPrefix(name, "$") {
			return name
		}
		if name = dollarField(below); name != "" {
			return name
		}
	}
	return ""
}

// withID moves _id to the front. It generates a missing _id.
func withID(d document) document {
	if firstKey(d) == "_id" {
		return d
	}
	id, ok := lookup(d, "_id")
	if !ok {
		oid := bson.NewObjectID()
		id = value{Type: bsoncore.TypeObjectID, Data: oid[:]}
	}
	b := newBuilder()
	b.add("_id", id)
	for k, v := range fields(d) {
		if k != "_id" {
			b.add(k, v)
		}
	}
	return b.document()
}

// pick returns the ids of the documents that a write concerns: all matches, or with limit 1
// the first in order. It reads to the end before the first write, because writes move the
// entries under a walk.
func (t *txn) pick(ctx context.Context, c *collection, f *filter, order pattern, limit int) ([][]byte, error) {
	var ids [][]byte
	var least []byte
	p := c.choose(f, order)
	err := p.walk(ctx, t, c, &position{}, func(id []byte, d document) (bool, error) {
		if !f.matches(d) {
			return true, nil
		}
		if p.sorted {
			ids = append(ids, bytes.Clone(id))
			return limit == 0 || len(ids) < limit, nil
		}
		key, err := order.sortKey(d)
		if err == nil && (least == nil || bytes.Compare(key, least) < 0) {
			ids, least = [][]byte{bytes.Clone(id)}, key
		}
		return true, err
	})
	return ids, err
}

package embedded

import (
	"bytes"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxWrites bounds the documents or statements of one command. It is MongoDB's limit, and hello
// announces it.
const maxWrites = 100_000

// maxWriteErrors is how many bytes of write errors an answer describes. For further errors it has
// only the codes, as in MongoDB.
const maxWriteErrors = 1 << 20

// statements runs write for each of n statements. If ordered, the first error ends the
// command. Earlier statements keep their effect, as in MongoDB.
func (c *call) statements(n int, ordered bool, write func(i int) error) (writeErrors bson.A, err error) {
	size := 0
	for i := range n {
		err := write(i)
		if c.t.broken != nil {
			return nil, c.t.broken
		}
		if err == nil {
			continue
		}
		f, ok := errors.AsType[*failure](err)
		if !ok {
			return nil, err
		}
		entry, err := bson.Marshal(append(bson.D{{Key: "index", Value: int32(i)}}, f.fields()...))
		if size += len(entry); err == nil && size > maxWriteErrors {
			entry, err = bson.Marshal(bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: int32(f.code)}, {Key: "errmsg", Value: ""}})
		}
		if err != nil {
			return nil, err
		}
		writeErrors = append(writeErrors, bson.Raw(entry))
		if ordered {
			break
		}
	}
	return writeErrors, nil
}

func (c *call) checkCount(n int) error {
	if n == 0 || n > maxWrites {
		return fail(codeInvalidLength, "Write batch sizes must be between 1 and %d. Got %d operations.", maxWrites, n)
	}
	return nil
}

// withErrors adds the write errors, if any, to an answer.
func withErrors(answer bson.D, writeErrors bson.A) bson.D {
	if len(writeErrors) > 0 {
		answer = append(answer, bson.E{Key: "writeErrors", Value: writeErrors})
	}
	return answer
}

func insert(c *call) (bson.D, error) {
	ns, err := c.namespace("insert")
	if err != nil {
		return nil, err
	}
	docs, ordered := c.documents("documents"), c.bool("ordered", true)
	c.accept("bypassDocumentValidation") // there are no validators
	if err := c.finish(); err != nil {
		return nil, err
	}
	if err := c.checkCount(len(docs)); err != nil {
		return nil, err
	}
	n := int32(0)
	failed, err := c.statements(len(docs), ordered, func(i int) error {
		err := c.t.insert(ns, withID(docs[i]))
		if err == nil {
			n++
		}
		return err
	})
	return withErrors(bson.D{{Key: "n", Value: n}}, failed), err
}

// updateStatement is one entry of an update command.
type updateStatement struct {
	filter *filter
	update *update
	multi  bool
	upsert bool
	hint   value
}

func readUpdate(d document) (updateStatement, error) {
	f := newForm("update.updates", d)
	s := updateStatement{filter: f.filter("q"), multi: f.bool("multi", false), upsert: f.bool("upsert", false)}
	s.hint, _ = f.get("hint")
	u, _ := f.get("u")
	f.require("q", "u")
	f.reject("collation", "arrayFilters", "c", "sort", "upsertSupplied")
	if err := f.finish(); err != nil {
		return s, err
	}
	var err error
	if s.update, err = compileUpdate(u); err != nil {
		return s, err
	}
	if s.multi && s.update.replacement != nil {
		return s, fail(codeFailedToParse, "multi update is not supported for replacement-style update")
	}
	return s, nil
}

func updates(c *call) (bson.D, error) {
	ns, err := c.namespace("update")
	if err != nil {
		return nil, err
	}
	list, ordered := c.documents("updates"), c.bool("ordered", true)
	c.accept("bypassDocumentValidation")
	c.reject("let")
	if err := c.finish(); err != nil {
		return nil, err
	}
	if err := c.checkCount(len(list)); err != nil {
		return nil, err
	}
	n, modified := int32(0), int32(0)
	var upserted bson.A
	failed, err := c.statements(len(list), ordered, func(i int) error {
		s, err := readUpdate(list[i])
		if err != nil {
			return err
		}
		matched, changed, newID, err := c.update(ns, s)
		n, modified = n+matched, modified+changed
		if newID != nil {
			upserted = append(upserted, bson.D{{Key: "index", Value: int32(i)}, {Key: "_id", Value: raw(*newID)}})
			n++
		}
		return err
	})
	answer := bson.D{{Key: "n", Value: n}, {Key: "nModified", Value: modified}}
	if len(upserted) > 0 {
		answer = append(answer, bson.E{Key: "upserted", Value: upserted})
	}
	return withErrors(answer, failed), err
}

// update runs one statement. newID is the _id of an upserted document.
func (c *call) update(ns string, s updateStatement) (matched, modified int32, newID *value, err error) {
	var ids [][]byte
	if col := c.collection(ns); col != nil {
		if err := c.checkHint(col, s.hint); err != nil {
			return 0, 0, nil, err
		}
		limit := 1
		if s.multi {
			limit = 0
		}
		if ids, err = c.t.pick(c.ctx, col, s.filter, nil, limit); err != nil {
			return 0, 0, nil, err
		}
	}
	if len(ids) == 0 && s.upsert {
		d, err := c.upsert(ns, s.filter, s.update)
		if err != nil {
			return 0, 0, nil, err
		}
		id, _ := lookup(d, "_id")
		return 0, 0, &id, nil
	}
	for _, id := range ids {
		before, after, err := c.change(ns, id, s.update)
		if err != nil {
			return matched, modified, nil, err
		}
		matched++
		if !bytes.Equal(before, after) {
			modified++
		}
	}
	return matched, modified, nil, nil
}

// change updates one document. It writes only if the document differs.
func (c *call) change(ns string, id []byte, u *update) (before, after document, err error) {
	col := c.collection(ns) // again, because an earlier document may have marked an index as multikey
	before = c.t.docs(col).Get(id)
	if after, err = u.apply(before, false); err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(before, after) {
		err = c.t.replace(col, id, before, after)
	}
	return before, after, err
}

func (c *call) upsert(ns string, f *filter, u *update) (document, error) {
	d, err := u.newDocument(f)
	if err != nil {
		return nil, err
	}
	return d, c.t.insert(ns, d)
}

func deletes(c *call) (bson.D, error) {
	ns, err := c.namespace("delete")
	if err != nil {
		return nil, err
	}
	list, ordered := c.documents("deletes"), c.bool("ordered", true)
	c.reject("let")
	if err := c.finish(); err != nil {
		return nil, err
	}
	if err := c.checkCount(len(list)); err != nil {
		return nil, err
	}
	n := int32(0)
	failed, err := c.statements(len(list), ordered, func(i int) error {
		removed, err := c.deleteOne(ns, list[i])
		n += removed
		return err
	})
	return withErrors(bson.D{{Key: "n", Value: n}}, failed), err
}

// deleteOne runs one statement, which may remove one document or all that match.
func (c *call) deleteOne(ns string, d document) (n int32, err error) {
	f := newForm("delete.deletes", d)
	filter, limit := f.filter("q"), f.count("limit", -1)
	hint, _ := f.get("hint")
	f.require("q", "limit")
	f.reject("collation")
	if limit > 1 || limit < 0 {
		f.addError(fail(codeFailedToParse, "The limit field in delete objects must be 0 or 1"))
	}
	if err := f.finish(); err != nil {
		return 0, err
	}
	col := c.collection(ns)
	if col == nil {
		return 0, nil
	}
	if err := c.checkHint(col, hint); err != nil {
		return 0, err
	}
	ids, err := c.t.pick(c.ctx, col, filter, nil, int(limit))
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := c.t.remove(col, id, c.t.docs(col).Get(id)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// modification is the meaning of a findAndModify command.
type modification struct {
	filter     *filter
	order      pattern
	projection *projection
	remove     bool
	after      bool // return the document after the change
	upsert     bool
	update     *update // nil with remove
	hint       value
}

func readModification(f *form) (modification, error) {
	m := modification{filter: f.filter("query"), order: f.order("sort"), projection: f.projection("fields"),
		remove: f.bool("remove", false), after: f.bool("new", false), upsert: f.bool("upsert", false)}
	m.hint, _ = f.get("hint")
	u, hasUpdate := f.get("update")
	f.accept("bypassDocumentValidation")
	f.reject("collation", "arrayFilters", "let")
	if err := f.finish(); err != nil {
		return m, err
	}
	if m.remove == hasUpdate || m.remove && (m.after || m.upsert) {
		return m, fail(codeFailedToParse, "findAndModify needs either remove or update, and remove excludes new and upsert")
	}
	var err error
	if hasUpdate {
		m.update, err = compileUpdate(u)
	}
	return m, err
}

func findAndModify(c *call) (bson.D, error) {
	ns, err := c.namespace(c.name)
	if err != nil {
		return nil, err
	}
	m, err := readModification(c.form)
	if err != nil {
		return nil, err
	}
	var ids [][]byte
	col := c.collection(ns)
	if col != nil {
		if err := c.checkHint(col, m.hint); err != nil {
			return nil, err
		}
		if ids, err = c.t.pick(c.ctx, col, m.filter, m.order, 1); err != nil {
			return nil, err
		}
	}
	switch {
	case len(ids) > 0 && m.remove:
		before := c.t.docs(col).Get(ids[0])
		if err := c.t.remove(col, ids[0], before); err != nil {
			return nil, err
		}
		return m.answer(1, nil, nil, before), nil
	case len(ids) > 0:
		before, after, err := c.change(ns, ids[0], m.update)
		if err != nil {
			return nil, err
		}
		if m.after {
			before = after
		}
		updated := true
		return m.answer(1, &updated, nil, before), nil
	case m.upsert:
		d, err := c.upsert(ns, m.filter, m.update)
		if err != nil {
			return nil, err
		}
		id, _ := lookup(d, "_id")
		if !m.after {
			d = nil
		}
		updated := false
		return m.answer(1, &updated, &id, d), nil
	case m.remove:
		return m.answer(0, nil, nil, nil), nil
	}
	updated := false
	return m.answer(0, &updated, nil, nil), nil
}

// answer returns the answer with the document d, nil for none. updated is nil for a removal.
func (m modification) answer(n int32, updated *bool, upserted *value, d document) bson.D {
	last := bson.D{{Key: "n", Value: n}}
	if updated != nil {
		last = append(last, bson.E{Key: "updatedExisting", Value: *updated})
	}
	if upserted != nil {
		last = append(last, bson.E{Key: "upserted", Value: raw(*upserted)})
	}
	answer := bson.D{{Key: "lastErrorObject", Value: last}, {Key: "value", Value: nil}}
	if d != nil {
		answer[1].Value = bson.Raw(m.projection.apply(d))
	}
	return answer
}

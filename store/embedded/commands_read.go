package embedded

import (
	"bytes"
	"context"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// query is the meaning of a find command.
type query struct {
	filter     *filter
	order      pattern
	projection *projection
	skip       int64
	limit      int64
	hint       value
}

// readQuery reads a find command without its batch options.
func readQuery(f *form) query {
	q := query{filter: f.filter("filter"), order: f.order("sort"), projection: f.projection("projection"),
		skip: f.count("skip", 0), limit: f.count("limit", 0)}
	hint, _ := f.get("hint")
	if q.limit == 0 {
		q.limit = math.MaxInt64
	}
	q.use(hint)
	f.accept("allowDiskUse", "allowPartialResults") // without effect: sorts use no disk, and there are no shards
	f.reject("tailable", "awaitData", "oplogReplay", "noCursorTimeout", "returnKey", "showRecordId", "snapshot",
		"collation", "let", "min", "max")
	return q
}

// use keeps the hint, of which only the natural order backward has an effect.
func (q *query) use(hint value) {
	q.hint = hint
	if direction, ok := naturalHint(hint); ok && direction < 0 && len(q.order) == 0 {
		q.order = pattern{{path: "_id", parts: []string{"_id"}, desc: true}}
	}
}

func find(c *call) (bson.D, error) {
	ns, err := c.namespace("find")
	if err != nil {
		return nil, err
	}
	q := readQuery(c.form)
	size, single := c.count("batchSize", firstBatchSize), c.bool("singleBatch", false)
	if err := c.finish(); err != nil {
		return nil, err
	}
	col := c.collection(ns)
	if err := c.checkHint(col, q.hint); err != nil {
		return nil, err
	}
	cur, err := q.open(c.ctx, c.t, ns)
	if err != nil {
		return nil, err
	}
	cur.bytes = len(c.body) // the filter points into it
	return c.firstBatch(cur, size, single)
}

// open returns a cursor over the result. The cursor walks an index if one has the order,
// and otherwise holds the sorted documents.
func (q query) open(ctx context.Context, t *txn, ns string) (*cursor, error) {
	cur := &cursor{ns: ns, filter: q.filter, projection: q.projection, skip: q.skip, limit: q.limit}
	c := t.catalog.collections[ns]
	if c == nil {
		return cur, nil
	}
	p := c.choose(q.filter, q.order)
	if p.sorted {
		cur.plan = &p
		return cur, nil
	}
	var err error
	cur.docs, err = q.collect(ctx, t, c, p)
	return cur, err
}

// collect sorts the matching documents in memory.
func (q query) collect(ctx context.Context, t *txn, c *collection, p plan) ([]document, error) {
	s := sorter{want: math.MaxInt64}
	if q.limit < math.MaxInt64-q.skip {
		s.want = q.limit + q.skip
	}
	err := p.walk(ctx, t, c, &position{}, func(_ []byte, d document) (bool, error) {
		if !q.filter.matches(d) {
			return true, nil
		}
		key, err := q.order.sortKey(d)
		if err == nil {
			err = s.add(key, bytes.Clone(q.projection.apply(d))) // d is valid only in the transaction
		}
		return err == nil, err
	})
	return s.docs(q.skip), err
}

// firstBatch answers with the first documents of a cursor and keeps the cursor for the rest.
func (c *call) firstBatch(cur *cursor, size int64, single bool) (bson.D, error) {
	b := newBatch()
	done, err := cur.next(c.ctx, c.t, b, size)
	if err != nil {
		return nil, err
	}
	if !done && !single {
		if err := c.server.cursors.keep(cur); err != nil {
			return nil, err
		}
	}
	return cursorAnswer("firstBatch", cur, b), nil
}

func cursorAnswer(field string, cur *cursor, b *batch) bson.D {
	return bson.D{{Key: "cursor", Value: bson.D{
		{Key: field, Value: raw(b.value())}, {Key: "id", Value: cur.id}, {Key: "ns", Value: cur.ns},
	}}}
}

func getMore(c *call) (bson.D, error) {
	id := c.int("getMore", 0)
	ns, err := c.namespace("collection")
	if err != nil {
		return nil, err
	}
	size := c.count("batchSize", math.MaxInt64)
	if size == 0 {
		size = math.MaxInt64
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	cur, err := c.server.cursors.acquire(id, ns)
	if err != nil {
		return nil, err
	}
	done := true // also after an error or a panic
	defer func() { c.server.cursors.release(cur, done) }()
	b := newBatch()
	over, err := cur.next(c.ctx, c.t, b, size)
	if err != nil {
		return nil, err
	}
	if done = over; done {
		return cursorAnswer("nextBatch", &cursor{ns: ns}, b), nil
	}
	return cursorAnswer("nextBatch", cur, b), nil
}

func killCursors(c *call) (bson.D, error) {
	ns, err := c.namespace("killCursors")
	if err != nil {
		return nil, err
	}
	ids := c.array("cursors")
	if err := c.finish(); err != nil {
		return nil, err
	}
	killed, missing := bson.A{}, bson.A{}
	for _, v := range ids {
		if id, ok := asInt(v); ok && c.server.cursors.kill(id, ns) {
			killed = append(killed, id)
		} else {
			missing = append(missing, raw(v))
		}
	}
	return bson.D{{Key: "cursorsKilled", Value: killed}, {Key: "cursorsNotFound", Value: missing},
		{Key: "cursorsAlive", Value: bson.A{}}, {Key: "cursorsUnknown", Value: bson.A{}}}, nil
}

func count(c *call) (bson.D, error) {
	ns, err := c.namespace("count")
	if err != nil {
		return nil, err
	}
	f, skip, limit := c.filter("query"), c.count("skip", 0), c.int("limit", 0)
	hint, _ := c.get("hint")
	c.reject("collation")
	c.accept("fields") // MongoDB ignores it too
	if err := c.finish(); err != nil {
		return nil, err
	}
	if limit = max(limit, -limit); limit <= 0 {
		limit = math.MaxInt64
	}
	col := c.collection(ns)
	if err := c.checkHint(col, hint); err != nil {
		return nil, err
	}
	n, err := c.t.count(c.ctx, col, f, skip, limit)
	return bson.D{{Key: "n", Value: raw(smallInt(n))}}, err
}

func explain(c *call) (bson.D, error) {
	inner := c.document("explain")
	if v := c.string("verbosity"); v != "" && v != "queryPlanner" {
		c.addError(unsupported("explain with the verbosity %q", v))
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	if name := firstKey(inner); name != "find" {
		return nil, unsupported("explain of %q, not of find,", name)
	}
	of := &call{form: newForm("find", inner), db: c.db, t: c.t}
	ns, err := of.namespace("find")
	if err != nil {
		return nil, err
	}
	q := readQuery(of.form)
	of.accept("batchSize", "singleBatch", "comment", "maxTimeMS", "$db", "lsid", "readConcern")
	if err := of.finish(); err != nil {
		return nil, err
	}
	stage := bson.D{{Key: "stage", Value: "EOF"}}
	if col := c.collection(ns); col != nil {
		p := col.choose(q.filter, q.order)
		stage = p.describe(q.order)
	}
	return bson.D{{Key: "queryPlanner", Value: bson.D{{Key: "namespace", Value: ns}, {Key: "winningPlan", Value: stage}}}}, nil
}

// describe returns p in the form of MongoDB's explain.
func (p plan) describe(order pattern) bson.D {
	direction := "forward"
	if p.reverse {
		direction = "backward"
	}
	var stage bson.D
	switch all := len(p.spans) == 1 && p.spans[0].lo == nil; {
	case p.union != nil:
		var inputs bson.A
		for _, b := range p.union {
			inputs = append(inputs, b.describe(nil))
		}
		stage = bson.D{{Key: "stage", Value: "OR"}, {Key: "inputStages", Value: inputs}}
	case p.ix != nil:
		key, _ := lookup(p.ix.spec, "key")
		stage = bson.D{{Key: "stage", Value: "FETCH"}, {Key: "inputStage", Value: bson.D{
			{Key: "stage", Value: "IXSCAN"}, {Key: "indexName", Value: p.ix.name},
			{Key: "keyPattern", Value: raw(key)}, {Key: "direction", Value: direction}}}}
	case all:
		stage = bson.D{{Key: "stage", Value: "COLLSCAN"}, {Key: "direction", Value: direction}}
	default:
		stage = bson.D{{Key: "stage", Value: "CLUSTERED_IXSCAN"}, {Key: "direction", Value: direction}}
	}
	if !p.sorted && len(order) > 0 {
		stage = bson.D{{Key: "stage", Value: "SORT"}, {Key: "inputStage", Value: stage}}
	}
	return stage
}

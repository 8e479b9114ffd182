package embedded

import (
	"context"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// countStages are the stages of the one pipeline that drivers send by themselves: it counts
// documents, and Collection.CountDocuments is its name in the Go driver. Each stage occurs at
// most once and in this order; $group is required. Every other pipeline is refused.
var countStages = []string{"$match", "$skip", "$limit", "$group"}

// counting is the meaning of such a pipeline.
type counting struct {
	filter *filter
	skip   int64
	limit  int64
	id     value  // of the only group
	field  string // that gets the count
}

func aggregate(c *call) (bson.D, error) {
	if target, ok := c.get("aggregate"); ok && isNumber(target) {
		return nil, unsupported("aggregation of a whole database")
	}
	ns, err := c.namespace("aggregate")
	if err != nil {
		return nil, err
	}
	stages, size := c.array("pipeline"), c.batchSize()
	if _, ok := lookup(c.body, "cursor"); !ok {
		c.addError(fail(codeFailedToParse, "The 'cursor' option is required"))
	}
	hint, _ := c.get("hint")
	c.accept("allowDiskUse", "bypassDocumentValidation")
	c.reject("explain", "collation", "let")
	if err := c.finish(); err != nil {
		return nil, err
	}
	q, err := readCounting(stages)
	if err != nil {
		return nil, err
	}
	col := c.collection(ns)
	if err := c.checkHint(col, hint); err != nil {
		return nil, err
	}
	n, err := c.t.count(c.ctx, col, q.filter, q.skip, q.limit)
	if err != nil {
		return nil, err
	}
	cur := &cursor{ns: ns}
	if n > 0 { // without a document there is no group
		b := newBuilder()
		b.add("_id", q.id)
		b.add(q.field, smallInt(n))
		cur.docs = []document{b.document()}
	}
	return c.firstBatch(cur, size, false)
}

// readCounting refuses a pipeline that is not about counting, and names the stage or operator.
func readCounting(stages []value) (counting, error) {
	q := counting{filter: &filter{}, limit: math.MaxInt64}
	next := 0 // index in countStages of the first stage that may follow
	for _, stage := range stages {
		name, arg, ok := onlyField(stage)
		if !ok {
			return q, fail(codeUnknownStage, "A pipeline stage specification object must contain exactly one field: %s", stage)
		}
		at := slices.Index(countStages, name)
		if at < 0 {
			return q, unknownName(knownStages, "the stage", name, fail(codeUnknownStage, "Unrecognized pipeline stage name: '%s'", name))
		}
		if at < next {
			return q, unsupported("the stage %s at this place, not in the order %s,", name, strings.Join(countStages, ", "))
		}
		if err := q.read(name, arg); err != nil {
			return q, err
		}
		next = at + 1
	}
	if next < len(countStages) {
		return q, unsupported("a pipeline that does not end with $group")
	}
	return q, nil
}

func (q *counting) read(stage string, arg value) (err error) {
	switch stage {
	case "$match":
		if arg.Type != bsoncore.TypeEmbeddedDocument {
			return fail(codeFailedToParse, "the match filter must be an expression in an object")
		}
		q.filter, err = compileFilter(arg.Data)
	case "$skip":
		q.skip, err = stageCount(stage, arg, 0)
	case "$limit":
		q.limit, err = stageCount(stage, arg, 1)
	case "$group":
		err = q.readGroup(arg)
	}
	return err
}

func stageCount(stage string, arg value, least int64) (int64, error) {
	n, exact := asInt(arg)
	if !exact || n < least {
		return 0, fail(codeBadValue, "%s needs a whole number from %d on", stage, least)
	}
	return n, nil
}

// readGroup accepts a constant _id and one field with {$sum: 1}.
func (q *counting) readGroup(arg value) error {
	if arg.Type != bsoncore.TypeEmbeddedDocument {
		return fail(codeFailedToParse, "a group's fields must be specified in an object")
	}
	for name, v := range fields(arg.Data) {
		if name == "_id" {
			q.id = v
			if err := checkConstant(v); err != nil {
				return err
			}
			continue
		}
		op, sum, ok := onlyField(v)
		if n, exact := asInt(sum); !ok || op != "$sum" || !exact || n != 1 {
			return unsupported("the group field '%s' with %s, not {$sum: 1},", name, v)
		}
		if q.field != "" || strings.Contains(name, ".") {
			return unsupported("the group field '%s', a second one or one with a dot,", name)
		}
		q.field = name
	}
	if q.id.Type == 0 || q.field == "" {
		return unsupported("a $group without an _id and a field with {$sum: 1}")
	}
	return nil
}

// checkConstant refuses expressions.
func checkConstant(v value) error {
	switch {
	case v.Type == bsoncore.TypeString && strings.HasPrefix(stringOf(v), "$"),
		v.Type == bsoncore.TypeArray,
		v.Type == bsoncore.TypeEmbeddedDocument && !isEmpty(v.Data):
		return unsupported("grouping by %s, not by a constant,", v)
	}
	return nil
}

// onlyField returns the field of a document that has exactly one.
func onlyField(v value) (name string, arg value, ok bool) {
	if v.Type != bsoncore.TypeEmbeddedDocument {
		return "", value{}, false
	}
	n := 0
	for name, arg = range fields(v.Data) {
		n++
	}
	return name, arg, n == 1
}

// count counts the documents that match, after the first skip ones and up to limit. A nil
// collection has none.
func (t *txn) count(ctx context.Context, col *collection, f *filter, skip, limit int64) (n int64, err error) {
	if col == nil {
		return 0, nil
	}
	p := col.choose(f, nil)
	err = p.walk(ctx, t, col, &position{}, func(_ []byte, d document) (bool, error) {
		switch {
		case !f.matches(d):
		case skip > 0:
			skip--
		default:
			n++
		}
		return n < limit, nil
	})
	return n, err
}

// smallInt returns an int32 if n fits, as MongoDB counts.
func smallInt(n int64) value {
	if int64(int32(n)) == n {
		return int32Value(int32(n))
	}
	return int64Value(n)
}

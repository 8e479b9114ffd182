package embedded

import (
	"context"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// pipelineStages are the stages of the pipelines that this package runs. Each occurs at most once and
// in this order, so that a pipeline is a find. With $group or $count, it counts what it would
// return: Collection.CountDocuments is the Go driver's name for that. Every other pipeline is refused.
var pipelineStages = []string{"$match", "$sort", "$skip", "$limit", "$project", "$group", "$count"}

// pipeline is the meaning of such a pipeline.
type pipeline struct {
	query
	id    value  // of the only group; $count has none
	field string // that gets the count; empty if the pipeline does not count
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
	p, err := readPipeline(stages)
	if err != nil {
		return nil, err
	}
	p.use(hint)
	col := c.collection(ns)
	if err := c.checkHint(col, hint); err != nil {
		return nil, err
	}
	cur, err := p.open(c.ctx, c.t, ns)
	if err != nil {
		return nil, err
	}
	cur.bytes = len(c.body) // the filter points into it
	return c.firstBatch(cur, size, false)
}

// open returns a cursor over the result.
func (p pipeline) open(ctx context.Context, t *txn, ns string) (*cursor, error) {
	if p.field == "" {
		return p.query.open(ctx, t, ns)
	}
	n, err := t.count(ctx, t.catalog.collections[ns], p.filter, p.skip, p.limit)
	cur := &cursor{ns: ns}
	if n > 0 { // without a document there is no group
		b := newBuilder()
		if p.id.Type != 0 {
			b.add("_id", p.id)
		}
		b.add(p.field, smallInt(n))
		cur.docs = []document{b.document()}
	}
	return cur, err
}

// readPipeline refuses a pipeline that is no find and does not count, and names the stage or operator.
func readPipeline(stages []value) (pipeline, error) {
	p := pipeline{query: query{filter: &filter{}, limit: math.MaxInt64}}
	next := 0 // index in pipelineStages of the first stage that may follow
	for _, stage := range stages {
		name, arg, ok := onlyField(stage)
		if !ok {
			return p, fail(codeUnknownStage, "A pipeline stage specification object must contain exactly one field: %s", stage)
		}
		at := slices.Index(pipelineStages, name)
		if at < 0 {
			return p, unknownName(knownStages, "the stage", name, fail(codeUnknownStage, "Unrecognized pipeline stage name: '%s'", name))
		}
		if at < next || p.field != "" {
			return p, unsupported("the stage %s at this place, not in the order %s,", name, strings.Join(pipelineStages, ", "))
		}
		if err := p.read(name, arg); err != nil {
			return p, err
		}
		next = at + 1
	}
	return p, nil
}

func (p *pipeline) read(stage string, arg value) (err error) {
	switch stage {
	case "$skip":
		p.skip, err = stageCount(stage, arg, 0)
		return err
	case "$limit":
		p.limit, err = stageCount(stage, arg, 1)
		return err
	case "$count":
		p.field, err = countField(arg)
		return err
	}
	if arg.Type != bsoncore.TypeEmbeddedDocument {
		return fail(codeFailedToParse, "the %s specification must be an object", stage)
	}
	switch stage {
	case "$match":
		p.filter, err = compileFilter(arg.Data)
	case "$sort":
		if isEmpty(arg.Data) || isOperators(arg) {
			return fail(codeBadValue, "$sort stage must have at least one sort key, and none that begins with $")
		}
		p.order, err = parseSort(arg.Data)
	case "$project":
		if isEmpty(arg.Data) {
			return fail(codeBadValue, "projection specification must have at least one field")
		}
		p.projection, err = compileProjection(arg.Data)
	case "$group":
		err = p.readGroup(arg)
	}
	return err
}

// countField reads the argument of $count.
func countField(arg value) (string, error) {
	if arg.Type != bsoncore.TypeString {
		return "", fail(codeBadValue, "the count field must be a non-empty string")
	}
	name := stringOf(arg)
	if name == "" || name[0] == '$' || strings.ContainsAny(name, ".\x00") {
		return "", fail(codeBadValue, "the count field must not be empty, begin with $ or contain a dot or NUL: %q", name)
	}
	return name, nil
}

func stageCount(stage string, arg value, least int64) (int64, error) {
	n, exact := asInt(arg)
	if !exact || n < least {
		return 0, fail(codeBadValue, "%s needs a whole number from %d on", stage, least)
	}
	return n, nil
}

// readGroup accepts a constant _id and one field with {$sum: 1}.
func (p *pipeline) readGroup(arg value) error {
	for name, v := range fields(arg.Data) {
		if name == "_id" {
			p.id = v
			if err := checkConstant(v); err != nil {
				return err
			}
			continue
		}
		op, sum, ok := onlyField(v)
		if n, exact := asInt(sum); !ok || op != "$sum" || !exact || n != 1 {
			return unsupported("the group field '%s' with %s, not {$sum: 1},", name, v)
		}
		if p.field != "" || strings.Contains(name, ".") {
			return unsupported("the group field '%s', a second one or one with a dot,", name)
		}
		p.field = name
	}
	if p.id.Type == 0 || p.field == "" {
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

package embedded

import (
	"bytes"
	"math"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// stream calls visit with each document until it says stop. The documents may
// point into the transaction's pages.
type stream func(visit func(document) (more bool, err error)) error

const maxStages = 1000 // of a pipeline; MongoDB's limit

func aggregate(c *call) (bson.D, error) {
	ns, err := c.namespace("aggregate")
	if err != nil {
		return nil, err
	}
	stages, size := c.array("pipeline"), c.batchSize()
	if _, ok := lookup(c.body, "cursor"); !ok {
		c.failed(fail(codeFailedToParse, "The 'cursor' option is required"))
	}
	hint, _ := c.get("hint")
	c.accept("allowDiskUse", "bypassDocumentValidation")
	c.refuse("explain", "collation", "let")
	if err := c.done(); err != nil {
		return nil, err
	}
	col := c.existing(ns)
	if err := c.checkHint(col, hint); err != nil {
		return nil, err
	}
	s, err := c.pipeline(col, stages)
	if err != nil {
		return nil, err
	}
	cur := &cursor{ns: ns}
	held := 0
	err = s(func(d document) (bool, error) {
		cur.docs = append(cur.docs, bytes.Clone(d))
		if held += len(d); held > maxSortBytes {
			return false, fail(codeMemoryLimit, "the result of an aggregation exceeds %d bytes", maxSortBytes)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return c.firstBatch(cur, size, false)
}

// pipeline compiles stages. A leading $match and the $sort behind it go to the planner.
func (c *call) pipeline(col *collection, stages []value) (stream, error) {
	q := query{filter: &filter{}, limit: math.MaxInt64}
	if len(stages) > maxStages {
		return nil, fail(codeFailedToParse, "Pipeline length must be no longer than %d stages", maxStages)
	}
	var err error
	if name, arg := stageOf(stages, 0); name == "$match" {
		if q.filter, err = compileFilter(arg.Data); err != nil {
			return nil, err
		}
		stages = stages[1:]
	}
	if name, arg := stageOf(stages, 0); name == "$sort" {
		if q.order, err = sortPattern(arg); err != nil {
			return nil, err
		}
		stages = stages[1:]
	}
	s := c.source(col, q)
	for i, v := range stages {
		name, arg := stageOf(stages, i)
		if name == "" {
			return nil, fail(codeUnknownStage, "A pipeline stage specification object must contain exactly one field: %s", v)
		}
		if s, err = compileStage(s, name, arg); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// stageOf gives stage i when it is well formed; $match and $sort only with a document.
func stageOf(stages []value, i int) (name string, arg value) {
	if i >= len(stages) || stages[i].Type != bsoncore.TypeEmbeddedDocument {
		return "", value{}
	}
	n := 0
	for name, arg = range fields(stages[i].Data) {
		n++
	}
	if n != 1 || (name == "$match" || name == "$sort" || name == "$project" || name == "$group") && arg.Type != bsoncore.TypeEmbeddedDocument {
		return "", value{}
	}
	return name, arg
}

func sortPattern(arg value) (pattern, error) {
	p, err := parsePattern(arg.Data, codeBadValue)
	if err == nil && len(p) == 0 {
		err = fail(codeBadValue, "$sort stage must have at least one sort key")
	}
	return p, err
}

func (c *call) source(col *collection, q query) stream {
	return func(visit func(document) (bool, error)) error {
		if col == nil {
			return nil
		}
		p := col.choose(q.filter, q.order)
		if !p.sorted {
			docs, err := q.collect(c.ctx, c.t, col, p)
			return feed(docs, err, visit)
		}
		return p.walk(c.ctx, c.t, col, &position{}, func(_ []byte, d document) (bool, error) {
			if !q.filter.matches(d) {
				return true, nil
			}
			return visit(d)
		})
	}
}

func feed(docs []document, err error, visit func(document) (bool, error)) error {
	for _, d := range docs {
		if err != nil {
			return err
		}
		var more bool
		if more, err = visit(d); !more {
			return err
		}
	}
	return err
}

func compileStage(in stream, name string, arg value) (stream, error) {
	switch name {
	case "$match":
		f, err := compileFilter(arg.Data)
		return func(visit func(document) (bool, error)) error {
			return in(func(d document) (bool, error) {
				if !f.matches(d) {
					return true, nil
				}
				return visit(d)
			})
		}, err
	case "$project":
		p, err := compileProjection(arg.Data)
		if err == nil && p == nil {
			err = fail(codeBadValue, "$project needs at least one field")
		}
		return func(visit func(document) (bool, error)) error {
			return in(func(d document) (bool, error) { return visit(p.apply(d)) })
		}, err
	case "$skip", "$limit":
		return compileSlice(in, name, arg)
	case "$sort":
		order, err := sortPattern(arg)
		return sorted(in, order), err
	case "$count":
		if arg.Type != bsoncore.TypeString || stringOf(arg) == "" || strings.ContainsAny(stringOf(arg), "$.\x00") {
			return nil, fail(codeBadValue, "$count needs a field name")
		}
		return counted(in, stringOf(arg)), nil
	case "$group":
		g, err := compileGroup(arg.Data)
		if err != nil {
			return nil, err
		}
		return func(visit func(document) (bool, error)) error {
			docs, err := g.run(in)
			return feed(docs, err, visit)
		}, nil
	}
	return nil, fail(codeUnknownStage, "Unrecognized pipeline stage name: '%s'", name)
}

func compileSlice(in stream, name string, arg value) (stream, error) {
	n, exact := asInt(arg)
	if !exact || n < 0 || n == 0 && name == "$limit" {
		return nil, fail(codeBadValue, "%s needs a positive whole number", name)
	}
	return func(visit func(document) (bool, error)) error {
		seen := int64(0)
		return in(func(d document) (bool, error) {
			seen++
			if name == "$skip" {
				if seen <= n {
					return true, nil
				}
				return visit(d)
			}
			more, err := visit(d)
			return more && seen < n, err
		})
	}, nil
}

func counted(in stream, field string) stream {
	return func(visit func(document) (bool, error)) error {
		n := int64(0)
		err := in(func(document) (bool, error) { n++; return true, nil })
		if err != nil || n == 0 {
			return err // nothing to count gives no document
		}
		b := newBuilder()
		b.add(field, smallInt(n))
		_, err = visit(b.document())
		return err
	}
}

// smallInt is an int32 where that is enough, as MongoDB counts.
func smallInt(n int64) value {
	if int64(int32(n)) == n {
		return int32Value(int32(n))
	}
	return int64Value(n)
}

// sorted holds everything that comes in, up to maxSortBytes.
func sorted(in stream, order pattern) stream {
	return func(visit func(document) (bool, error)) error {
		s := sorter{want: math.MaxInt64}
		err := in(func(d document) (bool, error) {
			key, err := order.sortKey(d)
			if err != nil {
				return false, err
			}
			err = s.add(key, bytes.Clone(d))
			return err == nil, err
		})
		return feed(s.docs(0), err, visit)
	}
}

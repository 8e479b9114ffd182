package embedded

import (
	"bytes"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// group is a compiled $group.
type group struct {
	id     expression
	fields []groupField
}

// groupField is a sum.
type groupField struct {
	name string
	arg  expression
}

// expression gives a value for a document; one without a type is "missing".
type expression func(document) value

// compileExpression knows constants and "$path". All else is refused by name.
func compileExpression(v value) (expression, error) {
	switch v.Type {
	case bsoncore.TypeString:
		path, isPath := strings.CutPrefix(stringOf(v), "$")
		if !isPath {
			break
		}
		if path == "" || strings.HasPrefix(path, "$") {
			return nil, fail(codeNotImplemented, "expression variable '$%s' is not supported", path)
		}
		parts := splitPath(path)
		return func(d document) value { return valueAt(documentValue(d), parts) }, nil
	case bsoncore.TypeArray:
		return nil, fail(codeNotImplemented, "array expressions are not supported")
	case bsoncore.TypeEmbeddedDocument:
		if firstKey(v.Data) != "" { // an empty one is a constant
			return nil, fail(codeNotImplemented, "expression with '%s' is not supported", firstKey(v.Data))
		}
	}
	return func(document) value { return v }, nil
}

// valueAt follows a path as expressions do: through an array it gives the array of what it finds.
func valueAt(v value, parts []string) value {
	for i, part := range parts {
		switch v.Type {
		case bsoncore.TypeEmbeddedDocument:
			v, _ = lookup(v.Data, part)
		case bsoncore.TypeArray:
			var all []value
			for e := range elements(v) {
				if found := valueAt(e, parts[i:]); found.Type != 0 {
					all = append(all, found)
				}
			}
			return arrayValue(all)
		default:
			return value{}
		}
	}
	return v
}

func compileGroup(d document) (*group, error) {
	g := &group{}
	for name, v := range fields(d) {
		if name == "_id" {
			id, err := compileExpression(v)
			if err != nil {
				return nil, err
			}
			g.id = id
			continue
		}
		op := ""
		if v.Type == bsoncore.TypeEmbeddedDocument {
			op = firstKey(v.Data)
		}
		arg, _ := lookup(document(v.Data), op)
		if !strings.HasPrefix(op, "$") || strings.Contains(name, ".") {
			return nil, fail(codeBadValue, "The field '%s' must be an accumulator object", name)
		}
		switch op {
		case "$sum":
		case "$count":
			arg = int32Value(1)
		default:
			return nil, fail(codeNotImplemented, "unknown group operator '%s'", op)
		}
		e, err := compileExpression(arg)
		if err != nil {
			return nil, err
		}
		g.fields = append(g.fields, groupField{name, e})
	}
	if g.id == nil {
		return nil, fail(codeBadValue, "a group specification must include an _id")
	}
	return g, nil
}

// bucket is one group while it is counted.
type bucket struct {
	id   value
	sums []value
}

// run reads everything; the groups come out in the order of their first documents.
func (g *group) run(in stream) ([]document, error) {
	byKey := map[string]*bucket{}
	var order []*bucket
	held := 0
	err := in(func(d document) (bool, error) {
		id := g.id(d)
		if id.Type == 0 {
			id = nullValue
		}
		key := keyOf(id)
		b := byKey[string(key)]
		if b == nil {
			b = &bucket{id: value{Type: id.Type, Data: bytes.Clone(id.Data)}, sums: slices.Repeat([]value{int32Value(0)}, len(g.fields))}
			byKey[string(key)] = b
			order = append(order, b)
			held += 2*len(key) + 100
		}
		for i, f := range g.fields {
			sum, err := addTo(b.sums[i], f.arg(d))
			if err != nil {
				return false, err
			}
			b.sums[i] = sum
		}
		if held > maxSortBytes {
			return false, fail(codeMemoryLimit, "$group exceeded the memory limit of %d bytes", maxSortBytes)
		}
		return true, nil
	})
	var docs []document
	for _, b := range order {
		out := newBuilder()
		out.add("_id", b.id)
		for i, f := range g.fields {
			out.add(f.name, b.sums[i])
		}
		docs = append(docs, out.document())
	}
	return docs, err
}

// addTo adds v to a sum. A value that is no number adds nothing, and a sum that
// overflows becomes a double.
func addTo(sum, v value) (value, error) {
	if !isNumber(v) {
		return sum, nil
	}
	more, err := addNumbers(sum, v)
	if err != nil && v.Type != bsoncore.TypeDecimal128 {
		return doubleValue(asFloat(sum) + asFloat(v)), nil
	}
	return more, err
}

package embedded

import (
	"bytes"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// group is a compiled $group.
type group struct {
	id     expression
	fields []groupField
}

type groupField struct {
	name string
	op   string
	arg  expression
}

// expression gives a value for a document; one without a type is "missing".
type expression func(document) value

// compileExpression knows constants, "$path", and documents of these. Operators are refused by name.
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
		if isOperators(v) {
			return nil, fail(codeNotImplemented, "Unrecognized expression '%s'", firstKey(v.Data))
		}
		return compileDocumentExpression(v.Data)
	}
	return func(document) value { return v }, nil
}

func compileDocumentExpression(d document) (expression, error) {
	var names []string
	var parts []expression
	for name, v := range fields(d) {
		if strings.HasPrefix(name, "$") || strings.Contains(name, ".") {
			return nil, fail(codeNotImplemented, "Unrecognized expression '%s'", name)
		}
		e, err := compileExpression(v)
		if err != nil {
			return nil, err
		}
		names, parts = append(names, name), append(parts, e)
	}
	return func(d document) value {
		b := newBuilder()
		for i, e := range parts {
			if v := e(d); v.Type != 0 {
				b.add(names[i], v)
			}
		}
		return documentValue(b.document())
	}, nil
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
		case "$sum", "$avg", "$min", "$max", "$first", "$last", "$push":
		case "$count":
			arg = int32Value(1)
		default:
			return nil, fail(codeNotImplemented, "unknown group operator '%s'", op)
		}
		e, err := compileExpression(arg)
		if err != nil {
			return nil, err
		}
		g.fields = append(g.fields, groupField{name, op, e})
	}
	if g.id == nil {
		return nil, fail(codeBadValue, "a group specification must include an _id")
	}
	return g, nil
}

// bucket is one group while it is counted.
type bucket struct {
	id    value
	state []accumulator
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
			b = &bucket{id: value{Type: id.Type, Data: bytes.Clone(id.Data)}, state: make([]accumulator, len(g.fields))}
			byKey[string(key)] = b
			order = append(order, b)
			held += 2*len(key) + 100
		}
		for i, f := range g.fields {
			more, err := b.state[i].take(f.op, f.arg(d))
			if err != nil {
				return false, err
			}
			held += more
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
			out.add(f.name, b.state[i].result(f.op))
		}
		docs = append(docs, out.document())
	}
	return docs, err
}

// accumulator is the state of one field of one group.
type accumulator struct {
	v    value // sum, extreme, first or last so far
	n    int64 // values taken
	list []value
}

// take adds a value and gives the bytes that the accumulator now holds more.
func (a *accumulator) take(op string, v value) (held int, err error) {
	keep := func(v value) { a.v = value{Type: v.Type, Data: bytes.Clone(v.Data)} }
	switch op {
	case "$sum", "$avg", "$count":
		if !isNumber(v) {
			return 0, nil
		}
		if a.n++; a.n == 1 {
			keep(v)
			return 0, nil
		}
		sum, err := addNumbers(a.v, v)
		if err != nil && v.Type != bsoncore.TypeDecimal128 && a.v.Type != bsoncore.TypeDecimal128 {
			sum, err = doubleValue(asFloat(a.v)+asFloat(v)), nil // a sum that overflows becomes a double
		}
		a.v = sum
		return 0, err
	case "$min", "$max":
		if v.Type == 0 || v.Type == bsoncore.TypeNull {
			return 0, nil
		}
		order := bytes.Compare(keyOf(v), keyOf(a.v))
		if a.v.Type == 0 || op == "$min" && order < 0 || op == "$max" && order > 0 {
			keep(v)
			held = len(v.Data)
		}
	case "$first", "$last":
		if a.n++; a.n == 1 || op == "$last" {
			keep(v)
			held = len(v.Data)
		}
	case "$push":
		if v.Type != 0 {
			a.list = append(a.list, value{Type: v.Type, Data: bytes.Clone(v.Data)})
			held = len(v.Data) + 40
		}
	}
	return held, nil
}

func (a *accumulator) result(op string) value {
	switch {
	case op == "$push":
		return arrayValue(a.list)
	case op == "$avg" && a.n > 0:
		return doubleValue(asFloat(a.v) / float64(a.n))
	case (op == "$sum" || op == "$count") && a.n == 0:
		return int32Value(0)
	case a.v.Type == 0:
		return nullValue
	}
	return a.v
}

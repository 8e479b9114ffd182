package embedded

import (
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// change returns a new value for the old value at a path. A value without a type stands for a
// missing field, as argument and as result.
type change func(old value) (value, error)

// maxPadding is how far beyond the end of an array a $set may reach. It is MongoDB's limit.
const maxPadding = 1_500_000

// missing is the behavior of an edit for a path that leads to no value.
type missing int

const (
	makeParents missing = iota // add the field and the documents above it
	needViable                 // leave the document; refuse a path that cannot be added, such as one through a number
	anyPath                    // leave the document
)

// edit returns d with a changed value at parts.
func edit(d document, parts []string, m missing, c change) (document, error) {
	v, err := editIn(documentValue(d), parts, m, c)
	return v.Data, err
}

func editIn(container value, parts []string, m missing, c change) (value, error) {
	position, numeric := arrayIndex(parts[0])
	if container.Type == bsoncore.TypeArray && !numeric {
		if m == anyPath {
			return container, nil
		}
		return container, notViable(parts[0], container)
	}
	out, n, done := newBuilder(), 0, false
	for key, v := range fields(container.Data) {
		if !done && (container.Type == bsoncore.TypeArray && n == position || container.Type != bsoncore.TypeArray && key == parts[0]) {
			done = true
			next, err := editField(v, parts, m, c)
			if err != nil {
				return container, err
			}
			if v = next; v.Type == 0 && container.Type == bsoncore.TypeArray {
				v = nullValue // a removed element leaves null
			}
		}
		if v.Type != 0 {
			out.add(key, v)
		}
		n++
	}
	if done {
		return value{Type: container.Type, Data: out.document()}, nil
	}
	if m != makeParents {
		return container, nil
	}
	added, err := newField(parts, c)
	if err != nil || added.Type == 0 {
		return container, err
	}
	if container.Type == bsoncore.TypeArray {
		if position-n > maxPadding {
			return container, fail(codeBadValue, "cannot backfill more than %d elements of an array", maxPadding)
		}
		for ; n < position; n++ {
			out.add(strconv.Itoa(n), nullValue)
		}
	}
	out.add(parts[0], added)
	return value{Type: container.Type, Data: out.document()}, nil
}

// editField changes v or a value below it.
func editField(v value, parts []string, m missing, c change) (value, error) {
	switch {
	case len(parts) == 1:
		return c(v)
	case v.Type == bsoncore.TypeEmbeddedDocument || v.Type == bsoncore.TypeArray:
		return editIn(v, parts[1:], m, c)
	case m != anyPath:
		return v, notViable(parts[1], v)
	}
	return v, nil
}

// newField returns the value for parts[0]: nested documents for the rest of the path.
func newField(parts []string, c change) (value, error) {
	v, err := c(value{})
	if err != nil || v.Type == 0 {
		return v, err
	}
	for i := len(parts) - 1; i > 0; i-- {
		b := newBuilder()
		b.add(parts[i], v)
		v = documentValue(b.document())
	}
	return v, nil
}

func notViable(field string, in value) error {
	return fail(codePathNotViable, "Cannot create field '%s' in element of type %s", field, in.Type)
}

// checkPath refuses paths that are invalid in an update.
func checkPath(path string) ([]string, error) {
	parts := splitPath(path)
	if len(parts) > maxDepth {
		return nil, fail(codeOverflow, "the update path is deeper than %d levels", maxDepth)
	}
	for _, part := range parts {
		switch {
		case part == "":
			return nil, fail(codeEmptyFieldName, "The update path '%s' contains an empty field name, which is not allowed.", path)
		case part == "$" || strings.HasPrefix(part, "$["):
			return nil, unsupported("the positional operator in '%s'", path)
		case part[0] == '$':
			return nil, fail(codeDollarField, "The dollar ($) prefixed field '%s' in '%s' is not allowed in the context of an update.", part, path)
		}
	}
	return parts, nil
}

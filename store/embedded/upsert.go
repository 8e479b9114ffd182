package embedded

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// equalities returns the values that a predicate prescribes: that of $eq, that of a $in with one
// value, and each of $all.
func (p predicate) equalities() []value {
	switch p.op {
	case "$eq":
		return []value{p.arg}
	case "$in":
		vs := valuesOf(p.arg)
		several := func(v value) bool { return v.Type == bsoncore.TypeRegex || !sameValue(v, vs[0]) }
		if len(vs) > 0 && !slices.ContainsFunc(vs, several) {
			return vs[:1]
		}
	case "$all":
		return slices.DeleteFunc(valuesOf(p.arg), func(v value) bool { return v.Type == bsoncore.TypeRegex || isOperators(v) })
	}
	return nil
}

// seed returns the first state of an upserted document: the equalities of the filter. For a
// replacement, these are only equalities of the _id.
func (f *filter) seed(replacement bool) (document, error) {
	d := emptyDocument
	var taken []string
	if len(f.predicates) > maxModifiers {
		return nil, unsupported("an upsert with more than %d conditions", maxModifiers)
	}
	for _, p := range f.predicates {
		vs := p.equalities()
		below := strings.HasPrefix(p.path, "_id.")
		if len(vs) == 0 || replacement && p.path != "_id" && !below {
			continue
		}
		if replacement && below {
			return nil, fail(codeNotExactValue, "full path '_id' required, but the filter has '%s'", p.path)
		}
		overlaps := func(other string) bool {
			return p.path == other || strings.HasPrefix(p.path, other+".") || strings.HasPrefix(other, p.path+".")
		}
		if len(vs) > 1 || slices.ContainsFunc(taken, overlaps) {
			return nil, fail(codeNotSingleValue, "cannot infer query fields to set, path '%s' is matched twice", p.path)
		}
		taken = append(taken, p.path)
		parts, err := checkPath(p.path)
		if err != nil {
			return nil, err
		}
		if d, err = edit(d, parts, makeParents, func(value) (value, error) { return vs[0], nil }); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// newDocument returns the document that an upsert inserts.
func (u *update) newDocument(f *filter) (document, error) {
	d, err := f.seed(u.replacement != nil)
	if err != nil {
		return nil, err
	}
	d, err = u.apply(d, true)
	if err != nil {
		return nil, err
	}
	if d = withID(d); !validDocument(d, 0) {
		return nil, fail(codeOverflow, "the resulting document is nested deeper than %d levels", maxDepth)
	}
	return d, nil
}

package embedded

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// equality returns the only value that a predicate permits, if there is one: that of $eq, and of $in
// with one value.
func (p predicate) equality() (v value, ok bool) {
	switch p.op {
	case "$eq":
		return p.arg, true
	case "$in":
		for e := range elements(p.arg) {
			if e.Type == bsoncore.TypeRegex || ok && !sameValue(e, v) {
				return value{}, false
			}
			v, ok = e, true
		}
	}
	return v, ok
}

// seed returns the first state of an upserted document: the equalities of the filter. For a
// replacement, these are only equalities of the _id.
func (f *filter) seed(replacement bool) (document, error) {
	d := emptyDocument
	taken := map[string]bool{}
	if len(f.predicates) > maxModifiers {
		return nil, unsupported("an upsert with more than %d conditions", maxModifiers)
	}
	for _, p := range f.predicates {
		v, ok := p.equality()
		below := strings.HasPrefix(p.path, "_id.")
		if !ok || replacement && p.path != "_id" && !below {
			continue
		}
		if replacement && below {
			return nil, fail(codeNotExactValue, "full path '_id' required, but the filter has '%s'", p.path)
		}
		for other := range taken {
			if p.path == other || strings.HasPrefix(p.path, other+".") || strings.HasPrefix(other, p.path+".") {
				return nil, fail(codeNotSingleValue, "cannot infer query fields to set, path '%s' is matched twice", p.path)
			}
		}
		taken[p.path] = true
		parts, err := checkPath(p.path)
		if err != nil {
			return nil, err
		}
		if d, err = edit(d, parts, makeParents, func(value) (value, error) { return v, nil }); err != nil {
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

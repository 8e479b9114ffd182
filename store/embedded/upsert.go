package embedded

import "strings"

// seed returns the first state of an upserted document: the equalities of the filter.
func (f *filter) seed() (document, error) {
	d := emptyDocument
	taken := map[string]bool{}
	if len(f.predicates) > maxModifiers {
		return nil, fail(codeNotImplemented, "an upsert with more than %d conditions is not supported", maxModifiers)
	}
	for _, p := range f.predicates {
		if p.op != "$eq" {
			continue
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
		if d, err = edit(d, parts, makeParents, func(value) (value, error) { return p.arg, nil }); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// newDocument returns the document that an upsert inserts.
func (u *update) newDocument(f *filter) (document, error) {
	d, err := f.seed()
	if err != nil {
		return nil, err
	}
	if u.replacement != nil { // a replacement takes only _id from the filter
		id, ok := lookup(d, "_id")
		d = emptyDocument
		if ok {
			b := newBuilder()
			b.add("_id", id)
			d = b.document()
		}
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

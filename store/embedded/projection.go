package embedded

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// projection is a compiled list of fields to include or to exclude.
type projection struct {
	include bool
	id      bool // keep _id
	paths   projectionTree
}

// projectionTree maps field names to subtrees. A path ends at a nil subtree.
type projectionTree map[string]projectionTree

// compileProjection reads {field: 1} or {field: 0}. It refuses expressions. An empty projection is
// nil.
func compileProjection(d document) (*projection, error) {
	if isEmpty(d) {
		return nil, nil
	}
	p := &projection{id: true, paths: projectionTree{}}
	decided := false
	for path, v := range fields(d) {
		if v.Type != bsoncore.TypeBoolean && !isNumber(v) {
			return nil, unsupported("a projection of %q by an expression, not by 1 or 0,", path)
		}
		keep := truthy(v)
		if path == "_id" {
			p.id = keep
			continue
		}
		if decided && keep != p.include {
			if keep {
				return nil, fail(codeProjectionInclude, "Cannot do inclusion on field %s in exclusion projection", path)
			}
			return nil, fail(codeProjectionExclude, "Cannot do exclusion on field %s in inclusion projection", path)
		}
		p.include, decided = keep, true
		if err := p.paths.add(path); err != nil {
			return nil, err
		}
	}
	if !decided {
		p.include = p.id // {_id: 1} keeps only _id, {_id: 0} all other fields
	}
	return p, nil
}

func (t projectionTree) add(path string) error {
	parts := splitPath(path)
	for i, part := range parts {
		if part == "" || strings.HasPrefix(part, "$") {
			return unsupported("the projection path %q", path)
		}
		below, taken := t[part]
		last := i == len(parts)-1
		if taken && (last || below == nil) {
			return fail(codeProjectionCollision, "Path collision at %s", path)
		}
		if last {
			t[part] = nil
			return nil
		}
		if below == nil {
			below = projectionTree{}
			t[part] = below
		}
		t = below
	}
	return nil
}

// apply returns the projected document. A nil projection keeps all fields.
func (p *projection) apply(d document) document {
	if p == nil {
		return d
	}
	b := newBuilder()
	for key, v := range fields(d) {
		if key == "_id" && len(p.paths["_id"]) == 0 {
			if p.id {
				b.add(key, v)
			}
			continue
		}
		p.addTo(b, p.paths, key, v)
	}
	return b.document()
}

func (p *projection) addTo(b *builder, t projectionTree, key string, v value) {
	below, named := t[key]
	switch {
	case !named && !p.include, named && below == nil && p.include:
		b.add(key, v)
	case named && below != nil:
		if v, ok := p.inside(below, v); ok {
			b.add(key, v)
		}
	}
}

// inside applies the rest of a path to v. ok is false when v must be left out.
func (p *projection) inside(t projectionTree, v value) (kept value, ok bool) {
	switch v.Type {
	case bsoncore.TypeEmbeddedDocument:
		b := newBuilder()
		for key, field := range fields(v.Data) {
			p.addTo(b, t, key, field)
		}
		return documentValue(b.document()), true
	case bsoncore.TypeArray:
		var all []value
		for e := range elements(v) {
			if e, ok := p.inside(t, e); ok {
				all = append(all, e)
			}
		}
		return arrayValue(all), true
	}
	return v, !p.include
}

package embedded

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// filter is a compiled query: all its tests must hold.
type filter struct {
	tests []func(document) bool
	// predicates hold for every match. The planner and upserts use them.
	predicates []predicate
	// anyOf are the branches of one $or, of which every match passes at least one. The
	// planner uses them.
	anyOf []*filter
}

// predicate is one operator on one path, as written.
type predicate struct {
	path string
	op   string
	arg  value
}

func (f *filter) matches(d document) bool {
	for _, t := range f.tests {
		if !t(d) {
			return false
		}
	}
	return true
}

// compileFilter refuses unsupported operators by name.
func compileFilter(d document) (*filter, error) {
	f := &filter{}
	for key, v := range fields(d) {
		var err error
		switch {
		case key == "$and" || key == "$or":
			err = f.addLogical(key, v)
		case strings.HasPrefix(key, "$"):
			err = unknownName(knownFilters, "the operator", key, fail(codeBadValue, "unknown top level operator: %s", key))
		default:
			err = f.addPath(key, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *filter) addLogical(op string, list value) error {
	if list.Type != bsoncore.TypeArray || isEmpty(list.Data) {
		return fail(codeBadValue, "%s argument must be a non-empty array", op)
	}
	var branches []*filter
	for v := range elements(list) {
		if v.Type != bsoncore.TypeEmbeddedDocument {
			return fail(codeBadValue, "%s argument's entries must be objects", op)
		}
		branch, err := compileFilter(document(v.Data))
		if err != nil {
			return err
		}
		branches = append(branches, branch)
	}
	if op == "$and" || len(branches) == 1 {
		for _, b := range branches {
			f.tests = append(f.tests, b.tests...)
			f.predicates = append(f.predicates, b.predicates...)
			if b.anyOf != nil {
				f.anyOf = b.anyOf
			}
		}
		return nil
	}
	f.anyOf = branches
	f.tests = append(f.tests, func(d document) bool {
		return slices.ContainsFunc(branches, func(b *filter) bool { return b.matches(d) })
	})
	return nil
}

// isOperators reports whether v is a document of operators such as {$gt: 1}.
func isOperators(v value) bool {
	return v.Type == bsoncore.TypeEmbeddedDocument && strings.HasPrefix(firstKey(v.Data), "$")
}

// addPath adds {path: v}: the operators in v, or an equality.
func (f *filter) addPath(path string, v value) error {
	switch {
	case v.Type == bsoncore.TypeRegex:
		return f.add(predicate{path, "$regex", v}, value{})
	case !isOperators(v):
		return f.add(predicate{path, "$eq", v}, value{})
	}
	options, ok := lookup(v.Data, "$options")
	if _, isRegex := lookup(v.Data, "$regex"); ok && !isRegex {
		return fail(codeBadValue, "$options needs a $regex")
	}
	if ok && options.Type != bsoncore.TypeString {
		return fail(codeBadValue, "$options has to be a string")
	}
	for op, arg := range fields(v.Data) {
		if op == "$options" { // a part of $regex
			continue
		}
		if err := f.add(predicate{path, op, arg}, options); err != nil {
			return err
		}
	}
	return nil
}

// add adds one operator. Only $regex uses options.
func (f *filter) add(p predicate, options value) error {
	t, err := compileOperator(p.op, p.arg, options)
	if err != nil {
		return err
	}
	parts := splitPath(p.path)
	f.predicates = append(f.predicates, p)
	f.tests = append(f.tests, func(d document) bool { return t.onPath(d, parts) })
	return nil
}

// checkComparison refuses the constants that MongoDB refuses in a comparison.
func checkComparison(op string, arg value) error {
	switch op {
	case "$eq":
	case "$ne", "$gt", "$gte", "$lt", "$lte":
		if arg.Type == bsoncore.TypeRegex {
			return fail(codeBadValue, "Can't have regex as arg to %s.", op)
		}
	default:
		return nil
	}
	if arg.Type == bsoncore.TypeUndefined {
		return fail(codeBadValue, "cannot compare to undefined")
	}
	return nil
}

// compileOperator compiles one operator. Only $regex uses options.
func compileOperator(op string, arg, options value) (test, error) {
	if err := checkComparison(op, arg); err != nil {
		return test{}, err
	}
	switch op {
	case "$eq":
		return leaf(equalTo(arg)), nil
	case "$ne":
		return not(leaf(equalTo(arg))), nil
	case "$gt", "$gte", "$lt", "$lte":
		return leaf(compared(op, arg)), nil
	case "$in":
		in, err := oneOf(arg)
		return leaf(in), err
	case "$exists":
		if truthy(arg) {
			return exists, nil
		}
		return not(exists), nil
	case "$type":
		of, err := ofType(arg)
		return leaf(of), err
	case "$regex":
		re, err := matching(arg, options)
		return leaf(re), err
	}
	return test{}, unknownName(knownFilters, "the operator", op, fail(codeBadValue, "unknown operator: %s", op))
}

package embedded

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// filter is a compiled query: all its tests must hold.
type filter struct {
	tests []func(document) bool
	// predicates hold for every match. The planner and upserts use them. A $nor adds none.
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
		case key == "$and" || key == "$or" || key == "$nor":
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
	anyMatches := func(d document) bool {
		return slices.ContainsFunc(branches, func(b *filter) bool { return b.matches(d) })
	}
	switch {
	case op == "$nor":
		f.tests = append(f.tests, func(d document) bool { return !anyMatches(d) })
	case op == "$or" && len(branches) > 1:
		f.anyOf = branches
		f.tests = append(f.tests, anyMatches)
	default: // all branches hold
		for _, b := range branches {
			f.tests = append(f.tests, b.tests...)
			f.predicates = append(f.predicates, b.predicates...)
			if b.anyOf != nil {
				f.anyOf = b.anyOf
			}
		}
	}
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
	return eachOperator(v, func(op string, arg, options value) error {
		return f.add(predicate{path, op, arg}, options)
	})
}

// eachOperator calls add with each operator of a document of operators, until it returns an error.
func eachOperator(v value, add func(op string, arg, options value) error) error {
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
		if err := add(op, arg, options); err != nil {
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
	case "$in", "$nin":
		in, err := oneOf(op, arg)
		if op == "$nin" {
			return not(leaf(in)), err
		}
		return leaf(in), err
	case "$not":
		return negated(arg)
	case "$all":
		return containing(arg)
	case "$elemMatch":
		return elementMatching(arg)
	case "$size":
		size, err := ofSize(arg)
		return whole(size), err
	case "$mod":
		mod, err := remainder(arg)
		return leaf(mod), err
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

// negated compiles the argument of $not: a pattern, or a document of operators that do not all hold.
func negated(arg value) (test, error) {
	switch {
	case arg.Type == bsoncore.TypeRegex:
		re, err := matching(arg, value{})
		return not(leaf(re)), err
	case isOperators(arg):
		t, err := compileOperators(arg)
		return not(t), err
	}
	return test{}, fail(codeBadValue, "$not needs a regex or a document of operators")
}

// compileOperators compiles a document of operators that must all hold.
func compileOperators(v value) (test, error) {
	var tests []test
	err := eachOperator(v, func(op string, arg, options value) error {
		t, err := compileOperator(op, arg, options)
		tests = append(tests, t)
		return err
	})
	return allOf(tests), err
}

package embedded

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// filter is a compiled query: all its tests must hold.
type filter struct {
	tests []func(document) bool
	// predicates are those that every match must meet, for the planner and for upserts.
	predicates []predicate
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

// compileFilter refuses, by name, every operator that it does not implement.
func compileFilter(d document) (*filter, error) {
	f := &filter{}
	for key, v := range fields(d) {
		var err error
		switch {
		case key == "$and" || key == "$or" || key == "$nor":
			err = f.addLogical(key, v)
		case key == "$comment":
		case strings.HasPrefix(key, "$"):
			err = fail(codeBadValue, "unknown top level operator: %s", key)
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
	if list.Type != bsoncore.TypeArray || firstKey(document(list.Data)) == "" {
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
	if op == "$and" || op == "$or" && len(branches) == 1 {
		for _, b := range branches {
			f.tests = append(f.tests, b.tests...)
			f.predicates = append(f.predicates, b.predicates...)
		}
		return nil
	}
	f.tests = append(f.tests, func(d document) bool {
		for _, b := range branches {
			if b.matches(d) {
				return op == "$or"
			}
		}
		return op == "$nor"
	})
	return nil
}

// isOperators says whether v is a document of operators such as {$gt: 1}.
func isOperators(v value) bool {
	return v.Type == bsoncore.TypeEmbeddedDocument && strings.HasPrefix(firstKey(v.Data), "$")
}

func (f *filter) addPath(path string, v value) error {
	parts := splitPath(path)
	add := func(op string, arg value, t test) {
		f.predicates = append(f.predicates, predicate{path, op, arg})
		f.tests = append(f.tests, func(d document) bool { return t.onPath(d, parts) })
	}
	if !isOperators(v) {
		op := "$eq"
		if v.Type == bsoncore.TypeRegex {
			op = "$regex"
		}
		t, err := compileOperator(op, v, value{})
		if err == nil {
			add(op, v, t)
		}
		return err
	}
	return eachOperator(v, add)
}

// eachOperator compiles {$gt: 1, $lt: 5} one operator at a time. $options belongs to $regex.
func eachOperator(v value, add func(op string, arg value, t test)) error {
	options, hasOptions := lookup(v.Data, "$options")
	for op, arg := range fields(v.Data) {
		if op == "$options" {
			if _, ok := lookup(v.Data, "$regex"); !ok {
				return fail(codeBadValue, "$options needs a $regex")
			}
			continue
		}
		if hasOptions && options.Type != bsoncore.TypeString {
			return fail(codeBadValue, "$options has to be a string")
		}
		t, err := compileOperator(op, arg, options)
		if err != nil {
			return err
		}
		add(op, arg, t)
	}
	return nil
}

// compileOperators joins the operators of one document.
func compileOperators(v value) (test, error) {
	var all []test
	err := eachOperator(v, func(_ string, _ value, t test) { all = append(all, t) })
	return allOf(all), err
}

// compileOperator compiles one operator; options are only for $regex.
func compileOperator(op string, arg, options value) (test, error) {
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
	case "$all":
		return containing(arg)
	case "$elemMatch":
		return elementMatching(arg)
	case "$not":
		return negated(arg)
	}
	return test{}, fail(codeBadValue, "unknown operator: %s", op)
}

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

func containing(arg value) (test, error) {
	if arg.Type != bsoncore.TypeArray {
		return test{}, fail(codeBadValue, "$all needs an array")
	}
	var all []test
	for v := range elements(arg) {
		var t test
		var err error
		switch {
		case v.Type == bsoncore.TypeRegex:
			t, err = compileOperator("$regex", v, value{})
		case isOperators(v) && firstKey(v.Data) == "$elemMatch":
			t, err = compileOperators(v)
		case isOperators(v):
			err = fail(codeBadValue, "no %s expressions in $all", firstKey(v.Data))
		default:
			t = leaf(equalTo(v))
		}
		if err != nil {
			return test{}, err
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return leaf(func(value, bool) bool { return false }), nil
	}
	return allOf(all), nil
}

func elementMatching(arg value) (test, error) {
	if arg.Type != bsoncore.TypeEmbeddedDocument {
		return test{}, fail(codeBadValue, "$elemMatch needs an Object")
	}
	var onElement func(value) bool
	switch firstKey(arg.Data) {
	case "$and", "$or", "$nor":
	default:
		if isOperators(arg) {
			t, err := compileOperators(arg)
			if err != nil {
				return test{}, err
			}
			onElement = t.onValue
		}
	}
	if onElement == nil {
		f, err := compileFilter(arg.Data)
		if err != nil {
			return test{}, err
		}
		onElement = func(v value) bool {
			return (v.Type == bsoncore.TypeEmbeddedDocument || v.Type == bsoncore.TypeArray) && f.matches(v.Data)
		}
	}
	return whole(func(v value, _ bool) bool {
		if v.Type != bsoncore.TypeArray {
			return false
		}
		for e := range elements(v) {
			if onElement(e) {
				return true
			}
		}
		return false
	}), nil
}

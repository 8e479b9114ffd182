package embedded

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// containing compiles $all.
func containing(arg value) (test, error) {
	if arg.Type != bsoncore.TypeArray {
		return test{}, fail(codeBadValue, "$all needs an array")
	}
	members := valuesOf(arg)
	if slices.ContainsFunc(members, func(v value) bool { return isOperators(v) && firstKey(v.Data) == "$elemMatch" }) {
		return containingMatches(members)
	}
	wanted := map[string]int{} // by key; both lists are numbered together
	var patterns []check
	for _, v := range members {
		if isOperators(v) {
			return test{}, fail(codeBadValue, "no $ expressions in $all")
		}
		if v.Type == bsoncore.TypeRegex {
			re, err := matching(v, value{})
			if err != nil {
				return test{}, err
			}
			patterns = append(patterns, re)
			continue
		}
		if err := checkComparison("$eq", v); err != nil {
			return test{}, err
		}
		if key := string(keyOf(v)); wanted[key] == 0 {
			wanted[key] = len(wanted) + 1
		}
	}
	return containingAll(wanted, patterns), nil
}

// containingAll passes if every key and every pattern is met. It walks the path once, so that a long
// list costs no more than that of a $in.
func containingAll(wanted map[string]int, patterns []check) test {
	n := len(wanted) + len(patterns)
	meet := func() check {
		met := map[int]bool{}
		return func(v value, found bool) bool {
			key := keyNull // also of what is missing
			if found && v.Type != bsoncore.TypeUndefined {
				key = keyOf(v)
			}
			if i := wanted[string(key)]; i > 0 {
				met[i] = true
			}
			for i, p := range patterns {
				if p(v, found) {
					met[len(wanted)+1+i] = true
				}
			}
			return n > 0 && len(met) == n
		}
	}
	return test{
		onPath:  func(d document, parts []string) bool { return reach(d, parts, true, meet()) },
		onValue: func(v value) bool { return meet()(v, true) },
	}
}

// containingMatches compiles a $all of which each member is a $elemMatch.
func containingMatches(members []value) (test, error) {
	var all []test
	for _, v := range members {
		if !isOperators(v) || firstKey(v.Data) != "$elemMatch" {
			return test{}, fail(codeBadValue, "$all/$elemMatch has to be consistent")
		}
		t, err := compileOperators(v)
		if err != nil {
			return test{}, err
		}
		all = append(all, t)
	}
	return allOf(all), nil
}

// isLogical reports whether a document of operators is a filter of whole documents.
func isLogical(v value) bool {
	op := firstKey(v.Data)
	return op == "$and" || op == "$or" || op == "$nor"
}

// elementMatching compiles $elemMatch: operators for the elements of an array, or a filter for those
// that are documents or arrays.
func elementMatching(arg value) (test, error) {
	if arg.Type != bsoncore.TypeEmbeddedDocument {
		return test{}, fail(codeBadValue, "$elemMatch needs an Object")
	}
	var passes func(value) bool
	if isOperators(arg) && !isLogical(arg) {
		t, err := compileOperators(arg)
		if err != nil {
			return test{}, err
		}
		passes = t.onValue
	} else {
		f, err := compileFilter(arg.Data)
		if err != nil {
			return test{}, err
		}
		passes = func(v value) bool {
			return (v.Type == bsoncore.TypeEmbeddedDocument || v.Type == bsoncore.TypeArray) && f.matches(v.Data)
		}
	}
	return whole(func(v value, _ bool) bool {
		if v.Type != bsoncore.TypeArray {
			return false
		}
		for e := range elements(v) {
			if passes(e) {
				return true
			}
		}
		return false
	}), nil
}

// ofSize compiles $size.
func ofSize(arg value) (check, error) {
	n, exact := asInt(arg)
	if !exact || n < 0 {
		return nil, fail(codeBadValue, "Failed to parse $size. Expected a whole number that is not negative: %s", arg)
	}
	return func(v value, _ bool) bool {
		length := int64(0)
		for range elements(v) {
			length++
		}
		return v.Type == bsoncore.TypeArray && length == n
	}, nil
}

// remainder compiles $mod: a divisor and a remainder. Fractions are cut off on both sides.
func remainder(arg value) (check, error) {
	if arg.Type != bsoncore.TypeArray {
		return nil, fail(codeBadValue, "malformed mod, needs to be an array")
	}
	var n []int64
	for v := range elements(arg) {
		whole, ok := truncated(v)
		if !ok {
			return nil, fail(codeBadValue, "malformed mod, not a number of 64 bits: %s", v)
		}
		n = append(n, whole)
	}
	if len(n) != 2 || n[0] == 0 {
		return nil, fail(codeBadValue, "malformed mod, needs a divisor that is not 0 and a remainder")
	}
	return func(v value, _ bool) bool {
		whole, ok := truncated(v)
		return ok && whole%n[0] == n[1]
	}, nil
}

package embedded

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// onArray returns the change that edits the elements of an array. A value of another type is
// an error. The elements of a missing field are missing; nil leaves the field missing.
func onArray(op string, missing []value, edit func([]value) ([]value, error)) change {
	return func(old value) (value, error) {
		elements := missing
		switch old.Type {
		case 0:
			if missing == nil {
				return old, nil
			}
		case bsoncore.TypeArray:
			elements = valuesOf(old)
		default:
			c := codeBadValue
			if op == "$pop" { // MongoDB's code for this operator
				c = codeTypeMismatch
			}
			return old, fail(c, "The field must be an array but is of type %s, for %s", old.Type, op)
		}
		changed, err := edit(elements)
		if err != nil {
			return old, err
		}
		return arrayValue(changed), nil
	}
}

// readEach reads the values of $push and $addToSet: one value, or {$each: [...]} with further
// modifiers in the form more.
func readEach(op string, arg value) (vs []value, more *form, err error) {
	if !isOperators(arg) {
		return []value{arg}, nil, nil
	}
	f := newForm(op, arg.Data)
	if vs = f.array("$each"); vs == nil && f.err == nil {
		f.addError(fail(codeBadValue, "%s with modifiers needs $each", op))
	}
	return vs, f, f.err
}

func compilePush(arg value) (change, error) {
	vs, f, err := readEach("$push", arg)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return onArray("$push", []value{}, func(old []value) ([]value, error) { return append(old, vs...), nil }), nil
	}
	_, sliced := f.get("$slice")
	_, positioned := f.get("$position")
	slice, position := f.int("$slice", 0), f.int("$position", 0)
	f.reject("$sort")
	if err := f.finish(); err != nil {
		return nil, err
	}
	return onArray("$push", []value{}, func(old []value) ([]value, error) {
		at := len(old)
		if positioned {
			if at = int(max(min(position, int64(len(old))), -int64(len(old)))); at < 0 {
				at += len(old)
			}
		}
		all := slices.Insert(old, at, vs...)
		if sliced {
			all = sliceArray(all, slice)
		}
		return all, nil
	}), nil
}

// sliceArray keeps the first n elements, or the last -n.
func sliceArray(vs []value, n int64) []value {
	switch length := int64(len(vs)); {
	case n >= length || n <= -length && n < 0:
		return vs
	case n < 0:
		return vs[length+n:]
	}
	return vs[:n]
}

func compileAddToSet(arg value) (change, error) {
	vs, f, err := readEach("$addToSet", arg)
	if err == nil && f != nil {
		err = f.finish()
	}
	if err != nil {
		return nil, err
	}
	return onArray("$addToSet", []value{}, func(old []value) ([]value, error) {
		has := map[string]bool{}
		for _, v := range old {
			has[string(keyOf(v))] = true
		}
		for _, v := range vs {
			if key := string(keyOf(v)); !has[key] {
				has[key] = true
				old = append(old, v)
			}
		}
		return old, nil
	}), nil
}

func compilePull(arg value) (change, error) {
	matches, err := pullTest(arg)
	if err != nil {
		return nil, err
	}
	return onArray("$pull", nil, func(old []value) ([]value, error) {
		return slices.DeleteFunc(old, matches), nil
	}), nil
}

// pullTest returns the condition for the elements that $pull removes. Operators and a pattern are a
// filter for the element, as if it were a field. Another document is a filter for elements that are
// documents. Any other value must be equal to the element.
func pullTest(arg value) (func(value) bool, error) {
	switch {
	case arg.Type == bsoncore.TypeRegex, isOperators(arg) && !isLogical(arg):
		field := func(v value) document {
			b := newBuilder()
			b.add("", v)
			return b.document()
		}
		f, err := compileFilter(field(arg))
		return func(v value) bool { return f.matches(field(v)) }, err
	case arg.Type == bsoncore.TypeEmbeddedDocument:
		f, err := compileFilter(arg.Data)
		return func(v value) bool { return v.Type == bsoncore.TypeEmbeddedDocument && f.matches(v.Data) }, err
	}
	return func(v value) bool { return sameValue(v, arg) }, nil
}

func compilePullAll(arg value) (change, error) {
	if arg.Type != bsoncore.TypeArray {
		return nil, fail(codeBadValue, "$pullAll requires an array argument")
	}
	unwanted := map[string]bool{}
	for v := range elements(arg) {
		unwanted[string(keyOf(v))] = true
	}
	return onArray("$pullAll", nil, func(old []value) ([]value, error) {
		return slices.DeleteFunc(old, func(v value) bool { return unwanted[string(keyOf(v))] }), nil
	}), nil
}

func compilePop(arg value) (change, error) {
	n, exact := asInt(arg)
	if !exact || n != 1 && n != -1 {
		return nil, fail(codeFailedToParse, "$pop expects 1 or -1")
	}
	return onArray("$pop", nil, func(old []value) ([]value, error) {
		switch {
		case len(old) == 0:
			return old, nil
		case n < 0:
			return old[1:], nil
		}
		return old[:len(old)-1], nil
	}), nil
}

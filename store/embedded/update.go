package embedded

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// update is a compiled update: a replacement, or modifiers in the order of their paths.
type update struct {
	replacement document
	modifiers   []modifier
}

// modifier is one operator on one path.
type modifier struct {
	path     string
	parts    []string
	missing  missing
	onInsert bool // applies only if an upsert inserts
	change   change
	from     []string // of $rename: where the value comes from
}

// maxModifiers bounds the modifiers of one update, because each copies the document.
const maxModifiers = 1000

// operators lists the update operators. compile reads the argument for one path.
var operators = map[string]struct {
	missing missing
	compile func(arg value) (change, error)
}{
	"$set":         {makeParents, compileSet},
	"$setOnInsert": {makeParents, compileSet},
	"$unset":       {anyPath, func(value) (change, error) { return removed, nil }},
	"$inc":         {makeParents, compileIncrement},
	"$mul":         {makeParents, compileMultiply},
	"$currentDate": {makeParents, compileCurrentDate},
	"$max":         {makeParents, func(arg value) (change, error) { return compileExtreme(arg, 1), nil }},
	"$min":         {makeParents, func(arg value) (change, error) { return compileExtreme(arg, -1), nil }},
	"$push":        {makeParents, compilePush},
	"$addToSet":    {makeParents, compileAddToSet},
	"$pull":        {needViable, compilePull},
	"$pullAll":     {needViable, compilePullAll},
	"$pop":         {needViable, compilePop},
}

// compileUpdate reads the field u of an update. It refuses unsupported operators by name.
func compileUpdate(v value) (*update, error) {
	if v.Type == bsoncore.TypeArray {
		return nil, unsupported("an update by an aggregation pipeline")
	}
	if v.Type != bsoncore.TypeEmbeddedDocument {
		return nil, fail(codeFailedToParse, "an update must be a document")
	}
	d := document(v.Data)
	if !strings.HasPrefix(firstKey(d), "$") {
		return compileReplacement(d)
	}
	u := &update{}
	for op, args := range fields(d) {
		_, known := operators[op]
		switch {
		case !known && op != "$rename":
			return nil, unknownName(knownUpdates, "the update operator", op, fail(codeFailedToParse, "Unknown modifier: %s", op))
		case args.Type != bsoncore.TypeEmbeddedDocument:
			return nil, fail(codeFailedToParse, "Modifiers operate on fields but we found type %s instead, in %s", args.Type, op)
		}
		for path, arg := range fields(args.Data) {
			m, err := compileModifier(op, path, arg)
			if err != nil {
				return nil, err
			}
			u.modifiers = append(u.modifiers, m)
		}
	}
	if len(u.modifiers) > maxModifiers {
		return nil, unsupported("an update of more than %d paths", maxModifiers)
	}
	// MongoDB applies modifiers, and thus adds new fields, in the order of their paths.
	slices.SortStableFunc(u.modifiers, func(a, b modifier) int { return slices.CompareFunc(a.parts, b.parts, compareParts) })
	return u, u.conflicts()
}

func compileReplacement(d document) (*update, error) {
	for k := range fields(d) {
		if strings.HasPrefix(k, "$") {
			return nil, fail(codeDollarField, "The dollar ($) prefixed field '%s' is not allowed in the context of an update's replacement document", k)
		}
	}
	return &update{replacement: d}, nil
}

func compileModifier(op, path string, arg value) (modifier, error) {
	parts, err := checkPath(path)
	if err != nil {
		return modifier{}, err
	}
	if op == "$rename" {
		return compileRename(path, parts, arg)
	}
	o := operators[op]
	c, err := o.compile(arg)
	return modifier{path: path, parts: parts, missing: o.missing, onInsert: op == "$setOnInsert", change: c}, err
}

// compareParts orders path components. It compares numbers by value.
func compareParts(a, b string) int {
	x, xok := arrayIndex(a)
	y, yok := arrayIndex(b)
	if xok && yok {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

// conflicts refuses two modifiers on one path, or on a path and a path below it.
func (u *update) conflicts() error {
	taken := map[string]bool{}
	var paths []string
	for _, m := range u.modifiers {
		paths = append(paths, m.path)
		if m.from != nil {
			paths = append(paths, strings.Join(m.from, "."))
		}
	}
	for _, p := range paths {
		if taken[p] {
			return fail(codeConflictingUpdate, "Updating the path '%s' would create a conflict at '%s'", p, p)
		}
		taken[p] = true
	}
	for _, p := range paths {
		for i := range p {
			if p[i] == '.' && taken[p[:i]] {
				return fail(codeConflictingUpdate, "Updating the path '%s' would create a conflict at '%s'", p, p[:i])
			}
		}
	}
	return nil
}

// apply returns the document after the update. Equal bytes mean that the update changes
// nothing. An update that changes the _id is an error.
func (u *update) apply(d document, inserting bool) (document, error) {
	id, hasID := lookup(d, "_id")
	after, err := u.applyAll(d, inserting)
	if err != nil || !hasID {
		return after, err
	}
	now, ok := lookup(after, "_id")
	if !ok || !sameValue(now, id) {
		return nil, fail(codeImmutableField, "Performing an update on the path '_id' would modify the immutable field '_id'")
	}
	return after, nil
}

func (u *update) applyAll(d document, inserting bool) (document, error) {
	if u.replacement != nil {
		id, ok := lookup(d, "_id")
		if _, own := lookup(u.replacement, "_id"); own || !ok {
			return withIDFirst(u.replacement), nil
		}
		b := newBuilder()
		b.add("_id", id)
		for k, v := range fields(u.replacement) {
			b.add(k, v)
		}
		return b.document(), nil
	}
	var err error
	for _, m := range u.modifiers {
		if m.onInsert && !inserting {
			continue
		}
		if m.from != nil {
			d, err = m.rename(d)
		} else {
			d, err = edit(d, m.parts, m.missing, m.change)
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func withIDFirst(d document) document {
	if _, ok := lookup(d, "_id"); !ok {
		return d
	}
	return withID(d)
}

func removed(value) (value, error) { return value{}, nil }

func compileSet(arg value) (change, error) {
	return func(value) (value, error) { return arg, nil }, nil
}

func compileIncrement(arg value) (change, error) { return compileArithmetic("$inc", arg, addNumbers) }

// compileMultiply makes a missing field a zero of the factor's type.
func compileMultiply(arg value) (change, error) {
	times, err := compileArithmetic("$mul", arg, multiplyNumbers)
	return func(old value) (value, error) {
		if old.Type == 0 {
			old = int32Value(0)
		}
		return times(old)
	}, err
}

func compileArithmetic(op string, arg value, combine func(a, b value) (value, error)) (change, error) {
	if !isNumber(arg) {
		return nil, fail(codeTypeMismatch, "Cannot apply %s with non-numeric argument of type %s", op, arg.Type)
	}
	return func(old value) (value, error) {
		if old.Type == 0 {
			return arg, nil
		}
		if !isNumber(old) {
			return old, fail(codeTypeMismatch, "Cannot apply %s to a value of non-numeric type %s", op, old.Type)
		}
		return combine(old, arg)
	}, nil
}

// compileExtreme keeps the greater value in the order of all values if sign is 1, and the
// lesser one if it is -1.
func compileExtreme(arg value, sign int) change {
	key := keyOf(arg)
	return func(old value) (value, error) {
		if old.Type != 0 && sign*bytes.Compare(key, keyOf(old)) <= 0 {
			return old, nil
		}
		return arg, nil
	}
}

package embedded

import (
	"bytes"
	"math"
	"regexp"
	"slices"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// test is one compiled operator. On a path, it passes if any value that the path reaches
// passes. The planner applies it to a single value. A negation negates "any": {$ne: 1} passes if
// no value is 1.
type test struct {
	onPath  func(d document, parts []string) bool
	onValue func(v value) bool
}

// check tests a single value. found is false for a missing field.
type check func(v value, found bool) bool

// leaf tests the elements of an array at the end of the path, and then the array itself.
func leaf(c check) test {
	return test{
		onPath:  func(d document, parts []string) bool { return reach(d, parts, true, c) },
		onValue: func(v value) bool { return c(v, true) },
	}
}

// whole tests an array at the end of the path only as a whole.
func whole(c check) test {
	return test{
		onPath:  func(d document, parts []string) bool { return reach(d, parts, false, c) },
		onValue: func(v value) bool { return c(v, true) },
	}
}

var exists = whole(func(_ value, found bool) bool { return found })

func not(t test) test {
	return test{
		onPath:  func(d document, parts []string) bool { return !t.onPath(d, parts) },
		onValue: func(v value) bool { return !t.onValue(v) },
	}
}

// allOf passes if all tests pass, each by a value of its own.
func allOf(tests []test) test {
	return test{
		onPath: func(d document, parts []string) bool {
			return !slices.ContainsFunc(tests, func(t test) bool { return !t.onPath(d, parts) })
		},
		onValue: func(v value) bool {
			return !slices.ContainsFunc(tests, func(t test) bool { return !t.onValue(v) })
		},
	}
}

// reach calls c with every value that the path leads to, through arrays of documents and by
// array position, until c returns true. It calls c with a missing value for a path that ends
// early, and not at all for array elements that are not documents.
func reach(d document, parts []string, intoArray bool, c check) bool {
	v, ok := lookup(d, parts[0])
	rest := parts[1:]
	switch {
	case !ok:
		return c(value{}, false)
	case len(rest) == 0:
		return reachEnd(v, intoArray, c)
	case v.Type == bsoncore.TypeEmbeddedDocument:
		return reach(v.Data, rest, intoArray, c)
	case v.Type != bsoncore.TypeArray:
		return c(value{}, false)
	}
	return reachElements(v, rest, intoArray, c)
}

// reachElements continues a path in the elements of an array: in documents, and in the element at a
// numeric position.
func reachElements(array value, rest []string, intoArray bool, c check) bool {
	position, numeric := arrayIndex(rest[0])
	i := 0
	for e := range elements(array) {
		if e.Type == bsoncore.TypeEmbeddedDocument && reach(e.Data, rest, intoArray, c) {
			return true
		}
		if numeric && i == position && reachPosition(e, rest[1:], intoArray, c) {
			return true
		}
		i++
	}
	return false
}

func reachEnd(v value, intoArray bool, c check) bool {
	if intoArray && v.Type == bsoncore.TypeArray {
		for e := range elements(v) {
			if c(e, true) {
				return true
			}
		}
	}
	return c(v, true)
}

func reachPosition(e value, rest []string, intoArray bool, c check) bool {
	switch {
	case len(rest) == 0:
		return c(e, true)
	case e.Type == bsoncore.TypeEmbeddedDocument:
		return reach(e.Data, rest, intoArray, c)
	case e.Type == bsoncore.TypeArray:
		return reachElements(e, rest, intoArray, c)
	}
	return false
}

// equalTo tests equality. Null also equals a missing field.
func equalTo(arg value) check {
	isNull := arg.Type == bsoncore.TypeNull
	return func(v value, found bool) bool {
		if !found {
			return isNull
		}
		return sameValue(v, arg) || isNull && v.Type == bsoncore.TypeUndefined
	}
}

// compared tests an order. Only values of the same kind compare, except with MinKey and
// MaxKey. NaN equals itself and is neither above nor below any number.
func compared(op string, arg value) check {
	orEqual := op == "$gte" || op == "$lte"
	less := op == "$lt" || op == "$lte"
	equal, key, tag := equalTo(arg), keyOf(arg), tags[arg.Type]
	anyType := arg.Type == bsoncore.TypeMinKey || arg.Type == bsoncore.TypeMaxKey
	return func(v value, found bool) bool {
		if !found || tags[v.Type] != tag && !anyType {
			return orEqual && equal(v, found)
		}
		if isNaN(v) || isNaN(arg) {
			return orEqual && isNaN(v) && isNaN(arg)
		}
		order := bytes.Compare(keyOf(v), key)
		return order == 0 && orEqual || order < 0 && less || order > 0 && !less
	}
}

func isNaN(v value) bool { return isNumber(v) && math.IsNaN(asFloat(v)) }

// oneOf compiles the list of $in or $nin. A value costs one look-up, and one try of each pattern.
func oneOf(op string, arg value) (check, error) {
	if arg.Type != bsoncore.TypeArray {
		return nil, fail(codeBadValue, "%s needs an array", op)
	}
	keys := map[string]bool{}
	var patterns []check
	for v := range elements(arg) {
		switch {
		case isOperators(v):
			return nil, fail(codeBadValue, "cannot nest $ under %s", op)
		case v.Type == bsoncore.TypeUndefined:
			return nil, fail(codeBadValue, "cannot compare to undefined")
		}
		if v.Type == bsoncore.TypeRegex {
			re, err := matching(v, value{})
			if err != nil {
				return nil, err
			}
			patterns = append(patterns, re)
			continue
		}
		keys[string(keyOf(v))] = true
	}
	orMissing := keys[string(keyNull)]
	return func(v value, found bool) bool {
		if !found || v.Type == bsoncore.TypeUndefined {
			return orMissing
		}
		if keys[string(keyOf(v))] {
			return true
		}
		return slices.ContainsFunc(patterns, func(c check) bool { return c(v, true) })
	}, nil
}

// typeNames are MongoDB's aliases for $type.
var typeNames = map[string]bsoncore.Type{
	"double": bsoncore.TypeDouble, "string": bsoncore.TypeString, "object": bsoncore.TypeEmbeddedDocument,
	"array": bsoncore.TypeArray, "binData": bsoncore.TypeBinary, "undefined": bsoncore.TypeUndefined,
	"objectId": bsoncore.TypeObjectID, "bool": bsoncore.TypeBoolean, "date": bsoncore.TypeDateTime,
	"null": bsoncore.TypeNull, "regex": bsoncore.TypeRegex, "dbPointer": bsoncore.TypeDBPointer,
	"javascript": bsoncore.TypeJavaScript, "symbol": bsoncore.TypeSymbol, "javascriptWithScope": bsoncore.TypeCodeWithScope,
	"int": bsoncore.TypeInt32, "timestamp": bsoncore.TypeTimestamp, "long": bsoncore.TypeInt64,
	"decimal": bsoncore.TypeDecimal128, "minKey": bsoncore.TypeMinKey, "maxKey": bsoncore.TypeMaxKey,
}

func ofType(arg value) (check, error) {
	types, err := typesOf(arg)
	if err != nil {
		return nil, err
	}
	return func(v value, found bool) bool { return found && types[v.Type] }, nil
}

// typesOf reads the argument of $type: a type or a list of types.
func typesOf(arg value) (map[bsoncore.Type]bool, error) {
	wanted := []value{arg}
	if arg.Type == bsoncore.TypeArray {
		wanted = valuesOf(arg)
	}
	types := map[bsoncore.Type]bool{}
	for _, w := range wanted {
		if w.Type == bsoncore.TypeString && stringOf(w) == "number" {
			types[bsoncore.TypeInt32], types[bsoncore.TypeInt64] = true, true
			types[bsoncore.TypeDouble], types[bsoncore.TypeDecimal128] = true, true
			continue
		}
		var t bsoncore.Type
		if w.Type == bsoncore.TypeString {
			t = typeNames[stringOf(w)]
		} else if n, exact := asInt(w); exact && n >= -1 && n <= 127 {
			t = bsoncore.Type(n) // -1, MinKey, becomes 0xff as in BSON
		}
		if tags[t] == 0 {
			return nil, fail(codeBadValue, "unknown type name or number for $type: %s", w)
		}
		types[t] = true
	}
	if len(types) == 0 {
		return nil, fail(codeFailedToParse, "$type must match at least one type")
	}
	return types, nil
}

// matching compiles a pattern in Go's syntax (RE2). It refuses PCRE's look-around and
// back-references.
func matching(arg, options value) (check, error) {
	var source, flags string
	switch arg.Type {
	case bsoncore.TypeRegex:
		source, flags = arg.Regex()
	case bsoncore.TypeString:
		source = stringOf(arg)
	default:
		return nil, fail(codeBadValue, "$regex has to be a string")
	}
	if options.Type == bsoncore.TypeString {
		if flags != "" {
			return nil, fail(codeRegexOptions, "options set in both $regex and $options")
		}
		flags = stringOf(options)
	}
	prefix, err := regexPrefix(flags)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(prefix + source)
	if err != nil {
		return nil, fail(codeBadRegex, "Regular expression is invalid or not supported: %v", err)
	}
	return func(v value, _ bool) bool {
		switch v.Type {
		case bsoncore.TypeString, bsoncore.TypeSymbol:
			return re.Match(v.Data[4 : len(v.Data)-1])
		case bsoncore.TypeRegex:
			p, f := v.Regex()
			return p == source && f == flags
		}
		return false
	}, nil
}

// regexPrefix returns the flags as Go's patterns begin with them. u has no effect: Go's patterns are
// UTF-8 anyway, as MongoDB's are. Python sends it with every pattern of text.
func regexPrefix(flags string) (string, error) {
	prefix := ""
	for _, flag := range flags {
		switch flag {
		case 'i', 'm', 's':
			prefix += "(?" + string(flag) + ")"
		case 'u':
		case 'x':
			return "", unsupported("the regex option x")
		default:
			return "", fail(codeRegexFlag, "invalid flag in regex options: %c", flag)
		}
	}
	return prefix, nil
}

package embedded

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// pattern is a list of fields with directions: the keys of an index, or the order of a
// result. Both use the method keys, so an index and a sort never order two documents
// differently.
type pattern []patternField

type patternField struct {
	path  string
	parts []string
	desc  bool
}

func splitPath(path string) []string { return strings.Split(path, ".") }

// arrayIndex reads a path component as a position in an array.
func arrayIndex(part string) (int, bool) {
	n, err := strconv.Atoi(part)
	return n, err == nil && n >= 0 && part == strconv.Itoa(n)
}

const maxPatternSize = 2 << 10 // bytes of BSON, enough for the 32 fields that MongoDB allows

// parseSort reads the sort of a command.
func parseSort(d document) (pattern, error) {
	for path, v := range fields(d) {
		switch n := asFloat(v); {
		case v.Type == bsoncore.TypeEmbeddedDocument && firstKey(v.Data) == "$meta":
			return nil, unsupported("a sort of %q by $meta", path)
		case !isNumber(v):
			return nil, fail(codeSortKey, "Illegal key in $sort specification: %s: %s", path, v)
		case n != 1 && n != -1:
			return nil, fail(codeSortDirection, "$sort key ordering must be 1 (for ascending) or -1 (for descending), not %s for %q", v, path)
		}
	}
	if direction, ok := naturalHint(documentValue(d)); ok && direction != 0 {
		return pattern{{path: "_id", parts: []string{"_id"}, desc: direction < 0}}, nil
	}
	return parsePattern(d, codeBadValue)
}

// parsePattern reads {field: 1, other: -1}.
func parsePattern(d document, errCode code) (pattern, error) {
	var p pattern
	if len(d) > maxPatternSize {
		return nil, fail(errCode, "more than %d bytes of keys", maxPatternSize)
	}
	for path, v := range fields(d) {
		direction := asFloat(v)
		switch {
		case !isNumber(v):
			return nil, fail(errCode, "%q: only 1 and -1 are supported, not %s", path, v)
		case direction != direction || direction == 0:
			return nil, fail(errCode, "%q: the direction must be 1 or -1, not %s", path, v)
		}
		parts := splitPath(path)
		for _, part := range parts {
			_, numeric := arrayIndex(part)
			if part == "" || strings.HasPrefix(part, "$") || numeric {
				return nil, fail(errCode, "%q: paths with empty, numeric or $-prefixed parts are not supported", path)
			}
		}
		if slices.ContainsFunc(p, func(f patternField) bool { return f.path == path }) {
			return nil, fail(errCode, "%q is named twice", path)
		}
		p = append(p, patternField{path: path, parts: parts, desc: direction < 0})
	}
	return p, nil
}

// patternKeys are the keys of one document.
type patternKeys struct {
	keys    [][]byte // sorted, each once
	present bool     // at least one of the fields exists
	array   bool     // an array was expanded
	size    int      // of all keys, in bytes
}

// maxKeysSize bounds, in bytes, the keys of one document: long arrays times long fields.
const maxKeysSize = 64 << 20

// keys returns a key for every combination of array elements, as in MongoDB's indexes: a
// missing field is null, an empty array is undefined.
func (p pattern) keys(d document) (patternKeys, error) {
	var out patternKeys
	rest := make([][]string, len(p))
	for i, f := range p {
		rest[i] = f.parts
	}
	if err := p.expand(d, make([][]byte, len(p)), rest, &out); err != nil {
		return out, err
	}
	if len(out.keys) > 1 {
		slices.SortFunc(out.keys, bytes.Compare)
		out.keys = slices.CompactFunc(out.keys, bytes.Equal)
	}
	return out, nil
}

// expand sets fixed[i] for each field i whose value d alone determines. For the fields behind an
// array it continues with each element. rest[i] is the path of field i below d, or nil if
// fixed[i] is set.
func (p pattern) expand(d document, fixed [][]byte, rest [][]string, out *patternKeys) error {
	var array value
	arrayAt := "" // the path of the array from the root
	for i := range p {
		if rest[i] == nil {
			continue
		}
		v, below, found := descend(d, rest[i])
		if found && v.Type == bsoncore.TypeArray {
			at := strings.Join(p[i].parts[:len(p[i].parts)-len(below)], ".")
			if arrayAt != "" && at != arrayAt {
				return fail(codeParallelArrays, "cannot index parallel arrays [%s] [%s]", at, arrayAt)
			}
			array, arrayAt, rest[i] = v, at, below
			continue
		}
		out.present = out.present || found
		fixed[i], rest[i] = keyNull, nil
		if found {
			fixed[i] = keyOf(v)
		}
	}
	if arrayAt == "" {
		key := p.join(fixed)
		if out.size += len(key); out.size > maxKeysSize {
			return fail(codeMemoryLimit, "the keys of one document exceed %d bytes", maxKeysSize)
		}
		out.keys = append(out.keys, key)
		return nil
	}
	out.array, out.present = true, true
	members := valuesOf(array)
	if len(members) == 0 {
		return p.expandElement(value{Type: bsoncore.TypeUndefined}, fixed, rest, out)
	}
	for _, e := range members {
		if err := p.expandElement(e, fixed, rest, out); err != nil {
			return err
		}
	}
	return nil
}

func (p pattern) expandElement(e value, fixed [][]byte, rest [][]string, out *patternKeys) error {
	fixed, rest = slices.Clone(fixed), slices.Clone(rest)
	for i := range p {
		if rest[i] != nil && len(rest[i]) == 0 {
			fixed[i], rest[i] = keyOf(e), nil
		}
	}
	below := emptyDocument
	if e.Type == bsoncore.TypeEmbeddedDocument {
		below = e.Data
	}
	return p.expand(below, fixed, rest, out)
}

// descend follows parts through documents. At an array it stops and returns the rest of the
// path in below.
func descend(d document, parts []string) (v value, below []string, found bool) {
	for i, part := range parts {
		v, ok := lookup(d, part)
		if !ok {
			return value{}, nil, false
		}
		last := i == len(parts)-1
		switch {
		case last || v.Type == bsoncore.TypeArray:
			return v, parts[i+1:], true
		case v.Type != bsoncore.TypeEmbeddedDocument:
			return value{}, nil, false
		}
		d = v.Data
	}
	return value{}, nil, false
}

func (p pattern) join(keys [][]byte) []byte {
	var joined []byte
	for i, k := range keys {
		from := len(joined)
		joined = append(joined, k...)
		if p[i].desc {
			complement(joined[from:])
		}
	}
	return joined
}

// sortKey returns the key that determines the position of d: the least of its keys. For a
// descending field, that is the key of the greatest element.
func (p pattern) sortKey(d document) ([]byte, error) {
	k, err := p.keys(d)
	if err != nil {
		return nil, fail(codeBadValue, "cannot sort: %v", err)
	}
	return k.keys[0], nil
}

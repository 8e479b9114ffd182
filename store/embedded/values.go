package embedded

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Documents stay BSON from the wire to the file. The functions of this package read them in
// place and rely on validate, which checks every document of a client.
type (
	value    = bsoncore.Value
	document = bsoncore.Document
)

const (
	maxDocument = 16 << 20 // bytes; MongoDB's limit
	maxDepth    = 200      // nested documents and arrays; MongoDB's limit
)

var (
	nullValue     = value{Type: bsoncore.TypeNull}
	emptyDocument = document{5, 0, 0, 0, 0}
)

// validate checks d to the last byte, so that no reader can run past an end.
func validate(d []byte) error {
	if !validDocument(d, 0) {
		return fail(codeInvalidBSON, "invalid BSON, or nested deeper than %d levels", maxDepth)
	}
	return nil
}

func validDocument(d []byte, depth int) bool {
	if depth > maxDepth || len(d) < 5 || int(int32(binary.LittleEndian.Uint32(d))) != len(d) || d[len(d)-1] != 0 {
		return false
	}
	for d = d[4 : len(d)-1]; len(d) > 0; {
		t := bsoncore.Type(d[0])
		end := bytes.IndexByte(d[1:], 0)
		if end < 0 {
			return false
		}
		d = d[end+2:]
		n := valueSize(d, t)
		if n < 0 || n > len(d) || !validValue(d[:n], t, depth) {
			return false
		}
		d = d[n:]
	}
	return true
}

// valueSize is the length that a value claims, or -1.
func valueSize(b []byte, t bsoncore.Type) int {
	prefixed := func(more, least int) int {
		if len(b) < 4 {
			return -1
		}
		n := int(int32(binary.LittleEndian.Uint32(b)))
		if n < least {
			return -1
		}
		return n + more
	}
	switch t {
	case bsoncore.TypeUndefined, bsoncore.TypeNull, bsoncore.TypeMinKey, bsoncore.TypeMaxKey:
		return 0
	case bsoncore.TypeBoolean:
		return 1
	case bsoncore.TypeInt32:
		return 4
	case bsoncore.TypeDouble, bsoncore.TypeDateTime, bsoncore.TypeTimestamp, bsoncore.TypeInt64:
		return 8
	case bsoncore.TypeObjectID:
		return 12
	case bsoncore.TypeDecimal128:
		return 16
	case bsoncore.TypeString, bsoncore.TypeJavaScript, bsoncore.TypeSymbol:
		return prefixed(4, 1)
	case bsoncore.TypeDBPointer:
		return prefixed(4+12, 1)
	case bsoncore.TypeBinary:
		return prefixed(5, 0)
	case bsoncore.TypeEmbeddedDocument, bsoncore.TypeArray:
		return prefixed(0, 5)
	case bsoncore.TypeCodeWithScope:
		return prefixed(0, 14)
	case bsoncore.TypeRegex:
		pattern := bytes.IndexByte(b, 0)
		if pattern < 0 {
			return -1
		}
		options := bytes.IndexByte(b[pattern+1:], 0)
		if options < 0 {
			return -1
		}
		return pattern + options + 2
	}
	return -1
}

// validValue checks the content of b, which has exactly the length that it claims.
func validValue(b []byte, t bsoncore.Type, depth int) bool {
	switch t {
	case bsoncore.TypeBoolean:
		return b[0] <= 1
	case bsoncore.TypeString, bsoncore.TypeJavaScript, bsoncore.TypeSymbol:
		return b[len(b)-1] == 0
	case bsoncore.TypeDBPointer:
		return b[len(b)-13] == 0
	case bsoncore.TypeEmbeddedDocument, bsoncore.TypeArray:
		return validDocument(b, depth+1)
	case bsoncore.TypeBinary:
		return b[4] != 2 || len(b) >= 9 && int(binary.LittleEndian.Uint32(b[5:])) == len(b)-9
	case bsoncore.TypeCodeWithScope:
		code := valueSize(b[4:], bsoncore.TypeString)
		return code > 0 && 4+code <= len(b) && b[3+code] == 0 && validDocument(b[4+code:], depth+1)
	}
	return true
}

// fields yields the elements of d in order.
func fields(d document) iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		for rest := contents(d); len(rest) > 1; {
			e, r, ok := bsoncore.ReadElement(rest)
			if !ok || !yield(e.Key(), e.Value()) {
				return
			}
			rest = r
		}
	}
}

// elements yields the elements of an array.
func elements(array value) iter.Seq[value] {
	return func(yield func(value) bool) {
		for _, v := range fields(document(array.Data)) {
			if !yield(v) {
				return
			}
		}
	}
}

func contents(d document) []byte {
	if len(d) < 5 {
		return nil // a nil document is an empty one
	}
	return d[4:]
}

func lookup(d document, key string) (value, bool) {
	for rest := contents(d); len(rest) > 1; {
		e, r, ok := bsoncore.ReadElement(rest)
		if !ok {
			break
		}
		if string(e.KeyBytes()) == key {
			return e.Value(), true
		}
		rest = r
	}
	return value{}, false
}

// isEmpty reports whether d has no fields. It is nil if it is absent.
func isEmpty(d document) bool { return len(d) <= len(emptyDocument) }

func firstKey(d document) string {
	for k := range fields(d) {
		return k
	}
	return ""
}

func valuesOf(array value) []value {
	var all []value
	for v := range elements(array) {
		all = append(all, v)
	}
	return all
}

func arrayValue(vs []value) value {
	return value{Type: bsoncore.TypeArray, Data: bsoncore.BuildArray(nil, vs...)}
}

func documentValue(d document) value {
	return value{Type: bsoncore.TypeEmbeddedDocument, Data: d}
}

// builder builds a document field by field.
type builder struct{ b []byte }

func newBuilder() *builder { return &builder{b: make([]byte, 4, 256)} }

func (b *builder) add(key string, v value) { b.b = bsoncore.AppendValueElement(b.b, key, v) }

// document completes the document.
func (b *builder) document() document {
	b.b = append(b.b, 0)
	binary.LittleEndian.PutUint32(b.b, uint32(len(b.b)))
	return b.b
}

func (b *builder) array() value {
	return value{Type: bsoncore.TypeArray, Data: b.document()}
}

func stringValue(s string) value {
	return value{Type: bsoncore.TypeString, Data: bsoncore.AppendString(nil, s)}
}

// raw returns a value that can be a part of a bson.D.
func raw(v value) bson.RawValue { return bson.RawValue{Type: bson.Type(v.Type), Value: v.Data} }

func stringOf(v value) string { return string(v.Data[4 : len(v.Data)-1]) }

func isNumber(v value) bool {
	switch v.Type {
	case bsoncore.TypeInt32, bsoncore.TypeInt64, bsoncore.TypeDouble, bsoncore.TypeDecimal128:
		return true
	}
	return false
}

// asFloat returns a number as the nearest float64.
func asFloat(v value) float64 {
	switch v.Type {
	case bsoncore.TypeInt32:
		return float64(v.Int32())
	case bsoncore.TypeInt64:
		return float64(v.Int64())
	case bsoncore.TypeDouble:
		return v.Double()
	case bsoncore.TypeDecimal128:
		f, _ := strconv.ParseFloat(bson.NewDecimal128(v.Decimal128()).String(), 64)
		return f
	}
	return math.NaN()
}

// asInt returns a number as an int64. The result is false if the number is not a whole one
// in the range of int64.
func asInt(v value) (int64, bool) {
	switch v.Type {
	case bsoncore.TypeInt32:
		return int64(v.Int32()), true
	case bsoncore.TypeInt64:
		return v.Int64(), true
	case bsoncore.TypeDouble, bsoncore.TypeDecimal128:
		f := asFloat(v)
		if f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
			return 0, false
		}
		return int64(f), true
	}
	return 0, false
}

// truthy reports whether MongoDB reads a flag as true: all values except false, zero, null and
// undefined. Even an empty text is true.
func truthy(v value) bool {
	switch {
	case v.Type == bsoncore.TypeBoolean:
		return v.Boolean()
	case isNumber(v):
		return asFloat(v) != 0
	}
	return v.Type != bsoncore.TypeNull && v.Type != bsoncore.TypeUndefined
}

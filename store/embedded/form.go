package embedded

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// form reads a command, or a document inside one, by field name. It remembers the fields
// that it was asked for, and finish refuses all others by name, so that no field is ignored
// by mistake. The form keeps the first error.
type form struct {
	name      string // for messages, such as "find"
	body      document
	fields    []formField
	sequences map[string][]document // of OP_MSG; only commands have them
	taken     []string              // of the sequences
	err       error
}

type formField struct {
	key   []byte
	value value
	asked bool
}

// maxFields bounds the fields of a form. No command has as many.
const maxFields = 64

func newForm(name string, d document) *form {
	f := &form{name: name, body: d, fields: make([]formField, 0, 8)}
	for rest := contents(d); len(rest) > 1; {
		e, r, ok := bsoncore.ReadElement(rest)
		if !ok {
			break
		}
		if len(f.fields) == maxFields {
			f.addError(fail(codeFailedToParse, "%s has more than %d fields", name, maxFields))
			break
		}
		f.fields = append(f.fields, formField{key: e.KeyBytes(), value: e.Value()})
		rest = r
	}
	return f
}

// get returns the value of a field. Null counts as absent, as in MongoDB's commands.
func (f *form) get(key string) (v value, ok bool) {
	for i := len(f.fields) - 1; i >= 0; i-- { // the first of several counts
		if field := &f.fields[i]; string(field.key) == key {
			field.asked = true
			v, ok = field.value, true
		}
	}
	if v.Type == bsoncore.TypeNull {
		return value{}, false
	}
	return v, ok
}

// addError keeps the first error. It ignores nil.
func (f *form) addError(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *form) wrongType(key, want string, got value) {
	f.addError(fail(codeTypeMismatch, "BSON field '%s.%s' is the wrong type '%s', expected %s", f.name, key, got.Type, want))
}

func (f *form) document(key string) document {
	v, ok := f.get(key)
	if !ok {
		return nil
	}
	if v.Type != bsoncore.TypeEmbeddedDocument {
		f.wrongType(key, "object", v)
		return nil
	}
	return document(v.Data)
}

// array returns nil when the field is absent.
func (f *form) array(key string) []value {
	v, ok := f.get(key)
	if !ok {
		return nil
	}
	if v.Type != bsoncore.TypeArray {
		f.wrongType(key, "array", v)
		return nil
	}
	return append([]value{}, valuesOf(v)...)
}

// documents returns a list that is either an array or a sequence of the message.
func (f *form) documents(key string) []document {
	if seq, ok := f.sequences[key]; ok {
		f.taken = append(f.taken, key)
		return seq
	}
	var list []document
	for _, v := range f.array(key) {
		if v.Type != bsoncore.TypeEmbeddedDocument {
			f.wrongType(key, "array of objects", v)
			return nil
		}
		list = append(list, document(v.Data))
	}
	return list
}

func (f *form) string(key string) string {
	v, ok := f.get(key)
	if !ok {
		return ""
	}
	if v.Type != bsoncore.TypeString {
		f.wrongType(key, "string", v)
		return ""
	}
	return stringOf(v)
}

// int returns a whole number of any numeric type.
func (f *form) int(key string, absent int64) int64 {
	v, ok := f.get(key)
	if !ok {
		return absent
	}
	n, exact := asInt(v)
	if !exact {
		f.wrongType(key, "a whole number", v)
	}
	return n
}

// count returns an int that must not be negative.
func (f *form) count(key string, absent int64) int64 {
	n := f.int(key, absent)
	if n < 0 && n != absent {
		f.addError(fail(codeBadValue, "BSON field '%s.%s' must be >= 0, got %d", f.name, key, n))
	}
	return n
}

func (f *form) bool(key string, absent bool) bool {
	v, ok := f.get(key)
	if !ok {
		return absent
	}
	if v.Type != bsoncore.TypeBoolean && !isNumber(v) {
		f.wrongType(key, "bool", v)
	}
	return truthy(v)
}

// require adds an error for each missing field.
func (f *form) require(keys ...string) {
	for _, key := range keys {
		if _, ok := f.get(key); !ok {
			f.addError(fail(codeMissingField, "BSON field '%s.%s' is missing but a required field", f.name, key))
		}
	}
}

// accept allows fields with any value and ignores them.
func (f *form) accept(keys ...string) {
	for i := range f.fields {
		if field := &f.fields[i]; !field.asked {
			field.asked = slices.ContainsFunc(keys, func(key string) bool { return string(field.key) == key })
		}
	}
}

// reject adds an error for each known but unsupported field, unless its value is false or null.
func (f *form) reject(keys ...string) {
	for _, key := range keys {
		v, ok := f.get(key)
		if ok && !(v.Type == bsoncore.TypeBoolean && !v.Boolean()) {
			f.addError(unsupported("%s: option %q", f.name, key))
		}
	}
}

// finish refuses every field and sequence that no other method has named. It returns the first
// error.
func (f *form) finish() error {
	for _, field := range f.fields {
		if !field.asked {
			f.addError(fail(codeUnknownField, "BSON field '%s.%s' is an unknown field.", f.name, field.key))
		}
	}
	for key := range f.sequences {
		if !slices.Contains(f.taken, key) {
			f.addError(fail(codeUnknownField, "BSON field '%s.%s' is an unknown field.", f.name, key))
		}
	}
	return f.err
}

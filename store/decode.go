package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// MalformedError means that a document does not have the form that this program writes, for
// example because another program or a person wrote it. It is [ErrMalformed]. It contains no
// value of the document except the _id.
type MalformedError struct {
	Collection string
	ID         string // the _id in MongoDB's extended JSON, at most 100 bytes of it
	Field      string // the path of the field
	Problem    string // such as "is of type array, want string"

	id bson.RawValue
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("%s: document with _id %s: field %s %s", e.Collection, e.ID, e.Field, e.Problem)
}

// Is makes every MalformedError an [ErrMalformed].
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// fieldError is the problem of one field. decode turns it into a [MalformedError].
type fieldError struct{ field, problem string }

func (e fieldError) Error() string { return "field " + e.field + " " + e.problem }

// exactly matches the document, whatever its _id is.
func (e *MalformedError) exactly() bson.E {
	return bson.E{Key: "_id", Value: bson.D{{Key: "$eq", Value: e.id}}}
}

// form is the form that the documents of a collection must have.
type form struct {
	idType   bson.Type
	registry *bson.Registry
}

// decode decodes a document into d, a pointer to a struct. It is the only way from BSON to the
// types of this package. The error is a [MalformedError].
func (c collection) decode(document bson.Raw, f form, d any) error {
	err := checkID(document, f.idType)
	if err == nil {
		// A Decoder would copy the document into a buffer of 4 KiB.
		err = bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: document}.UnmarshalWithRegistry(f.registry, d)
	}
	if checked, ok := d.(interface{ check() error }); ok && err == nil {
		err = checked.check()
	}
	if err == nil {
		return nil
	}
	malformed := &MalformedError{Collection: c.coll.Name(), ID: describeID(document), Field: "_id", Problem: "cannot be read", id: rawID(document)}
	if f, ok := errors.AsType[fieldError](err); ok {
		malformed.Field, malformed.Problem = f.field, f.problem
	}
	if f, ok := errors.AsType[*bson.DecodeError](err); ok {
		malformed.Field = strings.Join(f.Keys(), ".")
		malformed.Problem = problemOf(document, f)
	}
	return malformed
}

// checkID checks the type of the _id. The driver itself decodes a text or null into an
// ObjectID, and later filters by that ObjectID find no document.
func checkID(document bson.Raw, want bson.Type) error {
	if err := document.Validate(); err != nil {
		return err
	}
	if id := document.Lookup("_id"); id.Type != want {
		return fieldError{"_id", wrongType(id.Type, want)}
	}
	return nil
}

// problemOf names the type of the field that cannot be decoded. It does not quote the
// driver's text, which may contain the value.
func problemOf(document bson.Raw, err *bson.DecodeError) string {
	if mismatch, ok := errors.AsType[typeError](err); ok {
		return mismatch.Error()
	}
	v, lookupErr := document.LookupErr(err.Keys()...)
	if lookupErr != nil {
		return "cannot be read"
	}
	return "is of type " + v.Type.String() + " with a value that cannot be read"
}

// typeError means that a field has a type that its Go type does not take.
type typeError struct {
	got  bson.Type
	want []bson.Type
}

func (e typeError) Error() string { return wrongType(e.got, e.want...) }

func wrongType(got bson.Type, want ...bson.Type) string {
	names := make([]string, len(want))
	for i, w := range want {
		names[i] = w.String()
	}
	if got == 0 {
		return "is missing, want " + strings.Join(names, " or ")
	}
	return "is of type " + got.String() + ", want " + strings.Join(names, " or ")
}

// maxIDText bounds the text of an _id in errors and logs, in bytes.
const maxIDText = 100

// describeID returns the _id of a document in extended JSON.
func describeID(document bson.Raw) string {
	id, err := document.LookupErr("_id")
	if err != nil {
		return "(none)"
	}
	text := id.String()
	if id.Type == bson.TypeDouble { // NaN has no form in relaxed JSON
		text = fmt.Sprint(id.Double())
	}
	if short := truncate(text, maxIDText); short != text {
		return short + "…"
	}
	return text
}

// readRegistry decodes each kind of Go value only from the BSON types that mean the same. The
// driver's own registry also decodes true as the number 1, binary data as text, and numbers as
// booleans. Null is the zero value, as in documents of the original.
var readRegistry = newRegistry()

// checkRegistry is readRegistry for [Store.Check]. In addition, it refuses times in the form of
// texts and numbers: they can be read, and no filter of this package matches them.
var checkRegistry = newRegistry(reflect.TypeFor[time.Time]())

// newRegistry returns a registry that decodes the given types only from dates.
func newRegistry(times ...reflect.Type) *bson.Registry {
	r, defaults := bson.NewRegistry(), bson.NewRegistry() // a registry remembers the decoders that it returned
	numbers := []bson.Type{bson.TypeInt32, bson.TypeInt64, bson.TypeDouble}
	for _, rule := range []struct {
		of    reflect.Type
		types []bson.Type
	}{
		{reflect.TypeFor[string](), []bson.Type{bson.TypeString}},
		{reflect.TypeFor[bool](), []bson.Type{bson.TypeBoolean}},
		{reflect.TypeFor[int](), numbers},
		{reflect.TypeFor[int32](), numbers},
		{reflect.TypeFor[int64](), numbers},
		{reflect.TypeFor[float64](), numbers},
		{reflect.TypeFor[[]string](), []bson.Type{bson.TypeArray}},
		{reflect.TypeFor[struct{}](), []bson.Type{bson.TypeEmbeddedDocument}},
	} {
		r.RegisterKindDecoder(rule.of.Kind(), strictDecoder{decoderOf(defaults, rule.of), rule.types})
	}
	for _, t := range times {
		r.RegisterTypeDecoder(t, strictDecoder{decoderOf(defaults, t), []bson.Type{bson.TypeDateTime}})
	}
	return r
}

func decoderOf(r *bson.Registry, t reflect.Type) bson.ValueDecoder {
	decoder, err := r.LookupDecoder(t)
	if err != nil {
		panic(err) // the driver decodes all types of this package
	}
	return decoder
}

// strictDecoder refuses all BSON types except the given ones and null.
type strictDecoder struct {
	bson.ValueDecoder
	types []bson.Type
}

func (s strictDecoder) DecodeValue(dc bson.DecodeContext, vr bson.ValueReader, v reflect.Value) error {
	// A whole document has no type.
	if got := vr.Type(); got != 0 && got != bson.TypeNull && !slices.Contains(s.types, got) {
		return typeError{got, s.types}
	}
	return s.ValueDecoder.DecodeValue(dc, vr, v)
}

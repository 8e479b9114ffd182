package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Page is one page of a list in the order of _id. It skips malformed documents, so it may have
// fewer items than its limit, or none, while there is a next page.
type Page[T any] struct {
	Items []T
	Next  string // cursor of the next page; empty on the last page
}

// MaxPage is the largest number of records in one page.
const MaxPage = 100

// pageQuery selects a page.
type pageQuery struct {
	after      string // the cursor of an earlier page; empty = the first page
	limit      int
	descending bool
}

// page reads the documents that match, after the query's cursor. The error is [ErrBadCursor] for
// an invalid cursor.
func (r records[T]) page(ctx context.Context, filter bson.D, q pageQuery) (Page[T], error) {
	last, err := parseCursor(q.after)
	if err != nil {
		return Page[T]{}, err
	}
	out := Page[T]{Items: []T{}}
	add := func(one T) { out.Items = append(out.Items, one) }
	limit := max(1, min(q.limit, MaxPage))
	for {
		ids, err := r.after(ctx, filter, position{last, limit, q.descending}, add)
		if err != nil || len(ids) < limit {
			return out, err
		}
		last = ids[len(ids)-1]
		if out.Next = formatCursor(last); out.Next != "" {
			return out, nil
		}
		limit = 1 // the _id is too long for a cursor and the document malformed, so there is room for one more
	}
}

// position is a place in the order of _id.
type position struct {
	id         bson.RawValue // of the document before; zero = the beginning
	limit      int
	descending bool
}

// after is each for at most limit documents after a position. In a filter, an _id compares only
// with values of its own type, so the other types need a second query.
func (r records[T]) after(ctx context.Context, filter bson.D, p position, add func(T)) ([]bson.RawValue, error) {
	order := 1
	if p.descending {
		order = -1
	}
	var ids []bson.RawValue
	for _, condition := range p.conditions() {
		left := p.limit - len(ids)
		if left == 0 {
			break
		}
		more, err := r.each(ctx, append(append(bson.D{}, filter...), condition...),
			options.Find().SetSort(bson.D{{Key: "_id", Value: order}}).SetLimit(int64(left)), add)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	return ids, nil
}

// conditions returns the filters that together match all documents after the position, in order.
func (p position) conditions() []bson.D {
	if p.id.Type == 0 {
		return []bson.D{{}}
	}
	at := slices.IndexFunc(idTypes, func(group []bson.Type) bool { return slices.Contains(group, p.id.Type) })
	later, operator, value := idTypes[at+1:], "$gt", p.id
	if p.descending {
		later, operator = idTypes[:at], "$lt"
	}
	if isNaN(value) && !p.descending { // NaN is before all numbers in the order, and is not less than any
		operator, value = "$gte", numberValue(math.Inf(-1))
	}
	var conditions []bson.D
	if value.Type != bson.TypeMinKey && value.Type != bson.TypeMaxKey { // these compare with all types
		conditions = append(conditions, bson.D{{Key: "_id", Value: bson.D{{Key: operator, Value: value}}}})
	}
	types := bson.A{}
	for _, t := range slices.Concat(later...) {
		types = append(types, int32(int8(t))) // MinKey is -1
	}
	if len(types) > 0 {
		conditions = append(conditions, bson.D{{Key: "_id", Value: bson.D{{Key: "$type", Value: types}}}})
	}
	return conditions
}

// idTypes are the types of an _id in MongoDB's order. The types of a group compare with each
// other (https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/). An array, a
// regular expression and undefined cannot be an _id.
var idTypes = [][]bson.Type{
	{bson.TypeMinKey},
	{bson.TypeNull},
	{bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128},
	{bson.TypeString, bson.TypeSymbol},
	{bson.TypeEmbeddedDocument},
	{bson.TypeBinary},
	{bson.TypeObjectID},
	{bson.TypeBoolean},
	{bson.TypeDateTime},
	{bson.TypeTimestamp},
	{bson.TypeDBPointer},
	{bson.TypeJavaScript},
	{bson.TypeCodeWithScope},
	{bson.TypeMaxKey},
}

func isNaN(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeDouble:
		return math.IsNaN(v.Double())
	case bson.TypeDecimal128:
		return v.Decimal128().IsNaN()
	}
	return false
}

func numberValue(f float64) bson.RawValue {
	return bson.RawValue{Type: bson.TypeDouble, Value: bsoncore.AppendDouble(nil, f)}
}

const (
	maxCursor = 1 << 10 // bytes of a cursor
	rawCursor = "~"     // begins a cursor that is not the ID of a record
)

// formatCursor returns the cursor of an _id: the 24 digits of an ObjectID, as in an ID, or else
// the type and the value. The result is empty if the cursor would be too long.
func formatCursor(id bson.RawValue) string {
	if oid, ok := id.ObjectIDOK(); ok {
		return oid.Hex()
	}
	cursor := rawCursor + base64.RawURLEncoding.EncodeToString(append([]byte{byte(id.Type)}, id.Value...))
	if len(cursor) > maxCursor {
		return ""
	}
	return cursor
}

// parseCursor returns the _id of a cursor. The empty cursor has the zero value.
func parseCursor(cursor string) (bson.RawValue, error) {
	if cursor == "" {
		return bson.RawValue{}, nil
	}
	if oid, err := bson.ObjectIDFromHex(cursor); err == nil {
		return bson.RawValue{Type: bson.TypeObjectID, Value: bytes.Clone(oid[:])}, nil
	}
	encoded, isRaw := strings.CutPrefix(cursor, rawCursor)
	if !isRaw || len(cursor) > maxCursor {
		return bson.RawValue{}, ErrBadCursor
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(raw) == 0 {
		return bson.RawValue{}, ErrBadCursor
	}
	v, rest, ok := bsoncore.ReadValue(raw[1:], bsoncore.Type(raw[0]))
	known := slices.ContainsFunc(idTypes, func(group []bson.Type) bool { return slices.Contains(group, bson.Type(v.Type)) })
	if !ok || len(rest) > 0 || !known || v.Validate() != nil {
		return bson.RawValue{}, ErrBadCursor
	}
	return bson.RawValue{Type: bson.Type(v.Type), Value: v.Data}, nil
}

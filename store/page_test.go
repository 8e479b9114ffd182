package store

import (
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// FuzzCursor checks that a cursor, which every client can forge, is either refused or a
// plain _id: it adds no operator, no other field and no regular expression to the filter
// (Kratos built a query from a forged one, CVE-2026-33503).
//
//	go test -run '^$' -fuzz '^FuzzCursor$' -fuzztime 2m ./store
func FuzzCursor(f *testing.F) {
	for _, id := range []any{
		bson.NewObjectID(), "text", int32(1), int64(1), 1.5, true, bson.D{{Key: "$ne", Value: nil}}, bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "$where", Value: "1"}}}}},
		bson.Regex{Pattern: ".*"}, bson.A{1, 2}, bson.JavaScript("sleep(1000)"), bson.CodeWithScope{Code: "1", Scope: bson.D{}}, bson.MinKey{}, bson.MaxKey{}, bson.Null{},
	} {
		kind, value, err := bson.MarshalValue(id)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(formatCursor(bson.RawValue{Type: kind, Value: value}))
	}
	for _, seed := range []string{"", "~", "~AA", "~Bw", `{"$ne":null}`, "$where", "507f1f77bcf86cd79943901", "507f1f77bcf86cd7994390111", "~\x00", "1 OR 1=1", "../../etc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		id, err := parseCursor(cursor)
		if err != nil {
			if !errors.Is(err, ErrBadCursor) {
				t.Errorf("%q: %v, want ErrBadCursor", cursor, err)
			}
			return
		}
		if id.Type == bson.TypeRegex || id.Type == bson.TypeArray || id.Type == bson.TypeUndefined {
			t.Errorf("%q is an _id of type %s", cursor, id.Type)
		}
		for _, descending := range []bool{false, true} {
			for _, condition := range (position{id: id, limit: 1, descending: descending}).conditions() {
				checkCondition(t, cursor, condition)
			}
		}
	})
}

// checkCondition checks that a filter compares the _id only, with one operator of ours.
func checkCondition(t *testing.T, cursor string, condition bson.D) {
	t.Helper()
	if _, err := bson.Marshal(condition); err != nil {
		t.Errorf("%q: %v", cursor, err)
	}
	if len(condition) == 0 && cursor == "" {
		return
	}
	if len(condition) != 1 || condition[0].Key != "_id" {
		t.Fatalf("%q filters by %v", cursor, condition)
	}
	inner, ok := condition[0].Value.(bson.D)
	if !ok || len(inner) != 1 {
		t.Fatalf("%q compares with %v", cursor, condition)
	}
	switch inner[0].Key {
	case "$gt", "$gte", "$lt", "$type":
	default:
		t.Errorf("%q uses the operator %s", cursor, inner[0].Key)
	}
}

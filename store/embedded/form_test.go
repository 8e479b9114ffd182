package embedded

import (
	"strconv"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func formOf(t *testing.T, fields bson.D) *form {
	t.Helper()
	d, err := bson.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return newForm("find", d)
}

func TestFormRefusesWhatWasNotAskedFor(t *testing.T) {
	f := formOf(t, bson.D{{Key: "limit", Value: 1}, {Key: "skip", Value: nil}, {Key: "limit", Value: 2}, {Key: "other", Value: 1}})
	f.sequences = map[string][]document{"documents": {}, "limit": {}}
	if n := f.int("limit", 0); n != 1 {
		t.Errorf("limit = %d, want the first, 1", n)
	}
	if _, ok := f.get("skip"); ok {
		t.Error("null is a value")
	}
	f.documents("documents")
	if err := f.finish(); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("finish = %v, want an error that names other", err)
	}
	f.err = nil
	f.accept("other")
	if err := f.finish(); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("finish = %v, want an error about the sequence limit, which no method has read", err)
	}
}

func TestFormHasBoundedFields(t *testing.T) {
	var many bson.D
	for i := range 100_000 {
		many = append(many, bson.E{Key: strconv.Itoa(i), Value: nil})
	}
	f := formOf(t, many)
	if err := f.finish(); err == nil || len(f.fields) > maxFields {
		t.Errorf("a form keeps %d of %d fields: %v", len(f.fields), len(many), err)
	}
}

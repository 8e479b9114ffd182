package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestDuplicatesAreNamed checks that every write of a duplicate fails with code 11000, the index,
// keyPattern and keyValue.
func TestDuplicatesAreNamed(t *testing.T) {
	c := fresh(t)
	makeIndex(t, c, D{{Key: "email", Value: 1}}, options.Index().SetUnique(true).SetName("email_unique"))
	insertAll(t, c, D{{Key: "_id", Value: 1}, {Key: "email", Value: "a"}}, D{{Key: "_id", Value: 2}, {Key: "email", Value: "b"}})
	set := D{{Key: "$set", Value: D{{Key: "email", Value: "a"}}}}
	two := D{{Key: "_id", Value: 2}}
	ctx := t.Context()
	tests := []struct {
		name string
		do   func() error
	}{
		{"insert", func() error { _, err := c.InsertOne(ctx, D{{Key: "email", Value: "a"}}); return err }},
		{"update", func() error { _, err := c.UpdateOne(ctx, two, set); return err }},
		{"updateMany", func() error { _, err := c.UpdateMany(ctx, D{}, set); return err }},
		{"replace", func() error { _, err := c.ReplaceOne(ctx, two, D{{Key: "email", Value: "a"}}); return err }},
		{"findOneAndUpdate", func() error { return c.FindOneAndUpdate(ctx, two, set).Err() }},
		{"findOneAndReplace", func() error { return c.FindOneAndReplace(ctx, two, D{{Key: "email", Value: "a"}}).Err() }},
		{"upsert", func() error {
			_, err := c.UpdateOne(ctx, D{{Key: "_id", Value: 3}}, set, options.UpdateOne().SetUpsert(true))
			return err
		}},
		{"findOneAndUpdate upsert", func() error {
			return c.FindOneAndUpdate(ctx, D{{Key: "_id", Value: 3}}, set, options.FindOneAndUpdate().SetUpsert(true)).Err()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do()
			if !mongo.IsDuplicateKeyError(err) || !strings.Contains(err.Error(), `index: email_unique dup key: { email: "a" }`) {
				t.Fatalf("%v", err)
			}
			if got := duplicateFields(err); got != `{"email":1} {"email":"a"}` {
				t.Errorf("keyPattern and keyValue are %s", got)
			}
		})
	}
	if got := all(t, c, D{}); !reflect.DeepEqual(got, []string{`{"_id":1,"email":"a"}`, `{"_id":2,"email":"b"}`}) {
		t.Errorf("documents after the refusals: %v", got)
	}
	_, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: D{{Key: "none", Value: 1}}, Options: options.Index().SetUnique(true)})
	wantCode(t, "building over duplicates (both null)", err, codeDuplicateKey)
	if specs, _ := c.Indexes().ListSpecifications(ctx); len(specs) != 2 {
		t.Errorf("%d indexes after a failed build, want 2", len(specs))
	}
	_, err = c.InsertOne(ctx, D{{Key: "_id", Value: 1}})
	if !mongo.IsDuplicateKeyError(err) || !strings.Contains(err.Error(), "index: _id_ dup key: { _id: ") {
		t.Errorf("duplicate _id: %v", err)
	}
}

// duplicateFields returns keyPattern and keyValue of a write error or a command error.
func duplicateFields(err error) string {
	var reply bson.Raw
	var write mongo.WriteException
	var command mongo.CommandError
	switch {
	case errors.As(err, &write):
		reply = write.WriteErrors[0].Raw
	case errors.As(err, &command):
		reply = command.Raw
	}
	var f struct{ KeyPattern, KeyValue D }
	if err := bson.Unmarshal(reply, &f); err != nil {
		return err.Error()
	}
	return asJSON(f.KeyPattern) + " " + asJSON(f.KeyValue)
}

func TestUniqueIndexKinds(t *testing.T) {
	tests := []struct {
		name      string
		keys      D
		options   *options.IndexOptionsBuilder
		ok, clash []string
	}{
		{"missing equals null", D{{Key: "a", Value: 1}}, nil, []string{`{}`, `{"a":1}`}, []string{`{}`, `{"a":null}`, `{"a":1.0}`}},
		{"compound", D{{Key: "a", Value: 1}, {Key: "b", Value: -1}}, nil, []string{`{"a":1,"b":1}`, `{"a":1,"b":2}`}, []string{`{"a":1,"b":2}`}},
		{"dotted", D{{Key: "a.b", Value: 1}}, nil, []string{`{"a":{"b":1}}`, `{"a":{"b":2}}`}, []string{`{"a":{"b":1,"c":1}}`}},
		{"arrays", D{{Key: "a", Value: 1}}, nil, []string{`{"a":[1,1]}`, `{"a":[2,3]}`}, []string{`{"a":3}`, `{"a":[4,1]}`}},
		{"sparse", D{{Key: "a", Value: 1}}, options.Index().SetSparse(true), []string{`{}`, `{}`, `{"a":null}`}, []string{`{"a":null}`}},
		{"partial", D{{Key: "a", Value: 1}}, options.Index().SetPartialFilterExpression(D{{Key: "a", Value: D{{Key: "$type", Value: "string"}}}}),
			[]string{`{}`, `{"a":null}`, `{"a":null}`, `{"a":1}`, `{"a":1}`, `{"a":"x"}`}, []string{`{"a":"x"}`}},
		{"long", D{{Key: "a", Value: 1}}, nil, []string{`{"a":"` + strings.Repeat("x", 20000) + `1"}`, `{"a":"` + strings.Repeat("x", 20000) + `2"}`},
			[]string{`{"a":"` + strings.Repeat("x", 20000) + `1"}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := fresh(t)
			if tt.options == nil {
				tt.options = options.Index()
			}
			makeIndex(t, c, tt.keys, tt.options.SetUnique(true))
			for _, d := range tt.ok {
				if _, err := c.InsertOne(t.Context(), doc(t, d)); err != nil {
					t.Errorf("%.80s: %v", d, err)
				}
			}
			for _, d := range tt.clash {
				_, err := c.InsertOne(t.Context(), doc(t, d))
				wantCode(t, fmt.Sprintf("%.80s", d), err, codeDuplicateKey)
			}
		})
	}
}

// TestIndexesServe asks explain which index serves a query, and compares the
// result with the same query on a collection without indexes.
func TestIndexesServe(t *testing.T) {
	with := fresh(t)
	without := with.Database().Collection("plain")
	for i := range 60 {
		d := D{{Key: "_id", Value: i}, {Key: "email", Value: fmt.Sprint("e", i)}, {Key: "room", Value: i % 3}, {Key: "at", Value: i * 7 % 60},
			{Key: "tags", Value: A{i % 5, i % 7}}}
		if i%2 == 0 {
			d = append(d, bson.E{Key: "phone", Value: fmt.Sprint("p", i)}, bson.E{Key: "alt", Value: i})
		}
		insertAll(t, with, d)
		insertAll(t, without, d)
	}
	makeIndex(t, with, D{{Key: "email", Value: 1}}, options.Index().SetUnique(true).SetName("email"))
	makeIndex(t, with, D{{Key: "room", Value: 1}, {Key: "at", Value: -1}}, options.Index().SetName("room"))
	makeIndex(t, with, D{{Key: "tags", Value: 1}}, options.Index().SetName("tags"))
	makeIndex(t, with, D{{Key: "phone", Value: 1}}, options.Index().SetName("phone").SetPartialFilterExpression(D{{Key: "phone", Value: D{{Key: "$type", Value: "string"}}}}))
	makeIndex(t, with, D{{Key: "alt", Value: 1}}, options.Index().SetName("alt").SetSparse(true))
	tests := []struct{ filter, sort, want string }{
		{`{"email":"e7"}`, `{}`, "IXSCAN email"},
		{`{"email":"e7","room":1}`, `{}`, "IXSCAN email"},
		{`{"email":{"$in":["e7","e8","nope"]},"room":1}`, `{"_id":1}`, "SORT IXSCAN email"},
		{`{"$and":[{"email":"e7"}]}`, `{}`, "IXSCAN email"},
		{`{"email":{"$gt":"e1","$lte":"e3"}}`, `{"email":-1}`, "IXSCAN email"},
		{`{"room":1}`, `{"at":-1}`, "IXSCAN room"},
		{`{"room":1}`, `{"at":1}`, "IXSCAN room"},
		{`{"room":1,"at":{"$gte":10,"$lt":40}}`, `{"at":1}`, "IXSCAN room"},
		{`{"room":{"$in":[0,2]},"at":{"$lt":20}}`, `{"_id":1}`, "SORT IXSCAN room"},
		{`{"room":1,"_id":{"$gt":20}}`, `{"_id":1}`, "CLUSTERED_IXSCAN"},
		{`{"tags":3}`, `{"_id":1}`, "SORT IXSCAN tags"},
		{`{"tags":{"$gt":2,"$lt":4}}`, `{"room":1,"_id":1}`, "SORT IXSCAN tags"},
		{`{"tags":[1,1]}`, `{"_id":1}`, "COLLSCAN"},
		{`{"tags":{"$all":[3,4]}}`, `{"_id":1}`, "SORT IXSCAN tags"},
		{`{"tags":{"$gt":2,"$all":[3]}}`, `{"_id":1}`, "SORT IXSCAN tags"},
		{`{"tags":{"$all":[]}}`, `{"_id":1}`, "COLLSCAN"},
		{`{"tags":{"$all":[{"$elemMatch":{"x":1}}]}}`, `{"_id":1}`, "COLLSCAN"},
		{`{"tags":{"$elemMatch":{"$eq":3}}}`, `{"_id":1}`, "COLLSCAN"},
		{`{"email":{"$nin":["e7"]}}`, `{"_id":1}`, "COLLSCAN"},
		{`{"email":{"$not":{"$gt":"e7"}},"room":1}`, `{"at":1}`, "IXSCAN room"},
		{`{"$nor":[{"email":"e7"}]}`, `{"_id":1}`, "COLLSCAN"},
		{`{"phone":"p4"}`, `{}`, "IXSCAN phone"},
		{`{"phone":{"$in":["p4","p6"]}}`, `{"_id":1}`, "SORT IXSCAN phone"},
		{`{"phone":null}`, `{"_id":1}`, "COLLSCAN"},
		{`{"phone":{"$gt":"p"}}`, `{"_id":1}`, "COLLSCAN"},
		{`{"alt":4}`, `{}`, "IXSCAN alt"},
		{`{"alt":null}`, `{"_id":1}`, "COLLSCAN"},
		{`{"alt":{"$exists":true}}`, `{"alt":1}`, "IXSCAN alt"},
		{`{"email":null}`, `{"_id":1}`, "SORT IXSCAN email"},
		{`{"_id":5,"room":2}`, `{}`, "CLUSTERED_IXSCAN"},
		{`{"_id":{"$in":[5,6,5]}}`, `{"_id":1}`, "SORT CLUSTERED_IXSCAN"},
		{`{"_id":{"$lt":50,"$gte":3}}`, `{"_id":-1}`, "CLUSTERED_IXSCAN"},
		{`{"_id":{"$type":[16,"string","minKey"]}}`, `{"_id":1}`, "CLUSTERED_IXSCAN"},
		{`{"_id":{"$type":["objectId","bool",127]}}`, `{"_id":-1}`, "CLUSTERED_IXSCAN"},
		{`{"phone":{"$type":"string"}}`, `{"phone":1,"_id":1}`, "IXSCAN phone"},
		{`{"tags":{"$type":"int"}}`, `{"room":1,"_id":1}`, "SORT IXSCAN tags"},
		{`{"tags":{"$type":["int","array"]}}`, `{"room":1,"_id":1}`, "SORT COLLSCAN"},
		{`{"alt":{"$type":"null"}}`, `{"at":1,"_id":1}`, "SORT IXSCAN alt"},
		{`{"a.b":{"$type":"null"}}`, `{"_id":1}`, "COLLSCAN"},
		{`{}`, `{"_id":-1}`, "COLLSCAN"},
		{`{}`, `{"email":1}`, "IXSCAN email"},
		{`{}`, `{"phone":1,"_id":1}`, "SORT COLLSCAN"},
		{`{"$or":[{"email":"e1"},{"phone":"p2"}]}`, `{"_id":1}`, "SORT OR (IXSCAN email, IXSCAN phone)"},
		{`{"$or":[{"email":"e4"},{"phone":"p4"},{"_id":4}]}`, `{}`, "OR (IXSCAN email, IXSCAN phone, CLUSTERED_IXSCAN)"},
		{`{"$or":[{"tags":{"$in":[1,2]}},{"tags":3},{"tags":{"$gt":3}}]}`, `{"room":1,"_id":1}`, "SORT OR (IXSCAN tags, IXSCAN tags, IXSCAN tags)"},
		{`{"$or":[{"tags":1,"at":7},{"tags":{"$gt":0},"room":1}]}`, `{"_id":1}`, "SORT OR (IXSCAN tags, IXSCAN room)"},
		{`{"$or":[{"email":null},{"email":"e7"}],"_id":{"$gt":3}}`, `{"_id":1}`, "SORT OR (IXSCAN email, IXSCAN email)"},
		{`{"$or":[{"email":{"$in":["e1","e2"]}},{"email":"e3"},{"phone":"p4"},{"_id":{"$in":[3,4,5]}}]}`, `{}`, "OR (IXSCAN email, IXSCAN email, IXSCAN phone, CLUSTERED_IXSCAN)"},
		{`{"$or":[{"at":1},{"email":"e7"}]}`, `{"_id":1}`, "COLLSCAN"},
		{`{"$or":[{"at":1},{"email":"e7"}],"room":1}`, `{"_id":1}`, "SORT OR (IXSCAN room, IXSCAN email)"},
		{`{"$or":[{"alt":null},{"alt":4}]}`, `{"_id":1}`, "COLLSCAN"},
		{`{"$or":[{"email":"e1"},{"phone":"p2"}],"_id":2}`, `{}`, "CLUSTERED_IXSCAN"},
		{`{"$and":[{"$or":[{"email":"e1"},{"room":1}]},{"$or":[{"at":7},{"email":"e2"}]}]}`, `{"_id":1}`, "COLLSCAN"},
		{`{"$and":[{"$or":[{"at":7},{"email":"e2"}]},{"$or":[{"email":"e1"},{"room":1}]}]}`, `{"_id":1}`, "SORT OR (IXSCAN email, IXSCAN room)"},
	}
	for _, tt := range tests {
		t.Run(tt.filter+tt.sort, func(t *testing.T) {
			if got := planOf(t, with, tt.filter, tt.sort); got != tt.want {
				t.Errorf("plan %s, want %s", got, tt.want)
			}
			o := options.Find().SetSort(doc(t, tt.sort)).SetBatchSize(2)
			got, want := all(t, with, doc(t, tt.filter), o), all(t, without, doc(t, tt.filter), o)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("with indexes %v\nwithout %v", got, want)
			}
		})
	}
}

// stage is a part of a plan.
type stage struct {
	Stage, IndexName string
	InputStage       *stage
	InputStages      []*stage
}

// planOf returns the stages of a find's plan, the outermost first.
func planOf(tb testing.TB, c *mongo.Collection, filter, sort string) string {
	tb.Helper()
	var answer struct{ QueryPlanner struct{ WinningPlan *stage } }
	cmd := D{{Key: "explain", Value: D{{Key: "find", Value: c.Name()}, {Key: "filter", Value: doc(tb, filter)}, {Key: "sort", Value: doc(tb, sort)}}}}
	if err := c.Database().RunCommand(tb.Context(), cmd).Decode(&answer); err != nil {
		tb.Fatal(err)
	}
	return answer.QueryPlanner.WinningPlan.String()
}

func (s *stage) String() string {
	var words []string
	if s.Stage != "FETCH" {
		words = append(words, s.Stage)
	}
	if s.IndexName != "" {
		words = append(words, s.IndexName)
	}
	if s.InputStage != nil {
		words = append(words, s.InputStage.String())
	}
	var inputs []string
	for _, in := range s.InputStages {
		inputs = append(inputs, in.String())
	}
	if inputs != nil {
		words = append(words, "("+strings.Join(inputs, ", ")+")")
	}
	return strings.Join(words, " ")
}

// After a restart, the first command reads the list of indexes from the file, and no other.
func TestIndexesAreReadOnce(t *testing.T) {
	o := Options{File: filepath.Join(t.TempDir(), "test.db"), NoSync: true}
	before, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	makeIndex(t, connect(t, before).Database("test").Collection("c"), D{{Key: "n", Value: 1}}, nil)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	s := startAt(t, o)
	c := connect(t, s).Database("test").Collection("c")
	read := func() *catalog {
		t.Helper()
		if err := c.FindOne(t.Context(), D{}).Err(); !errors.Is(err, mongo.ErrNoDocuments) {
			t.Fatal(err)
		}
		return s.file.catalog.last.Load()
	}
	first := read()
	if first == nil || len(first.collections["test.c"].indexes) != 1 {
		t.Fatalf("the catalog after the first command: %+v", first)
	}
	if again := read(); again != first {
		t.Error("the second command has read the catalog again")
	}
	makeIndex(t, c, D{{Key: "m", Value: 1}}, nil)
	if last := read(); last == first || len(last.collections["test.c"].indexes) != 2 {
		t.Errorf("the catalog after another index: %+v", last)
	}
}

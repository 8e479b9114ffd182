package embedded

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/writeconcern"
)

// makeIndex makes one index on c.
func makeIndex(tb testing.TB, c *mongo.Collection, keys D, o *options.IndexOptions) {
	tb.Helper()
	if _, err := c.Indexes().CreateOne(tb.Context(), mongo.IndexModel{Keys: keys, Options: o}); err != nil {
		tb.Fatal(err)
	}
}

func insertAll(tb testing.TB, c *mongo.Collection, docs ...any) {
	tb.Helper()
	if _, err := c.InsertMany(tb.Context(), docs); err != nil {
		tb.Fatal(err)
	}
}

// all gives what a find finds, as JSON.
func all(tb testing.TB, c *mongo.Collection, filter any, o ...*options.FindOptions) []string {
	tb.Helper()
	cur, err := c.Find(tb.Context(), filter, o...)
	if err != nil {
		tb.Fatal(err)
	}
	var docs []D
	if err := cur.All(tb.Context(), &docs); err != nil {
		tb.Fatal(err)
	}
	list := []string{}
	for _, d := range docs {
		list = append(list, asJSON(d))
	}
	return list
}

func wantCode(tb testing.TB, what string, err error, want code) {
	tb.Helper()
	var se mongo.ServerError
	if !errors.As(err, &se) || !se.HasErrorCode(int(want)) {
		tb.Errorf("%s: %v, want code %d", what, err, want)
	}
}

// TestCommandsRefuse sends commands that must be refused by MongoDB's code, with the name of what is refused.
func TestCommandsRefuse(t *testing.T) {
	c := fresh(t)
	insertAll(t, c, D{{Key: "_id", Value: 1}})
	makeIndex(t, c, D{{Key: "s", Value: 1}}, options.Index().SetSparse(true).SetName("sparse"))
	tests := []struct {
		command string
		want    code
		named   string
	}{
		{`{"foo":1}`, codeCommandNotFound, "foo"},
		{`{"serverStatus":1}`, codeCommandNotFound, "serverStatus"},
		{`{"saslStart":1}`, codeCommandNotFound, "saslStart"},
		{`{"mapReduce":"c"}`, codeCommandNotFound, "mapReduce"},
		{`{"commitTransaction":1}`, codeCommandNotFound, "commitTransaction"},
		{`{"find":"c","foo":1}`, codeUnknownField, "foo"},
		{`{"find":"c","collation":{"locale":"en"}}`, codeNotImplemented, "collation"},
		{`{"find":"c","let":{"a":1}}`, codeNotImplemented, "let"},
		{`{"find":"c","tailable":true}`, codeNotImplemented, "tailable"},
		{`{"find":"c","filter":1}`, codeTypeMismatch, "filter"},
		{`{"find":"c","limit":-1}`, codeBadValue, "limit"},
		{`{"find":"c","skip":1.5}`, codeTypeMismatch, "skip"},
		{`{"find":"c","sort":{"a":"x"}}`, codeBadValue, "a"},
		{`{"find":"c","sort":{"a":{"$meta":"textScore"}}}`, codeBadValue, "a"},
		{`{"find":"c","hint":"nope"}`, codeBadValue, "hint"},
		{`{"find":"c","hint":"sparse"}`, codeNotImplemented, "sparse"},
		{`{"find":"c","readConcern":{"level":"snapshot"}}`, codeNotReplica, "snapshot"},
		{`{"find":"c","readConcern":{"level":"odd"}}`, codeFailedToParse, "odd"},
		{`{"find":1}`, codeInvalidNamespace, "find"},
		{`{"find":"a$b"}`, codeInvalidNamespace, "a$b"},
		{`{"find":"c","txnNumber":1,"autocommit":false,"startTransaction":true}`, codeIllegalOperation, "Transaction"},
		{`{"find":"c","apiVersion":"1"}`, codeUnknownField, "apiVersion"},
		{`{"getMore":{"$numberLong":"5"},"collection":"c"}`, codeCursorNotFound, "5"},
		{`{"count":"c","collation":{"locale":"en"}}`, codeNotImplemented, "collation"},
		{`{"insert":"c","documents":[]}`, codeInvalidLength, "0"},
		{`{"insert":"c","documents":[1]}`, codeTypeMismatch, "documents"},
		{`{"insert":"c","documents":[{"a":1}],"foo":1}`, codeUnknownField, "foo"},
		{`{"insert":"c","documents":[{"a":1}],"writeConcern":{"w":2}}`, codeBadValue, "w="},
		{`{"insert":"c","documents":[{"a":1}],"writeConcern":{"w":"odd"}}`, codeBadValue, "odd"},
		{`{"insert":"c","documents":[{"a":1}],"writeConcern":{"x":1}}`, codeUnknownField, "x"},
		{`{"insert":"system.users","documents":[{"a":1}]}`, codeInvalidNamespace, "system.users"},
		{`{"findAndModify":"c","query":{},"update":{"$set":{"a":1}},"remove":true}`, codeFailedToParse, "remove"},
		{`{"findAndModify":"c","query":{},"update":{"$set":{"a":1}},"arrayFilters":[{"x":1}]}`, codeNotImplemented, "arrayFilters"},
		{`{"findAndModify":"c","query":{},"update":{"$set":{"_id":2}}}`, codeImmutableField, "_id"},
		{`{"findAndModify":"c","query":{},"update":[{"$set":{"a":2}}]}`, codeNotImplemented, "pipeline"},
		{`{"aggregate":"c","pipeline":[{"$lookup":{}}],"cursor":{}}`, codeUnknownStage, "$lookup"},
		{`{"aggregate":"c","pipeline":[{"$changeStream":{}}],"cursor":{}}`, codeUnknownStage, "$changeStream"},
		{`{"aggregate":"c","pipeline":[{"$match":{},"$sort":{}}],"cursor":{}}`, codeUnknownStage, "exactly one"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1,"x":{"$stdDevPop":"$a"}}}],"cursor":{}}`, codeNotImplemented, "$stdDevPop"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":{"$add":[1]}}}],"cursor":{}}`, codeNotImplemented, "$add"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":"$$ROOT"}}],"cursor":{}}`, codeNotImplemented, "$ROOT"},
		{`{"aggregate":"c","pipeline":[]}`, codeFailedToParse, "cursor"},
		{`{"aggregate":"c","pipeline":[],"cursor":{"foo":1}}`, codeUnknownField, "foo"},
		{`{"create":"d","capped":true,"size":1000}`, codeNotImplemented, "capped"},
		{`{"create":"d","validator":{"a":1}}`, codeNotImplemented, "validator"},
		{`{"explain":{"count":"c"}}`, codeNotImplemented, "count"},
		{`{"explain":{"find":"c"},"verbosity":"executionStats"}`, codeNotImplemented, "verbosity"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","foo":1}]}`, codeIndexSpecOption, "foo"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":"text"},"name":"a"}]}`, codeCannotCreateIndex, "text"},
		{`{"createIndexes":"c","indexes":[{"key":{"$**":1},"name":"a"}]}`, codeCannotCreateIndex, "$**"},
		{`{"createIndexes":"c","indexes":[{"key":{},"name":"a"}]}`, codeCannotCreateIndex, "empty"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1}}]}`, codeFailedToParse, "name"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","collation":{"locale":"en"}}]}`, codeNotImplemented, "collation"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","partialFilterExpression":{"a":{"$ne":1}}}]}`, codeCannotCreateIndex, "$ne"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1,"b":1},"name":"a","expireAfterSeconds":1}]}`, codeCannotCreateIndex, "TTL"},
		{`{"createIndexes":"c","indexes":[{"key":{"s":1},"name":"sparse"}]}`, codeIndexKeySpecs, "sparse"},
		{`{"createIndexes":"c","indexes":[{"key":{"s":1},"name":"other","sparse":true}]}`, codeIndexOptions, "sparse"},
		{`{"createIndexes":"c","indexes":[{"key":{"s":1},"name":"sparse","sparse":true,"expireAfterSeconds":5}]}`, codeIndexOptions, "sparse"},
		{`{"dropIndexes":"c","index":"nope"}`, codeIndexNotFound, "nope"},
		{`{"dropIndexes":"c","index":"_id_"}`, codeInvalidOptions, "_id"},
		{`{"dropIndexes":"nope","index":"*"}`, codeNamespaceNotFound, "nope"},
		{`{"listIndexes":"nope"}`, codeNamespaceNotFound, "nope"},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			err := c.Database().RunCommand(t.Context(), doc(t, tt.command)).Err()
			wantCode(t, "refusal", err, tt.want)
			if err != nil && !strings.Contains(err.Error(), tt.named) {
				t.Errorf("%v does not name %q", err, tt.named)
			}
		})
	}
	if got := all(t, c, D{}); len(got) != 1 {
		t.Errorf("a refused command has written: %v", got)
	}
}

// TestStatementsRefuse: refusals inside one statement of a batch are write errors.
func TestStatementsRefuse(t *testing.T) {
	c := fresh(t)
	insertAll(t, c, D{{Key: "_id", Value: 1}, {Key: "a", Value: A{1}}})
	tests := []struct {
		command string
		want    code
	}{
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"_id":2}}}]}`, codeImmutableField},
		{`{"update":"c","updates":[{"q":{},"u":{"$foo":{"a":2}}}]}`, codeFailedToParse},
		{`{"update":"c","updates":[{"q":{"$foo":1},"u":{"$set":{"a":2}}}]}`, codeBadValue},
		{`{"update":"c","updates":[{"q":{},"u":{"a":2},"multi":true}]}`, codeFailedToParse},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":2}},"arrayFilters":[{"x":1}]}]}`, codeNotImplemented},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":2}},"foo":1}]}`, codeUnknownField},
		{`{"update":"c","updates":[{"u":{"$set":{"a":2}}}]}`, codeMissingField},
		{`{"delete":"c","deletes":[{"limit":0}]}`, codeMissingField},
		{`{"delete":"c","deletes":[{"q":{},"limit":2}]}`, codeFailedToParse},
		{`{"delete":"c","deletes":[{"q":{},"limit":0,"collation":{"locale":"en"}}]}`, codeNotImplemented},
		{`{"insert":"c","documents":[{"_id":[1]}]}`, codeBadValue},
		{`{"insert":"c","documents":[{"_id":1}]}`, codeDuplicateKey},
	}
	for _, tt := range tests {
		var answer struct {
			N           int
			WriteErrors []struct{ Code int32 }
		}
		raw, _ := c.Database().RunCommand(t.Context(), doc(t, tt.command)).Raw()
		_ = bson.Unmarshal(raw, &answer)
		if len(answer.WriteErrors) != 1 || code(answer.WriteErrors[0].Code) != tt.want {
			t.Errorf("%s: %+v, want code %d", tt.command, answer, tt.want)
		}
	}
	if got := all(t, c, D{}); !reflect.DeepEqual(got, []string{`{"_id":1,"a":[1]}`}) {
		t.Errorf("a refused statement has written: %v", got)
	}
}

// TestDuplicatesAreNamed: every way into a unique index ends in 11000 with index, keyPattern and keyValue.
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
			_, err := c.UpdateOne(ctx, D{{Key: "_id", Value: 3}}, set, options.Update().SetUpsert(true))
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

// duplicateFields takes keyPattern and keyValue out of either kind of error.
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
		options   *options.IndexOptions
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
		{`{}`, `{"_id":-1}`, "COLLSCAN"},
		{`{}`, `{"email":1}`, "IXSCAN email"},
		{`{}`, `{"phone":1,"_id":1}`, "SORT COLLSCAN"},
		{`{"$or":[{"email":"e1"},{"phone":"p2"}]}`, `{"_id":1}`, "COLLSCAN"},
	}
	for _, tt := range tests {
		t.Run(tt.filter+tt.sort, func(t *testing.T) {
			if got := planOf(t, with, tt.filter, tt.sort); got != tt.want {
				t.Errorf("plan %s, want %s", got, tt.want)
			}
			o := options.Find().SetSort(doc(t, tt.sort))
			got, want := all(t, with, doc(t, tt.filter), o), all(t, without, doc(t, tt.filter), o)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("with indexes %v\nwithout %v", got, want)
			}
		})
	}
}

// planOf gives the stages of a find's plan, outermost first.
func planOf(tb testing.TB, c *mongo.Collection, filter, sort string) string {
	tb.Helper()
	var answer struct{ QueryPlanner struct{ WinningPlan M } }
	cmd := D{{Key: "explain", Value: D{{Key: "find", Value: c.Name()}, {Key: "filter", Value: doc(tb, filter)}, {Key: "sort", Value: doc(tb, sort)}}}}
	if err := c.Database().RunCommand(tb.Context(), cmd).Decode(&answer); err != nil {
		tb.Fatal(err)
	}
	var words []string
	for stage := answer.QueryPlanner.WinningPlan; stage != nil; {
		if stage["stage"] != "FETCH" {
			words = append(words, fmt.Sprint(stage["stage"]))
		}
		if name, ok := stage["indexName"]; ok {
			words = append(words, fmt.Sprint(name))
		}
		stage, _ = stage["inputStage"].(M)
	}
	return strings.Join(words, " ")
}

func TestAggregate(t *testing.T) {
	c := fresh(t)
	for _, d := range []string{`{"_id":1,"g":"a","n":1}`, `{"_id":2,"g":"a","n":3}`, `{"_id":3,"g":"b","n":5}`, `{"_id":4}`} {
		insertAll(t, c, doc(t, d))
	}
	tests := []struct{ pipeline, want string }{
		{`[]`, `{"_id":1,"g":"a","n":1} {"_id":2,"g":"a","n":3} {"_id":3,"g":"b","n":5} {"_id":4}`},
		{`[{"$match":{"n":{"$gt":1}}},{"$sort":{"n":-1}},{"$skip":1},{"$limit":1},{"$project":{"n":1}}]`, `{"_id":2,"n":3}`},
		{`[{"$limit":3},{"$sort":{"n":-1}},{"$match":{"g":"a"}}]`, `{"_id":2,"g":"a","n":3} {"_id":1,"g":"a","n":1}`},
		{`[{"$group":{"_id":"$g","s":{"$sum":"$n"},"c":{"$sum":1},"k":{"$count":{}}}},{"$sort":{"_id":1}}]`,
			`{"_id":null,"s":0,"c":1,"k":1} {"_id":"a","s":4,"c":2,"k":2} {"_id":"b","s":5,"c":1,"k":1}`},
		{`[{"$group":{"_id":{"g":"$g","x":1},"m":{"$max":"$n"},"l":{"$min":"$n"},"a":{"$avg":"$n"},"f":{"$first":"$_id"},"z":{"$last":"$_id"},"p":{"$push":"$n"}}},{"$sort":{"z":1}},{"$limit":1}]`,
			`{"_id":{"g":"a","x":1},"m":3,"l":1,"a":2.0,"f":1,"z":2,"p":[1,3]}`},
		{`[{"$match":{"g":"a"}},{"$count":"c"}]`, `{"c":2}`},
		{`[{"$match":{"g":"nope"}},{"$count":"c"}]`, ``},
	}
	for _, tt := range tests {
		var pipeline struct{ P []D }
		if err := bson.UnmarshalExtJSON([]byte(`{"p":`+tt.pipeline+`}`), false, &pipeline); err != nil {
			t.Fatal(err)
		}
		cur, err := c.Aggregate(t.Context(), pipeline.P, options.Aggregate().SetBatchSize(2))
		if err != nil {
			t.Errorf("%s: %v", tt.pipeline, err)
			continue
		}
		var docs []D
		if err := cur.All(t.Context(), &docs); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range docs {
			got = append(got, asJSON(d))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.pipeline, s, tt.want)
		}
	}
}

func TestCursorsGoOnWhileOthersWrite(t *testing.T) {
	c := fresh(t)
	for i := range 50 {
		insertAll(t, c, D{{Key: "_id", Value: i}, {Key: "n", Value: -i}})
	}
	cur, err := c.Find(t.Context(), D{}, options.Find().SetBatchSize(5).SetSkip(2).SetLimit(30))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for cur.Next(t.Context()) {
		seen++
		if _, err := c.UpdateOne(t.Context(), D{{Key: "_id", Value: seen}}, D{{Key: "$set", Value: D{{Key: "seen", Value: true}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if cur.Err() != nil || seen != 30 {
		t.Errorf("%d documents, error %v", seen, cur.Err())
	}
	if got := all(t, c, D{}, options.Find().SetSort(D{{Key: "n", Value: 1}}).SetBatchSize(7).SetProjection(D{{Key: "n", Value: 1}})); len(got) != 50 || got[0] != `{"_id":49,"n":-49}` {
		t.Errorf("sorted: %d documents, first %s", len(got), got[0])
	}
	gone, err := c.Find(t.Context(), D{}, options.Find().SetBatchSize(5))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for gone.Next(t.Context()) {
	}
	wantCode(t, "getMore after drop", gone.Err(), codePlanKilled)
}

func TestCursorsAreBounded(t *testing.T) {
	s := start(t)
	c := connect(t, s).Database("test").Collection("c")
	insertAll(t, c, D{{Key: "_id", Value: 1}}, D{{Key: "_id", Value: 2}})
	open := func() error {
		return c.Database().RunCommand(t.Context(), D{{Key: "find", Value: "c"}, {Key: "batchSize", Value: 1}}).Err()
	}
	for range maxCursors {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "one cursor too many", open(), codeMemoryLimit)
	s.cursors.expire(time.Now().Add(2 * cursorIdle))
	if err := open(); err != nil {
		t.Errorf("after the idle ones were closed: %v", err)
	}
}

func TestSortIsBounded(t *testing.T) {
	c := fresh(t)
	for i := range 40 {
		insertAll(t, c, D{{Key: "_id", Value: i}, {Key: "n", Value: -i}, {Key: "fill", Value: strings.Repeat("x", 1<<20)}})
	}
	_, err := c.Find(t.Context(), D{}, options.Find().SetSort(D{{Key: "n", Value: 1}}))
	wantCode(t, "sort of 40 MB", err, codeSortMemory)
	got := all(t, c, D{}, options.Find().SetSort(D{{Key: "n", Value: 1}}).SetLimit(2).SetProjection(D{{Key: "n", Value: 1}}))
	if want := []string{`{"_id":39,"n":-39}`, `{"_id":38,"n":-38}`}; !reflect.DeepEqual(got, want) {
		t.Errorf("with a limit: %v", got)
	}
}

func TestExpiredDocumentsAreSwept(t *testing.T) {
	s := start(t)
	c := connect(t, s).Database("test").Collection("c")
	makeIndex(t, c, D{{Key: "at", Value: -1}}, options.Index().SetExpireAfterSeconds(10))
	now := time.Now()
	insertAll(t, c,
		D{{Key: "_id", Value: "old"}, {Key: "at", Value: now.Add(-time.Minute)}},
		D{{Key: "_id", Value: "one of two old"}, {Key: "at", Value: A{now.Add(time.Hour), now.Add(-time.Hour)}}},
		D{{Key: "_id", Value: "young"}, {Key: "at", Value: now.Add(-5 * time.Second)}},
		D{{Key: "_id", Value: "no date"}, {Key: "at", Value: 5}},
		D{{Key: "_id", Value: "none"}})
	if n, err := s.sweep(now); n != 2 || err != nil {
		t.Errorf("swept %d, %v; want 2", n, err)
	}
	if got := all(t, c, D{}, options.Find().SetProjection(D{{Key: "at", Value: 0}})); len(got) != 3 {
		t.Errorf("left: %v", got)
	}
}

func TestTimeLimit(t *testing.T) {
	c := fresh(t)
	docs := []any{}
	for range 20000 {
		docs = append(docs, D{{Key: "s", Value: strings.Repeat("a", 300)}})
	}
	insertAll(t, c, docs...)
	slow := D{{Key: "s", Value: D{{Key: "$regex", Value: "(a*)*(b|c)$"}}}}
	err := c.Database().RunCommand(t.Context(), D{{Key: "find", Value: "c"}, {Key: "filter", Value: slow}, {Key: "maxTimeMS", Value: 5}}).Err()
	wantCode(t, "slow find", err, codeMaxTimeExpired)
	answer, _ := c.Database().RunCommand(t.Context(), D{{Key: "update", Value: "c"}, {Key: "maxTimeMS", Value: 5},
		{Key: "updates", Value: A{D{{Key: "q", Value: slow}, {Key: "u", Value: D{{Key: "$set", Value: D{{Key: "x", Value: 1}}}}}}}}}).Raw()
	if !strings.Contains(answer.String(), "time limit") {
		t.Errorf("slow update: %s", answer)
	}
}

func TestUnacknowledgedWritesHappen(t *testing.T) {
	c := fresh(t)
	quiet, err := c.Clone(options.Collection().SetWriteConcern(writeconcern.Unacknowledged()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := quiet.InsertOne(t.Context(), D{{Key: "_id", Value: i}}); err != nil && !errors.Is(err, mongo.ErrUnacknowledgedWrite) {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if n, err := c.CountDocuments(t.Context(), D{}); err != nil || n == 20 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("20 unacknowledged inserts have not arrived")
}

func TestTransactionsAreRefused(t *testing.T) {
	c := fresh(t)
	err := c.Database().Client().UseSession(t.Context(), func(sc mongo.SessionContext) error {
		if err := sc.StartTransaction(); err != nil {
			return err
		}
		_, err := c.InsertOne(sc, D{{Key: "_id", Value: 1}})
		return err
	})
	wantCode(t, "insert in a transaction", err, codeIllegalOperation)
	if got := all(t, c, D{}); len(got) != 0 {
		t.Errorf("written all the same: %v", got)
	}
}

func TestCatalogCommands(t *testing.T) {
	c := fresh(t)
	db, ctx := c.Database(), t.Context()
	for range 2 { // making what exists is no error
		if err := db.CreateCollection(ctx, "made"); err != nil {
			t.Fatal(err)
		}
	}
	insertAll(t, c, D{{Key: "_id", Value: 1}})
	makeIndex(t, c, D{{Key: "a", Value: 1}}, nil)
	makeIndex(t, c, D{{Key: "a", Value: 1}}, nil)
	makeIndex(t, c, D{{Key: "b", Value: 1}}, options.Index().SetExpireAfterSeconds(60))
	names, err := db.ListCollectionNames(ctx, D{{Key: "name", Value: D{{Key: "$regex", Value: "^[cm]"}}}})
	if err != nil || !reflect.DeepEqual(names, []string{"c", "made"}) {
		t.Errorf("collections %v, %v", names, err)
	}
	dbs, err := db.Client().ListDatabaseNames(ctx, D{})
	if err != nil || !reflect.DeepEqual(dbs, []string{"test"}) {
		t.Errorf("databases %v, %v", dbs, err)
	}
	specs, err := c.Indexes().ListSpecifications(ctx)
	if err != nil || len(specs) != 3 || *specs[2].ExpireAfterSeconds != 60 {
		t.Errorf("indexes %v, %v", specs, err)
	}
	if _, err := c.Indexes().DropOne(ctx, "a_1"); err != nil {
		t.Error(err)
	}
	if _, err := c.Indexes().DropAll(ctx); err != nil {
		t.Error(err)
	}
	if specs, _ := c.Indexes().ListSpecifications(ctx); len(specs) != 1 {
		t.Errorf("indexes after dropping all: %v", specs)
	}
	for i := range 250 { // more than a batch of them
		if err := db.CreateCollection(ctx, fmt.Sprint("many", i)); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := db.ListCollectionNames(ctx, D{}, options.ListCollections().SetBatchSize(100)); err != nil || len(names) != 252 {
		t.Errorf("%d collections, %v", len(names), err)
	}
	if err := db.Collection("never").Drop(ctx); err != nil {
		t.Error(err)
	}
	if err := db.Drop(ctx); err != nil {
		t.Error(err)
	}
	if names, _ := db.ListCollectionNames(ctx, D{}); len(names) != 0 {
		t.Errorf("after dropping the database: %v", names)
	}
}

// TestLargeBatchesOfErrors: a hundred thousand errors still fit in one message.
func TestLargeBatchesOfErrors(t *testing.T) {
	c := fresh(t)
	insertAll(t, c, D{{Key: "_id", Value: 1}})
	docs := make([]any, 20000)
	for i := range docs {
		docs[i] = D{{Key: "_id", Value: 1}}
	}
	_, err := c.InsertMany(t.Context(), docs, options.InsertMany().SetOrdered(false))
	var be mongo.BulkWriteException
	if !errors.As(err, &be) || len(be.WriteErrors) != len(docs) || be.WriteErrors[0].Message == "" || be.WriteErrors[len(docs)-1].Code != 11000 {
		t.Errorf("%d errors", len(be.WriteErrors))
	}
}

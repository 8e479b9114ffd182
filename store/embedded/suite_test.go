package embedded

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// makeIndex creates one index on c.
func makeIndex(tb testing.TB, c *mongo.Collection, keys D, o *options.IndexOptionsBuilder) {
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

// all returns the documents of a find as JSON.
func all(tb testing.TB, c *mongo.Collection, filter any, o ...options.Lister[options.FindOptions]) []string {
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

// TestPipeline runs the pipelines of drivers' countDocuments, and those that are a find.
func TestPipeline(t *testing.T) {
	c := fresh(t)
	for _, d := range []string{`{"_id":1,"g":"a"}`, `{"_id":2,"g":"a"}`, `{"_id":3,"g":"b"}`, `{"_id":4}`} {
		insertAll(t, c, doc(t, d))
	}
	tests := []struct{ pipeline, want string }{
		{`[{"$match":{}},{"$group":{"_id":1,"n":{"$sum":1}}}]`, `[{"_id":1,"n":4}]`},
		{`[{"$group":{"_id":null,"count":{"$sum":1}}}]`, `[{"_id":null,"count":4}]`},
		{`[{"$match":{"g":"a"}},{"$skip":1},{"$limit":5},{"$group":{"_id":1,"n":{"$sum":1}}}]`, `[{"_id":1,"n":1}]`},
		{`[{"$limit":3},{"$group":{"_id":{},"n":{"$sum":1}}}]`, `[{"_id":{},"n":3}]`},
		{`[{"$match":{"g":"none"}},{"$group":{"_id":1,"n":{"$sum":1}}}]`, `[]`},
		{`[{"$match":{"g":"a"}},{"$sort":{"_id":-1}},{"$project":{"g":1}},{"$count":"n"}]`, `[{"n":2}]`},
		{`[{"$match":{"g":"none"}},{"$count":"n"}]`, `[]`},
		{`[{"$match":{"g":{"$nin":["a"]}}}]`, `[{"_id":3,"g":"b"},{"_id":4}]`},
		{`[{"$sort":{"g":-1,"_id":1}},{"$skip":1},{"$limit":2},{"$project":{"_id":1}}]`, `[{"_id":1},{"_id":2}]`},
		{`[{"$sort":{"_id":-1}},{"$limit":1},{"$project":{"_id":0,"g":1}}]`, `[{}]`},
		{`[{"$match":{"_id":3}},{"$project":{"g":0}}]`, `[{"_id":3}]`},
		{`[]`, `[{"_id":1,"g":"a"},{"_id":2,"g":"a"},{"_id":3,"g":"b"},{"_id":4}]`},
	}
	for _, tt := range tests {
		var answer struct{ Cursor struct{ FirstBatch A } }
		command := doc(t, `{"aggregate":"c","cursor":{},"pipeline":`+tt.pipeline+`}`)
		if err := c.Database().RunCommand(t.Context(), command).Decode(&answer); err != nil {
			t.Errorf("%s: %v", tt.pipeline, err)
			continue
		}
		if got := asJSON(D{{Key: "b", Value: answer.Cursor.FirstBatch}}); got != `{"b":`+tt.want+`}` {
			t.Errorf("%s\n got %s\nwant %s", tt.pipeline, got, tt.want)
		}
	}
	cur, err := c.Aggregate(t.Context(), A{D{{Key: "$sort", Value: D{{Key: "g", Value: 1}, {Key: "_id", Value: 1}}}}}, options.Aggregate().SetBatchSize(1))
	if err != nil {
		t.Fatal(err)
	}
	var sorted []struct {
		ID int `bson:"_id"`
	}
	if err := cur.All(t.Context(), &sorted); err != nil || len(sorted) != 4 || sorted[0].ID != 4 || sorted[3].ID != 3 {
		t.Errorf("in batches of one: %v, %v", sorted, err)
	}
	if n, err := c.CountDocuments(t.Context(), D{{Key: "g", Value: "a"}}, options.Count().SetSkip(1).SetLimit(9)); n != 1 || err != nil {
		t.Errorf("the driver counts %d, %v; want 1", n, err)
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
	quiet := c.Clone(options.Collection().SetWriteConcern(writeconcern.Unacknowledged()))
	for i := range 20 {
		if r, err := quiet.InsertOne(t.Context(), D{{Key: "_id", Value: i}}); err != nil || r.Acknowledged {
			t.Fatal(r, err)
		}
	}
	waitUntil(t, "the collection has the 20 unacknowledged inserts", func() bool {
		n, err := c.CountDocuments(t.Context(), D{})
		return err == nil && n == 20
	})
}

// waitUntil waits until a condition holds, and ends the test after a minute. The minute
// is no expectation: it is longer than a busy machine needs.
func waitUntil(t *testing.T, condition string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", condition)
		}
	}
}

func TestCatalogCommands(t *testing.T) {
	c := fresh(t)
	db, ctx := c.Database(), t.Context()
	for range 2 { // creating an existing collection is no error
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
	if err := c.Indexes().DropOne(ctx, "a_1"); err != nil {
		t.Error(err)
	}
	if err := c.Indexes().DropAll(ctx); err != nil {
		t.Error(err)
	}
	if specs, _ := c.Indexes().ListSpecifications(ctx); len(specs) != 1 {
		t.Errorf("indexes after dropping all: %v", specs)
	}
	for i := range 250 { // more than one batch
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

// TestLargeBatchesOfErrors checks that many write errors fit in one message.
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

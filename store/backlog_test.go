package store_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cubegate/store"
	"cubegate/store/embedded"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The cost of a look at the backlog has a bound for any number of users: indexes serve it,
// and they hold only the work that waits.
func TestBacklogIsReadFromIndexes(t *testing.T) {
	db, err := embedded.Start(embedded.Options{File: filepath.Join(t.TempDir(), "test.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var sent []string
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Dial: db.DialContext, Database: "app", Observe: func(c store.Command) { sent = append(sent, c.Name) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	if _, err := s.Users().Create(t.Context(), store.User{Email: "ada@example.org"}, store.Lease{ID: "l", Until: time.Now()}); err != nil {
		t.Fatal(err)
	}
	sent = nil
	if _, err := s.Backlog(t.Context()); err != nil || strings.Join(sent, " ") != "aggregate aggregate find" {
		t.Errorf("a look at the backlog sends %v, %v", sent, err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(db.URI()).SetDialer(db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(t.Context()) })
	exists := bson.D{{Key: "$exists", Value: true}}
	either := bson.E{Key: "$or", Value: bson.A{bson.D{{Key: "account.due", Value: exists}}, bson.D{{Key: "account.turn", Value: exists}}}}
	for collection, field := range map[string]string{"users": "account.since", "sessions": "due"} {
		filter := bson.D{{Key: field, Value: bson.D{{Key: "$gt", Value: time.Unix(0, 0)}}}}
		if collection == "users" {
			filter = append(filter, either)
		}
		if plan := planOf(t, client.Database("app"), collection, filter); !strings.Contains(plan, `"stage":"IXSCAN"`) || !strings.Contains(plan, field+"_1") {
			t.Errorf("%s of %s: %s", field, collection, plan)
		}
	}
}

// planOf returns the plan of a search as JSON.
func planOf(t *testing.T, db *mongo.Database, collection string, filter bson.D) string {
	t.Helper()
	raw, err := db.RunCommand(t.Context(), bson.D{{Key: "explain", Value: bson.D{{Key: "find", Value: collection}, {Key: "filter", Value: filter}}}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := bson.MarshalExtJSON(raw, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(plan), " ", "")
}

package store

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"cubegate/store/embedded"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A trim takes many small steps, keeps exactly the newest events of its class, and removes no
// others.
func TestTrimRemovesTheOldestInSteps(t *testing.T) {
	db, err := embedded.Start(embedded.Options{File: filepath.Join(t.TempDir(), "audit.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s, err := Open(t.Context(), Options{URI: db.URI(), Exchange: db.Exchange})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	for _, tt := range []struct{ events, keep, step int64 }{{100, 30, 7}, {100, 28, 7}, {100, 30, 1000}, {100, 100, 7}, {100, 99, 100}, {5, 100, 7}, {0, 100, 7}} {
		if _, err := s.audit.coll.DeleteMany(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
		var newest bson.ObjectID
		var documents []any
		for i := range tt.events {
			login := eventDocument{ID: bson.NewObjectIDFromTimestamp(time.Unix(1_000_000+i, 0)), Class: classLogin}
			documents = append(documents, login, eventDocument{ID: bson.NewObjectIDFromTimestamp(time.Unix(1_000_000+i, 0)), Class: classAdmin})
			if i == tt.events-min(tt.events, tt.keep) {
				newest = login.ID
			}
		}
		if _, err := s.audit.coll.InsertMany(t.Context(), documents); err != nil && tt.events > 0 {
			t.Fatal(err)
		}
		if err := s.audit.trim(t.Context(), &retention{filter: ofClass(classLogin), max: tt.keep}, tt.step); err != nil {
			t.Fatal(err)
		}
		logins, err := s.audit.coll.CountDocuments(t.Context(), append(ofClass(classLogin), bson.E{Key: "_id", Value: bson.D{{Key: "$gte", Value: newest}}}))
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.audit.coll.CountDocuments(t.Context(), bson.D{})
		if want := min(tt.events, tt.keep); err != nil || logins != want || all != want+tt.events {
			t.Errorf("%+v: %d of the newest logins and %d events stay, %v", tt, logins, all, err)
		}
	}
}

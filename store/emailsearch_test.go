package store

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/store/embedded"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The search for an email makes as many queries for an email that no user has as for any
// other, and each branch of the query walks an index.
func TestEmailSearchCostsTheSame(t *testing.T) {
	db, err := embedded.Start(embedded.Options{File: filepath.Join(t.TempDir(), "test.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var finds atomic.Int64
	s, err := Open(t.Context(), Options{URI: db.URI(), Exchange: db.Exchange, Observe: func(c Command) {
		if c.Name == "find" {
			finds.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	users := s.Users()
	made, err := users.Create(t.Context(), User{Email: "Ada@example.org", PasswordHash: "hash"}, Lease{ID: "x", Until: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	search := func(when string, want int64) {
		t.Helper()
		for _, email := range []string{"Ada@example.org", "ada@EXAMPLE.org", "bob@example.org"} {
			finds.Store(0)
			got, err := users.ByEmail(t.Context(), email)
			if known := !strings.HasPrefix(email, "bob"); got.ID != made.ID && known || !known && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s, %s: %+v, %v", when, email, got, err)
			}
			if n := finds.Load(); n != want {
				t.Errorf("%s, %s: %d queries, want %d", when, email, n, want)
			}
		}
	}
	search("with keys", 1)
	// This user never gets a key.
	if _, err := users.coll.InsertOne(t.Context(), bson.D{{Key: "email", Value: bson.A{"malformed@example.org"}}}); err != nil {
		t.Fatal(err)
	}
	search("with a malformed user", 4) // two of them adopt
	plan, err := users.coll.Database().RunCommand(t.Context(), bson.D{{Key: "explain", Value: bson.D{
		{Key: "find", Value: users.coll.Name()}, {Key: "filter", Value: emailSearch{users: users, email: "ada@example.org"}.filter()}, {Key: "limit", Value: 3}}}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.String(); strings.Count(got, `"IXSCAN"`) != 3 || strings.Contains(got, "COLLSCAN") || !strings.Contains(got, `"email_1"`) || !strings.Contains(got, `"emailKey_1"`) || !strings.Contains(got, `"emailKey_1__id_1"`) {
		t.Errorf("the plan is %s", got)
	}
}

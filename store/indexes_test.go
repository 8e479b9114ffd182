package store_test

import (
	"testing"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestCubeIDHasAnIndex opens the store with users of the original: without a ConnectyCube ID, with
// null, with both types of numbers, and two users with one account.
func TestCubeIDHasAnIndex(t *testing.T) {
	db := start(t)
	client, err := mongo.Connect(options.Client().ApplyURI(db.URI()).SetDialer(db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(t.Context()) })
	users := client.Database("app").Collection("users")
	for i, id := range []any{nil, int32(51941), float64(51941), float64(3000000000)} {
		if _, err := users.InsertOne(t.Context(), bson.D{{Key: "email", Value: i}, {Key: "connectyCubeId", Value: id}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := users.InsertOne(t.Context(), bson.D{{Key: "email", Value: "without"}}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Dial: db.DialContext, Database: "app"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })

	for id, want := range map[any]int64{int64(51941): 2, int64(3000000000): 1, int64(7): 0} {
		filter := bson.D{{Key: "connectyCubeId", Value: id}}
		if n, err := users.CountDocuments(t.Context(), filter); n != want || err != nil {
			t.Errorf("%d users have the account %v, %v; want %d", n, id, err, want)
		}
		var plan struct {
			QueryPlanner struct {
				WinningPlan struct {
					InputStage struct{ Stage, IndexName string }
				}
			}
		}
		explain := bson.D{{Key: "explain", Value: bson.D{{Key: "find", Value: "users"}, {Key: "filter", Value: filter}}}}
		if err := users.Database().RunCommand(t.Context(), explain).Decode(&plan); err != nil {
			t.Fatal(err)
		}
		if got := plan.QueryPlanner.WinningPlan.InputStage; got.Stage != "IXSCAN" || got.IndexName != "connectyCubeId_1" {
			t.Errorf("the account %v is found by %+v", id, got)
		}
	}
}

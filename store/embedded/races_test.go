package embedded

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	rounds = 200
	ways   = 32
)

// TestOneWinner checks, 200 times, that one of 32 concurrent clients wins a race.
func TestOneWinner(t *testing.T) {
	lost := func(err error) (bool, error) { // a duplicate or a missing document is the expected loss
		if mongo.IsDuplicateKeyError(err) || errors.Is(err, mongo.ErrNoDocuments) {
			return false, nil
		}
		return err == nil, err
	}
	id := func(round int) D { return D{{Key: "_id", Value: round}} }
	tests := []struct {
		name    string
		prepare bool // insert {_id: round, free: true} first
		try     func(c *mongo.Collection, round, way int) (won bool, err error)
	}{
		{"insert of one email", false, func(c *mongo.Collection, round, _ int) (bool, error) {
			_, err := c.InsertOne(t.Context(), D{{Key: "email", Value: round}})
			return lost(err)
		}},
		{"insert of one _id", false, func(c *mongo.Collection, round, way int) (bool, error) {
			_, err := c.InsertOne(t.Context(), D{{Key: "_id", Value: round}, {Key: "email", Value: fmt.Sprint(round, "-", way)}})
			return lost(err)
		}},
		{"compare and set", true, func(c *mongo.Collection, round, way int) (bool, error) {
			res, err := c.UpdateOne(t.Context(), append(id(round), bson.E{Key: "free", Value: true}), D{{Key: "$set", Value: D{{Key: "free", Value: way}}}})
			return err == nil && res.ModifiedCount == 1, err
		}},
		{"lease by findOneAndUpdate", true, func(c *mongo.Collection, round, way int) (bool, error) {
			return lost(c.FindOneAndUpdate(t.Context(), append(id(round), bson.E{Key: "free", Value: true}), D{{Key: "$set", Value: D{{Key: "free", Value: way}}}}).Err())
		}},
		{"findOneAndDelete", true, func(c *mongo.Collection, round, _ int) (bool, error) {
			return lost(c.FindOneAndDelete(t.Context(), id(round)).Err())
		}},
		{"deleteOne", true, func(c *mongo.Collection, round, _ int) (bool, error) {
			res, err := c.DeleteOne(t.Context(), id(round))
			return err == nil && res.DeletedCount == 1, err
		}},
		{"upsert of one email", false, func(c *mongo.Collection, round, way int) (bool, error) {
			res, err := c.UpdateOne(t.Context(), D{{Key: "email", Value: round}}, D{{Key: "$setOnInsert", Value: D{{Key: "way", Value: way}}}}, options.UpdateOne().SetUpsert(true))
			return err == nil && res.UpsertedCount == 1, err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := fresh(t)
			makeIndex(t, c, D{{Key: "email", Value: 1}}, options.Index().SetUnique(true).SetSparse(true))
			for round := range rounds {
				if tt.prepare {
					insertAll(t, c, D{{Key: "_id", Value: round}, {Key: "free", Value: true}})
				}
				winners := race(t, func(way int) (bool, error) { return tt.try(c, round, way) })
				if winners != 1 {
					t.Fatalf("round %d has %d winners", round, winners)
				}
			}
		})
	}
}

func race(tb testing.TB, try func(way int) (bool, error)) int64 {
	tb.Helper()
	var winners atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for way := range ways {
		wg.Go(func() {
			<-begin
			won, err := try(way)
			if err != nil {
				tb.Errorf("way %d: %v", way, err)
			}
			if won {
				winners.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	return winners.Load()
}

// TestNoLostUpdates checks that one document has all the updates of 32 concurrent clients.
func TestNoLostUpdates(t *testing.T) {
	c := fresh(t)
	insertAll(t, c, D{{Key: "_id", Value: 1}})
	const each = 20
	race(t, func(way int) (bool, error) {
		for i := range each {
			_, err := c.UpdateOne(t.Context(), D{}, D{
				{Key: "$inc", Value: D{{Key: "n", Value: 1}}},
				{Key: "$push", Value: D{{Key: "list", Value: way*each + i}}},
				{Key: "$set", Value: D{{Key: "last." + string(rune('A'+way)), Value: i}}},
			})
			if err != nil {
				return false, err
			}
		}
		return true, nil
	})
	var got struct {
		N    int
		List []int
		Last map[string]any
	}
	if err := c.FindOne(t.Context(), D{}).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.N != ways*each || len(got.List) != ways*each || len(got.Last) != ways {
		t.Errorf("n %d, list %d, fields %d", got.N, len(got.List), len(got.Last))
	}
}

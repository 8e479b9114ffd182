package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// MaxBacklog is the largest number that [Store.Backlog] counts to.
const MaxBacklog = 10_000

// Backlog is the background work that waits.
type Backlog struct {
	Accounts    int           // users whose account at ConnectyCube differs from the wanted state
	Revocations int           // login sessions that have ended here and not yet at ConnectyCube
	OldestAge   time.Duration // since the first of Accounts began to wait; 0 = none waits
}

// Backlog counts the work that waits, up to MaxBacklog of each kind. Each answer comes from
// an index, so the cost has a bound for any number of users.
func (s *Store) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	var err error
	if b.Accounts, err = s.users.countWaiting(ctx, accountsWaiting()); err != nil {
		return Backlog{}, err
	}
	if b.Revocations, err = s.sessions.countWaiting(ctx, bson.D{later(revocationWork.due)}); err != nil {
		return Backlog{}, err
	}
	b.OldestAge, err = s.users.ageOfOldest(ctx, accountsWaiting(), accountWork.since)
	return b, err
}

// later matches every time in a field, as a range, so that the index serves.
func later(field string) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: "$gt", Value: time.Unix(0, 0)}}}
}

// accountsWaiting matches the accounts that wait. An older cubegate completes work and
// leaves the time of its beginning, which counts no more.
func accountsWaiting() bson.D {
	exists := bson.D{{Key: "$exists", Value: true}}
	return bson.D{later(accountWork.since), {Key: "$or", Value: bson.A{
		bson.D{{Key: accountWork.due, Value: exists}}, bson.D{{Key: accountWork.turn, Value: exists}},
	}}}
}

func (c collection) countWaiting(ctx context.Context, filter bson.D) (int, error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	n, err := c.coll.CountDocuments(ctx, filter, options.Count().SetLimit(MaxBacklog))
	return int(n), c.wrapError("counting the work that waits", err)
}

// ageOfOldest returns how long ago the earliest time in a field is, among the documents
// that match a filter. It returns 0 if none matches.
func (c collection) ageOfOldest(ctx context.Context, filter bson.D, field string) (time.Duration, error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	first := options.FindOne().SetSort(bson.D{{Key: field, Value: 1}}).SetProjection(bson.D{{Key: field, Value: 1}})
	found, err := c.coll.FindOne(ctx, filter, first).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, nil
	}
	if err != nil {
		return 0, c.wrapError("finding the oldest work", err)
	}
	since, _ := found.Lookup(strings.Split(field, ".")...).TimeOK()
	return max(0, time.Since(since)), nil
}

package store

import (
	"context"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

// Event is something that happened to a user's security. It holds no secret.
type Event struct {
	ID      string // given by Record
	At      time.Time
	Kind    string // what: login, refresh, roles, …
	Outcome string // ok, refused or failed
	UserID  string // to whom
	Actor   string // by whom: a user's id, or what else did it; empty = the user
	Address string // from where
	Session string // in which login session
	Detail  string
}

// eventDocument is an Event as it lies in the database.
type eventDocument struct {
	ID      primitive.ObjectID `bson:"_id"`
	At      time.Time          `bson:"at"`
	Kind    string             `bson:"kind"`
	Outcome string             `bson:"outcome"`
	UserID  string             `bson:"userId,omitempty"`
	Actor   string             `bson:"actor,omitempty"`
	Address string             `bson:"address,omitempty"`
	Session string             `bson:"session,omitempty"`
	Detail  string             `bson:"detail,omitempty"`
	Expires time.Time          `bson:"expires"`
}

const (
	maxField   = 100 // bytes of one field of an Event
	maxDetail  = 200
	auditCheck = 200 // events between two looks at how many there are
)

// Audit is the collection of events, bounded by age and by number. It is safe
// for concurrent use.
type Audit struct {
	all *mongo.Collection
	limit
	keep    time.Duration
	max     int64
	written atomic.Int64
	late    lateEvents
}

func (a *Audit) ensureIndexes(ctx context.Context) error {
	return ensure(ctx, a.all,
		mongo.IndexModel{Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetName("expires_1").SetExpireAfterSeconds(0)},
		mongo.IndexModel{Keys: bson.D{{Key: "userId", Value: 1}}, Options: options.Index().SetName("userId_1")},
	)
}

// Record writes an event down, with the time when it has none. Long texts are
// cut. When the database is unavailable, Record returns that error and keeps the
// event in memory for [Audit.Run].
func (a *Audit) Record(ctx context.Context, e Event) error {
	ctx, cancel := a.within(ctx)
	defer cancel()
	if e.At.IsZero() {
		e.At = time.Now()
	}
	d := eventDocument{
		ID: primitive.NewObjectID(), At: e.At.UTC(), Kind: cut(e.Kind, maxField), Outcome: cut(e.Outcome, maxField), UserID: cut(e.UserID, maxField),
		Actor: cut(e.Actor, maxField), Address: cut(e.Address, maxField), Session: cut(e.Session, maxField), Detail: cut(e.Detail, maxDetail),
		Expires: e.At.Add(a.keep),
	}
	if _, err := a.all.InsertOne(ctx, d); err != nil {
		return a.late.keep(d, describe("recording an event", err))
	}
	if a.written.Add(1)%auditCheck != 1 {
		return nil
	}
	return a.trim(ctx)
}

// trim removes the oldest events beyond the bound.
func (a *Audit) trim(ctx context.Context) error {
	n, err := a.all.EstimatedDocumentCount(ctx)
	if err != nil || n <= a.max {
		return describe("counting events", err)
	}
	var first eventDocument // of those that are too many
	err = a.all.FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}}).SetSkip(a.max)).Decode(&first)
	if err != nil {
		return describe("looking for old events", err)
	}
	_, err = a.all.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$lte", Value: first.ID}}}})
	return describe("removing old events", err)
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// EventFilter says which events are wanted; the zero filter wants all.
type EventFilter struct{ UserID, Kind string }

// Page lists events, the newest first, before one of them.
func (a *Audit) Page(ctx context.Context, f EventFilter, before string, limit int) ([]Event, error) {
	filter := bson.D{}
	if f.UserID != "" {
		filter = append(filter, bson.E{Key: "userId", Value: f.UserID})
	}
	if f.Kind != "" {
		filter = append(filter, bson.E{Key: "kind", Value: f.Kind})
	}
	if before != "" {
		oid, err := primitive.ObjectIDFromHex(before)
		if err != nil {
			return nil, ErrNotFound
		}
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: oid}}})
	}
	ctx, cancel := a.within(ctx)
	defer cancel()
	found, err := a.all.Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(int64(max(1, min(limit, maxPage)))))
	if err != nil {
		return nil, describe("listing events", err)
	}
	var documents []eventDocument
	if err := found.All(ctx, &documents); err != nil {
		return nil, describe("listing events", err)
	}
	events := make([]Event, len(documents))
	for i, d := range documents {
		events[i] = Event{
			ID: d.ID.Hex(), At: d.At.UTC(), Kind: d.Kind, Outcome: d.Outcome, UserID: d.UserID,
			Actor: d.Actor, Address: d.Address, Session: d.Session, Detail: d.Detail,
		}
	}
	return events, nil
}

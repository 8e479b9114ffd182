package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// keyBatch is the number of users that get a key in one request.
const keyBatch = 500

// ensureIndexes creates the missing indexes.
//
// email_1 is the index of the original, so both programs can share a collection during the
// migration. The unique index of emailKey is partial because the original writes documents
// without the field; the other index with emailKey finds these.
//
// connectyCubeId's index is not unique, because two users of the original may share an
// account. It is sparse and not partial, because MongoDB uses a partial index over $type
// only for a query that repeats the $type.
func (u *Users) ensureIndexes(ctx context.Context) error {
	return ensure(ctx, u.coll, userIndexes()...)
}

func userIndexes() []mongo.IndexModel {
	return []mongo.IndexModel{
		mongo.IndexModel{
			Keys:    bson.D{{Key: "email", Value: 1}},
			Options: options.Index().SetName("email_1").SetUnique(true),
		},
		mongo.IndexModel{
			Keys: bson.D{{Key: "emailKey", Value: 1}},
			Options: options.Index().SetName("emailKey_1").SetUnique(true).
				SetPartialFilterExpression(bson.D{{Key: "emailKey", Value: bson.D{{Key: "$type", Value: "string"}}}}),
		},
		mongo.IndexModel{Keys: bson.D{{Key: "emailKey", Value: 1}, {Key: "_id", Value: 1}}, Options: options.Index().SetName("emailKey_1__id_1")},
		mongo.IndexModel{Keys: bson.D{{Key: "connectyCubeId", Value: 1}}, Options: options.Index().SetName("connectyCubeId_1").SetSparse(true)},
		mongo.IndexModel{Keys: bson.D{{Key: "account.due", Value: 1}}, Options: options.Index().SetName("account.due_1").SetSparse(true)},
		mongo.IndexModel{Keys: bson.D{{Key: "account.turn", Value: 1}}, Options: options.Index().SetName("account.turn_1").SetSparse(true)},
		mongo.IndexModel{Keys: bson.D{{Key: "account.since", Value: 1}}, Options: options.Index().SetName("account.since_1").SetSparse(true)},
		mongo.IndexModel{Keys: bson.D{{Key: "sessionsDue", Value: 1}}, Options: options.Index().SetName("sessionsDue_1").SetSparse(true)},
	}
}

// optionsConflict is MongoDB's error code for an index that exists with other
// options (error_codes.yml, IndexOptionsConflict).
const optionsConflict = 85

// indexTimeout is the longest time in which Open creates indexes. With Options.Timeout, a new
// version could never start on a large collection: the database gives up a build that takes
// longer, and begins the next one anew.
const indexTimeout = time.Hour

// ensure creates the missing indexes of a collection. It replaces a TTL index that an older
// cubegate created with another time. One command creates all; only if that fails, one for
// each index finds the reason.
func ensure(ctx context.Context, collection *mongo.Collection, indexes ...mongo.IndexModel) error {
	if _, err := collection.Indexes().CreateMany(ctx, indexes); err == nil {
		return nil
	}
	for _, index := range indexes {
		if err := ensureOne(ctx, collection, index); err != nil {
			return fmt.Errorf("creating index %s of collection %s: %w", *optionsOf(index).Name, collection.Name(), wrapError("sending the command", err))
		}
	}
	return nil
}

func ensureOne(ctx context.Context, collection *mongo.Collection, index mongo.IndexModel) error {
	o := optionsOf(index)
	_, err := collection.Indexes().CreateOne(ctx, index)
	answer, ok := errors.AsType[mongo.ServerError](err)
	if o.ExpireAfterSeconds != nil && ok && answer.HasErrorCode(optionsConflict) {
		if err = collection.Indexes().DropOne(ctx, *o.Name); err == nil {
			_, err = collection.Indexes().CreateOne(ctx, index)
		}
	}
	return err
}

func optionsOf(index mongo.IndexModel) (o options.IndexOptions) {
	for _, set := range index.Options.List() {
		_ = set(&o) // fails only for a nil receiver
	}
	return o
}

// backfillEmailKeys adds the [EmailKey] to every user of the original. If the keys of two
// users collide, the second user gets another key and is found only by the email as typed.
// The log names such a user, so that an administrator can decide.
func (u *Users) backfillEmailKeys(ctx context.Context) error {
	started, done := time.Now(), 0
	var last bson.ObjectID
	for {
		batch, next, err := u.withoutKey(ctx, last)
		if err != nil {
			return err
		}
		if next == last {
			break
		}
		last = next
		collided, err := u.setKeys(ctx, batch)
		if err != nil {
			return err
		}
		for _, d := range collided {
			u.log.LogAttrs(ctx, slog.LevelWarn, "emails of two users differ only by case; each must log in with the email as typed",
				slog.String("user_id", d.ID.Hex()), slog.String("email", d.Original.Email), slog.String("other", d.EmailKey))
		}
		done += len(batch)
	}
	if done > 0 {
		u.log.LogAttrs(ctx, slog.LevelInfo, "email keys added to users of the original", slog.Int("users", done), slog.Int64("took_ms", time.Since(started).Milliseconds()))
	}
	return nil
}

// adoptNew is backfillEmailKeys for users that the original has created since: both
// programs may use the database at the same time. It costs one look-up in an index. Every
// write that must not take the email of another user needs it first, as does the search for
// an email if there is a user without a key.
func (u *Users) adoptNew(ctx context.Context) error {
	ctx, cancel := u.withTimeout(ctx)
	defer cancel()
	return u.backfillEmailKeys(ctx)
}

// noKey matches a user without a key.
var noKey = bson.E{Key: "emailKey", Value: nil}

// keylessFilter matches the users without a key after an ID. It does not match an _id of
// another type, which is malformed.
func keylessFilter(after bson.ObjectID) bson.D {
	return bson.D{
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}},
		noKey,
		{Key: "email", Value: bson.D{{Key: "$type", Value: "string"}}},
	}
}

// withoutKey returns the next users without a key, starting after an ID, and the last ID that it
// has seen. It skips and logs malformed documents.
func (u *Users) withoutKey(ctx context.Context, after bson.ObjectID) (batch []userDocument, last bson.ObjectID, err error) {
	found, err := u.coll.Find(ctx, keylessFilter(after),
		options.Find().
			SetProjection(bson.D{{Key: "email", Value: 1}}).
			SetSort(bson.D{{Key: "_id", Value: 1}}).
			SetLimit(keyBatch))
	if err != nil {
		return nil, after, u.wrapError("finding users without a key", err)
	}
	defer found.Close(context.WithoutCancel(ctx))
	last = after
	for found.Next(ctx) {
		last = found.Current.Lookup("_id").ObjectID()
		var d userDocument
		if err := u.collection.decode(found.Current, form{bson.TypeObjectID, readRegistry}, &d); err != nil {
			u.logMalformed(ctx, err)
			continue
		}
		batch = append(batch, d)
	}
	return batch, last, u.wrapError("reading users without a key", found.Err())
}

// setKeys writes the keys of a batch. It returns the users whose key another user has, with
// that key in EmailKey.
func (u *Users) setKeys(ctx context.Context, batch []userDocument) ([]userDocument, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	taken, err := u.writeKeys(ctx, batch, func(d userDocument) string { return EmailKey(d.Original.Email) })
	if err != nil || len(taken) == 0 {
		return nil, err
	}
	// No email has a '#' in its domain, so this key collides with no other.
	still, err := u.writeKeys(ctx, taken, func(d userDocument) string { return EmailKey(d.Original.Email) + "#" + d.ID.Hex() })
	if err != nil {
		return nil, err
	}
	if len(still) > 0 {
		return nil, fmt.Errorf("adding an email key to user %s: %w", still[0].ID.Hex(), TakenError{u.taken})
	}
	for i := range taken {
		taken[i].EmailKey = EmailKey(taken[i].Original.Email)
	}
	return taken, nil
}

// writeKeys writes one key for each user and returns the users whose key another user has.
func (u *Users) writeKeys(ctx context.Context, batch []userDocument, key func(userDocument) string) ([]userDocument, error) {
	writes := make([]mongo.WriteModel, len(batch))
	for i, d := range batch {
		writes[i] = mongo.NewUpdateOneModel().
			SetFilter(bson.D{{Key: "_id", Value: d.ID}, noKey}).
			SetUpdate(bson.D{{Key: "$set", Value: bson.D{{Key: "emailKey", Value: key(d)}}}})
	}
	_, err := u.coll.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	bulk, ok := errors.AsType[mongo.BulkWriteException](err)
	if !ok {
		return nil, u.wrapError("writing keys", err)
	}
	var taken []userDocument
	for _, e := range bulk.WriteErrors {
		if !mongo.IsDuplicateKeyError(e) {
			return nil, u.wrapError("writing keys", err)
		}
		taken = append(taken, batch[e.Index])
	}
	if bulk.WriteConcernError != nil {
		return nil, u.wrapError("writing keys", err)
	}
	return taken, nil
}

package store

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// records is a collection whose documents become values of type T.
type records[T any] struct {
	collection
	noun   string                                    // for errors, such as "user"
	key    func(id string) (any, error)              // returns the _id; an error means that no document can have it
	decode func(document func(any) error) (T, error) // document decodes the driver's answer into its argument
}

// find returns the document that matches. The error is [ErrNotFound] for none.
func (r records[T]) find(ctx context.Context, filter bson.D) (T, error) {
	ctx, cancel := r.withTimeout(ctx)
	defer cancel()
	found, err := r.decode(r.coll.FindOne(ctx, filter).Decode)
	return found, r.wrapError("finding a "+r.noun, err)
}

// list returns the documents that match, in the order and up to the limit of o.
func (r records[T]) list(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]T, error) {
	ctx, cancel := r.withTimeout(ctx)
	defer cancel()
	cursor, err := r.coll.Find(ctx, filter, o)
	if err != nil {
		return nil, r.wrapError("listing "+r.noun+"s", err)
	}
	defer cursor.Close(ctx)
	list := []T{}
	for cursor.Next(ctx) {
		one, err := r.decode(cursor.Decode)
		if err != nil {
			return nil, r.wrapError("listing "+r.noun+"s", err)
		}
		list = append(list, one)
	}
	return list, r.wrapError("listing "+r.noun+"s", cursor.Err())
}

// change updates one document under a condition and returns the new document. The error is
// [ErrChanged] when the condition does not hold, and [ErrNotFound] when there is no such
// document.
func (r records[T]) change(ctx context.Context, id string, condition, update bson.D) (T, error) {
	var none T
	key, err := r.key(id)
	if err != nil {
		return none, ErrNotFound
	}
	only := bson.E{Key: "_id", Value: key}
	changed, err := r.findAndUpdate(ctx, append(bson.D{only}, condition...), update, options.FindOneAndUpdate())
	if !errors.Is(err, ErrNotFound) {
		return changed, err
	}
	if _, err := r.find(ctx, bson.D{only}); err != nil {
		return none, err
	}
	return none, ErrChanged
}

// findAndUpdate updates the first matching document in the options' order and returns the new
// document.
func (r records[T]) findAndUpdate(ctx context.Context, filter, update bson.D, o *options.FindOneAndUpdateOptionsBuilder) (T, error) {
	ctx, cancel := r.withTimeout(ctx)
	defer cancel()
	changed, err := r.decode(r.coll.FindOneAndUpdate(ctx, filter, update, o.SetReturnDocument(options.After)).Decode)
	return changed, r.wrapError("changing a "+r.noun, err)
}

// objectID returns the key of a document whose ID is an ObjectID.
func objectID(id string) (any, error) { return bson.ObjectIDFromHex(id) }

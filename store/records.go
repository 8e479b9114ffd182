package store

import (
	"bytes"
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// records is a collection whose documents become values of type T.
type records[T any] struct {
	collection
	noun   string                       // for errors, such as "user"
	key    func(id string) (any, error) // returns the _id; an error means that no document can have it
	decode func(collection, bson.Raw, *bson.Registry) (T, error)
}

// read returns the value of a document. The error is a [MalformedError].
func (r records[T]) read(document bson.Raw) (T, error) {
	return r.decode(r.collection, document, readRegistry)
}

// result returns the value of the driver's answer.
func (r records[T]) result(answer *mongo.SingleResult) (T, error) {
	document, err := answer.Raw()
	if err != nil {
		var none T
		return none, err
	}
	return r.read(document)
}

// find returns the document that matches. The error is [ErrNotFound] for none.
func (r records[T]) find(ctx context.Context, filter bson.D) (T, error) {
	ctx, cancel := r.withTimeout(ctx)
	defer cancel()
	found, err := r.result(r.coll.FindOne(ctx, filter))
	return found, r.wrapError("finding a "+r.noun, err)
}

// list returns the documents that match, in the order and up to the limit of o. It skips and
// logs malformed documents.
func (r records[T]) list(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]T, error) {
	list := []T{}
	_, err := r.each(ctx, filter, o, func(one T) { list = append(list, one) })
	return list, err
}

// each calls add with the value of every document that matches. It skips and logs malformed
// documents. It returns the _id of every document, malformed or not.
func (r records[T]) each(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder, add func(T)) (ids []bson.RawValue, err error) {
	ctx, cancel := r.withTimeout(ctx)
	defer cancel()
	cursor, err := r.coll.Find(ctx, filter, o)
	if err != nil {
		return nil, r.wrapError("listing "+r.noun+"s", err)
	}
	defer cursor.Close(ctx)
	for cursor.Next(ctx) {
		ids = append(ids, rawID(cursor.Current))
		one, err := r.read(cursor.Current)
		if err != nil {
			r.logMalformed(ctx, err)
			continue
		}
		add(one)
	}
	return ids, r.wrapError("listing "+r.noun+"s", cursor.Err())
}

// rawID returns a copy of the _id, because a cursor reuses its memory.
func rawID(document bson.Raw) bson.RawValue {
	id := document.Lookup("_id")
	id.Value = bytes.Clone(id.Value)
	return id
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
		return changed, r.explain(ctx, err, bson.D{only}, options.FindOne())
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
	changed, err := r.result(r.coll.FindOneAndUpdate(ctx, filter, update, o.SetReturnDocument(options.After)))
	return changed, r.wrapError("changing a "+r.noun, err)
}

// objectID returns the key of a document whose ID is an ObjectID.
func objectID(id string) (any, error) { return bson.ObjectIDFromHex(id) }

// explain returns the [MalformedError] of the first document that matches, if the database
// refused an update because of the types in the document. Otherwise it returns err.
func (r records[T]) explain(ctx context.Context, err error, filter bson.D, o *options.FindOneOptionsBuilder) error {
	if !isRefusal(err) {
		return err
	}
	ctx, cancel := r.withTimeout(ctx)
	defer cancel()
	if _, found := r.result(r.coll.FindOne(ctx, filter, o)); errors.Is(found, ErrMalformed) {
		return found
	}
	return err
}

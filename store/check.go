package store

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Check reads every document and calls report with a [MalformedError] for each document that
// does not have the form that this program writes. It writes nothing and creates no index, and
// a server may run meanwhile.
func Check(ctx context.Context, o Options, report func(*MalformedError)) (err error) {
	s, err := connect(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err := checkAll(ctx, s.users.records, report); err != nil {
		return err
	}
	if err := checkAll(ctx, s.sessions.records, report); err != nil {
		return err
	}
	return checkAll(ctx, s.audit.records, report)
}

func checkAll[T any](ctx context.Context, r records[T], report func(*MalformedError)) error {
	found, err := r.coll.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return r.wrapError("reading "+r.noun+"s", err)
	}
	defer found.Close(context.WithoutCancel(ctx))
	for found.Next(ctx) {
		_, err := r.decode(r.collection, found.Current, checkRegistry)
		if malformed, ok := errors.AsType[*MalformedError](err); ok {
			report(malformed)
		}
	}
	return r.wrapError("reading "+r.noun+"s", found.Err())
}

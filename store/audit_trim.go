package store

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	auditCheck = 200    // least number of events between two counts
	auditShare = 100    // the bound divided by it is another least number, for cheap counting
	trimStep   = 20_000 // events that one command of a trim counts or removes, at most
)

// retention bounds the number of some events. The oldest go first.
type retention struct {
	filter  bson.D
	max     int64
	written atomic.Int64
	due     atomic.Bool
}

func ofClass(c class) bson.D { return bson.D{{Key: "class", Value: c}} }

// retentionOf returns the bound of the events of a class.
func (a *Audit) retentionOf(c class) *retention {
	switch c {
	case classChange:
		return &a.changes
	case classAdmin:
		return &a.admins
	}
	return &a.logins
}

// isDue reports whether n further events make a count necessary. The first event does.
func (r *retention) isDue(n int64) bool {
	every := max(auditCheck, r.max/auditShare)
	after := r.written.Add(n)
	return after == n || (after-n)/every != after/every
}

// noteWritten wakes Run if n further events make a count necessary.
func (a *Audit) noteWritten(r *retention, n int64) {
	if !r.isDue(n) {
		return
	}
	r.due.Store(true)
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Trim removes the oldest events beyond the bounds, if enough were written since the last time.
// Run calls it. What fails stays due, and the error joins all failures.
func (a *Audit) Trim(ctx context.Context) (err error) {
	for _, r := range []*retention{&a.logins, &a.changes, &a.admins, &a.refusals} {
		if !r.due.Swap(false) {
			continue
		}
		if failure := a.trim(ctx, r, trimStep); failure != nil {
			r.due.Store(true)
			err = errors.Join(err, failure)
		}
	}
	return err
}

// trim removes the oldest events beyond the bound. Each command concerns at most step events.
// Any number of processes may trim at once: each removes only what is older than the newest
// r.max events.
func (a *Audit) trim(ctx context.Context, r *retention, step int64) error {
	older := r.filter
	for left := r.max; left > 0; left -= step {
		id, err := a.skip(ctx, older, min(left, step), -1)
		if err != nil || id.IsZero() {
			return err
		}
		older = r.with("$lte", id)
	}
	for {
		id, err := a.skip(ctx, older, step, 1)
		if err != nil {
			return err
		}
		if id.IsZero() {
			return a.remove(ctx, older)
		}
		if err := a.remove(ctx, r.with("$lt", id)); err != nil {
			return err
		}
	}
}

// with returns the filter for some of the events: those whose ID compares so with id.
func (r *retention) with(operator string, id bson.RawValue) bson.D {
	return append(slices.Clip(r.filter), bson.E{Key: "_id", Value: bson.D{{Key: operator, Value: id}}})
}

// skip returns the ID of the event after n others, in the order of their IDs, from the newest
// with order -1. It is zero if there are no more than n.
func (a *Audit) skip(ctx context.Context, filter bson.D, n int64, order int) (bson.RawValue, error) {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	found, err := a.coll.FindOne(ctx, filter, options.FindOne().
		SetProjection(bson.D{{Key: "_id", Value: 1}}).SetSort(bson.D{{Key: "_id", Value: order}}).SetSkip(n)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return bson.RawValue{}, nil
	}
	if err != nil {
		return bson.RawValue{}, a.wrapError("looking for old events", err)
	}
	return found.Lookup("_id"), nil
}

func (a *Audit) remove(ctx context.Context, filter bson.D) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	_, err := a.coll.DeleteMany(ctx, filter)
	return a.wrapError("removing old events", err)
}

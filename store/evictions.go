package store

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Evictions ends login sessions because their user has too many. That is no logout, so the
// reason must not be lost: the user's document has it first, in the write that ends the
// login session, and then the record of the login session. It is safe for concurrent use.
type Evictions struct {
	users    *Users
	sessions *Sessions
}

// Evictions returns the evictions of login sessions.
func (s *Store) Evictions() *Evictions { return &Evictions{s.users, s.sessions} }

// EvictSession ends one login session because the user has too many. The document remembers
// that reason until [Evictions.CompleteSweep]. It returns true to one of several concurrent
// callers.
func (e *Evictions) EvictSession(ctx context.Context, id, session string) (bool, error) {
	return e.users.removeSession(ctx, id, session, bson.E{Key: "$push", Value: bson.D{{Key: "evicted", Value: bson.D{
		{Key: "$each", Value: bson.A{session}}, {Key: "$slice", Value: -maxSessions},
	}}}})
}

// Eviction is what the record of an evicted login session gets.
type Eviction struct {
	Generation int64     // EndGeneration of its user
	Due        time.Time // when the session at ConnectyCube must be looked at
}

// Evict ends a login session that its user's document has listed as evicted. If the session
// has ended, Evict changes nothing. It skips and logs a malformed record, so that the others
// of the user end.
func (e *Evictions) Evict(ctx context.Context, id string, v Eviction) error {
	ctx, cancel := e.sessions.withTimeout(ctx)
	defer cancel()
	one := bson.D{{Key: "_id", Value: id}, notEnded}
	_, err := e.sessions.coll.UpdateOne(ctx, one, endUpdateDue(time.Now(), v.Due, Evicted, bson.E{Key: "generation", Value: v.Generation}))
	if malformed, ok := errors.AsType[*MalformedError](e.sessions.explain(ctx, err, one, options.FindOne())); ok {
		e.sessions.logMalformed(ctx, malformed)
		return nil
	}
	return e.sessions.wrapError("ending an evicted login session", err)
}

// EndEvicted ends the login sessions of a user once more that were evicted before a
// generation, for another reason, and makes their revocation at ConnectyCube due. It
// skips records that it cannot change because they are malformed.
func (e *Evictions) EndEvicted(ctx context.Context, userID string, before int64, reason string) error {
	ctx, cancel := e.sessions.withTimeout(ctx)
	defer cancel()
	// The database would end the operation at the first record whose version it cannot
	// increment. The type of a list is that of its elements.
	these := bson.D{
		{Key: "userId", Value: userID}, {Key: "reason", Value: Evicted}, {Key: "generation", Value: bson.D{{Key: "$lt", Value: before}}},
		{Key: "version", Value: bson.D{{Key: "$type", Value: bson.A{int32(bson.TypeInt32), int32(bson.TypeInt64), int32(bson.TypeDouble)}}}},
		{Key: "version.0", Value: bson.D{{Key: "$exists", Value: false}}},
	}
	_, err := e.sessions.coll.UpdateMany(ctx, these, endUpdate(time.Now(), reason))
	return e.sessions.wrapError("ending evicted login sessions", err)
}

// LateLogout is a logout from a login session that was evicted before.
type LateLogout struct {
	SessionID string
	UserID    string // empty = not known
}

// LogOut ends an evicted login session once more, as a logout, and makes its revocation at
// ConnectyCube due. If the user is known, it also finds an eviction that only the user's
// document tells of so far. LogOut returns the ID of the user. The error is [ErrNotFound]
// if the session was not evicted, or its record is gone, and a [MalformedError] if the
// record does not tell the user; the session has ended then, too.
func (e *Evictions) LogOut(ctx context.Context, l LateLogout) (string, error) {
	evicted := bson.E{Key: "reason", Value: Evicted}
	filter := bson.D{{Key: "_id", Value: l.SessionID}, evicted}
	if l.UserID != "" {
		filter = append(filter, bson.E{Key: "userId", Value: l.UserID})
		pending, err := e.forgetPending(ctx, l)
		if err != nil {
			return "", err
		}
		if pending {
			filter[1] = bson.E{Key: "$or", Value: bson.A{bson.D{evicted}, bson.D{notEnded}}}
		}
	}
	ctx, cancel := e.sessions.withTimeout(ctx)
	defer cancel()
	var ended struct {
		UserID string `bson:"userId"`
	}
	document, err := e.sessions.coll.FindOneAndUpdate(ctx, filter, endUpdate(time.Now(), LoggedOut), options.FindOneAndUpdate().SetProjection(bson.D{{Key: "userId", Value: 1}})).Raw()
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return "", ErrNotFound
	case err != nil:
		return "", e.sessions.explain(ctx, e.sessions.wrapError("ending an evicted login session", err), filter, options.FindOne())
	}
	err = e.sessions.collection.decode(document, form{bson.TypeString, readRegistry}, &ended)
	return ended.UserID, err
}

// forgetPending removes one eviction from the user's document, and reports whether the
// document had it. If the process dies before the record is written, the record ends
// because the document no longer lists the session.
func (e *Evictions) forgetPending(ctx context.Context, l LateLogout) (bool, error) {
	_, err := e.users.change(ctx, l.UserID, bson.D{{Key: "evicted", Value: l.SessionID}}, bson.D{
		{Key: "$pull", Value: bson.D{{Key: "evicted", Value: l.SessionID}}},
		{Key: "$set", Value: bson.D{{Key: "sessionsDue", Value: time.Now()}}},
	})
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// CompleteSweep returns the lease of a sweep and, in the same write, removes the reason of
// evictions from the user's document, after [Evictions.Evict] has saved it in the records. If
// the lease is lost or the user is gone, CompleteSweep changes nothing, and the sweep stays
// due.
func (e *Evictions) CompleteSweep(ctx context.Context, id string, l Lease, evicted []string) error {
	update := bson.D{{Key: "$unset", Value: fields(sweepWork.due)}}
	if len(evicted) > 0 {
		update = append(update, bson.E{Key: "$pullAll", Value: bson.D{{Key: "evicted", Value: evicted}}})
	}
	_, err := e.users.change(ctx, id, bson.D{sweepWork.heldBy(l)}, update)
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

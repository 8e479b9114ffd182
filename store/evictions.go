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
// that reason until [Evictions.ForgetEvicted]. It returns true to one of several concurrent
// callers.
func (e *Evictions) EvictSession(ctx context.Context, id, session string) (bool, error) {
	return e.users.removeSession(ctx, id, session, bson.E{Key: "$push", Value: bson.D{{Key: "evicted", Value: bson.D{
		{Key: "$each", Value: bson.A{session}}, {Key: "$slice", Value: -maxSessions},
	}}}})
}

// Evict ends a login session that its user's document has listed as evicted, in a
// generation of that user. If the session has ended, Evict changes nothing.
func (e *Evictions) Evict(ctx context.Context, id string, generation int64) error {
	ctx, cancel := e.sessions.withTimeout(ctx)
	defer cancel()
	_, err := e.sessions.coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, notEnded}, endUpdate(time.Now(), Evicted, bson.E{Key: "generation", Value: generation}))
	return e.sessions.wrapError("ending an evicted login session", err)
}

// EndEvicted ends the login sessions of a user once more that were evicted before a
// generation, for another reason, and makes their revocation at ConnectyCube due.
func (e *Evictions) EndEvicted(ctx context.Context, userID string, before int64, reason string) error {
	ctx, cancel := e.sessions.withTimeout(ctx)
	defer cancel()
	_, err := e.sessions.coll.UpdateMany(ctx,
		bson.D{{Key: "userId", Value: userID}, {Key: "reason", Value: Evicted}, {Key: "generation", Value: bson.D{{Key: "$lt", Value: before}}}},
		endUpdate(time.Now(), reason))
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
// if the session was not evicted, or its record is gone.
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
	err := e.sessions.coll.FindOneAndUpdate(ctx, filter, endUpdate(time.Now(), LoggedOut), options.FindOneAndUpdate().SetProjection(bson.D{{Key: "userId", Value: 1}})).Decode(&ended)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return "", ErrNotFound
	}
	return ended.UserID, e.sessions.wrapError("ending an evicted login session", err)
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

// ForgetEvicted removes the reason of evictions from a user's document, after
// [Evictions.Evict] has saved it in the records. A missing user is no error.
func (e *Evictions) ForgetEvicted(ctx context.Context, id string, sessions []string) error {
	if len(sessions) == 0 {
		return nil
	}
	_, err := e.users.change(ctx, id, nil, bson.D{{Key: "$pullAll", Value: bson.D{{Key: "evicted", Value: sessions}}}})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

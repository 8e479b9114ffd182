package store

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
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

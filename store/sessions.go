package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Session is a login session: one device that is logged in. The user's document
// decides whether it is active; the other facts are here.
type Session struct {
	ID             string    `bson:"_id"`
	UserID         string    `bson:"userId"`
	Device         string    `bson:"device"`             // its name, shown to the user
	DeviceID       string    `bson:"deviceId,omitempty"` // its udid at ConnectyCube; empty = not known
	LastIP         string    `bson:"address"`            // client IP of its last use
	Created        time.Time `bson:"createdAt"`
	LastUsed       time.Time `bson:"usedAt"`
	Expires        time.Time `bson:"expires"`  // unless it is used earlier
	AbsoluteExpiry time.Time `bson:"absolute"` // even if it is used
	RefreshTokens  `bson:",inline"`
	SealedSession  `bson:",inline"`
	Revocation     `bson:",inline"`
	Version        int64 `bson:"version"` // counts the changes
}

// RefreshTokens are what a login session knows of its refresh tokens. A replica of an earlier
// version does not know Retired, and perhaps not Exchange, and removes them when it changes a
// record. That makes the rule stricter: a token that is in no field counts as reused.
type RefreshTokens struct {
	Parent   string          `bson:"parent,omitempty"`        // hash of the token used last
	Children []string        `bson:"children,omitempty"`      // hashes of its successors
	Exchange RefreshExchange `bson:"exchange,omitempty"`      // of Parent
	Retired  RetiredTokens   `bson:"retiredTokens,omitempty"` // the newest first
}

// RefreshExchange is the exchange of a refresh token for its successor. The zero value
// means that there was none, or that a replica of an earlier version made it.
type RefreshExchange struct {
	Salt   string    `bson:"salt"`
	At     time.Time `bson:"at"`
	Client string    `bson:"client"` // a mark of its network and its program
}

// IsZero makes the driver omit the zero value.
func (e RefreshExchange) IsZero() bool { return e == RefreshExchange{} }

// SealedSession is a session at ConnectyCube whose token is encrypted. The zero value
// means none.
type SealedSession struct {
	CubeToken   string    `bson:"cubeToken,omitempty"` // sealed
	CubeID      int64     `bson:"cubeId,omitempty"`    // ID of its ConnectyCube user
	CubeExpires time.Time `bson:"cubeExpires,omitempty"`
}

// Revocation is the end of a login session. The zero value means that the session is
// active. The queue [Store.Revocations] adds the field due to the document.
type Revocation struct {
	Ended      time.Time `bson:"endedAt,omitempty"`
	EndReason  string    `bson:"reason,omitempty"`
	Generation int64     `bson:"generation,omitempty"` // of an evicted one: EndGeneration of its user at that time
	Attempts   int       `bson:"attempts,omitempty"`   // to revoke it at ConnectyCube
}

// sessionDocument is a Session with the field of the queue [Store.Revocations], and with a
// field that earlier versions wrote.
type sessionDocument struct {
	Session        `bson:",inline"`
	Due            time.Time             `bson:"due"`
	EarlierRetired []earlierRetiredToken `bson:"retired"`
}

func decodeSession(c collection, document bson.Raw, r *bson.Registry) (Session, error) {
	var d sessionDocument
	err := c.decode(document, form{bson.TypeString, r}, &d)
	d.Retired = append(d.Retired, fromEarlier(d.EarlierRetired)...)
	return d.Session, err
}

// Sessions is the collection of login sessions. It is safe for concurrent use.
type Sessions struct {
	records[Session]
	locks *keyedLock // to Update
}

// endedRetention is how long the database keeps the document of an ended login session.
// [Sessions.Remove] removes it earlier, after the session at ConnectyCube has ended.
const endedRetention = 7 * 24 * time.Hour

func (s *Sessions) ensureIndexes(ctx context.Context) error {
	return ensure(ctx, s.coll, sessionIndexes()...)
}

func sessionIndexes() []mongo.IndexModel {
	return []mongo.IndexModel{
		mongo.IndexModel{Keys: bson.D{{Key: "userId", Value: 1}}, Options: options.Index().SetName("userId_1")},
		mongo.IndexModel{Keys: bson.D{{Key: "due", Value: 1}}, Options: options.Index().SetName("due_1").SetSparse(true)},
		mongo.IndexModel{Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetName("expires_1").SetExpireAfterSeconds(int32(endedRetention / time.Second))},
	}
}

// activeFilter matches a session that has neither ended nor expired.
func activeFilter() bson.D {
	return bson.D{
		notEnded,
		{Key: "expires", Value: bson.D{{Key: "$gt", Value: time.Now()}}},
	}
}

// Create stores a new login session.
func (s *Sessions) Create(ctx context.Context, session Session) error {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	_, err := s.coll.InsertOne(ctx, session)
	return s.wrapError("inserting a login session", err)
}

// ByID finds an active login session. The error is [ErrNotFound] for none.
func (s *Sessions) ByID(ctx context.Context, id string) (Session, error) {
	return s.find(ctx, append(bson.D{{Key: "_id", Value: id}}, activeFilter()...))
}

// OfUser lists the active login sessions of a user, at most a hundred. The one used last comes
// first.
func (s *Sessions) OfUser(ctx context.Context, userID string) ([]Session, error) {
	return s.active(ctx, bson.E{Key: "userId", Value: userID}, nil)
}

// Listed returns the active ones of the given login sessions, at most a hundred. The one used
// last comes first. Listed reads only the fields that users see: tokens, hashes, version and
// the like are zero in the result.
func (s *Sessions) Listed(ctx context.Context, ids []string) ([]Session, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	shown := bson.D{}
	for _, field := range []string{"userId", "device", "address", "createdAt", "usedAt", "expires"} {
		shown = append(shown, bson.E{Key: field, Value: 1})
	}
	return s.active(ctx, bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, shown)
}

// active lists active sessions. A nil projection reads whole documents.
func (s *Sessions) active(ctx context.Context, which bson.E, projection any) ([]Session, error) {
	return s.records.list(ctx, append(bson.D{which}, activeFilter()...),
		options.Find().SetSort(bson.D{{Key: "usedAt", Value: -1}, {Key: "_id", Value: 1}}).SetLimit(MaxPage).SetProjection(projection))
}

// Update changes an active login session that the caller has read, whole and a short time
// ago: Update calls change with what the caller has seen, and writes the result. After a
// concurrent write it reads the session and starts again, so change may run several times.
// If seen has expired, as one has in which only the ID is set, Update reads the session
// first. If change returns an error for the session as the database has it, Update returns
// that error and does not write. The error is [ErrNotFound] when the session is not active.
func (s *Sessions) Update(ctx context.Context, seen Session, change func(*Session) error) (Session, error) {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	done, err := s.locks.lock(ctx, seen.ID)
	if err != nil {
		return Session{}, fmt.Errorf("changing a login session: %w", err)
	}
	defer done()
	if seen.Expires.After(time.Now()) {
		session := seen
		if change(&session) == nil { // an error may be true of seen alone
			if replaced, err := s.replace(ctx, seen, &session); replaced || err != nil {
				return session, err
			}
		}
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		current, err := s.ByID(ctx, seen.ID)
		if err != nil {
			return Session{}, err
		}
		session := current
		if err := change(&session); err != nil {
			return Session{}, err
		}
		if replaced, err := s.replace(ctx, current, &session); replaced || err != nil {
			return session, err
		}
		select {
		case <-ctx.Done():
			return Session{}, fmt.Errorf("changing a login session: %w: too many concurrent changes", ErrUnavailable)
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// replace writes the next version of an active session, unless the session has changed. It
// sets the ID and the version.
func (s *Sessions) replace(ctx context.Context, before Session, next *Session) (bool, error) {
	next.ID, next.Version = before.ID, before.Version+1
	r, err := s.coll.ReplaceOne(ctx, append(bson.D{{Key: "_id", Value: before.ID}, {Key: "version", Value: before.Version}}, activeFilter()...), *next)
	if err != nil {
		*next = Session{}
		return false, s.wrapError("changing a login session", err)
	}
	return r.MatchedCount == 1, nil
}

// End ends a login session, deletes the hashes of its refresh tokens, and makes its
// revocation at ConnectyCube due. It returns true to one of several concurrent callers.
func (s *Sessions) End(ctx context.Context, id, reason string) (bool, error) {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	r, err := s.coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, notEnded}, endUpdate(time.Now(), reason))
	if err != nil {
		return false, s.explain(ctx, s.wrapError("ending a login session", err), bson.D{{Key: "_id", Value: id}}, options.FindOne())
	}
	return r.MatchedCount == 1, nil
}

// The reasons of ends that are no logout.
const (
	Expired = "expired" // unused for too long
	Evicted = "evicted" // the user had too many login sessions
)

// LoggedOut is the reason of the end of a login session that its user has left after the
// eviction.
const LoggedOut = "logout"

// Expire ends one expired login session. The error is [ErrNotFound] for none.
func (s *Sessions) Expire(ctx context.Context) error {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	now := time.Now()
	expired := bson.D{{Key: "expires", Value: bson.D{{Key: "$lte", Value: now}}}, notEnded}
	r, err := s.coll.UpdateOne(ctx, expired, endUpdate(now, Expired))
	if malformed, ok := errors.AsType[*MalformedError](s.explain(ctx, err, expired, options.FindOne())); ok {
		s.logMalformed(ctx, malformed)
		end := bson.D{{Key: "$set", Value: bson.D{{Key: "endedAt", Value: now}, {Key: "expires", Value: now}, {Key: "reason", Value: Expired}}}}
		r, err = s.coll.UpdateOne(ctx, bson.D{malformed.exactly(), notEnded}, end)
	}
	if err == nil && r.MatchedCount == 0 {
		return ErrNotFound
	}
	return s.wrapError("ending an expired login session", err)
}

// notEnded matches a session that has not ended.
var notEnded = bson.E{Key: "endedAt", Value: bson.D{{Key: "$exists", Value: false}}}

// endUpdate ends a login session and makes its revocation at ConnectyCube due now.
func endUpdate(now time.Time, reason string, more ...bson.E) bson.D {
	return endUpdateDue(now, now, reason, more...)
}

// endUpdateDue ends a login session and makes its revocation at ConnectyCube due at a time.
func endUpdateDue(now, due time.Time, reason string, more ...bson.E) bson.D {
	set := bson.D{{Key: "endedAt", Value: now}, {Key: "expires", Value: now}, {Key: "due", Value: due}, {Key: "reason", Value: reason}}
	return bson.D{
		{Key: "$set", Value: append(set, more...)},
		{Key: "$unset", Value: fields("parent", "children", "exchange", "retiredTokens", "retired", "attempts")},
		{Key: "$inc", Value: bson.D{{Key: "version", Value: 1}}},
	}
}

// Remove deletes the document of a login session. A missing one is no error.
func (s *Sessions) Remove(ctx context.Context, id string) error {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	_, err := s.coll.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
	return s.wrapError("removing a login session", err)
}

// RemoveRevoked deletes the document of a login session that has ended, unless it ended
// once more after the caller read it: see [Evictions.LogOut]. A missing one is no error.
func (s *Sessions) RemoveRevoked(ctx context.Context, revoked Session) error {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	_, err := s.coll.DeleteOne(ctx, bson.D{
		{Key: "_id", Value: revoked.ID}, {Key: "endedAt", Value: revoked.Ended},
		{Key: "version", Value: revoked.Version}, // both ends may be in one millisecond
	})
	return s.wrapError("removing a revoked login session", err)
}

package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Lease is the right to work on a document until a moment. A worker that misses
// the moment loses the lease to another one.
type Lease struct {
	ID    string
	Until time.Time
}

// Queue hands out the documents of a collection that have work due. The state
// lies in the documents themselves, so one write changes both the work and its
// subject:
//
//	idle ──(a change)──► due ──Claim──► leased ──Complete──► idle
//	                      ▲               │
//	                      └───── Retry ◄──┘  or the lease runs out
//
// It is safe for concurrent use, by several processes too.
type Queue[T any] struct {
	records[T]
	workFields
}

// workFields are the paths of a queue's fields in its documents. All but due may
// be empty.
type workFields struct {
	due       string // when work is due; missing = nothing to do
	lease     string // ID of the lease; in a queue without it, the time of due identifies the lease
	attempts  string // claims since the work was last complete
	lastError string // class of the last failure
	version   string // grows with each change of what the work must bring about
	turn      string // place in a line (see line.go), which ends with the work
}

// The queues of the store.
var (
	accountWork = workFields{
		due: "account.due", lease: "account.lease", attempts: "account.attempts",
		lastError: "account.problem", version: "account.version", turn: "account.turn",
	}
	sweepWork      = workFields{due: "sessionsDue"}
	revocationWork = workFields{due: "due", attempts: "attempts"}
)

// AccountWork is the queue of the users whose account at ConnectyCube differs
// from what it should be.
func (s *Store) AccountWork() *Queue[User] { return s.accounts.queue() }

// Sweeps is the queue of the users whose login sessions must be compared with
// the list in the user's document.
func (s *Store) Sweeps() *Queue[User] { return &Queue[User]{s.users.records, sweepWork} }

// Revocations is the queue of the login sessions that have ended here and not
// yet at ConnectyCube.
func (s *Store) Revocations() *Queue[Session] {
	return &Queue[Session]{s.sessions.records, revocationWork}
}

// Claim leases the document that has been due for longest and counts an
// attempt. The error is [ErrNotFound] when none is due.
func (q *Queue[T]) Claim(ctx context.Context, l Lease) (T, error) {
	return q.claim(ctx, bson.D{{Key: q.due, Value: bson.D{{Key: "$lte", Value: time.Now()}}}}, q.due, l)
}

// claim leases the first document that matches, in the order of a field.
func (q *Queue[T]) claim(ctx context.Context, filter bson.D, by string, l Lease) (T, error) {
	update := bson.D{{Key: "$set", Value: q.leaseSet(l)}}
	if q.attempts != "" {
		update = append(update, bson.E{Key: "$inc", Value: bson.D{{Key: q.attempts, Value: 1}}})
	}
	return q.findAndUpdate(ctx, filter, update, options.FindOneAndUpdate().SetSort(bson.D{{Key: by, Value: 1}}))
}

// Acquire leases one document whether or not it is due. The error is
// [ErrChanged] when another lease holds it, and [ErrNotFound] when it is gone.
func (q *Queue[T]) Acquire(ctx context.Context, id string, l Lease) (T, error) {
	return q.change(ctx, id, bson.D{q.unleased(time.Now())}, bson.D{{Key: "$set", Value: q.leaseSet(l)}})
}

// Complete returns the lease when nothing is left to do. If the document has
// another version by now, its work is due at once instead. The error is
// [ErrChanged] when the lease is lost; in a queue without IDs of leases, a lost
// lease is no error, and the work stays due.
func (q *Queue[T]) Complete(ctx context.Context, id string, l Lease, version int64) error {
	condition := bson.D{q.heldBy(l)}
	if q.version != "" {
		same := bson.E{Key: q.version, Value: version}
		if version == 0 { // documents of the original have none
			same.Value = bson.D{{Key: "$in", Value: bson.A{0, nil}}}
		}
		condition = append(condition, same)
	}
	_, err := q.change(ctx, id, condition, bson.D{{Key: "$unset", Value: fields(q.due, q.lease, q.attempts, q.lastError, q.turn)}})
	switch {
	case q.lease == "" && (errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound)):
		return nil
	case errors.Is(err, ErrChanged):
		return q.Retry(ctx, id, l, time.Now(), "")
	}
	return err
}

// Retry returns the lease when the work must be tried again at the time due. The
// zero time means that the work waits for its user, and no longer in line. The
// error is [ErrChanged] when the lease is lost; in a queue without IDs of leases,
// that is no error.
func (q *Queue[T]) Retry(ctx context.Context, id string, l Lease, due time.Time, lastError string) error {
	set, unset := bson.D{}, fields(q.lease)
	if q.lastError != "" {
		set = append(set, bson.E{Key: q.lastError, Value: lastError})
	}
	if due.IsZero() {
		unset = append(unset, fields(q.due, q.turn)...)
	} else {
		set = append(set, bson.E{Key: q.due, Value: due})
	}
	err := q.underLease(ctx, id, l, set, unset)
	if q.lease == "" && errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// underLease changes a document that a lease holds. The error is [ErrChanged]
// when the lease is lost or the document gone.
func (q *Queue[T]) underLease(ctx context.Context, id string, l Lease, set, unset bson.D) error {
	var update bson.D
	if len(set) > 0 { // MongoDB before 5.0 refuses operators without fields
		update = append(update, bson.E{Key: "$set", Value: set})
	}
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	_, err := q.change(ctx, id, bson.D{q.heldBy(l)}, update)
	if errors.Is(err, ErrNotFound) {
		return ErrChanged
	}
	return err
}

// ReleaseAll makes every leased document due now. It is for a database with one
// process, which has just started: no other can hold a lease. In a queue without
// IDs of leases, a back-off ends as well.
func (q *Queue[T]) ReleaseAll(ctx context.Context) error {
	ctx, cancel := q.withTimeout(ctx)
	defer cancel()
	filter := bson.D{{Key: q.due, Value: bson.D{{Key: "$gt", Value: time.Now()}}}}
	update := bson.D{{Key: "$set", Value: bson.D{{Key: q.due, Value: time.Now()}}}}
	if q.lease != "" {
		filter = append(filter, bson.E{Key: q.lease, Value: bson.D{{Key: "$exists", Value: true}}})
		update = append(update, bson.E{Key: "$unset", Value: fields(q.lease)})
	}
	_, err := q.coll.UpdateMany(ctx, filter, update)
	return q.wrapError("releasing leases", err)
}

// leaseSet is the part of an update that gives a document to a lease.
func (f workFields) leaseSet(l Lease) bson.D {
	set := bson.D{{Key: f.due, Value: l.Until}}
	if f.lease != "" {
		set = append(set, bson.E{Key: f.lease, Value: l.ID})
	}
	return set
}

// heldBy matches a document that a lease holds.
func (f workFields) heldBy(l Lease) bson.E {
	if f.lease == "" {
		return bson.E{Key: f.due, Value: l.Until}
	}
	return bson.E{Key: f.lease, Value: l.ID}
}

// unleased matches a document that no lease holds: it has none, or one that has run
// out.
func (f workFields) unleased(now time.Time) bson.E {
	holder := f.lease
	if holder == "" {
		holder = f.due
	}
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: holder, Value: bson.D{{Key: "$exists", Value: false}}}},
		bson.D{{Key: f.due, Value: bson.D{{Key: "$lte", Value: now}}}},
	}}
}

// fields is the argument of $unset for all paths that are not empty.
func fields(paths ...string) bson.D {
	var unset bson.D
	for _, path := range paths {
		if path != "" {
			unset = append(unset, bson.E{Key: path, Value: ""})
		}
	}
	return unset
}

// Bounds of [BackOff], before its random part.
const (
	FirstBackOff = time.Second      // after the first failure
	MaxBackOff   = 10 * time.Minute // after many
)

// BackOff is how long work waits after a failure: twice as long after each
// attempt, up to ten minutes, and never less than least. A random part of it
// keeps many documents from coming back at once.
func BackOff(attempts int, least time.Duration) time.Duration {
	d := MaxBackOff
	if attempts < 10 {
		d = min(FirstBackOff<<max(attempts, 0), MaxBackOff)
	}
	return max(d/2+rand.N(d/2), least)
}

package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Lease is the right to work on a document until a time. After that time, another worker may
// take the lease.
type Lease struct {
	ID    string
	Until time.Time
}

// Queue leases the documents of a collection that have work due. Its state is in the
// documents themselves, so one write changes both a document and its work:
//
//	idle ──(a change)──► due ──Claim──► leased ──Complete──► idle
//	                      ▲               │
//	                      └───── Retry ◄──┘  or the lease expires
//
// It is safe for concurrent use, by several processes too.
type Queue[T any] struct {
	records[T]
	workFields
}

// workFields are the paths of a queue's fields in its documents. All except due may be empty.
type workFields struct {
	due       string // when work is due; missing = no work
	lease     string // ID of the lease; in a queue without it, the time of due identifies the lease
	attempts  string // claims since the work was last complete
	lastError string // class of the last failure
	version   string // grows with each change of the wanted result
	turn      string // place in a line (see line.go); removed with the work
	since     string // when the work began to wait; removed with the work
}

// The queues of the store.
var (
	accountWork = workFields{
		due: "account.due", lease: "account.lease", attempts: "account.attempts",
		lastError: "account.problem", version: "account.version", turn: "account.turn", since: "account.since",
	}
	sweepWork      = workFields{due: "sessionsDue"}
	revocationWork = workFields{due: "due", attempts: "attempts"}
)

// AccountWork is the queue of the users whose account at ConnectyCube differs from the wanted
// state.
func (s *Store) AccountWork() *Queue[User] { return s.accounts.queue() }

// Sweeps is the queue of the users whose login sessions must be compared with
// the list in the user's document.
func (s *Store) Sweeps() *Queue[User] { return &Queue[User]{s.users.records, sweepWork} }

// Revocations is the queue of the login sessions that have ended here and not
// yet at ConnectyCube.
func (s *Store) Revocations() *Queue[Session] {
	return &Queue[Session]{s.sessions.records, revocationWork}
}

// Claim leases the document with the earliest due time and counts an attempt. It skips and logs
// malformed documents, which are due again after [MaxBackOff]. The error is [ErrNotFound] when
// none is due.
func (q *Queue[T]) Claim(ctx context.Context, l Lease) (T, error) {
	return q.claim(ctx, bson.D{{Key: q.due, Value: bson.D{{Key: "$lte", Value: time.Now()}}}}, q.due, l)
}

// claim leases the first document that matches, in the order of a field, even if ctx ends:
// without the reply, the lease would have no holder.
func (q *Queue[T]) claim(ctx context.Context, filter bson.D, by string, l Lease) (T, error) {
	ctx = context.WithoutCancel(ctx)
	update := q.leaseUpdate(l)
	if q.attempts != "" {
		update = append(update, bson.E{Key: "$inc", Value: bson.D{{Key: q.attempts, Value: 1}}})
	}
	order, others := bson.D{{Key: by, Value: 1}}, bson.A{}
	for {
		left := filter
		if len(others) > 0 {
			left = slices.Concat(filter, bson.D{{Key: "$and", Value: others}})
		}
		one, err := q.findAndUpdate(ctx, left, update, options.FindOneAndUpdate().SetSort(order))
		err = q.explain(ctx, err, left, options.FindOne().SetSort(order))
		malformed, ok := errors.AsType[*MalformedError](err)
		if !ok || len(others) == maxSkipped {
			return one, err
		}
		q.logMalformed(ctx, malformed)
		if err := q.postpone(ctx, malformed); err != nil {
			return one, err
		}
		others = append(others, bson.D{{Key: "_id", Value: bson.D{{Key: "$ne", Value: malformed.id}}}})
	}
}

// maxSkipped bounds the malformed documents that one claim skips.
const maxSkipped = 100

// postpone returns the lease of a malformed document, makes it due later, and takes it out of
// the line. If even its work cannot be written, the document stays as it is.
func (q *Queue[T]) postpone(ctx context.Context, malformed *MalformedError) error {
	ctx, cancel := q.withTimeout(ctx)
	defer cancel()
	update := bson.D{{Key: "$set", Value: bson.D{{Key: q.due, Value: time.Now().Add(MaxBackOff)}}}}
	if unset := fields(q.lease, q.turn); len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	_, err := q.coll.UpdateOne(ctx, bson.D{malformed.exactly()}, update)
	if isRefusal(err) {
		return nil
	}
	return q.wrapError("postponing the work on a malformed "+q.noun, err)
}

// Acquire leases one document whether or not it is due. The error is
// [ErrChanged] when another lease holds it, and [ErrNotFound] when the document
// does not exist.
func (q *Queue[T]) Acquire(ctx context.Context, id string, l Lease) (T, error) {
	return q.change(ctx, id, bson.D{q.unleased(time.Now())}, q.leaseUpdate(l))
}

// Complete returns the lease when the work is complete. If the document has another version,
// its work is due at once instead. The error is [ErrChanged] when the lease is lost. In a
// queue without IDs of leases, a lost lease is no error, and the work stays due.
func (q *Queue[T]) Complete(ctx context.Context, id string, l Lease, version int64) error {
	condition := bson.D{q.heldBy(l)}
	if q.version != "" {
		same := bson.E{Key: q.version, Value: version}
		if version == 0 { // documents of the original have no version
			same.Value = bson.D{{Key: "$in", Value: bson.A{0, nil}}}
		}
		condition = append(condition, same)
	}
	_, err := q.change(ctx, id, condition, bson.D{{Key: "$unset", Value: fields(q.due, q.lease, q.attempts, q.lastError, q.turn, q.since)}})
	switch {
	case q.lease == "" && (errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound)):
		return nil
	case errors.Is(err, ErrChanged):
		return q.Retry(ctx, id, l, time.Now(), "")
	}
	return err
}

// Retry returns the lease and schedules the work for the time due. For the zero time, the
// work leaves the line and waits until its user logs in. The error is [ErrChanged] when the
// lease is lost. In a queue without IDs of leases, that is no error.
func (q *Queue[T]) Retry(ctx context.Context, id string, l Lease, due time.Time, lastError string) error {
	set, unset := bson.D{}, fields(q.lease)
	if q.lastError != "" {
		set = append(set, bson.E{Key: q.lastError, Value: lastError})
	}
	if due.IsZero() {
		unset = append(unset, fields(q.due, q.turn, q.since)...)
	} else {
		set = append(set, bson.E{Key: q.due, Value: due})
	}
	err := q.underLease(ctx, id, l, set, unset)
	if q.lease == "" && errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// underLease changes a leased document. The error is [ErrChanged] when the lease is lost or
// the document does not exist.
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

// ReleaseAll makes every leased document due now. Only the single process of a database may
// call it, at its start, because no other process can have a lease then. In a queue without
// IDs of leases, ReleaseAll also ends back-offs.
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
	if isRefusal(err) { // because of a malformed document; the leases that remain expire
		q.logMalformed(ctx, err)
		return nil
	}
	return q.wrapError("releasing leases", err)
}

// leaseUpdate gives a document to a lease. set is what it changes beside that.
func (f workFields) leaseUpdate(l Lease, set ...bson.E) bson.D {
	update := bson.D{{Key: "$set", Value: append(set, f.leaseSet(l)...)}}
	if f.since != "" { // work that waits already keeps its time
		update = append(update, bson.E{Key: "$min", Value: bson.D{{Key: f.since, Value: time.Now()}}})
	}
	return update
}

// leaseSet lists the fields that give a document to a lease.
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

// unleased matches a document without a lease or with an expired one.
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

// fields returns the argument of $unset for all paths that are not empty.
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

// BackOff returns how long work waits after a failure: twice as long after each attempt, up to
// ten minutes, and never less than least. A random part spreads the retries of many
// documents.
func BackOff(attempts int, least time.Duration) time.Duration {
	d := MaxBackOff
	if attempts < 10 {
		d = min(FirstBackOff<<max(attempts, 0), MaxBackOff)
	}
	return max(d/2+rand.N(d/2), least)
}

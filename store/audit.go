package store

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Event is one entry of the audit. It holds no secret.
type Event struct {
	ID       string // given by Record
	At       time.Time
	Kind     AuditKind
	Outcome  Outcome
	UserID   string // the user concerned
	Actor    string // ID of the user who caused the event, or a name such as "command"; empty = the user concerned
	ClientIP string // empty = not known
	Session  string // ID of the login session
	Detail   string
	Count    int // number of equal refusals; 0 for events of Record
}

// AuditKind is the kind of an event.
type AuditKind string

// The kinds of events. Documents hold them, and clients filter by them.
const (
	AuditRegister  AuditKind = "register"
	AuditLogin     AuditKind = "login"
	AuditRefresh   AuditKind = "refresh"
	AuditVerify    AuditKind = "verify" // ConnectyCube verified a password or a token
	AuditLogout    AuditKind = "logout"
	AuditLogoutAll AuditKind = "logout everywhere"
	AuditRevoke    AuditKind = "revoke" // the user ended one login session
	AuditEvict     AuditKind = "evict"  // the oldest login session ended because there were too many
	AuditPassword  AuditKind = "password"
	AuditEmail     AuditKind = "email"
	AuditDelete    AuditKind = "delete"
	AuditRoles     AuditKind = "roles"
	AuditDisable   AuditKind = "disable"
	AuditEnable    AuditKind = "enable"
	AuditForbidden AuditKind = "forbidden" // the user lacked the role for an operation
)

// Outcome is the result of an event.
type Outcome string

// The outcomes of events.
const (
	OutcomeOK      Outcome = "ok"
	OutcomeRefused Outcome = "refused" // the server denied the request
	OutcomeFailed  Outcome = "failed"  // an error prevented an answer
)

// eventDocument is the stored form of an Event.
type eventDocument struct {
	ID       bson.ObjectID `bson:"_id"`
	At       time.Time     `bson:"at"`
	Kind     AuditKind     `bson:"kind"`
	Outcome  Outcome       `bson:"outcome"`
	UserID   string        `bson:"userId,omitempty"`
	Actor    string        `bson:"actor,omitempty"`
	ClientIP string        `bson:"address,omitempty"`
	Session  string        `bson:"session,omitempty"`
	Detail   string        `bson:"detail,omitempty"`
	Refusal  bool          `bson:"refusal,omitempty"`
	Class    class         `bson:"class,omitempty"`
	Share    string        `bson:"share,omitempty"` // key of the share that it takes from
	Count    int           `bson:"count,omitempty"`
	Expires  time.Time     `bson:"expires"`
}

const (
	maxField  = 100 // bytes of one field of an Event
	maxDetail = 200
)

// Audit is the collection of events, bounded by age, by number, and by number for each
// user. Refusals, logins, changes by users and changes by administrators have a bound each: a
// flood of one must not remove the others. It is safe for concurrent use.
type Audit struct {
	records[Event]
	keep     time.Duration
	perUser  int // the share of a user
	logins   retention
	changes  retention
	admins   retention
	refusals retention
	late     lateEvents
	wake     chan struct{} // of one: a retention is due
}

// newAudit returns the audit in a collection.
func newAudit(c collection, o Options) *Audit {
	return &Audit{
		records:  records[Event]{c, "event", objectID, decodeEvent},
		keep:     o.AuditKeep,
		perUser:  o.AuditPerUser,
		logins:   retention{filter: ofClass(classLogin), max: int64(o.AuditMax)},
		changes:  retention{filter: ofClass(classChange), max: int64(o.AuditMaxChanges)},
		admins:   retention{filter: ofClass(classAdmin), max: int64(o.AuditMaxChanges)},
		refusals: retention{filter: bson.D{{Key: "refusal", Value: true}}, max: int64(o.AuditMaxRefusals)},
		wake:     make(chan struct{}, 1),
	}
}

func (a *Audit) ensureIndexes(ctx context.Context) error {
	return ensure(ctx, a.coll, auditIndexes()...)
}

func auditIndexes() []mongo.IndexModel {
	return []mongo.IndexModel{
		mongo.IndexModel{Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetName("expires_1").SetExpireAfterSeconds(0)},
		mongo.IndexModel{Keys: bson.D{{Key: "userId", Value: 1}}, Options: options.Index().SetName("userId_1")},
		mongo.IndexModel{ // counts the refusals and finds the oldest
			Keys:    bson.D{{Key: "refusal", Value: 1}, {Key: "_id", Value: 1}},
			Options: options.Index().SetName("refusal_1__id_1").SetPartialFilterExpression(bson.D{{Key: "refusal", Value: true}}),
		},
		mongo.IndexModel{Keys: bson.D{{Key: "class", Value: 1}, {Key: "_id", Value: 1}}, Options: options.Index().SetName("class_1__id_1")},
		mongo.IndexModel{Keys: bson.D{{Key: "share", Value: 1}, {Key: "_id", Value: 1}}, Options: options.Index().SetName("share_1__id_1")},
	}
}

// NewEventID returns an ID for an event at a time. An event of a later second has a larger
// ID.
func NewEventID(at time.Time) string { return bson.NewObjectIDFromTimestamp(at).Hex() }

// document returns the stored form of an event, with truncated texts.
func (a *Audit) document(id bson.ObjectID, e Event) eventDocument {
	return eventDocument{
		ID: id, At: e.At.UTC(), Kind: truncate(e.Kind, maxField), Outcome: truncate(e.Outcome, maxField), UserID: truncate(e.UserID, maxField),
		Actor: truncate(e.Actor, maxField), ClientIP: truncate(e.ClientIP, maxField), Session: truncate(e.Session, maxField),
		Detail:  truncate(e.Detail, maxDetail),
		Expires: e.At.Add(a.keep),
	}
}

// Record stores an event, and sets its time if it has none. If the database is
// unavailable, Record keeps the event in memory for [Audit.Run] and returns that error
// with [ErrKept], or without it if too many events are there.
func (a *Audit) Record(ctx context.Context, e Event) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	if e.At.IsZero() {
		e.At = time.Now()
	}
	c := classOf(e)
	s := a.shareOf(c, e)
	d := a.document(bson.NewObjectID(), e)
	d.Class, d.Share = c, s.key
	if _, err := a.coll.InsertOne(ctx, d); err != nil {
		return a.late.keep(d, a.wrapError("recording an event", err))
	}
	a.thinByChance(ctx, s)
	a.noteWritten(a.retentionOf(c), 1)
	return nil
}

// RecordRefusals stores refusals. Each needs an ID of NewEventID and a Count. If
// the ID exists, the larger of the two counts stays, so a caller may repeat the
// call after an error.
func (a *Audit) RecordRefusals(ctx context.Context, refusals []Event) error {
	if len(refusals) == 0 {
		return nil
	}
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	writes := make([]mongo.WriteModel, len(refusals))
	for i, e := range refusals {
		id, err := bson.ObjectIDFromHex(e.ID)
		if err != nil {
			return fmt.Errorf("recording refusals: invalid event ID %q", e.ID)
		}
		d := a.document(id, e)
		d.Refusal, d.Share = true, a.shareOf("", e).key // without Count: $max and $setOnInsert must not name the same field
		writes[i] = mongo.NewUpdateOneModel().SetUpsert(true).
			SetFilter(bson.D{{Key: "_id", Value: id}}).
			SetUpdate(bson.D{{Key: "$max", Value: bson.D{{Key: "count", Value: e.Count}}}, {Key: "$setOnInsert", Value: withoutID(d)}})
	}
	result, err := a.coll.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	if err != nil {
		return a.wrapError("recording refusals", err)
	}
	for i := range result.UpsertedIDs {
		a.thinByChance(ctx, a.shareOf("", refusals[i]))
	}
	a.noteWritten(&a.refusals, int64(len(refusals)))
	return nil
}

// withoutID returns the fields of an event except _id, which an upsert takes from its
// filter.
func withoutID(d eventDocument) bson.D {
	d.ID = bson.NilObjectID
	raw, err := bson.Marshal(d)
	if err != nil {
		panic(err) // texts, times and numbers always encode
	}
	var fields bson.D
	if err := bson.Unmarshal(raw, &fields); err != nil {
		panic(err)
	}
	return fields[1:] // _id is the first
}

// truncate returns at most limit bytes of s and no incomplete character.
func truncate[S ~string](s S, limit int) S {
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 && !utf8.ValidString(string(s)) {
		s = s[:len(s)-1]
	}
	return s
}

// EventFilter selects events; the zero filter selects all.
type EventFilter struct {
	UserID string
	Kind   AuditKind
}

// Page lists events from the newest to the oldest. before is the ID of an event or the Next of
// an earlier page, and the page starts after it. The empty before starts with the newest
// event. The error is [ErrBadCursor] for any other before.
func (a *Audit) Page(ctx context.Context, f EventFilter, before string, limit int) (Page[Event], error) {
	filter := bson.D{}
	if f.UserID != "" {
		filter = append(filter, bson.E{Key: "userId", Value: f.UserID})
	}
	if f.Kind != "" {
		filter = append(filter, bson.E{Key: "kind", Value: f.Kind})
	}
	return a.page(ctx, filter, pageQuery{after: before, limit: limit, descending: true})
}

func decodeEvent(c collection, document bson.Raw, r *bson.Registry) (Event, error) {
	var d eventDocument
	if err := c.decode(document, form{bson.TypeObjectID, r}, &d); err != nil {
		return Event{}, err
	}
	return Event{
		ID: d.ID.Hex(), At: d.At.UTC(), Kind: d.Kind, Outcome: d.Outcome, UserID: d.UserID,
		Actor: d.Actor, ClientIP: d.ClientIP, Session: d.Session, Detail: d.Detail, Count: d.Count,
	}, nil
}

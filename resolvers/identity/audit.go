package identity

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// AuditLog stores the events of the audit.
type AuditLog interface {
	Record(ctx context.Context, e store.Event) error
	RecordRefusals(ctx context.Context, refusals []store.Event) error // may be repeated with the same refusals
	Page(ctx context.Context, f store.EventFilter, before string, limit int) (store.Page[store.Event], error)
}

// recordTimeout bounds the write of one event.
const recordTimeout = 5 * time.Second

// Auditor records events: successes before the response, refusals after it. An
// acknowledged change is therefore on record. It is safe for concurrent use.
type Auditor struct {
	events   AuditLog
	outward  func(error) *apierror.Error
	refusals *refusalQueue
	noteUser func(ctx context.Context, id string)
	log      *slog.Logger
	failed   atomic.Int64 // events that could not be written
}

// AuditorOptions configure an Auditor. All fields but NoteUser are required.
type AuditorOptions struct {
	Events  AuditLog
	Outward func(error) *apierror.Error // returns what the client sees of an error
	Log     *slog.Logger

	// NoteUser gets the ID of the user that a request is about, also of a refused one, for
	// the request's log line.
	NoteUser func(ctx context.Context, id string)
}

// StartAuditor starts an Auditor, which must be closed.
func StartAuditor(o AuditorOptions) (*Auditor, error) {
	if o.Events == nil || o.Outward == nil || o.Log == nil {
		return nil, errors.New("identity.AuditorOptions lack Events, Outward or Log")
	}
	if o.NoteUser == nil {
		o.NoteUser = func(context.Context, string) {}
	}
	return &Auditor{events: o.Events, outward: o.Outward, refusals: startRefusals(o.Events, o.Log), noteUser: o.NoteUser, log: o.Log}, nil
}

// Close writes the refusals that wait, and stops the Auditor. A write that fails is
// retried twice. Refusals that are not written then, or when ctx ends, are lost, and
// their number is logged. A second call does nothing.
func (a *Auditor) Close(ctx context.Context) { a.refusals.stop(ctx) }

// Flush writes the refusals that wait at this moment. Those that it cannot write keep
// waiting.
func (a *Auditor) Flush(ctx context.Context) error { return a.refusals.flush(ctx) }

// recordSuccess records that c.User has done what c.Audit says.
func (a *Auditor) recordSuccess(ctx context.Context, c Caller, sessionID string) {
	a.record(ctx, c, store.Event{Outcome: store.OutcomeOK, UserID: c.User.ID, Session: sessionID})
}

// recordFailure records that c.User was refused what c.Audit says. It writes after the
// response: a write before it would take time that unknown emails do not take. Do not
// record an attempt at an unknown email, which may be a password in the wrong field.
func (a *Auditor) recordFailure(ctx context.Context, c Caller, err error) {
	a.noteUser(ctx, c.User.ID)
	e := a.outward(err)
	outcome := store.OutcomeRefused
	switch {
	case isFailure(e.Code):
		outcome = store.OutcomeFailed
	case e.Code == apierror.Canceled, e.Code == apierror.RateLimited: // nothing was tried
		return
	}
	if _, full := errors.AsType[*tokens.QueueError](err); full { // nothing was tried
		return
	}
	a.refusals.add(c.Client.network(), store.Event{Kind: c.Audit, Outcome: outcome, UserID: c.User.ID, ClientIP: c.Client.IP, Detail: string(e.Code)})
}

// isFailure reports whether a code means that we failed, or ConnectyCube, in contrast
// to an answer.
func isFailure(code apierror.Code) bool {
	return code == apierror.InternalServerError || code == apierror.MalformedData || code == apierror.UpstreamUnavailable || code == apierror.ServiceUnavailable
}

// isFailure reports whether an error is our failure, or ConnectyCube's.
func (a *Auditor) isFailure(err error) bool { return isFailure(a.outward(err).Code) }

// record writes an event of the operation that c calls. No request fails because its
// event cannot be written.
func (a *Auditor) record(ctx context.Context, c Caller, e store.Event) {
	a.noteUser(ctx, e.UserID)
	ctx, cancel := detached(ctx, recordTimeout)
	defer cancel()
	e.Kind, e.ClientIP = c.Audit, c.Client.IP
	err := a.events.Record(ctx, e)
	if err == nil {
		return
	}
	level, text := slog.LevelWarn, "event not recorded yet"
	if !errors.Is(err, store.ErrKept) {
		level, text = slog.LevelError, "event not recorded"
		a.failed.Add(1)
	}
	a.log.LogAttrs(ctx, level, text, slog.String("kind", string(e.Kind)), slog.String("outcome", string(e.Outcome)),
		slog.String("user_id", e.UserID), slog.Any("err", err))
}

// AuditState is what an Auditor has to write, and what it could not.
type AuditState struct {
	Waiting int   // refusals in the queue; equal ones are one
	Lost    int64 // events and refusals without a record, since the start
}

// State returns the state of the queue. It does not wait for the database.
func (a *Auditor) State() AuditState {
	waiting, lost := a.refusals.state()
	return AuditState{Waiting: waiting, Lost: lost + a.failed.Load()}
}

// page returns a page of events, the newest first, with the refusals of this moment.
func (a *Auditor) page(ctx context.Context, f store.EventFilter, p Page) (store.Page[store.Event], error) {
	if err := a.Flush(ctx); err != nil {
		return store.Page[store.Event]{}, err
	}
	return a.events.Page(ctx, f, p.After, p.Limit)
}

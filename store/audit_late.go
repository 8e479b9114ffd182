package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	maxLate   = 1000             // events in memory, about 1 KB each at most
	lateEvery = 10 * time.Second // between two attempts to record them
)

// ErrKept says that an event is not stored yet, but in memory for [Audit.Run].
var ErrKept = errors.New("kept for later")

// keptError is an error that is also ErrKept. Its text does not say so: a command ends before
// a second attempt.
type keptError struct{ error }

func (e keptError) Unwrap() []error { return []error{ErrKept, e.error} }

// lateEvents are the events that could not be stored while the database was
// unavailable.
type lateEvents struct {
	mu      sync.Mutex
	events  []eventDocument // in the order in which they happened
	dropped int             // number of events beyond maxLate
	closed  bool            // they are recorded for the last time
}

// keep keeps d if err says that the database is unavailable, and adds ErrKept to err then.
// After close it keeps nothing.
func (l *lateEvents) keep(d eventDocument, err error) error {
	if !errors.Is(err, ErrUnavailable) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return err
	}
	if len(l.events) == maxLate {
		l.dropped++
		return err
	}
	l.events = append(l.events, d)
	return keptError{err}
}

func (l *lateEvents) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// Run records late events and removes the oldest events beyond the bounds, until ctx ends. Then it
// records late events once more.
func (a *Audit) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(lateEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.wake:
			a.trimOrLog(ctx, log)
		case <-tick.C:
			a.recordLate(ctx, log, slog.LevelWarn)
			a.trimOrLog(ctx, log)
		case <-ctx.Done():
			a.late.close()                                                 // requests may still run
			a.recordLate(context.WithoutCancel(ctx), log, slog.LevelError) // the events end with the process
			return
		}
	}
}

// trimOrLog is Trim for Run.
func (a *Audit) trimOrLog(ctx context.Context, log *slog.Logger) {
	if err := a.Trim(ctx); err != nil && ctx.Err() == nil {
		log.LogAttrs(ctx, slog.LevelWarn, "removing old audit events failed", slog.Any("err", err))
	}
}

// recordLate records the late events, unless the database is still unavailable. An earlier
// insert without an answer may have stored some of them; their IDs exist, so they are skipped.
// A failure is logged at level.
func (a *Audit) recordLate(ctx context.Context, log *slog.Logger, level slog.Level) {
	a.late.mu.Lock()
	events, dropped := a.late.events, a.late.dropped
	a.late.mu.Unlock()
	if len(events) == 0 {
		return
	}
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	documents := make([]any, len(events))
	for i, d := range events {
		documents[i] = d
	}
	_, err := a.coll.InsertMany(ctx, documents, options.InsertMany().SetOrdered(false))
	if err != nil && !onlyDuplicates(err) {
		log.LogAttrs(ctx, level, "recording late audit events failed", slog.Int("events", len(events)), slog.Any("err", a.wrapError("recording events", err)))
		return
	}
	a.late.mu.Lock()
	defer a.late.mu.Unlock()
	a.late.events = a.late.events[len(events):] // keep has only appended to it
	a.late.dropped -= dropped
	log.LogAttrs(ctx, slog.LevelInfo, "late audit events recorded", slog.Int("events", len(events)), slog.Int("dropped", dropped))
}

// onlyDuplicates reports whether every error of an insert is that the document exists.
func onlyDuplicates(err error) bool {
	bulk, ok := errors.AsType[mongo.BulkWriteException](err)
	if !ok || bulk.WriteConcernError != nil {
		return false
	}
	for _, e := range bulk.WriteErrors {
		if !mongo.IsDuplicateKeyError(e) {
			return false
		}
	}
	return true
}

package identity

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"cubegate/store"
)

const (
	// refusalWindow is the time in which equal refusals are one record.
	refusalWindow = time.Minute

	// refusalDelay is the time from a refusal to the start of its write. A
	// crash loses the refusals of this time, and those of one write.
	refusalDelay = 500 * time.Millisecond

	refusalTimeout = 5 * time.Second // for one flush
	complaintEvery = time.Minute     // between two log lines about refusals that are not recorded

	maxRefusalBatch   = 500
	maxWaitingRefusal = 2_000  // records that wait to be written
	maxRefusalWindows = 10_000 // records that still count, of about 600 bytes each
)

// Auditor writes refusals to the audit after their answers. A write before the
// answer would take an fsync that unknown emails do not cost, and its time
// would tell them from known ones. Changes and logins do not pass through here:
// an acknowledged change is on record.
//
// Equal refusals of one account from one network within a minute are one record
// with a count. Each process counts on its own. An Auditor is safe for
// concurrent use.
type Auditor struct {
	events Events
	log    *slog.Logger

	mu         sync.Mutex
	windows    map[refusalKey]*refusal
	waiting    []*refusal
	dropped    int // refusals without a record, since the last complaint
	complained time.Time
	swept      time.Time // when windows was last rid of ended ones

	flushing chan struct{} // holds one token while a flush runs
	wake     chan struct{} // of one: something waits
	closing  sync.Once
	stopped  chan struct{}
	ended    chan struct{}
}

// refusalKey says which refusals are equal.
type refusalKey struct {
	kind                    store.AuditKind
	outcome                 store.Outcome
	userID, network, detail string
}

// refusal is one record, and what of it is written.
type refusal struct {
	event   store.Event
	written int  // the count in the database
	waits   bool // is in Auditor.waiting
}

// StartAuditor starts an Auditor, which must be closed.
func StartAuditor(events Events, log *slog.Logger) *Auditor {
	a := &Auditor{
		events: events, log: log, windows: map[refusalKey]*refusal{},
		flushing: make(chan struct{}, 1), wake: make(chan struct{}, 1), stopped: make(chan struct{}), ended: make(chan struct{}),
	}
	go a.run()
	return a
}

// Refuse counts a refusal and returns at once. The network is that of the
// client. A refusal is dropped, and its number logged, while too many wait.
func (a *Auditor) Refuse(network string, e store.Event) {
	now := time.Now()
	key := refusalKey{e.Kind, e.Outcome, e.UserID, network, e.Detail}
	a.mu.Lock()
	defer a.mu.Unlock()
	r, known := a.windows[key]
	if !known || now.Sub(r.event.At) >= refusalWindow {
		e.ID, e.At, e.Count = store.NewEventID(now), now, 0
		r = &refusal{event: e}
	}
	if !r.waits && !a.enqueue(r) {
		a.dropped++
		return
	}
	r.event.Count++
	if known || len(a.windows) < maxRefusalWindows { // else the next one begins another record
		a.windows[key] = r
	}
}

// enqueue lets a record wait to be written, if there is room.
func (a *Auditor) enqueue(r *refusal) bool {
	if len(a.waiting) >= maxWaitingRefusal {
		return false
	}
	r.waits = true
	a.waiting = append(a.waiting, r)
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return true
}

func (a *Auditor) run() {
	defer close(a.ended)
	for {
		select {
		case <-a.wake:
		case <-a.stopped:
			return
		}
		select {
		case <-time.After(refusalDelay): // more of them share the write
		case <-a.stopped:
			return
		}
		select {
		case <-a.wake: // the flush writes what has woken it meanwhile
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), refusalTimeout)
		err := a.Flush(ctx)
		cancel()
		a.complain(err)
		a.sweep()
	}
}

// Flush writes the refusals that wait at this moment. Those that it cannot
// write go on waiting.
func (a *Auditor) Flush(ctx context.Context) error {
	select {
	case a.flushing <- struct{}{}:
		defer func() { <-a.flushing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	a.mu.Lock()
	left := len(a.waiting)
	a.mu.Unlock()
	for left > 0 {
		batch, events := a.take(min(left, maxRefusalBatch))
		left -= len(batch)
		err := a.events.RecordRefusals(ctx, events)
		a.settle(batch, events, err == nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// take takes records out of the queue, and copies of what to write.
func (a *Auditor) take(n int) ([]*refusal, []store.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	batch := a.waiting[:n:n]
	a.waiting = a.waiting[n:]
	events := make([]store.Event, n)
	for i, r := range batch {
		r.waits = false
		events[i] = r.event
	}
	return batch, events
}

// settle notes what of a batch is written now, or lets it wait again.
func (a *Auditor) settle(batch []*refusal, events []store.Event, done bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, r := range batch {
		switch {
		case done:
			r.written = events[i].Count
		case r.waits: // another refusal has put it back
		case !a.enqueue(r):
			a.dropped += r.event.Count - r.written
			r.event.Count = r.written
		}
	}
}

// complain logs that refusals have no record, at most once a minute.
func (a *Auditor) complain(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if err == nil && a.dropped == 0 || !a.complained.IsZero() && now.Sub(a.complained) < complaintEvery {
		return
	}
	level := slog.LevelWarn
	if err != nil {
		level = slog.LevelError
	}
	a.log.LogAttrs(context.Background(), level, "refusals not recorded",
		slog.Int("dropped", a.dropped), slog.Int("waiting", len(a.waiting)), slog.Any("err", err))
	a.complained, a.dropped = now, 0
}

// sweep forgets the records that no longer count.
func (a *Auditor) sweep() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if now.Sub(a.swept) < refusalWindow/4 && len(a.windows) < maxRefusalWindows {
		return
	}
	a.swept = now
	for key, r := range a.windows {
		if !r.waits && now.Sub(r.event.At) >= refusalWindow {
			delete(a.windows, key)
		}
	}
}

// Close writes what waits and ends the Auditor. A write that fails is tried
// twice more. Refusals that are not written then, or when ctx ends, are lost, and
// their number is logged. A second call does nothing.
func (a *Auditor) Close(ctx context.Context) { a.closing.Do(func() { a.finish(ctx) }) }

func (a *Auditor) finish(ctx context.Context) {
	close(a.stopped)
	select {
	case <-a.ended:
	case <-ctx.Done():
	}
	err := a.Flush(ctx)
	for try := 0; err != nil && ctx.Err() == nil && try < 2; try++ {
		select {
		case <-time.After(refusalDelay):
		case <-ctx.Done():
		}
		err = a.Flush(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.waiting {
		a.dropped += r.event.Count - r.written
	}
	a.waiting = nil
	if a.dropped > 0 {
		a.log.LogAttrs(ctx, slog.LevelWarn, "refusals not recorded", slog.Int("dropped", a.dropped), slog.Any("err", err))
		a.dropped = 0
	}
}

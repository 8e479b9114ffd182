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

	// refusalDelay is the time from a refusal to the start of its write. A crash loses
	// the refusals of this time, and those of one write.
	refusalDelay = 500 * time.Millisecond

	refusalTimeout     = 5 * time.Second // for one flush
	refusalLogInterval = time.Minute     // between two log lines about refusals that are not recorded

	maxRefusalBatch   = 500
	maxWaitingRefusal = 2_000  // records that wait to be written
	maxRefusalWindows = 10_000 // records that still count, of about 600 bytes each

	// maxRefusalNetworks bounds the records of otherwise equal refusals from several networks.
	// Further ones are one record without a client IP. Otherwise one account that calls an
	// operation of administrators from very many networks, as an IPv6 /48 has them, would
	// soon fill the share of refusals in the audit and remove all others.
	maxRefusalNetworks = 20
)

// refusalQueue writes refusals to the audit after their responses. A write before the
// response would take an fsync that unknown emails do not cost, and its time would
// distinguish known emails.
//
// Equal refusals of one account from one network within a minute are one record with a
// count; see also maxRefusalNetworks. Each process counts on its own. A refusalQueue is safe for concurrent use.
type refusalQueue struct {
	events AuditLog
	log    *slog.Logger

	mu      sync.Mutex
	windows map[refusalKey]*refusal
	spread  map[refusalKey]int // number of windows with a network, by key without it
	waiting []*refusal
	lost    int64 // dropped since the start
	losses  losses
	swept   time.Time // when ended windows were last removed

	flushing chan struct{} // holds one token while a flush runs
	wake     chan struct{} // of one: a record waits
	closing  sync.Once
	stopped  chan struct{}
	ended    chan struct{}
}

// losses are the refusals without a record, since the last log line about them.
type losses struct {
	logged  time.Time // that line
	dropped int
	failed  bool // the database refused a record that waited
}

// flushed notes the result of a flush. A failure counts until the losses are logged.
func (l *losses) flushed(err error) { l.failed = err != nil || l.failed && l.dropped > 0 }

// refusalKey says which refusals are equal.
type refusalKey struct {
	kind                    store.AuditKind
	outcome                 store.Outcome
	userID, network, detail string
}

// anywhere returns the key without the network.
func (k refusalKey) anywhere() refusalKey {
	k.network = ""
	return k
}

// refusal is one record, and how much of it is written.
type refusal struct {
	event   store.Event
	written int  // the count in the database
	waits   bool // is in refusalQueue.waiting
}

// startRefusals starts a refusalQueue, which must be closed.
func startRefusals(events AuditLog, log *slog.Logger) *refusalQueue {
	q := &refusalQueue{
		events: events, log: log, windows: map[refusalKey]*refusal{}, spread: map[refusalKey]int{},
		flushing: make(chan struct{}, 1), wake: make(chan struct{}, 1), stopped: make(chan struct{}), ended: make(chan struct{}),
	}
	go q.run()
	return q
}

// add counts a refusal and returns at once. The network is that of the client. While
// too many records wait, add drops the refusal, and its number is logged.
func (q *refusalQueue) add(network string, e store.Event) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	key := refusalKey{e.Kind, e.Outcome, e.UserID, network, e.Detail}
	r, known := q.windows[key]
	if !known && q.spread[key.anywhere()] >= maxRefusalNetworks {
		key, e.ClientIP = key.anywhere(), ""
		r, known = q.windows[key]
	}
	if !known || now.Sub(r.event.At) >= refusalWindow {
		e.ID, e.At, e.Count = store.NewEventID(now), now, 0
		r = &refusal{event: e}
	}
	if !r.waits && !q.enqueue(r) {
		q.drop(1)
		return
	}
	r.event.Count++
	if !known && len(q.windows) >= maxRefusalWindows { // the next one starts another record
		return
	}
	q.windows[key] = r
	if !known && key.network != "" {
		q.spread[key.anywhere()]++
	}
}

// drop counts refusals that get no record. The caller holds the lock.
func (q *refusalQueue) drop(n int) {
	q.losses.dropped += n
	q.lost += int64(n)
}

// state returns the number of records that wait, and of the refusals that were dropped
// since the start.
func (q *refusalQueue) state() (waiting int, lost int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.lost
}

// enqueue lets a record wait to be written, if there is room.
func (q *refusalQueue) enqueue(r *refusal) bool {
	if len(q.waiting) >= maxWaitingRefusal {
		return false
	}
	r.waits = true
	q.waiting = append(q.waiting, r)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

func (q *refusalQueue) run() {
	defer close(q.ended)
	for {
		select {
		case <-q.wake:
		case <-q.stopped:
			return
		}
		select {
		case <-time.After(refusalDelay): // more refusals share the write
		case <-q.stopped:
			return
		}
		select {
		case <-q.wake: // this flush also writes the record that woke the loop meanwhile
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), refusalTimeout)
		err := q.flush(ctx)
		cancel()
		q.logDropped(err)
		q.sweep()
	}
}

// flush writes the records that wait at this moment. Those that it cannot write keep
// waiting.
func (q *refusalQueue) flush(ctx context.Context) error {
	select {
	case q.flushing <- struct{}{}:
		defer func() { <-q.flushing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	q.mu.Lock()
	left := len(q.waiting)
	q.mu.Unlock()
	for left > 0 {
		batch, events := q.take(min(left, maxRefusalBatch))
		left -= len(batch)
		err := q.events.RecordRefusals(ctx, events)
		q.finish(batch, events, err == nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// take removes records from the queue, and returns copies of their events.
func (q *refusalQueue) take(n int) ([]*refusal, []store.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	events := make([]store.Event, n)
	for i, r := range batch {
		r.waits = false
		events[i] = r.event
	}
	return batch, events
}

// finish notes how much of a batch is written, or lets it wait again.
func (q *refusalQueue) finish(batch []*refusal, events []store.Event, written bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, r := range batch {
		switch {
		case written:
			r.written = events[i].Count
		case r.waits: // another refusal has enqueued it
		case !q.enqueue(r):
			q.drop(r.event.Count - r.written)
			r.event.Count = r.written
		}
	}
}

// logDropped logs, at most once a minute, that refusals have no record. err is the result of
// the flush before.
func (q *refusalQueue) logDropped(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.losses
	if l.flushed(err); l.logged.IsZero() || time.Since(l.logged) >= refusalLogInterval {
		q.logLosses(err)
	}
}

// logLosses logs that refusals have no record, if there is something to log. It is an error
// if the database is the reason, and not an attacker who has filled the queue. The caller
// holds the lock.
func (q *refusalQueue) logLosses(err error) {
	l := &q.losses
	level, text := slog.LevelWarn, "refusals not recorded"
	switch {
	case err == nil && l.dropped == 0:
		return
	case l.dropped == 0:
		text = "refusals wait to be recorded"
	case l.failed:
		level = slog.LevelError
	}
	q.log.LogAttrs(context.Background(), level, text, slog.Int("dropped", l.dropped), slog.Int("waiting", len(q.waiting)), slog.Any("err", err))
	l.logged, l.dropped = time.Now(), 0
}

// sweep forgets the records that no longer count.
func (q *refusalQueue) sweep() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if now.Sub(q.swept) < refusalWindow/4 && len(q.windows) < maxRefusalWindows {
		return
	}
	q.swept = now
	for key, r := range q.windows {
		if !r.waits && now.Sub(r.event.At) >= refusalWindow {
			q.forget(key)
		}
	}
}

// forget removes a record that no longer counts. The caller holds the lock.
func (q *refusalQueue) forget(key refusalKey) {
	delete(q.windows, key)
	if key.network == "" {
		return
	}
	if q.spread[key.anywhere()]--; q.spread[key.anywhere()] == 0 {
		delete(q.spread, key.anywhere())
	}
}

// stop writes the records that wait and stops the queue; see [Auditor.Close].
func (q *refusalQueue) stop(ctx context.Context) {
	q.closing.Do(func() {
		close(q.stopped)
		select {
		case <-q.ended:
		case <-ctx.Done():
		}
		q.drain(ctx)
	})
}

// drain writes the records that wait, with two retries, and logs how many refusals are
// lost.
func (q *refusalQueue) drain(ctx context.Context) {
	err := q.flush(ctx)
	for try := 0; err != nil && ctx.Err() == nil && try < 2; try++ {
		select {
		case <-time.After(refusalDelay):
		case <-ctx.Done():
		}
		err = q.flush(ctx)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.waiting {
		q.drop(r.event.Count - r.written)
	}
	q.waiting = nil
	if q.losses.flushed(err); q.losses.dropped > 0 {
		q.logLosses(err)
	}
}

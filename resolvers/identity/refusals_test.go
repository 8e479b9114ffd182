package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// refusalLog is an audit log that keeps the counts by user. It fails or hangs if a test
// wants it.
type refusalLog struct {
	AuditLog // any other call panics

	mu     sync.Mutex
	err    error
	hangs  bool
	writes int
	ids    map[string]bool
	counts map[string]int // the largest of each ID, summed by user
	last   map[string]int
}

func (l *refusalLog) RecordRefusals(ctx context.Context, refusals []store.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hangs {
		l.mu.Unlock()
		<-ctx.Done()
		l.mu.Lock()
		return ctx.Err()
	}
	if l.err != nil {
		return l.err
	}
	l.writes++
	for _, e := range refusals {
		l.ids[e.ID] = true
		if e.Count > l.last[e.ID] {
			l.counts[e.UserID] += e.Count - l.last[e.ID]
			l.last[e.ID] = e.Count
		}
	}
	return nil
}

func (l *refusalLog) fail(err error) { l.mu.Lock(); l.err = err; l.mu.Unlock() }

// expect checks what has been written.
func (l *refusalLog) expect(t *testing.T, when string, records int, counts map[string]int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ids) != records || fmt.Sprint(l.counts) != fmt.Sprint(counts) {
		t.Errorf("%s: %d records with %v, want %d with %v", when, len(l.ids), l.counts, records, counts)
	}
}

// auditing starts a refusalQueue in a bubble of synctest. Its log is returned.
func auditing(t *testing.T) (*refusalQueue, *refusalLog, *strings.Builder) {
	l := &refusalLog{ids: map[string]bool{}, counts: map[string]int{}, last: map[string]int{}}
	text := &strings.Builder{}
	q := startRefusals(l, slog.New(slog.NewTextHandler(text, nil)))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		q.stop(ctx)
	})
	return q, l, text
}

func wrongPassword(user string) store.Event {
	return store.Event{Kind: "login", Outcome: store.OutcomeRefused, UserID: user, Detail: string(apierror.Unauthenticated)}
}

// A refused login does not wait for its record, and the record does not wait for another
// login: it is written a second later.
func TestRefusalIsRecordedAfterTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.stored()
		started := time.Now()
		_, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: "wrong"})
		if outward(err).Code != apierror.Unauthenticated {
			t.Fatal(err)
		}
		if took := time.Since(started); took != 0 || len(f.events.List()) != 0 {
			t.Errorf("the response took %v, with %d records before it", took, len(f.events.List()))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := f.events.List(); len(got) != 1 || got[0].UserID != adaID || got[0].Kind != "login" || got[0].Count != 1 || got[0].ClientIP != "192.0.2.1" {
			t.Errorf("recorded %+v", got)
		}
	})
}

func TestSuccessIsRecordedBeforeTheResponse(t *testing.T) {
	f := newFlows(t)
	f.stored()
	if _, err := f.login(t.Context(), adaLogin); err != nil {
		t.Fatal(err)
	}
	if got := f.events.List(); len(got) != 1 || got[0].Outcome != store.OutcomeOK || got[0].Count != 0 {
		t.Errorf("recorded %+v", got)
	}
}

// An overloaded server compares no password, so there is no refusal to record.
func TestFullQueueIsNotRecorded(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for _, reason := range []error{tokens.ErrBusy, tokens.ErrLaneFull} {
		f.auditor.recordFailure(t.Context(), f.ada(store.AuditLogin), &tokens.QueueError{Reason: reason})
	}
	if got := f.recorded(t); len(got) != 0 {
		t.Errorf("recorded %+v", got)
	}
}

func TestEqualRefusalsAreOneRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, _ := auditing(t)
		for range 50 { // half a minute
			q.add("192.0.2.0", wrongPassword("ada"))
			time.Sleep(600 * time.Millisecond)
		}
		q.add("198.51.100.0", wrongPassword("ada"))
		q.add("192.0.2.0", wrongPassword("bob"))
		other := wrongPassword("ada")
		other.Kind = "password"
		q.add("192.0.2.0", other)
		time.Sleep(time.Second)
		l.expect(t, "within a minute", 4, map[string]int{"ada": 52, "bob": 1})
		time.Sleep(time.Minute)
		q.add("192.0.2.0", wrongPassword("ada"))
		time.Sleep(time.Second)
		l.expect(t, "a minute later", 5, map[string]int{"ada": 53, "bob": 1})
	})
}

// One account that is refused from very many networks makes few records a minute, and all of
// its refusals are counted. They change nothing in the records of other accounts.
func TestRefusalsFromManyNetworksAreFewRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, _ := auditing(t)
		for n := range 1000 {
			q.add(fmt.Sprintf("2001:db8:5:%x::/64", n), wrongPassword("eve"))
			time.Sleep(10 * time.Millisecond)
		}
		q.add("2001:db8:5:1::/64", wrongPassword("eve"))
		q.add("2001:db8:5:1::/64", wrongPassword("ada"))
		time.Sleep(time.Second)
		l.expect(t, "a flood", maxRefusalNetworks+2, map[string]int{"eve": 1001, "ada": 1})
		time.Sleep(2 * time.Minute)
		q.add("2001:db8:6::/64", wrongPassword("bob")) // causes the sweep
		time.Sleep(time.Second)
		q.add("2001:db8:5:ffff::/64", wrongPassword("eve"))
		time.Sleep(time.Second)
		l.expect(t, "later", maxRefusalNetworks+4, map[string]int{"eve": 1002, "ada": 1, "bob": 1})
		q.mu.Lock()
		defer q.mu.Unlock()
		if len(q.spread) != 2 || len(q.windows) != 2 {
			t.Errorf("%d windows and %d counts are left", len(q.windows), len(q.spread))
		}
	})
}

// When a flood has filled the queue, further refusals are dropped, and one line a minute
// has their number. A record that waits continues to count.
func TestFloodOfRefusalsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, text := auditing(t)
		for second := range 62 {
			for n := range maxWaitingRefusal + 10 {
				q.add("192.0.2.0", wrongPassword(fmt.Sprintf("%d-%d", second, n)))
			}
			q.mu.Lock()
			if len(q.waiting) > maxWaitingRefusal || len(q.windows) > maxRefusalWindows {
				t.Errorf("%d wait and %d are remembered", len(q.waiting), len(q.windows))
			}
			q.mu.Unlock()
			time.Sleep(time.Second)
		}
		synctest.Wait()
		l.mu.Lock()
		if n := len(l.ids); n != 62*maxWaitingRefusal {
			t.Errorf("%d records, want %d", n, 62*maxWaitingRefusal)
		}
		l.mu.Unlock()
		lines := strings.Count(text.String(), "refusals not recorded")
		if lines != 2 || !strings.Contains(text.String(), "dropped=600") {
			t.Errorf("%d lines about the dropped, want one a minute: %s", lines, text)
		}
		time.Sleep(2 * time.Minute)
		for range 2 { // the first finds no room, and causes the sweep of ended records
			q.add("192.0.2.0", wrongPassword("ada"))
			time.Sleep(time.Second)
		}
		q.mu.Lock()
		if len(q.windows) != 1 {
			t.Errorf("%d ended records are left", len(q.windows))
		}
		q.mu.Unlock()
	})
}

// While the database does not respond, no refusal is lost as long as there is room.
func TestRefusalsWaitForTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, text := auditing(t)
		l.fail(errors.New("away"))
		for range 20 {
			q.add("192.0.2.0", wrongPassword("ada"))
			time.Sleep(time.Second)
		}
		l.expect(t, "away", 0, map[string]int{})
		l.fail(nil)
		time.Sleep(time.Second)
		l.expect(t, "back", 1, map[string]int{"ada": 20})
		if n := strings.Count(text.String(), "\n"); n != 1 || !strings.Contains(text.String(), "level=WARN") || !strings.Contains(text.String(), "err=away") {
			t.Errorf("%d lines: %s", n, text)
		}
	})
}

// Refusals that are lost because the database does not respond are an error, even if it
// responds again when the log line is due.
func TestRefusalsLostInAnOutageAreAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, text := auditing(t)
		l.fail(errors.New("away"))
		for i := range maxWaitingRefusal + 10 {
			q.add("192.0.2.0", wrongPassword(fmt.Sprint("user", i)))
			if i == 0 {
				time.Sleep(time.Second) // the line that one waits
			}
		}
		time.Sleep(time.Second)
		l.fail(nil)
		time.Sleep(time.Minute)
		q.add("192.0.2.0", wrongPassword("ada"))
		time.Sleep(time.Second)
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN msg=\"refusals wait") || !strings.Contains(lines[1], "level=ERROR msg=\"refusals not recorded\" dropped=1") {
			t.Errorf("%d lines:\n%s", len(lines), text)
		}
	})
}

// Refusals beyond the room of the queue are no error, also in the line at the end.
func TestCloseTellsOfAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _, text := auditing(t)
		for i := range maxWaitingRefusal + 10 {
			q.add("192.0.2.0", wrongPassword(fmt.Sprint("user", i)))
		}
		q.stop(t.Context())
		synctest.Wait()
		if strings.Count(text.String(), "\n") != 1 || !strings.Contains(text.String(), "level=WARN msg=\"refusals not recorded\" dropped=10") {
			t.Errorf("log: %s", text)
		}
	})
}

func TestCloseWritesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, _ := auditing(t)
		q.add("192.0.2.0", wrongPassword("ada"))
		q.stop(t.Context())
		l.expect(t, "closed", 1, map[string]int{"ada": 1})
	})
}

// A connection that breaks during shutdown loses no refusal. If the database does not
// respond, the retries end.
func TestCloseRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, text := auditing(t)
		q.add("192.0.2.0", wrongPassword("ada"))
		l.fail(errors.New("connection reset"))
		time.AfterFunc(refusalDelay/2, func() { l.fail(nil) })
		q.stop(t.Context())
		l.expect(t, "closed", 1, map[string]int{"ada": 1})
		if text.Len() > 0 {
			t.Errorf("log: %s", text)
		}
		b, l, text := auditing(t)
		b.add("192.0.2.0", wrongPassword("ada"))
		l.fail(errors.New("away"))
		b.stop(t.Context())
		l.expect(t, "closed without a database", 0, map[string]int{})
		if !strings.Contains(text.String(), "dropped=1") || strings.Count(text.String(), "\n") != 1 {
			t.Errorf("log: %s", text)
		}
	})
}

// A database that hangs holds a shutdown no longer than its deadline.
func TestCloseKeepsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l, text := auditing(t)
		l.hangs = true
		q.add("192.0.2.0", wrongPassword("ada"))
		time.Sleep(time.Second) // a write hangs now
		q.add("192.0.2.0", wrongPassword("bob"))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		started := time.Now()
		q.stop(ctx)
		if took := time.Since(started); took != 2*time.Second {
			t.Errorf("Close took %v", took)
		}
		<-q.ended // the write has its own bound
		if !strings.Contains(text.String(), "dropped=") {
			t.Errorf("the log has no number: %s", text)
		}
	})
}

// The state counts the records that wait, and all that was lost since the start.
func TestAuditStateCountsWaitingAndLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.stored()
		for range 3 {
			f.auditor.recordFailure(t.Context(), f.ada(store.AuditLogin), tokens.ErrWrongPassword) // equal: one record
		}
		if got := f.auditor.State(); got != (AuditState{Waiting: 1}) {
			t.Errorf("before the write: %+v", got)
		}
		time.Sleep(2 * refusalDelay)
		synctest.Wait()
		if got := f.auditor.State(); got != (AuditState{}) {
			t.Errorf("after the write: %+v", got)
		}
		f.auditor.events = noRecords{f.events, store.ErrKept}
		f.auditor.recordSuccess(t.Context(), f.ada(store.AuditLogin), "s0")
		if got := f.auditor.State(); got != (AuditState{}) {
			t.Errorf("with an event that is recorded later: %+v", got)
		}
		f.auditor.events = noRecords{f.events, store.ErrUnavailable}
		f.auditor.recordSuccess(t.Context(), f.ada(store.AuditLogin), "s1")
		if got := f.auditor.State(); got != (AuditState{Lost: 1}) {
			t.Errorf("without a database: %+v", got)
		}
		for i := range maxWaitingRefusal + 7 {
			f.auditor.refusals.add("192.0.2.1", wrongPassword(fmt.Sprint(i)))
		}
		if got := f.auditor.State(); got != (AuditState{Waiting: maxWaitingRefusal, Lost: 8}) {
			t.Errorf("with a full queue: %+v", got)
		}
	})
}

// noRecords is an audit log that takes no events.
type noRecords struct {
	AuditLog
	err error
}

func (n noRecords) Record(context.Context, store.Event) error { return n.err }

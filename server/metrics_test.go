package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/server/config"
	"cubegate/store"
	"cubegate/tokens"
)

// scraped returns the text of one scrape.
func scraped(t *testing.T, m *meters) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// idle are parts without load.
func idle() liveParts {
	return liveParts{
		hashing: func() tokens.HashState {
			return tokens.HashState{Slots: 3, Running: 2, Classes: map[tokens.HashClass]tokens.HashLoad{tokens.Strangers: {Waiting: 40, Lanes: 7}, tokens.Known: {Waiting: 1, Lanes: 1}}}
		},
		auditing:     func() identity.AuditState { return identity.AuditState{Waiting: 5, Lost: 9} },
		cube:         func() connectycube.Health { return connectycube.Health{Suspended: true} },
		countBacklog: func(context.Context) (store.Backlog, error) { return store.Backlog{}, nil },
	}
}

// Scrapes within a few seconds share one look at the database, which has a deadline. While
// the database does not answer, the last numbers stay, and database_up says so.
func TestScrapesLookAtTheBacklogWithBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(config.Config{})
		looks, found, away := 0, store.Backlog{Accounts: 12, Revocations: 3, OldestAge: 90 * time.Second}, error(nil)
		parts := idle()
		parts.countBacklog = func(ctx context.Context) (store.Backlog, error) {
			looks++
			if away != nil {
				<-ctx.Done()
				return store.Backlog{}, away
			}
			return found, nil
		}
		m.collectFrom(parts)
		expect := func(when string, wantLooks int, lines ...string) {
			t.Helper()
			text := scraped(t, m)
			for _, line := range lines {
				if !strings.Contains(text, "\n"+line+"\n") {
					t.Errorf("%s: no line %q:\n%s", when, line, text)
				}
			}
			if looks != wantLooks {
				t.Errorf("%s: %d looks at the database, want %d", when, looks, wantLooks)
			}
		}
		first := []string{`cubegate_provisioning_backlog{queue="accounts"} 12`, `cubegate_provisioning_backlog{queue="revocations"} 3`, `cubegate_provisioning_oldest_age_seconds 90`}
		expect("first", 1, append(first, "cubegate_database_up 1")...)
		found.Accounts = 13
		expect("at once", 1, first...)
		time.Sleep(backlogMaxAge)
		expect("later", 2, `cubegate_provisioning_backlog{queue="accounts"} 13`)
		away = errors.New("no answer")
		time.Sleep(backlogMaxAge)
		began := time.Now()
		expect("without a database", 3, `cubegate_provisioning_backlog{queue="accounts"} 13`, "cubegate_database_up 0")
		if took := time.Since(began); took != backlogTimeout {
			t.Errorf("the scrape took %v, want the deadline", took)
		}
		expect("still without", 3, "cubegate_database_up 0")
	})
}

func TestScrapeReadsTheParts(t *testing.T) {
	m := newMetrics(config.Config{})
	m.collectFrom(idle())
	text := scraped(t, m)
	for _, line := range []string{
		`cubegate_hash_queue_waiting{class="strangers"} 40`, `cubegate_hash_queue_waiting{class="known"} 1`, `cubegate_hash_queue_lanes{class="strangers"} 7`,
		`cubegate_hash_running 2`, `cubegate_hash_slots 3`, `cubegate_audit_queue_waiting 5`, `cubegate_audit_lost_total 9`, `cubegate_connectycube_suspended 1`,
		`cubegate_stand_in{service="connectycube"} 1`, `cubegate_stand_in{service="database"} 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q:\n%s", line, text)
		}
	}
	var real config.Config
	real.ConnectyCube.AppID, real.Mongo.URI = 7, "mongodb://h"
	m = newMetrics(real)
	m.collectFrom(idle())
	if text := scraped(t, m); strings.Count(text, "\ncubegate_stand_in{") != 2 || strings.Contains(text, `cubegate_stand_in{service="database"} 1`) || strings.Contains(text, `cubegate_stand_in{service="connectycube"} 1`) {
		t.Errorf("a server without stand-ins has:\n%s", text)
	}
}

// What the program does not know adds no series and does not panic.
func TestObserversTakeEveryValue(t *testing.T) {
	m := newMetrics(config.Config{})
	m.collectFrom(idle())
	before := strings.Count(scraped(t, m), "\n")
	m.operation(t.Context(), "zebra", apierror.ReasonNone)
	m.operation(t.Context(), "login", "zebra")
	m.code(t.Context(), "ZEBRA")
	m.budget("zebra")
	m.command(store.Command{Name: "zebra", Took: time.Second})
	m.command(store.Command{Name: "find", Failed: true, Took: time.Second})
	m.hashWait(tokens.HashWait{Class: tokens.Known, Err: &tokens.QueueError{Reason: tokens.ErrLaneFull}})
	m.hashWait(tokens.HashWait{Class: tokens.Known, Took: time.Second, Err: context.Canceled})
	m.exchange(connectycube.Exchange{Result: connectycube.ResultSuspended})
	m.exchange(connectycube.Exchange{Result: connectycube.ResultRateLimited, Took: 30 * time.Millisecond})
	text := scraped(t, m)
	if strings.Count(text, "\n") != before || strings.Contains(text, "zebra") {
		t.Errorf("new lines:\n%s", text)
	}
	for _, line := range []string{
		`cubegate_database_commands_total{command="other",outcome="ok"} 1`, `cubegate_database_commands_total{command="find",outcome="failed"} 1`,
		`cubegate_hash_refusals_total{class="known",reason="lane_full"} 1`, `cubegate_hash_wait_seconds_count{class="known"} 1`, `cubegate_hash_refusals_total{class="strangers",reason="queue_full"} 0`,
		`cubegate_connectycube_requests_total{result="suspended"} 1`, `cubegate_connectycube_request_duration_seconds_count 1`,
		`cubegate_connectycube_request_duration_seconds_bucket{le="0.05"} 1`, `cubegate_connectycube_request_duration_seconds_bucket{le="0.025"} 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q:\n%s", line, text)
		}
	}
}

// Requests pay for each observation, so none allocates memory.
func TestObserversAllocateNothing(t *testing.T) {
	m := newMetrics(config.Config{})
	ctx := t.Context()
	for name, observe := range map[string]func(){
		"operation": func() { m.operation(ctx, "verify", apierror.ReasonNone) },
		"code":      func() { m.code(ctx, apierror.Unauthenticated) },
		"budget":    func() { m.budget("account") },
		"exchange":  func() { m.exchange(connectycube.Exchange{Result: connectycube.ResultOK, Took: time.Millisecond}) },
		"command":   func() { m.command(store.Command{Name: "find", Took: time.Millisecond}) },
		"hash wait": func() { m.hashWait(tokens.HashWait{Class: tokens.Known, Took: time.Millisecond}) },
	} {
		if n := testing.AllocsPerRun(100, observe); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

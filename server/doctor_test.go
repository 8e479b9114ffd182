package server

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/server/config"
	"cubegate/store"
)

// The client IP that the server sees tells which proxies it trusts.
func TestProxyFindings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		url, seen   string
		trusted     []string
		tls         bool
		state, text string
	}{
		"no URL":                  {"", "", nil, false, stateSkipped, "PUBLIC_URL is not set"},
		"no answer":               {"https://a.example", "", nil, false, stateSkipped, "told no client address"},
		"direct":                  {"http://a.example", "8.8.8.8", nil, false, stateOK, "sees this machine as 8.8.8.8"},
		"direct, TLS":             {"https://a.example", "8.8.8.8", nil, true, stateOK, "sees this machine as 8.8.8.8"},
		"none is trusted":         {"https://a.example", "10.0.0.2", nil, false, stateFailed, "TRUSTED_PROXIES is empty"},
		"trusted":                 {"https://a.example", "8.8.8.8", []string{"198.51.100.0/24"}, false, stateOK, "8.8.8.8"},
		"another is trusted":      {"https://a.example", "198.18.0.9", []string{"198.51.100.0/24"}, false, stateOK, "198.18.0.9"},
		"a private one is not":    {"https://a.example", "10.99.99.9", []string{"198.51.100.0/24"}, false, stateFailed, "takes the proxy 10.99.99.9 for a client"},
		"the header passes":       {"https://a.example", forged, []string{"198.51.100.0/24"}, false, stateFailed, "clients can choose their address"},
		"this machine is trusted": {"https://a.example", forged, []string{"127.0.0.0/8"}, false, stateSkipped, "itself among TRUSTED_PROXIES"},
	} {
		d := &doctor{commandSetup: newCommandSetup(config.Config{}, slog.New(slog.DiscardHandler)), seen: tt.seen}
		d.cfg.HTTP.PublicURL, d.cfg.HTTP.TrustedProxies, d.cfg.TLS = tt.url, tt.trusted, tt.tls
		if f := (webChecks{d}).checkProxy(t.Context()); f.State != tt.state || !strings.Contains(f.Found+f.Cause, tt.text) {
			t.Errorf("%s: %+v, want %s: %s", name, f, tt.state, tt.text)
		}
	}
}

func TestDatabaseFindings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		f     finding
		state string
	}{
		{versionFinding(store.Facts{Version: "7.0.14"}), stateOK}, {versionFinding(store.Facts{Version: "5.0.0-rc1"}), stateOK},
		{versionFinding(store.Facts{Version: "4.4.29"}), stateWarning}, {versionFinding(store.Facts{Version: "x"}), stateWarning},
		{replicaFinding(store.Facts{Writable: true, ReplicaSet: "rs0"}), stateOK}, {replicaFinding(store.Facts{Writable: true, Sharded: true}), stateOK},
		{replicaFinding(store.Facts{Writable: true}), stateWarning}, {replicaFinding(store.Facts{ReplicaSet: "rs0"}), stateFailed},
		{clockFinding(store.Facts{ClockAhead: 4 * time.Second}), stateOK}, {clockFinding(store.Facts{ClockAhead: 6 * time.Second}), stateFailed},
		{clockFinding(store.Facts{ClockAhead: -time.Hour}), stateFailed}, {clockFinding(store.Facts{ClockAhead: 6 * time.Second, ClockPrecision: 4 * time.Second}), stateOK},
		{indexFinding(store.Facts{}), stateOK}, {indexFinding(store.Facts{MissingIndexes: []string{"users.email_1"}}), stateWarning},
	} {
		if tt.f.State != tt.state {
			t.Errorf("%+v, want %s", tt.f, tt.state)
		}
	}
}

// A check that does not return at its limit has failed, and the next ones are skipped.
func TestCheckHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		d := &doctor{}
		begun := time.Now()
		results, hangs := d.examine(t.Context(), checkup{"stuck", time.Minute, func(context.Context) finding { <-free; return found("late") }})
		if len(results) != 1 || results[0].State != stateFailed || results[0].Check != "stuck" || !strings.Contains(results[0].Cause, "no result after 1m0s") || !hangs {
			t.Errorf("%+v, %t", results, hangs)
		}
		if took := time.Since(begun); took != time.Minute+cleanUpWait {
			t.Errorf("took %s", took)
		}
		close(free)
		results, hangs = d.examine(t.Context(), checkup{"slow", time.Minute, func(ctx context.Context) finding { <-ctx.Done(); return skipped("late") }})
		if len(results) != 1 || results[0].State != stateSkipped || hangs {
			t.Errorf("%+v, %t", results, hangs)
		}
	})
}

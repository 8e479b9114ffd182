package middleware

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	refusalsEvery     = time.Second // between two log lines
	maxRefusalClients = 1000        // client IPs counted separately in that time
	maxRefusalCodes   = 20
)

// refusals counts the requests that a limit refused, so that a flood of requests is not
// a flood of log lines.
type refusals struct {
	log *slog.Logger

	mu      sync.Mutex
	level   slog.Level
	count   int
	codes   map[string]int
	clients map[string]int // the first maxRefusalClients
	timer   *time.Timer    // nil: nothing is counted
}

// Refused reports that a limit refused the request of ctx before any work was done.
// RequestLog then counts the request by code instead of logging it. It logs the counts
// once a second, at the highest of their levels. Refused returns false if no RequestLog
// handles the request.
func Refused(ctx context.Context, level slog.Level, code string) bool {
	state, ok := ctx.Value(requestStateKey{}).(*requestState)
	if ok {
		state.mu.Lock()
		defer state.mu.Unlock()
		state.refusal, state.level = code, level
	}
	return ok
}

func (r *refusals) add(level slog.Level, code, client string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer == nil {
		r.level, r.count, r.codes, r.clients = level, 0, map[string]int{}, map[string]int{}
		r.timer = time.AfterFunc(refusalsEvery, r.flush)
	}
	r.level = max(r.level, level)
	r.count++
	if _, known := r.codes[code]; known || len(r.codes) < maxRefusalCodes {
		r.codes[code]++
	}
	if _, known := r.clients[client]; known || len(r.clients) < maxRefusalClients {
		r.clients[client]++
	}
}

// flush logs the counts, if there are any.
func (r *refusals) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer == nil {
		return
	}
	r.timer.Stop()
	r.timer = nil
	attrs := []slog.Attr{slog.Int("count", r.count)}
	for _, code := range slices.Sorted(maps.Keys(r.codes)) {
		attrs = append(attrs, slog.Int(strings.ToLower(code), r.codes[code]))
	}
	busiest := ""
	for client, n := range r.clients {
		if n > r.clients[busiest] || n == r.clients[busiest] && client < busiest {
			busiest = client
		}
	}
	attrs = append(attrs, slog.Int("clients", len(r.clients)),
		slog.String("busiest_client", busiest), slog.Int("busiest_count", r.clients[busiest]))
	r.log.LogAttrs(context.Background(), r.level, "requests refused", attrs...)
}

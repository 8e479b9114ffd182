package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// probes serves the health probes. Its fields must be set before the first use.
type probes struct {
	database     func(context.Context) error // returns an error if the database does not respond
	connectyCube func() string               // returns a word for its state, which does not decide readiness
	log          *slog.Logger

	stopping atomic.Bool
}

// stop makes the process unready while running requests finish.
func (p *probes) stop() { p.stopping.Store(true) }

// alive answers 200. It checks nothing else, so that a failure of the database does not
// restart the process.
func (p *probes) alive(w http.ResponseWriter, _ *http.Request) {
	writeStatus(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 while the server can serve requests, else 503.
func (p *probes) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	state := map[string]string{"status": "ok", "database": "ok", "connectycube": p.connectyCube()}
	status := http.StatusOK
	if err := p.database(ctx); err != nil {
		p.log.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.Any("err", err))
		state["status"], state["database"], status = "unready", "unavailable", http.StatusServiceUnavailable
	}
	if p.stopping.Load() {
		state["status"], status = "stopping", http.StatusServiceUnavailable
	}
	writeStatus(w, status, state)
}

func writeStatus(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

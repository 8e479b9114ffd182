package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Health serves the health probes. Its fields must be set before the first use.
type Health struct {
	Database     func(context.Context) error // returns an error if the database does not respond
	ConnectyCube func() string               // returns a word for its state, which does not decide readiness
	Log          *slog.Logger

	stopping atomic.Bool
}

// Stop makes the process unready while running requests finish.
func (h *Health) Stop() { h.stopping.Store(true) }

// Alive answers 200. It checks nothing else, so that a failure of the database does not
// restart the process.
func (h *Health) Alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// Ready answers 200 while the server can serve requests, else 503.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	state := map[string]string{"status": "ok", "database": "ok", "connectycube": h.ConnectyCube()}
	status := http.StatusOK
	if err := h.Database(ctx); err != nil {
		h.Log.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.Any("err", err))
		state["status"], state["database"], status = "unready", "unavailable", http.StatusServiceUnavailable
	}
	if h.stopping.Load() {
		state["status"], status = "stopping", http.StatusServiceUnavailable
	}
	writeJSON(w, status, state)
}

// Home serves a page that links to the playground.
func Home(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `Hello World!
<p>This is cubegate. The GraphQL playground is at <a href="/api">/api</a>; apps POST there.</p>
`)
}

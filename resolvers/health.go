package resolvers

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Health answers those who watch over the process. Its fields must be set
// before the first use.
type Health struct {
	Database     func(context.Context) error // asks the database whether it is there
	ConnectyCube func() string               // a word for its state, which is told and not required
	Log          *slog.Logger

	stopping atomic.Bool
}

// Stop makes the process unready, for as long as it still answers: until what
// is running has finished.
func (h *Health) Stop() { h.stopping.Store(true) }

// Alive answers as long as the process does. It asks nobody, so that a
// database's trouble does not get the process restarted.
func (h *Health) Alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// Ready answers 200 while requests can be served, else 503.
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

// Home greets a person who has opened the server's address.
func Home(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `Hello World!
<p>This is cubegate. The GraphQL playground is at <a href="/api">/api</a>; apps POST there.</p>
`)
}

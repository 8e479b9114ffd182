package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"cubegate/server/config"

	"github.com/go-chi/chi/v5"
)

// deadlineRecorder notes the write deadlines that handlers set.
type deadlineRecorder struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (r *deadlineRecorder) SetWriteDeadline(t time.Time) error {
	r.deadlines = append(r.deadlines, t)
	return nil
}

// openQuick opens a server with both stand-ins until the test ends.
func openQuick(t *testing.T) *Server {
	t.Helper()
	defaults, err := os.ReadFile("../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOST": "127.0.0.1", "PORT": "0", "SANDBOX_PORT": "0", "DATA_DIR": t.TempDir(), "PASSWORD_MEMORY": "64"}
	cfg, err := config.Load(defaults, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A route that does work has time for it, and all others have the server's short
// timeout. The table has each mounted route.
func TestWriteTimeoutOfEachRoute(t *testing.T) {
	t.Parallel()
	s := openQuick(t)
	if s.api.server.WriteTimeout != pageTimeout || pageTimeout <= readTimeout {
		t.Errorf("the server's write timeout is %v; want %v, more than %v to read a request", s.api.server.WriteTimeout, pageTimeout, readTimeout)
	}
	work := (&setup{Server: s}).workTimeout()
	if client := 3 * s.cfg.ConnectyCube.Timeout; work <= client {
		t.Errorf("the write timeout of a login is %v; want more than the %v that ConnectyCube may take", work, client)
	}
	const page = 0 // the server's
	want := map[string]time.Duration{
		"GET /":                      page,
		"GET /healthz":               page,
		"GET /readyz":                page,
		"GET /docs":                  page,
		"* /docs/reference/*":        assetTimeout,
		"* /welcome/*":               assetTimeout,
		"GET /openapi.json":          page,
		"GET /.well-known/jwks.json": page,
		"GET /api":                   work,
		"* /api/playground/*":        assetTimeout,
		"POST /api":                  work,
		"GET " + VerifyPath:          work,
		"POST " + VerifyPath:         work,
		"POST /auth/register":        work,
		"POST /auth/login":           work,
		"POST /auth/login-by-token":  work,
		"POST /auth/refresh":         work,
		"POST /auth/logout":          work,
		"GET /auth/me":               work,
		"GET /auth/sessions":         work,
		"DELETE /auth/sessions":      work,
		"DELETE /auth/sessions/{id}": work,
	}
	seen := map[string]bool{}
	err := chi.Walk(s.api.server.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		name := method + " " + route
		if strings.HasSuffix(route, "*") { // mounted for all methods
			name = "* " + route
		}
		limit, known := want[name]
		if !known {
			t.Errorf("the table lacks %s", name)
		}
		seen[name] = true
		w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
		earliest := time.Now().Add(limit)
		s.api.server.Handler.ServeHTTP(w, httptest.NewRequest(method, strings.NewReplacer("{id}", "x", "*", "x").Replace(route), nil))
		latest := time.Now().Add(limit)
		switch {
		case limit == page && len(w.deadlines) > 0:
			t.Errorf("%s sets a write deadline of its own", name)
		case limit != page && (len(w.deadlines) == 0 || w.deadlines[0].Before(earliest) || w.deadlines[0].After(latest)):
			t.Errorf("%s sets the write deadlines %v, want first one in %v", name, w.deadlines, limit)
		}
		return nil
	})
	if err != nil || len(seen) != len(want) {
		t.Errorf("%d routes of %d are mounted, %v", len(seen), len(want), err)
	}
}

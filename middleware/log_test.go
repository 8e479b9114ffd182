package middleware_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/middleware"

	"github.com/go-chi/chi/v5"
)

// router returns a router like the server's, with a few routes, and its log.
func router(t testing.TB) (*chi.Mux, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	log := slog.New(middleware.WithRequestID(slog.NewJSONHandler(&out, nil)))
	r := chi.NewRouter()
	cors, err := middleware.CORS([]string{"https://app.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	clientIP, err := middleware.ClientIP(nil, middleware.XForwardedFor, log)
	if err != nil {
		t.Fatal(err)
	}
	r.Use(middleware.RequestID, clientIP, middleware.NewRequestLog(log, nil).Middleware, middleware.SecurityHeaders,
		middleware.Recover(log, refuse), cors, middleware.NormalizePath)
	r.Get("/", answer("root"))
	r.Get("/auth/verify-connectycube", answer("verify"))
	r.Post("/api", answer("api"))
	r.Get("/users/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, chi.URLParam(r, "id")) })
	r.Get("/silent", func(http.ResponseWriter, *http.Request) {})
	r.Get("/slow", func(w http.ResponseWriter, _ *http.Request) { time.Sleep(2 * time.Second) })
	r.Get("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	r.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("password hunter2") })
	return r, &out
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	io.WriteString(w, `{"code":"INTERNAL_SERVER_ERROR"}`)
}

func TestOneLineForEachRequest(t *testing.T) {
	long := "/" + strings.Repeat("é", 4000)
	tests := []struct {
		name, method, target, path, route string
		status, bytes                     float64
	}{
		{"a route", "POST", "/api", "/api", "/api", 200, 3},
		{"a token in the query", "GET", "/auth/verify-connectycube?token=eyJhbGciOi.secret.sig", "/auth/verify-connectycube", "/auth/verify-connectycube", 200, 6},
		{"a token in the path", "GET", "/auth/verify-connectycube/EF2A73490A7D73DB038B61A272E5D346FBFF/x", "/auth/verify-connectycube/…/x", "", 404, 19},
		{"a token behind an escaped question mark", "GET", "/auth/verify-connectycube%3Ftoken=secret", "/auth/verify-connectycube", "", 404, 19},
		{"a pattern", "GET", "/users/42", "/users/42", "/users/{id}", 200, 2},
		{"no such route", "GET", "/nope", "/nope", "", 404, 19},
		{"another method", "DELETE", "/api", "/api", "", 405, 0},
		{"nothing written", "GET", "/silent", "/silent", "/silent", 200, 0},
		{"a panic", "GET", "/panic", "/panic", "/panic", 500, 32},
		{"a forged line", "GET", "/a%0Alevel=ERROR", "/a\nlevel=ERROR", "", 404, 19},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, out := router(t)
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(tt.method, tt.target, nil))
			text := out.String()
			lines := logged(t, out)
			line := lines[len(lines)-1]
			for key, want := range map[string]any{
				"level": "INFO", "msg": "request", "method": tt.method, "path": tt.path, "route": tt.route,
				"status": tt.status, "bytes": tt.bytes, "client": "192.0.2.1",
			} {
				if line[key] != want {
					t.Errorf("%s = %v, want %v", key, line[key], want)
				}
			}
			if line["request_id"] == "" || line["aborted"] != nil {
				t.Errorf("line = %v", line)
			}
			if strings.Contains(text, "token") || strings.Contains(text, "secret") {
				t.Errorf("the query is logged: %s", text)
			}
		})
	}
	t.Run("a long path and method", func(t *testing.T) {
		h, out := router(t)
		r := httptest.NewRequest("GET", long, nil)
		r.Method = strings.Repeat("M", 5000)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if out.Len() > 1200 {
			t.Errorf("a line of %d bytes", out.Len())
		}
	})
}

func TestLogHasTheDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out := router(t)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/slow", nil))
		if got := logged(t, out)[0]["took_ms"]; got != 2000.0 {
			t.Errorf("took_ms = %v, want 2000", got)
		}
	})
}

func TestLogMarksAbortedRequests(t *testing.T) {
	h, out := router(t)
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("recovered %v, want http.ErrAbortHandler for net/http", v)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/abort", nil))
	}()
	lines := logged(t, out)
	if len(lines) != 1 || lines[0]["aborted"] != true || lines[0]["status"] != 0.0 {
		t.Errorf("log = %v, want one line with aborted and no status", lines)
	}
}

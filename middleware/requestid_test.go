package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/middleware"
)

func TestRequestID(t *testing.T) {
	tests := []struct {
		name, sent string
		kept       bool
	}{
		{"none", "", false},
		{"plain", "abc-123_DEF.4", true},
		{"64 characters", strings.Repeat("a", 64), true},
		{"65 characters", strings.Repeat("a", 65), false},
		{"space", "a b", false},
		{"newline, a forged log line", "a\nlevel=INFO msg=request", false},
		{"quote", `a"b`, false},
		{"markup", "<script>", false},
		{"slash", "a/b", false},
		{"other letters", "é", false},
		{"NUL", "a\x00", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var inside string
			h := middleware.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				inside = middleware.RequestIDFrom(r.Context())
			}))
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["X-Request-Id"] = []string{tt.sent}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header().Get("X-Request-Id"); got != inside || inside == "" {
				t.Errorf("in the context %q, in the answer %q, want the same", inside, got)
			}
			if (inside == tt.sent) != tt.kept {
				t.Errorf("sent %q, used %q", tt.sent, inside)
			}
		})
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	h := middleware.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen[middleware.RequestIDFrom(r.Context())] = true
	}))
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	if len(seen) != 100 {
		t.Errorf("%d different IDs of 100", len(seen))
	}
	if id := middleware.RequestIDFrom(context.Background()); id != "" {
		t.Errorf("outside of a request the ID is %q", id)
	}
}

func TestLogLinesHaveTheRequestID(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(middleware.WithRequestID(slog.NewJSONHandler(&out, nil))).With("part", "test")
	h := middleware.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "inside")
		log.WithGroup("group").InfoContext(r.Context(), "grouped", "x", 1)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-Id", "id-1")
	h.ServeHTTP(httptest.NewRecorder(), r)
	log.InfoContext(context.Background(), "outside")

	lines := logged(t, &out)
	if got := lines[0]["request_id"]; got != "id-1" || lines[0]["part"] != "test" {
		t.Errorf("inside: %v", lines[0])
	}
	if group, _ := lines[1]["group"].(map[string]any); group["request_id"] != "id-1" {
		t.Errorf("in a group: %v", lines[1])
	}
	if _, there := lines[2]["request_id"]; there {
		t.Errorf("outside: %v", lines[2])
	}
}

// logged returns the lines of a JSON log.
func logged(t testing.TB, out *bytes.Buffer) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		lines = append(lines, m)
	}
	return lines
}

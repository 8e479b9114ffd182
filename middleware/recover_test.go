package middleware_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/middleware"
)

type login struct{ Password string }

func TestPanicsAreAnsweredAndLoggedWithoutTheirValue(t *testing.T) {
	var counts map[string]int
	tests := []struct {
		name   string
		panics func()
		want   string // in the log
	}{
		{"a string", func() { panic("bad password hunter2") }, "string"},
		{"an error", func() { panic(errors.New("bad password hunter2")) }, "*errors.errorString"},
		{"a struct", func() { panic(login{"hunter2"}) }, "middleware_test.login"},
		{"nil", func() { panic(nil) }, "panic called with nil argument"},
		{"out of range", func() { _ = []int{}[len("hunter2")] }, "index out of range [7] with length 0"},
		{"nil map", func() { counts["hunter2"] = 1 }, "assignment to entry in nil map"},
		{"wrong type", func() { _ = any(login{"hunter2"}).(string) }, "interface conversion"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
			h := middleware.Recover(log, refuse)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "5000")
				w.Header().Set("Set-Cookie", "a=b")
				tt.panics()
			}))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != 500 || w.Body.String() != `{"code":"INTERNAL_SERVER_ERROR"}` {
				t.Errorf("answer = %d %s", w.Code, w.Body)
			}
			if w.Header().Get("Content-Length") != "" || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("header = %v", w.Header())
			}
			if text := out.String(); strings.Contains(text, "hunter2") {
				t.Errorf("the panic's value is logged: %s", text)
			}
			line := logged(t, &out)[0]
			if got, _ := line["panic"].(string); !strings.Contains(got, tt.want) || line["level"] != "ERROR" {
				t.Errorf("log = %v, want %q", line, tt.want)
			}
			if stack, _ := line["stack"].(string); !strings.Contains(stack, "recover_test.go") || len(stack) > 16<<10 {
				t.Errorf("stack of %d bytes does not lead to the panic: %s", len(stack), stack)
			}
		})
	}
}

func TestDeepStacksAreBounded(t *testing.T) {
	var out bytes.Buffer
	var dive func(int) int
	dive = func(n int) int {
		if n == 0 {
			panic("deep")
		}
		return dive(n-1) + 1
	}
	h := middleware.Recover(slog.New(slog.NewJSONHandler(&out, nil)), refuse)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dive(10_000) }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if out.Len() > 24<<10 {
		t.Errorf("log of %d bytes", out.Len())
	}
}

// An answer that has begun must neither be followed by another one nor look complete:
// on a real connection the client sees it break off.
func TestPanicDuringAnAnswerCutsTheConnection(t *testing.T) {
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"alone":     func(h http.Handler) http.Handler { return h },
		"under Log": middleware.NewRequestLog(slog.New(slog.DiscardHandler), nil).Middleware,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			h := middleware.Recover(slog.New(slog.NewJSONHandler(&out, nil)), refuse)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "the first half")
				http.NewResponseController(w).Flush()
				panic("no second half")
			}))
			srv := httptest.NewServer(wrap(h))
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			srv.Close() // waits for the handler, which writes out
			if err == nil || string(body) != "the first half" || resp.StatusCode != 200 {
				t.Errorf("answer = %d %q, error %v, want a broken one", resp.StatusCode, body, err)
			}
			if lines := logged(t, &out); len(lines) != 1 || lines[0]["msg"] != "panic" {
				t.Errorf("log = %v", lines)
			}
		})
	}
}

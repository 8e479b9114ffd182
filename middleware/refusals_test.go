package middleware_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/middleware"
)

// logBuffer is a log to which a timer may write.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// take returns the lines since the last call.
func (b *logBuffer) take(t *testing.T) []map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := logged(t, &b.text)
	b.text.Reset()
	return lines
}

// limited returns a handler behind a RequestLog that refuses /busy and /limited.
func limited(t *testing.T) (*middleware.RequestLog, http.Handler, *logBuffer) {
	t.Helper()
	clientIP, err := middleware.ClientIP(nil, middleware.XForwardedFor, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	out := &logBuffer{}
	requests := middleware.NewRequestLog(slog.New(middleware.WithRequestID(slog.NewJSONHandler(out, nil))), nil)
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/limited":
			middleware.Refused(r.Context(), slog.LevelInfo, "RATE_LIMITED")
		case "/busy":
			middleware.Refused(r.Context(), slog.LevelWarn, "SERVICE_UNAVAILABLE")
		case "/aborted":
			middleware.Refused(r.Context(), slog.LevelInfo, "RATE_LIMITED")
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "answer")
	}
	return requests, middleware.RequestID(clientIP(requests.Middleware(http.HandlerFunc(handler)))), out
}

// visit requests a path from an address. It recovers from a panic.
func visit(h http.Handler, path, address string) {
	defer func() { _ = recover() }()
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = address + ":1234"
	h.ServeHTTP(httptest.NewRecorder(), r)
}

// The refusals of one second are one line; all other requests have their own lines.
func TestRefusedRequestsAreOneLineASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, out := limited(t)
		for range 500 {
			visit(h, "/limited", "192.0.2.7")
			visit(h, "/limited", "192.0.2.8")
			visit(h, "/limited", "192.0.2.7")
		}
		visit(h, "/ok", "192.0.2.9")
		visit(h, "/busy", "192.0.2.9")
		visit(h, "/aborted", "192.0.2.9")
		if lines := out.take(t); len(lines) != 2 || lines[0]["path"] != "/ok" || lines[1]["aborted"] != true {
			t.Errorf("before the second is over: %v; want what was answered, and what was cut off", lines)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		lines := out.take(t)
		if len(lines) != 1 {
			t.Fatalf("%d lines, want one: %v", len(lines), lines)
		}
		for key, want := range map[string]any{
			"level": "WARN", "msg": "requests refused", "count": 1501.0, "rate_limited": 1500.0, "service_unavailable": 1.0,
			"clients": 3.0, "busiest_client": "192.0.2.7", "busiest_count": 1000.0,
		} {
			if lines[0][key] != want {
				t.Errorf("%s = %v, want %v", key, lines[0][key], want)
			}
		}
		time.Sleep(time.Minute)
		visit(h, "/limited", "192.0.2.8")
		time.Sleep(time.Second)
		synctest.Wait()
		if lines := out.take(t); len(lines) != 1 || lines[0]["count"] != 1.0 || lines[0]["level"] != "INFO" || lines[0]["busiest_client"] != "192.0.2.8" {
			t.Errorf("a minute later: %v", lines)
		}
	})
}

func TestCloseLogsTheRemainingRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, h, out := limited(t)
		visit(h, "/limited", "192.0.2.7")
		requests.Close()
		requests.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if lines := out.take(t); len(lines) != 1 || lines[0]["count"] != 1.0 {
			t.Errorf("log = %v, want one line", lines)
		}
	})
}

// A flood from many addresses is counted in full, in bounded memory.
func TestRefusalsOfManyClientsAreBounded(t *testing.T) {
	requests, h, out := limited(t)
	for n := range 3000 {
		visit(h, "/limited", fmt.Sprintf("10.0.%d.%d", n/250, n%250))
	}
	requests.Close()
	total, clients := 0.0, 0.0
	for _, line := range out.take(t) { // two lines, if a second has passed
		total += line["count"].(float64)
		clients = max(clients, line["clients"].(float64))
	}
	if total != 3000 || clients > 1000 {
		t.Errorf("%v refusals of %v clients, want 3000 of at most 1000", total, clients)
	}
}

func TestRefusedOutsideOfARequest(t *testing.T) {
	if middleware.Refused(t.Context(), slog.LevelInfo, "RATE_LIMITED") {
		t.Error("a refusal outside of a request is counted")
	}
}

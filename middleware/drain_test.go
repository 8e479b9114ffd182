package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/middleware"
)

// gated returns a handler behind a Drain that spends the time busy on each request.
func gated(d *middleware.Drain, busy time.Duration) http.Handler {
	exempt := func(r *http.Request) bool { return r.URL.Path == "/exempt" }
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	return d.Middleware(exempt, refuse)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(busy) }))
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestDrainLetsRunningRequestsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d middleware.Drain
		h := gated(&d, time.Second)
		started, status := time.Now(), make(chan int, 1)
		go func() { status <- get(h, "/").Code }()
		synctest.Wait()
		if err := d.Close(t.Context()); err != nil || time.Since(started) != time.Second {
			t.Errorf("Close = %v after %v; want it to wait for the request, 1s", err, time.Since(started))
		}
		if code := <-status; code != http.StatusOK {
			t.Errorf("the running request got %d", code)
		}
		if w := get(h, "/"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Connection") != "close" {
			t.Errorf("a new request got %d, Connection %q", w.Code, w.Header().Get("Connection"))
		}
		if w := get(h, "/exempt"); w.Code != http.StatusOK {
			t.Errorf("an exempt request got %d", w.Code)
		}
	})
}

func TestDrainStopsWaitingWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d middleware.Drain
		h := gated(&d, time.Hour)
		go get(h, "/")
		go get(h, "/exempt")
		synctest.Wait()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close = %v, want the error of the context", err)
			}
			cancel()
		}
		time.Sleep(time.Hour) // both requests end
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("Close of an empty drain = %v", err)
		}
	})
}

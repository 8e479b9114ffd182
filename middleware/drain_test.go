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

// gated is a handler behind a Drain that is busy for a while with each request.
func gated(d *middleware.Drain, busy time.Duration) http.Handler {
	always := func(r *http.Request) bool { return r.URL.Path == "/always" }
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	return d.Gate(always, refuse)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(busy) }))
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestDrainLetsThoseInsideFinish(t *testing.T) {
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
			t.Errorf("the one inside got %d", code)
		}
		if w := get(h, "/"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Connection") != "close" {
			t.Errorf("a new request got %d, Connection %q", w.Code, w.Header().Get("Connection"))
		}
		if w := get(h, "/always"); w.Code != http.StatusOK {
			t.Errorf("one that must get in got %d", w.Code)
		}
	})
}

func TestDrainWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d middleware.Drain
		h := gated(&d, time.Hour)
		go get(h, "/")
		go get(h, "/always")
		synctest.Wait()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close = %v, want the context's end", err)
			}
			cancel()
		}
		time.Sleep(time.Hour) // both leave
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("Close of an empty drain = %v", err)
		}
	})
}

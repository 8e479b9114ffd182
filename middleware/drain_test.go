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
	return d.Middleware(exempt)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(busy) }))
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
	})
}

// A proxy in front of two processes must not repeat a login, so a process that stops
// serves each request that reaches it, and tells the proxy to go elsewhere next time.
func TestDrainServesNewRequestsAndEndsTheirConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d middleware.Drain
		h := gated(&d, time.Second)
		for _, path := range []string{"/", "/exempt"} {
			if w := get(h, path); w.Code != http.StatusOK || w.Header().Get("Connection") != "" {
				t.Errorf("before Close, %s got %d, Connection %q", path, w.Code, w.Header().Get("Connection"))
			}
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/", "/exempt"} {
			if w := get(h, path); w.Code != http.StatusOK || w.Header().Get("Connection") != "close" {
				t.Errorf("after Close, %s got %d, Connection %q", path, w.Code, w.Header().Get("Connection"))
			}
		}
	})
}

// Under steady load there is always a running request.
func TestDrainUnderLoadWaitsForEarlyRequestsOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		early time.Duration // of the request that runs at Close
		want  time.Duration
	}{
		"the early request is short": {100 * time.Millisecond, time.Second},
		"the early request is long":  {5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d middleware.Drain
				go get(gated(&d, tt.early), "/")
				synctest.Wait()
				done := make(chan struct{})
				for at := range 2 { // two clients, whose requests overlap
					go func() {
						for time.Sleep(time.Duration(at) * 50 * time.Millisecond); ; {
							select {
							case <-done:
								return
							default:
								get(gated(&d, 100*time.Millisecond), "/")
							}
						}
					}()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				started := time.Now()
				err := d.Close(ctx)
				close(done)
				if err != nil || time.Since(started) != tt.want {
					t.Errorf("Close = %v after %v, want nil after %v", err, time.Since(started), tt.want)
				}
				time.Sleep(time.Second) // the clients end
			})
		})
	}
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

// stream returns a handler behind d whose answer lasts until the client, or d,
// ends it.
func stream(d *middleware.Drain) http.Handler {
	none := func(*http.Request) bool { return false }
	return d.Middleware(none)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, hangUp := context.WithCancel(r.Context())
		defer hangUp()
		remove, ok := d.OnClose(func(context.Context) { hangUp() })
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer remove()
		<-ctx.Done()
	}))
}

func TestDrainMakesLongConnectionsHangUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d middleware.Drain
		started := time.Now()
		finished, hungUp := make(chan time.Duration, 1), make(chan time.Duration, 1)
		go func() { get(gated(&d, time.Minute), "/"); finished <- time.Since(started) }()
		go func() { get(stream(&d), "/"); hungUp <- time.Since(started) }()
		synctest.Wait()
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
		if at := <-hungUp; at != 0 {
			t.Errorf("the stream hung up after %v, want at once", at)
		}
		if at := <-finished; at != time.Minute || time.Since(started) != time.Minute {
			t.Errorf("the request ended after %v and Close after %v, want a minute", at, time.Since(started))
		}
	})
}

func TestDrainWaitsForHangUps(t *testing.T) {
	for _, tt := range []struct {
		name     string
		takes    time.Duration
		wantErr  error
		wantTook time.Duration
	}{
		{"within the deadline", time.Second, nil, time.Second},
		{"past the deadline", time.Hour, context.DeadlineExceeded, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d middleware.Drain
				deadline := time.Now().Add(time.Minute)
				d.OnClose(func(ctx context.Context) {
					if end, _ := ctx.Deadline(); !end.Equal(deadline) {
						t.Errorf("the deadline of a hang-up is %v, want that of Close, %v", end, deadline)
					}
					time.Sleep(tt.takes)
				})
				started := time.Now()
				ctx, cancel := context.WithDeadline(t.Context(), deadline)
				defer cancel()
				if err := d.Close(ctx); !errors.Is(err, tt.wantErr) || time.Since(started) != tt.wantTook {
					t.Errorf("Close = %v after %v, want %v after %v", err, time.Since(started), tt.wantErr, tt.wantTook)
				}
				time.Sleep(tt.takes) // the hang-up ends
			})
		})
	}
}

func TestDrainCallsNoHangUpOfAnEndedConnection(t *testing.T) {
	t.Parallel()
	var d middleware.Drain
	called := func(context.Context) { t.Error("the hang-up was called") }
	remove, ok := d.OnClose(called)
	if !ok {
		t.Error("an open Drain refuses a connection")
	}
	remove()
	if err := d.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	remove, ok = d.OnClose(called)
	if ok {
		t.Error("a closed Drain accepts a connection")
	}
	remove()
	if err := d.Close(t.Context()); err != nil {
		t.Errorf("the second Close = %v", err)
	}
}

package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A request, the background work and a resource all hang. They share one
// deadline, so that the shutdown takes the setting once and not once for each.
func TestShutdownSpendsItsTimeoutOnce(t *testing.T) {
	for name, hangs := range map[string][]string{
		"nothing hangs":       nil,
		"a request hangs":     {"request"},
		"the background":      {"background"},
		"closing a resource":  {"closer"},
		"a socket":            {"socket"},
		"all of them":         {"request", "socket", "background", "closer"},
		"the last two phases": {"background", "closer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const timeout = 3 * time.Second
				s := &Server{log: slog.New(slog.DiscardHandler), health: &probes{}, api: &endpoint{server: &http.Server{}}}
				s.cfg.ShutdownTimeout = timeout
				free := make(chan struct{})
				defer synctest.Wait()
				defer close(free)
				if slices.Contains(hangs, "request") {
					handler := s.requests.Middleware(func(*http.Request) bool { return false })(
						http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-free }))
					go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/api", nil))
				}
				s.requests.OnClose(func(ctx context.Context) {
					if slices.Contains(hangs, "socket") {
						<-ctx.Done()
					}
				})
				s.background.add(func(ctx context.Context) {
					if <-ctx.Done(); slices.Contains(hangs, "background") {
						<-free
					}
				})
				var deadlines []time.Time
				for range 2 {
					s.onClose(func(ctx context.Context) error {
						at, _ := ctx.Deadline()
						deadlines = append(deadlines, at)
						if slices.Contains(hangs, "closer") {
							<-ctx.Done()
						}
						return ctx.Err()
					})
				}
				ctx, stop := context.WithCancel(t.Context())
				s.background.start(ctx)
				synctest.Wait()
				stop()
				begun, want := time.Now(), time.Duration(0)
				if hangs != nil {
					want = timeout
				}
				if err := s.shutdown(ctx); err != nil {
					t.Errorf("shutdown: %v", err)
				}
				if took := time.Since(begun); took != want {
					t.Errorf("the shutdown took %v, want %v", took, want)
				}
				if end := begun.Add(timeout); !slices.Equal(deadlines, []time.Time{end, end}) {
					t.Errorf("deadlines of the closers: %v, want two of %v", deadlines, end)
				}
			})
		})
	}
}

// A resource that cannot be closed is an error, unless the deadline ended it.
func TestShutdownReportsWhatCannotBeClosed(t *testing.T) {
	broken := errors.New("broken")
	s := &Server{}
	s.onClose(func(context.Context) error { return broken })
	if err := s.Close(); !errors.Is(err, broken) {
		t.Errorf("close: %v, want %v", err, broken)
	}
}

// The text at the first signal counts what is open.
func TestStopTellsWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &Server{log: slog.New(slog.DiscardHandler), health: &probes{}, api: &endpoint{server: &http.Server{}}, notes: startNotes{out: &out}}
		s.cfg.ShutdownTimeout = 15 * time.Second
		free := make(chan struct{})
		handler := s.requests.Middleware(func(r *http.Request) bool { return r.URL.Path == VerifyPath })(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-free }))
		for _, path := range []string{"/api", "/api", VerifyPath} {
			go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
		}
		slow := make(chan struct{})
		s.background.add(func(ctx context.Context) { <-ctx.Done() })
		s.background.add(func(ctx context.Context) { <-slow })
		s.background.start(t.Context())
		synctest.Wait()
		stopped := make(chan error)
		go func() { stopped <- s.shutdown(t.Context()) }()
		synctest.Wait()
		const first = "\nStopping. Waiting at most 15s for 2 open requests, 1 callback and background work.\nCtrl-C again ends at once.\n"
		if out.String() != first {
			t.Errorf("told %q, want %q", out.String(), first)
		}
		close(free)
		time.Sleep(tellAfter)
		synctest.Wait()
		if want := first + "Waiting for 1 part of background work.\n"; out.String() != want {
			t.Errorf("told %q, want %q", out.String(), want)
		}
		close(slow)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

package middleware_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/middleware"

	"github.com/go-chi/chi/v5"
)

// pipes is a listener whose connections stay in the process, so that a test with
// a fake clock can use them. They buffer nothing: a write waits for its reader.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// dial returns a client's end and a function that sends GET path over it.
func (p *pipes) dial(t *testing.T) (net.Conn, func(path string)) {
	t.Helper()
	near, far := net.Pipe()
	p.accepted <- far
	t.Cleanup(func() { _ = near.Close() })
	return near, func(path string) {
		t.Helper()
		if _, err := io.WriteString(near, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	pageLimit = 20 * time.Second // the server's own
	workLimit = 2 * time.Minute
)

// serveTimeouts runs a server with a route of each kind until the test ends.
func serveTimeouts(t *testing.T, handler http.HandlerFunc) *pipes {
	t.Helper()
	r := chi.NewRouter()
	r.Use(middleware.NewRequestLog(slog.New(slog.DiscardHandler), nil).Middleware) // which wraps the writer
	r.Get("/page", handler)
	r.With(middleware.WriteTimeout(workLimit)).Get("/work", handler)
	r.With(middleware.WriteTimeout(0)).Get("/stream", handler)
	p := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: r, WriteTimeout: pageLimit, ReadTimeout: time.Second}
	go func() { _ = server.Serve(p) }()
	t.Cleanup(func() { _ = server.Close() })
	return p
}

// A client that stops reading is cut off after the timeout of the route, and one
// of a stream is not.
func TestWriteTimeoutCutsOffStalledReaders(t *testing.T) {
	for path, want := range map[string]time.Duration{"/page": pageLimit, "/work": workLimit, "/stream": 0} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cutAfter := make(chan time.Duration, 1)
				p := serveTimeouts(t, func(w http.ResponseWriter, _ *http.Request) {
					started := time.Now()
					_, err := w.Write(make([]byte, 1<<20))
					if err == nil {
						t.Error("the answer was written")
					}
					cutAfter <- time.Since(started)
				})
				client, send := p.dial(t)
				send(path)
				if want == 0 {
					time.Sleep(24 * time.Hour)
					_ = client.Close()
					want = 24 * time.Hour
				}
				if got := <-cutAfter; got != want {
					t.Errorf("cut off after %v, want %v", got, want)
				}
			})
		})
	}
}

// Work that takes longer than the server's own timeout is answered on a route
// with a longer one, and the next request of the connection has the server's
// timeout again.
func TestWriteTimeoutOutlastsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serveTimeouts(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Minute)
			w.WriteHeader(http.StatusNoContent)
		})
		client, send := p.dial(t)
		answers := bufio.NewReader(client)
		for _, path := range []string{"/work", "/stream", "/work"} {
			send(path)
			answer, err := http.ReadResponse(answers, nil)
			if err != nil || answer.StatusCode != http.StatusNoContent {
				t.Fatalf("%s: %v, %v", path, answer, err)
			}
		}
		send("/page")
		if answer, err := http.ReadResponse(answers, nil); err == nil {
			t.Errorf("/page after its timeout: %s", answer.Status)
		}
	})
}

package middleware

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Streams bounds the requests of HTTP/2, of which one connection carries many. Each
// takes a place of its own, like a connection, because it may take as much memory. A
// request without a place gets 503. That of a slow client can lose its place to another
// one, and is reset then (see displace). Requests of HTTP/1 pass, because their
// connection has a place.
//
// A connection of HTTP/2 waits while it has no request; it can be evicted then. The first
// bytes after a request put that off by evictionGrace.
func (l *Connections) Streams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		s := &stream{answer: http.NewResponseController(w)}
		s.on, _ = r.Context().Value(connectionKey{}).(*connection)
		c := &connection{all: l, network: l.networkOf(r.RemoteAddr), stream: s}
		if !l.enter(c, normalizePath(r.URL.Path)) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer s.end()
		defer l.release(c)
		answer := &streamWriter{w, c}
		next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), connectionKey{}, c)))
		// net/http sends the last bytes after the handler has returned, and waits for the
		// client while it does. The place must last until they are sent.
		_ = answer.FlushError()
	})
}

// enter gives a stream a place, and reports whether there is one. A request whose connection
// is closed gets none, because its answer would be lost.
func (l *Connections) enter(c *connection, path string) bool {
	l.mu.Lock()
	if on := c.stream.on; on != nil && on.place != placeGeneral {
		l.mu.Unlock()
		return false
	}
	return l.placeAndUnlock(c, path)
}

// stream is one request of HTTP/2 and its answer.
type stream struct {
	on     *connection // which carries it, or nil
	answer *http.ResponseController

	mu    sync.Mutex // held while answer is used
	ended bool       // the handler has returned, and answer must not be used
}

func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// reset makes the reads and writes of the handler fail, also those that wait.
func (s *stream) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	past := time.Now().Add(-time.Second)
	_ = s.answer.SetReadDeadline(past) // HTTP/2 has both
	_ = s.answer.SetWriteDeadline(past)
}

// streamWriter records how long the writes of an answer have to wait for the client.
type streamWriter struct {
	http.ResponseWriter
	c *connection
}

func (w *streamWriter) Write(p []byte) (int, error) { return w.c.timedWrite(w.ResponseWriter.Write, p) }

// FlushError implements what [http.ResponseController.Flush] calls.
func (w *streamWriter) FlushError() error {
	_, err := w.c.timedWrite(func([]byte) (int, error) { return 0, http.NewResponseController(w.ResponseWriter).Flush() }, nil)
	return err
}

// Unwrap gives [http.ResponseController] the other methods.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

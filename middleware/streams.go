package middleware

import "net/http"

// Streams bounds the requests of HTTP/2, of which one connection carries many. Each
// takes a place of its own, like a connection, because it may take as much memory. A
// request without a place gets 503. Requests of HTTP/1 pass, because their
// connection has a place.
//
// A connection of HTTP/2 waits while it has no request; it can be evicted then. One that
// sends pings meanwhile keeps its place until the server's idle timeout.
func (l *Connections) Streams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		stream := &connection{all: l, network: l.networkOf(r.RemoteAddr)}
		if !l.enter(stream, normalizePath(r.URL.Path)) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer l.release(stream)
		next.ServeHTTP(w, r)
	})
}

// enter gives a stream a place, and reports whether there is one.
func (l *Connections) enter(stream *connection, path string) bool {
	l.mu.Lock()
	return l.placeAndUnlock(stream, path)
}

package middleware

import (
	"net/http"
	"time"
)

// WriteTimeout gives the answers of a route their own write timeout in place of
// the server's: limit is the time from here to the end of the answer. A client
// that has not read the answer by then is cut off. A limit of 0 is no timeout,
// for streams. The server needs a WriteTimeout of its own; it sets that again for
// the next request of the connection.
func WriteTimeout(limit time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var deadline time.Time
			if limit > 0 {
				deadline = time.Now().Add(limit)
			}
			_ = http.NewResponseController(w).SetWriteDeadline(deadline) // a test's recorder has none
			next.ServeHTTP(w, r)
		})
	}
}

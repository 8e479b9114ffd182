package middleware

import (
	"io"
	"net/http"
)

// maxDiscarded bounds what is read of a body that no handler wants, in bytes.
const maxDiscarded = 4 << 20

// Discard reads what a handler has left of a request's body, up to 4 MiB, and
// throws it away. Without it, net/http closes the connection with data unread,
// and the kernel then resets it: a client that is still sending sees
// "connection reset" instead of the answer that says why its body is refused
// (RFC 9112 section 9.6). The server's read timeout bounds the time.
func Discard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &startedBody{ReadCloser: r.Body}
		// A client that waits for "100 Continue" sends nothing until the first
		// read asks it to.
		body.started = r.Header.Get("Expect") == ""
		inner := r.WithContext(r.Context()) // net/http looks at the body of its own request
		inner.Body = body
		next.ServeHTTP(w, inner)
		if body.started {
			_, _ = io.CopyN(io.Discard, body.ReadCloser, maxDiscarded)
		}
	})
}

// startedBody notes that a body is on its way.
type startedBody struct {
	io.ReadCloser
	started bool
}

func (b *startedBody) Read(p []byte) (int, error) {
	b.started = true
	return b.ReadCloser.Read(p)
}

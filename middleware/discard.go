package middleware

import (
	"io"
	"net/http"
)

// maxDiscarded bounds the unread part of a body that Discard reads, in bytes.
const maxDiscarded = 4 << 20

// Discard reads and drops the rest of a body that the handler has not read, up to 4
// MiB. Otherwise net/http closes the connection with unread data, and the kernel resets
// it: a client that is still sending gets "connection reset" instead of the answer that
// explains the refusal (RFC 9112 section 9.6). The server's read timeout bounds the
// time.
func Discard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &startedBody{ReadCloser: r.Body, conn: bodyOf(r)}
		// A client that waits for "100 Continue" sends nothing until the first read.
		body.started = r.Header.Get("Expect") == ""
		inner := r.WithContext(r.Context()) // net/http checks the body of its own request
		inner.Body = body
		next.ServeHTTP(w, inner)
		if body.started {
			_, _ = io.CopyN(io.Discard, body, maxDiscarded)
		}
	})
}

// startedBody records whether the body was read, and whether a read waits for the client.
type startedBody struct {
	io.ReadCloser
	started bool
	conn    *connection // or nil
}

func (b *startedBody) Read(p []byte) (int, error) {
	b.started = true
	if b.conn != nil {
		b.conn.incomplete.Store(true)
		defer b.conn.incomplete.Store(false)
	}
	return b.ReadCloser.Read(p)
}

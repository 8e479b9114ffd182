package middleware_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cubegate/middleware"
)

// unread serves a handler that reads no body, on connections with small kernel buffers,
// and counts the bytes that are read nevertheless.
func unread(t *testing.T) (address string, read chan int64) {
	t.Helper()
	read = make(chan int64, 1)
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	handler := middleware.Discard(inner)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := &countedBody{ReadCloser: r.Body}
		outer := r.WithContext(r.Context())
		outer.Body = counted
		handler.ServeHTTP(w, outer)
		read <- counted.n
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return ln.Addr().String(), read
}

type countedBody struct {
	io.ReadCloser
	n int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

func send(t *testing.T, address, head, body string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n"+head+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestDiscardReadsTheRestOfABody(t *testing.T) {
	address, read := unread(t)
	answer := send(t, address, "Content-Length: 3000000\r\n", strings.Repeat("x", 3_000_000))
	if n := <-read; n != 3_000_000 || answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d bytes were read, status %d", n, answer.StatusCode)
	}
}

func TestDiscardHasABound(t *testing.T) {
	address, read := unread(t)
	go func() { // the server closes the connection before the end of the body
		c, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"+strings.Repeat("x", 9_000_000))
	}()
	if n := <-read; n != 4<<20 {
		t.Errorf("%d bytes were read, want 4 MiB", n)
	}
}

// A client that waits for "100 Continue" has sent nothing, and must not be asked to.
func TestDiscardDoesNotAskForABody(t *testing.T) {
	address, read := unread(t)
	answer := send(t, address, "Content-Length: 3000000\r\nExpect: 100-continue\r\n", "")
	if n := <-read; n != 0 || answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d bytes were read, status %d", n, answer.StatusCode)
	}
}

package sandbox_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
)

// brokenKeepAlive is a provider that promises to keep connections open, answers the first
// request on each, and closes the connection after it has read the second one.
func brokenKeepAlive(t *testing.T, asked *atomic.Int32) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	answer := func(conn net.Conn) {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		in := bufio.NewReader(conn)
		for first := true; ; first = false {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			asked.Add(1)
			if !first {
				return
			}
			const body = `{"user":{"id":1}}`
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return "http://" + l.Addr().String()
}

// TestEachLoginAsksTheProviderOnce: on a reused connection, Go's transport would repeat a
// GET by itself.
func TestEachLoginAsksTheProviderOnce(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		for name, client := range map[string]*http.Client{"own": nil, "default": {}, "given": {Transport: &http.Transport{}}} {
			t.Run(method+" by the "+name+" client", func(t *testing.T) {
				var asked atomic.Int32
				c := in(t, sandbox.New(sandbox.Options{HTTP: client, CIdP: sandbox.CIdP{
					Enabled: true, Method: method, URL: brokenKeepAlive(t, &asked),
					ResponseParams: map[string]string{"uid": "#{user.id}"},
				}}))
				for n := range int32(3) {
					g := c.send("POST", "/session", withTicket)
					if g.status != 201 || asked.Load() != n+1 {
						t.Errorf("login %d: %d %s, the provider was asked %d times", n+1, g.status, g.text, asked.Load())
					}
				}
			})
		}
	}
}

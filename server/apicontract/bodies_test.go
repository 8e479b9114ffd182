package apicontract

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cubegate/server/servertest"
)

// sendWhole writes the whole request and reads only then, as a simple client does. It
// returns the status of the response.
func sendWhole(endpoint, head, body string) (int, error) {
	c, err := net.DialTimeout("tcp", endpoint, time.Minute)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	for _, part := range []string{head, body} {
		if _, err := c.Write([]byte(part)); err != nil {
			return 0, fmt.Errorf("writing: %w", err)
		}
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, fmt.Errorf("reading: %w", err)
	}
	return answer.StatusCode, answer.Body.Close()
}

// A client that is still sending must get the reason for the refusal of its body, and no
// reset of the connection.
func TestRefusedBodyGetsItsResponse(t *testing.T) {
	r := servertest.Start(t, nil)
	const size = 3 << 20
	body := strings.Repeat("x", size)
	head := func(route, more string) string {
		return fmt.Sprintf("%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", route, more)
	}
	length := fmt.Sprintf("Content-Length: %d\r\n", size)
	asJSON := "Content-Type: application/json\r\n"
	for _, tt := range []struct {
		name, base, route, header, body string
		status                          int
	}{
		{"GraphQL", r.URL, "POST /api", asJSON + length, body, 413},
		{"GraphQL in chunks", r.URL, "POST /api", asJSON + "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body), 413},
		{"REST", r.URL, "POST /auth/login", asJSON + length, body, 413},
		{"verify", r.URL, "POST /auth/verify-connectycube", asJSON + length, body, 413},
		{"another type", r.URL, "POST /api", "Content-Type: text/plain\r\n" + length, body, 415},
		{"no such path", r.URL, "POST /nope", length, body, 404},
		{"no such method", r.URL, "PUT /api", length, body, 405},
		{"the sandbox", r.SandboxURL, "POST /session", asJSON + length, body, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			endpoint, err := url.Parse(tt.base)
			if err != nil {
				t.Fatal(err)
			}
			const clients = 4 // a busy machine must read their bodies within the timeouts of the server
			results := make(chan error, clients)
			for range clients {
				go func() {
					status, err := sendWhole(endpoint.Host, head(tt.route, tt.header), tt.body)
					if err == nil && status != tt.status {
						err = fmt.Errorf("status %d, want %d", status, tt.status)
					}
					results <- err
				}()
			}
			for range clients {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// With "Expect: 100-continue", the server refuses a body before the client has sent it.
func TestRefusedBodyIsNotRequested(t *testing.T) {
	r := servertest.Start(t, nil)
	endpoint := r.Listener.Addr().String()
	status, err := sendWhole(endpoint, "POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n", "")
	if err != nil || status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d, %v", status, err)
	}
}

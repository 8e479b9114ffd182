package security

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cubegate/server"
	"cubegate/server/servertest"
)

// flood opens connections and sends one byte of a body on each. The channel delivers
// the status lines of the refused ones.
func flood(t *testing.T, server net.Listener, n int) <-chan string {
	t.Helper()
	refused := make(chan string, n)
	for range n {
		c, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, "POST /api HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		go func() {
			if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				refused <- line
			}
		}()
	}
	return refused
}

// firstRefusal returns the first refusal of a flood.
func firstRefusal(t *testing.T, refused <-chan string) string {
	t.Helper()
	select {
	case line := <-refused:
		return line
	case <-time.After(time.Minute): // the refusal comes at once; after the timeout of the requests comes another line
		t.Fatal("no connection was refused")
		return ""
	}
}

func TestFloodLocksOutNeitherCallbackNorProbes(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"MAX_CONNECTIONS": "3"})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	send := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	// sendUntil repeats a request, because the server frees the place of a connection
	// only a moment after the reply.
	sendUntil := func(done func(status int) bool, method, path, body string) (text string) {
		servertest.Eventually(t, path+" gets the wanted status", func() bool {
			var status int
			status, text = send(method, path, body)
			return done(status)
		})
		return text
	}
	const email = `"email":"flood@example.org","password":"correct horse"`
	if status, text := send(http.MethodPost, "/auth/register", `{`+email+`,"firstName":"A","lastName":"B"}`); status != http.StatusCreated {
		t.Fatalf("registering got %d %s", status, text)
	}

	// The login takes the last place, and ConnectyCube's callback needs one more.
	flood(t, r.Listener, 2)
	accepted := func(status int) bool { return status != http.StatusServiceUnavailable }
	if text := sendUntil(accepted, http.MethodPost, "/auth/login-by-token", `{`+email+`}`); !strings.Contains(text, `"chatStatus":"READY"`) {
		t.Errorf("the login during a flood got %s", text)
	}

	sendUntil(func(status int) bool {
		flood(t, r.Listener, 1)
		return !accepted(status)
	}, http.MethodGet, "/auth/me", "")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, server.VerifyPath + "?token=x": 401} {
		if status, _ := send(http.MethodGet, path, ""); status != want {
			t.Errorf("%s got %d, want %d", path, status, want)
		}
	}
	if !strings.Contains(r.Log.String(), "connections refused at the bound") {
		t.Error("the log lacks the refusals")
	}
}

func TestConnectionsPerNetwork(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"MAX_CONNECTIONS_PER_ADDRESS": "2"})
	if line := firstRefusal(t, flood(t, r.Listener, 5)); line != "HTTP/1.1 503 Service Unavailable\r\n" {
		t.Errorf("a connection beyond the bound got %q", line)
	}
	r = servertest.Start(t, map[string]string{"MAX_CONNECTIONS_PER_ADDRESS": "2", "TRUSTED_PROXIES": "127.0.0.1"})
	flood(t, r.Listener, 5)
	if got := r.Request(t, http.MethodGet, "/auth/me", ""); got.Status != http.StatusUnauthorized {
		t.Errorf("a request through a trusted proxy got %d, want %d", got.Status, http.StatusUnauthorized)
	}
}

func TestSandboxConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"MAX_CONNECTIONS": "3"})
	if line := firstRefusal(t, flood(t, r.SandboxListener, 20)); line != "HTTP/1.1 503 Service Unavailable\r\n" {
		t.Errorf("a connection beyond the bound got %q", line)
	}
}

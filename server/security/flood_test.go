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

// flood opens connections with one byte of a body each, and returns where the
// status lines of those that are refused arrive.
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

// first returns the first refusal of a flood.
func first(t *testing.T, refused <-chan string) string {
	t.Helper()
	select {
	case line := <-refused:
		return line
	case <-time.After(10 * time.Second): // before the requests time out
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
	// until repeats a request: the place of the last one is free only a moment
	// after its answer.
	until := func(done func(status int) bool, method, path, body string) string {
		for range 1000 {
			if status, text := send(method, path, body); done(status) {
				return text
			}
		}
		t.Fatalf("%s was never answered as wanted", path)
		return ""
	}
	const email = `"email":"flood@example.org","password":"correct horse"`
	if status, text := send(http.MethodPost, "/auth/register", `{`+email+`,"firstName":"A","lastName":"B"}`); status != http.StatusCreated {
		t.Fatalf("registering got %d %s", status, text)
	}

	// The login takes the last place, and ConnectyCube's callback needs one more.
	flood(t, r.Listener, 2)
	gotIn := func(status int) bool { return status != http.StatusServiceUnavailable }
	if text := until(gotIn, http.MethodPost, "/auth/login-by-token", `{`+email+`}`); !strings.Contains(text, `"chatStatus":"READY"`) {
		t.Errorf("the login during a flood got %s", text)
	}

	until(func(status int) bool {
		flood(t, r.Listener, 1)
		return !gotIn(status)
	}, http.MethodGet, "/auth/me", "")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, server.VerifyPath + "?token=x": 401} {
		if status, _ := send(http.MethodGet, path, ""); status != want {
			t.Errorf("%s got %d, want %d", path, status, want)
		}
	}
	if !strings.Contains(r.Log.String(), "connections refused at the bound") {
		t.Error("the log does not have the refusals")
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"MAX_CONNECTIONS_PER_ADDRESS": "2"})
	if line := first(t, flood(t, r.Listener, 5)); line != "HTTP/1.1 503 Service Unavailable\r\n" {
		t.Errorf("a connection past the bound got %q", line)
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
	if line := first(t, flood(t, r.SandboxListener, 20)); line != "HTTP/1.1 503 Service Unavailable\r\n" {
		t.Errorf("a connection past the bound got %q", line)
	}
}

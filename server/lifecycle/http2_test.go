package lifecycle

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cubegate/server/servertest"
)

// http2Client returns a client that speaks HTTP/2 without TLS, as proxies do.
func http2Client() *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: transport}
}

// A proxy may speak HTTP/2 with prior knowledge. Its requests share a connection, and
// the server still shuts down while that is open.
func TestHTTP2WithPriorKnowledge(t *testing.T) {
	t.Parallel()
	r, stop := servertest.StartUntil(t, servertest.Configure(t, nil))
	defer stop()
	client := http2Client()
	post := func(path, body string) (int, string) {
		res, err := client.Post(r.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil || res.ProtoMajor != 2 {
			t.Errorf("%s: %s, %v", path, res.Proto, err)
		}
		return res.StatusCode, string(raw)
	}
	if status, body := post("/auth/register", `{"email":"ada@example.org","firstName":"Ada","lastName":"Lovelace","password":"correct horse"}`); status != 201 {
		t.Errorf("register: %d %s", status, body)
	}
	if status, body := post("/auth/login-by-token", `{"email":"ada@example.org","password":"correct horse"}`); status != 200 || !strings.Contains(body, `"READY"`) {
		t.Errorf("a login with a callback: %d %s", status, body)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if status, body := post("/api", `{"query":"{hello}"}`); status != 200 || !strings.Contains(body, "Hello") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	all.Wait()
	if status, _ := post("/api", `{"query":"`+strings.Repeat(" ", 70<<10)+`"}`); status != 413 {
		t.Errorf("a large body: %d, want 413", status)
	}
	if got := r.Request(t, "POST", "/api", `{"query":"{hello}"}`); got.Status != 200 {
		t.Errorf("HTTP/1: %d", got.Status)
	}
	stop()
	if _, err := client.Get(r.URL + "/healthz"); err == nil {
		t.Error("the server still answers")
	}
}

// The server accepts HTTP/2 with prior knowledge, and no upgrade from HTTP/1
// (RFC 9113, section 3.1, deprecates it).
func TestHTTP2UpgradeIsIgnored(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	c, err := net.Dial("tcp", r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(raw), "HTTP/1.1 200 ") {
		t.Errorf("%.100q, %v", raw, err)
	}
}

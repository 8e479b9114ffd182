package sandbox

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// everyPart has one path of each part of the sandbox.
var everyPart = []string{
	"GET /", "POST /session", "GET /users", "GET /admin/chat/list", "OPTIONS /session", "GET /chat", "GET /nothing",
	"POST /sandbox-s3", "GET /sandbox-s3/x", "GET /_sandbox/state", "GET /_sandbox/page/page.js", "GET /_sandbox/overview", "GET /_sandbox/ca.pem",
}

func TestLoopbackAnswersToOwnNamesOnly(t *testing.T) {
	t.Parallel()
	const here, phone = "127.0.0.1:5000", "192.168.1.9:5000"
	tests := []struct {
		host, remote string
		answered     bool
	}{
		{"localhost:3001", here, true},
		{"localhost", here, true},
		{"LOCALHOST.:3001", here, true},
		{"app.localhost:3001", here, true},
		{"127.0.0.1:3001", here, true},
		{"127.8.9.1:3001", here, true},
		{"[::1]:3001", "[::1]:5000", true},
		{"[::ffff:127.0.0.1]:3001", "[::ffff:127.0.0.1]:5000", true},
		{"10.0.2.2:3001", here, true}, // the Android emulator
		{"192.168.1.5:3001", here, true},
		{"[2001:db8::1]:3001", here, true},
		{"host.docker.internal:3001", here, true},
		{"sandbox.example:3001", here, true},
		{"Sandbox.Example", here, true},
		{"evil.example:3001", here, false},
		{"evil.example", "[::1]:5000", false},
		{"evil.example", "[::ffff:127.0.0.1]:5000", false},
		{"localhost.evil.example:3001", here, false},
		{"127.0.0.1.evil.example:3001", here, false},
		{"evillocalhost:3001", here, false},
		{"sandbox.example.evil.example", here, false},
		{"127.0.0.1:3001.evil.example", here, false},
		{"", here, false},
		{"evil.example:3001", phone, true}, // the network may use any name
		{"192.168.1.5:3001", phone, true},
	}
	s := New(Options{Names: []string{"Sandbox.example.", "127.0.0.1"}, Certificate: []byte("certificate")})
	for _, tt := range tests {
		for _, part := range everyPart {
			method, path, _ := strings.Cut(part, " ")
			r := httptest.NewRequest(method, path, nil)
			r.Host, r.RemoteAddr = tt.host, tt.remote
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			refused := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "does not answer to this Host")
			if refused == tt.answered {
				t.Errorf("Host %q from %s: %s: %d %s", tt.host, tt.remote, part, w.Code, w.Body)
			}
			if refused && w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("Host %q: %s: pages may read the refusal", tt.host, part)
			}
		}
	}
}

// A WebSocket of a rebound page is refused before the upgrade, over a real socket.
func TestReboundPageGetsNoChat(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(New(Options{}))
	defer srv.Close()
	address := srv.Listener.Addr().String()
	for host, want := range map[string]int{"evil.example": http.StatusForbidden, "localhost": http.StatusSwitchingProtocols, address: http.StatusSwitchingProtocols} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /chat HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n", host, host)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want {
			t.Errorf("Host %s: %s, want %d", host, answer.Status, want)
		}
		_ = conn.Close()
	}
}

// The control token works through a proxy with a name of its own.
func TestControlTokenPassesTheHostCheck(t *testing.T) {
	t.Parallel()
	s := New(Options{ControlToken: "token"})
	for token, want := range map[string]int{"token": 200, "": 403, "other": 403} {
		r := httptest.NewRequest(http.MethodGet, "/_sandbox/state", nil)
		r.Host, r.RemoteAddr = "proxy.example", "127.0.0.1:5000"
		r.Header.Set("X-Sandbox-Token", token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("token %q: %d", token, w.Code)
		}
	}
}

// A configured name admits requests to the API, and not to the control area.
func TestConfiguredNameDoesNotOpenTheControlArea(t *testing.T) {
	t.Parallel()
	s := New(Options{Names: []string{"sandbox.example"}})
	r := httptest.NewRequest(http.MethodGet, "/_sandbox/state", nil)
	r.Host, r.RemoteAddr = "sandbox.example", "127.0.0.1:5000"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "control area") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestEveryAnswerForbidsSniffing(t *testing.T) {
	t.Parallel()
	s := New(Options{Certificate: []byte("certificate")})
	parts := append([]string{"POST /_sandbox/seed", "PUT /_sandbox/cidp", "DELETE /_sandbox/journal", "GET /_sandbox/none", "PATCH /_sandbox/state", "POST /"}, everyPart...)
	for _, part := range parts {
		method, path, _ := strings.Cut(part, " ")
		for _, host := range []string{"localhost", "evil.example"} {
			r := httptest.NewRequest(method, path, strings.NewReader("{}"))
			r.Host, r.RemoteAddr = host, "127.0.0.1:5000"
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if got := w.Header().Values("X-Content-Type-Options"); len(got) != 1 || got[0] != "nosniff" {
				t.Errorf("%s at %s: %d with %q", part, host, w.Code, got)
			}
		}
	}
}

package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestControlOverASocket(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	srv := httptest.NewServer(s)
	defer srv.Close()
	c := caller{t, srv.URL, srv.Client()}

	if g := c.send("GET", "/_sandbox/state", ""); g.status != 200 || !strings.HasPrefix(g.text, `{"users":[],"sessions":0,`) {
		t.Errorf("empty state: %d %s", g.status, g.text)
	}
	id := c.signUp(`{"email":"a@example.com","password":"11111111","full_name":"A","external_id":"e"}`)
	token := c.open(`{"email":"a@example.com","password":"11111111"}`)
	g := c.send("GET", "/_sandbox/state", "")
	want := `{"users":[{"id":` + id + `,"email":"a@example.com","login":null,"external_id":"e","full_name":"A"}],"sessions":1,`
	if !strings.HasPrefix(g.text, want) || strings.Contains(g.text, token) {
		t.Errorf("state = %s, want %s", g.text, want)
	}

	fault := `{"method":"GET","path":"/session","kind":"status","status":503,"delay_ms":1,"times":2}`
	if g := c.send("POST", "/_sandbox/faults", fault); g.status != 201 || g.text != strings.TrimSuffix(fault, "}")+`,"id":1,"acted":0}`+"\n" {
		t.Errorf("added: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/session.json", "", "CB-Token", token); g.status != 503 {
		t.Errorf("the fault did not happen: %d", g.status)
	}
	if g := c.send("GET", "/_sandbox/faults", ""); g.str("faults.0.times") != "1" || g.str("faults.0.delay_ms") != "1" || g.str("faults.0.acted") != "1" {
		t.Errorf("faults = %s", g.text)
	}
	if g := c.send("DELETE", "/_sandbox/faults", ""); g.status != 200 {
		t.Errorf("cleared: %d", g.status)
	}
	if g := c.send("GET", "/session.json", "", "CB-Token", token); g.status != 200 {
		t.Errorf("after clearing: %d", g.status)
	}

	cidp := `{"enabled":true,"method":"GET","url":"http://127.0.0.1:1/v","headers":{},"request_params":{"token":"#{login}"},"response_params":{"uid":"#{user.id}"}}`
	if g := c.send("PUT", "/_sandbox/cidp", cidp); g.status != 200 || g.text != cidp+"\n" {
		t.Errorf("put: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/_sandbox/cidp", ""); g.text != cidp+"\n" {
		t.Errorf("cidp = %s", g.text)
	}
	if g := c.send("POST", "/session", withTicket); g.status != 500 {
		t.Errorf("the settings did not take: %d %s", g.status, g.text)
	}
}

// The headers in a program's Options hold the provider's secret. The control area masks
// them. A client that reads the settings and writes them back keeps the values, even after
// other settings.
func TestControlHidesTheProvidersHeaders(t *testing.T) {
	shown := make(chan http.Header, 1)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- r.Header.Clone()
		fmt.Fprint(w, `{"user":{"id":"7"}}`)
	}))
	t.Cleanup(provider.Close)
	const secret = "of-the-provider"
	s := sandbox.New(sandbox.Options{CIdP: sandbox.CIdP{
		Enabled: true, URL: provider.URL, ResponseParams: map[string]string{"uid": "#{user.id}"},
		Headers: map[string]string{"Authorization": "Bearer #{login}", "X-CIdP-Secret": secret},
	}})
	box := httptest.NewServer(s)
	t.Cleanup(box.Close)
	c := caller{t, box.URL, box.Client()}

	found := c.send("GET", "/_sandbox/cidp", "")
	if found.status != 200 || strings.Contains(found.text, secret) || !strings.Contains(found.text, `"Authorization":"Bearer #{login}"`) {
		t.Errorf("cidp = %s", found.text)
	}
	own := `{"enabled":false,"method":"GET","url":"","headers":{"X-Own":"typed-here"},"request_params":{},"response_params":{}}` + "\n"
	if g := c.send("PUT", "/_sandbox/cidp", own); g.status != 200 || g.text != own {
		t.Errorf("put: %d %s", g.status, g.text)
	}
	if g := c.send("PUT", "/_sandbox/cidp", found.text); g.status != 200 || g.text != found.text {
		t.Errorf("put back: %d %s", g.status, g.text)
	}
	c.send("POST", "/session", withTicket)
	if got := <-shown; got.Get("X-CIdP-Secret") != secret || !strings.HasPrefix(got.Get("Authorization"), "Bearer ") {
		t.Errorf("the provider got %v", got)
	}
	other := strings.Replace(found.text, "X-CIdP-Secret", "X-Other", 1)
	if g := c.send("PUT", "/_sandbox/cidp", other); g.status != 400 || !strings.Contains(g.text, "X-Other") {
		t.Errorf("a mask that hides nothing: %d %s", g.status, g.text)
	}
}

func TestControlIsStrict(t *testing.T) {
	tests := []struct {
		request, body string
		status        int
		want          string // part of the answer
	}{
		{"POST /_sandbox/faults", `{"kind":"status","status":500,"dealy_ms":5}`, 400, "dealy_ms"},
		{"POST /_sandbox/faults", `{"on":"chat","kind":"hang"}`, 400, "kind on chat"},
		{"POST /_sandbox/faults", `{"kind":"explode"}`, 400, "kind"},
		{"POST /_sandbox/faults", `{"kind":"slow","delay_ms":9223372036854775807}`, 400, "delay"},
		{"POST /_sandbox/faults", `{"kind":"slow","delay_ms":-1}`, 400, "delay"},
		{"POST /_sandbox/faults", `{"kind":"status","status":"500"}`, 400, "status"},
		{"POST /_sandbox/faults", `{"kind":"hang"}{}`, 400, "data after"},
		{"POST /_sandbox/faults", ``, 400, "body"},
		{"POST /_sandbox/faults", `[]`, 400, "body"},
		{"POST /_sandbox/faults", `{"kind":"hang","path":"` + strings.Repeat("x", 300<<10) + `"}`, 400, "too large"},
		{"PUT /_sandbox/cidp", `{"enabled":true}`, 400, "url"},
		{"PUT /_sandbox/cidp", `{"enable":true}`, 400, "enable"},
		{"PUT /_sandbox/faults", `{"faults":[{"kind":"hang"},{"kind":"explode"}]}`, 400, "kind"},
		{"PUT /_sandbox/faults", `[]`, 400, "body"},
		{"PUT /_sandbox/settings", `{"v2_users":true}`, 400, "v2_users"},
		{"PUT /_sandbox/settings", `{"v1_users":1}`, 400, "v1_users"},
		{"PUT /_sandbox/settings", `{"dialog_extensions":["a",""]}`, 400, "dialog_extensions"},
		{"POST /_sandbox/settings", `{}`, 405, ""},
		{"PATCH /_sandbox/faults", `{}`, 405, ""},
		{"POST /_sandbox/clock", `{"advance":"2"}`, 400, "advance"},
		{"POST /_sandbox/clock", `{"advance":"-1s"}`, 400, "advance"},
		{"POST /_sandbox/clock", `{"advance":"0s"}`, 400, "advance"},
		{"POST /_sandbox/clock", `{"advance":"87601h"}`, 400, "advance"},
		{"POST /_sandbox/clock", `{"advance":7200}`, 400, "advance"},
		{"POST /_sandbox/clock", `{}`, 400, "advance"},
		{"GET /_sandbox/journal?after=-1", ``, 400, "after"},
		{"GET /_sandbox/state?limit=x", ``, 400, "limit"},
		{"GET /_sandbox/reset", ``, 405, ""},
		{"GET /_sandbox/users?skip=-1", ``, 400, "skip"},
		{"GET /_sandbox/users?search=" + strings.Repeat("x", 201), ``, 400, "search"},
		{"GET /_sandbox/users/0", ``, 404, "ID"},
		{"GET /_sandbox/users/x", ``, 404, "ID"},
		{"GET /_sandbox/users/1", ``, 404, "User not found"},
		{"DELETE /_sandbox/users/1", ``, 404, "User not found"},
		{"PUT /_sandbox/users/1/disabled", `{}`, 400, "disabled"},
		{"PUT /_sandbox/users/1/disabled", `{"disable":true}`, 400, "disable"},
		{"PUT /_sandbox/users/1/disabled", `{"disabled":true}`, 404, "User not found"},
		{"POST /_sandbox/users/1/session", `{"x":1}`, 400, "x"},
		{"POST /_sandbox/users/1/session", `{}`, 404, "User not found"},
		{"GET /_sandbox/dialogs?limit=x", ``, 400, "limit"},
		{"GET /_sandbox/dialogs/d/messages", ``, 404, "resource"},
		{"POST /_sandbox/dialogs/d/messages", `{"from":1}`, 400, "text"},
		{"POST /_sandbox/dialogs/d/messages", `{"from":1,"message":"` + strings.Repeat("x", 65<<10) + `"}`, 400, "longer"},
		{"POST /_sandbox/dialogs/d/messages", `{"from":1,"message":"hi"}`, 404, "User not found"},
		{"PUT /_sandbox/dialogs/d/typing", `{"user":1,"typing":true}`, 404, "User not found"},
		{"GET /_sandbox/traffic?status=600", ``, 400, "status"},
		{"GET /_sandbox/traffic?status=6xx", ``, 400, "status"},
		{"GET /_sandbox/traffic?on=mail", ``, 400, "on must"},
		{"GET /_sandbox/traffic?before=x", ``, 400, "before"},
		{"GET /_sandbox/traffic/1", ``, 404, "journal"},
		{"DELETE /_sandbox/faults/1", ``, 404, "fault"},
		{"POST /_sandbox/overview", ``, 405, ""},
		{"POST /_sandbox/drop", `{"user":-1}`, 400, "user"},
		{"POST /_sandbox/half-open", `{"users":1}`, 400, "users"},
		{"GET /_sandbox/", ``, 404, ""},
		{"GET /_sandbox", ``, 404, ""},
		{"GET /_sandboxes", ``, 404, "resource"},
	}
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	c.base = "http://localhost"
	for _, tt := range tests {
		method, path, _ := strings.Cut(tt.request, " ")
		if g := c.send(method, path, tt.body); g.status != tt.status || !strings.Contains(g.text, tt.want) {
			t.Errorf("%s %.60s: %d %s, want %d with %q", tt.request, tt.body, g.status, g.text, tt.status, tt.want)
		}
	}
	if f := s.Faults(); len(f) != 0 || s.Ahead() != 0 {
		t.Errorf("faults = %+v, clock %s ahead, want none", f, s.Ahead())
	}
}

// controlRoutes are all routes of the control area that change or show data. Add new ones
// here.
var controlRoutes = []string{
	"GET /_sandbox/state", "POST /_sandbox/reset",
	"POST /_sandbox/seed",
	"GET /_sandbox/clock", "POST /_sandbox/clock",
	"GET /_sandbox/journal", "DELETE /_sandbox/journal",
	"GET /_sandbox/faults", "POST /_sandbox/faults", "PUT /_sandbox/faults", "DELETE /_sandbox/faults",
	"POST /_sandbox/drop", "POST /_sandbox/half-open",
	"GET /_sandbox/cidp", "PUT /_sandbox/cidp",
	"GET /_sandbox/settings", "PUT /_sandbox/settings",
	"GET /_sandbox/outbox", "DELETE /_sandbox/outbox",
	"GET /_sandbox/overview", "DELETE /_sandbox/clock", "GET /_sandbox/fault-kinds", "DELETE /_sandbox/faults/1",
	"GET /_sandbox/traffic", "GET /_sandbox/traffic/1",
	"GET /_sandbox/users", "GET /_sandbox/users/1", "DELETE /_sandbox/users/1",
	"PUT /_sandbox/users/1/disabled", "POST /_sandbox/users/1/session",
	"GET /_sandbox/dialogs", "GET /_sandbox/dialogs/d/messages", "POST /_sandbox/dialogs/d/messages", "PUT /_sandbox/dialogs/d/typing",
}

func TestWhoMayControl(t *testing.T) {
	const token = "the-control-token"
	tests := []struct {
		name    string
		remote  string
		host    string
		headers map[string]string
		allowed bool
	}{
		{"this machine", "127.0.0.1:5000", "127.0.0.1:3001", nil, true},
		{"this machine by name", "127.0.0.1:5000", "localhost:3001", nil, true},
		{"this machine, IPv6", "[::1]:5000", "[::1]:3001", nil, true},
		{"this machine, mapped", "[::ffff:127.0.0.1]:5000", "localhost", nil, true},
		{"another machine", "192.0.2.7:5000", "127.0.0.1:3001", nil, false},
		{"a name bound to this machine later", "127.0.0.1:5000", "evil.example:3001", nil, false},
		{"a name that begins like this machine", "127.0.0.1:5000", "localhost.evil.example", nil, false},
		{"a page elsewhere", "127.0.0.1:5000", "127.0.0.1:3001", map[string]string{"Origin": "https://evil.example"}, false},
		{"a page of no origin", "127.0.0.1:5000", "127.0.0.1:3001", map[string]string{"Origin": "null"}, false},
		{"a page's image", "127.0.0.1:5000", "127.0.0.1:3001", map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
		{"our page here", "127.0.0.1:5000", "localhost:3001", map[string]string{"Origin": "http://localhost:3001", "Sec-Fetch-Site": "same-origin"}, true},
		{"an address typed here", "127.0.0.1:5000", "localhost:3001", map[string]string{"Sec-Fetch-Site": "none"}, true},
		{"a page of another port here", "127.0.0.1:5000", "localhost:3001", map[string]string{"Origin": "http://localhost:9999"}, false},
		{"a page of another name of here", "127.0.0.1:5000", "127.0.0.1:3001", map[string]string{"Origin": "http://localhost:3001"}, false},
		{"a page of another scheme", "127.0.0.1:5000", "localhost:3001", map[string]string{"Origin": "https://localhost:3001"}, false},
		{"an image of a page of another port", "127.0.0.1:5000", "localhost:3001", map[string]string{"Sec-Fetch-Site": "same-site"}, false},
		{"our page with the token, behind a proxy with a certificate", "127.0.0.1:5000", "sandbox.example", map[string]string{"X-Sandbox-Token": token, "Origin": "https://sandbox.example", "X-Forwarded-Proto": "https"}, true},
		{"a proxy here", "127.0.0.1:5000", "127.0.0.1:3001", map[string]string{"X-Forwarded-For": "192.0.2.7"}, false},
		{"another machine with the token", "192.0.2.7:5000", "sandbox:3001", map[string]string{"X-Sandbox-Token": token}, true},
		{"another machine with another token", "192.0.2.7:5000", "sandbox:3001", map[string]string{"X-Sandbox-Token": "x"}, false},
		{"another machine with an empty token", "192.0.2.7:5000", "sandbox:3001", map[string]string{"X-Sandbox-Token": ""}, false},
		{"our page with the token", "192.0.2.7:5000", "192.168.1.5:3001", map[string]string{"X-Sandbox-Token": token, "Origin": "http://192.168.1.5:3001", "Sec-Fetch-Site": "same-origin"}, true},
		{"our page without it", "192.0.2.7:5000", "192.168.1.5:3001", map[string]string{"Origin": "http://192.168.1.5:3001"}, false},
		{"our page here by a name bound to this machine later", "127.0.0.1:5000", "evil.example:3001", map[string]string{"Origin": "http://evil.example:3001"}, false},
		{"a page with the token", "192.0.2.7:5000", "sandbox:3001", map[string]string{"X-Sandbox-Token": token, "Origin": "https://evil.example"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, route := range controlRoutes {
				method, path, _ := strings.Cut(route, " ")
				r := httptest.NewRequest(method, path, nil)
				r.RemoteAddr, r.Host = tt.remote, tt.host
				for name, value := range tt.headers {
					r.Header.Set(name, value)
				}
				w := httptest.NewRecorder()
				sandbox.New(sandbox.Options{ControlToken: token}).ServeHTTP(w, r)
				unrouted := w.Code == http.StatusNotFound && !strings.HasPrefix(w.Body.String(), `{"error":`) // not only an unknown ID
				if unrouted || w.Code == http.StatusMethodNotAllowed {
					t.Errorf("%s does not exist", route)
				}
				if allowed := w.Code != http.StatusForbidden; allowed != tt.allowed {
					t.Errorf("%s: status %d: %s", route, w.Code, w.Body)
				}
				for name := range w.Header() {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s: %s is sent: pages must not read this", route, name)
					}
				}
			}
		})
	}
	r := httptest.NewRequest(http.MethodGet, "/_sandbox/state", nil)
	r.RemoteAddr = "192.0.2.7:5000"
	r.Header.Set("X-Sandbox-Token", "")
	w := httptest.NewRecorder()
	sandbox.New(sandbox.Options{}).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("no control token set, an empty one sent: %d", w.Code)
	}
}

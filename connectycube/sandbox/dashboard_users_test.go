package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// onThisMachine is in for the control area, which names this machine.
func onThisMachine(t *testing.T, s *sandbox.Sandbox) caller {
	t.Helper()
	c := in(t, s)
	c.base = "http://localhost"
	return c
}

// seed creates a seed and returns its answer.
func (c caller) seed(body string) got {
	c.t.Helper()
	g := c.send("POST", "/_sandbox/seed", body)
	if g.status != 201 {
		c.t.Fatalf("seed: %d %s", g.status, g.text)
	}
	return g
}

func TestUsersInPages(t *testing.T) {
	c := onThisMachine(t, sandbox.New(sandbox.Options{}))
	var users []string
	for i := range 230 {
		users = append(users, fmt.Sprintf(`{"id":%d,"login":"user-%03d","full_name":"Name %d","email":"u%d@example.org","password":"11111111"}`, i+1, i, i%7, i))
	}
	c.seed(`{"users":[` + strings.Join(users, ",") + `,{"id":900,"external_id":"<b>ÄÖ</b>","password":"11111111"}]}`)
	tests := []struct {
		query          string
		first          string // ID
		shown, matched int
	}{
		{"", "900", 50, 231},
		{"?limit=100&skip=200", "31", 31, 231},
		{"?limit=100000", "900", 100, 231},
		{"?skip=231", "", 0, 231},
		{"?skip=9223372036854775807", "", 0, 231},
		{"?search=NAME%203&limit=1", "228", 1, 33},
		{"?search=u229@", "230", 1, 1},
		{"?search=user-000", "1", 1, 1},
		{"?search=900", "900", 1, 1}, // a whole ID, and no part of one
		{"?search=90", "191", 3, 3},  // user-190, user-090 and ID 90
		{"?search=%3CB%3E%C3%A4", "900", 1, 1},
		{"?search=no-such-name", "", 0, 0},
	}
	for _, tt := range tests {
		g := c.send("GET", "/_sandbox/users"+tt.query, "")
		if g.status != 200 || g.str("users.0.id") != tt.first || len(g.strs("users", "id")) != tt.shown || g.str("matched") != fmt.Sprint(tt.matched) || g.str("total") != "231" {
			t.Errorf("%s: %d, first %s, %d shown of %s, want %+v", tt.query, g.status, g.str("users.0.id"), len(g.strs("users", "id")), g.str("matched"), tt)
		}
	}
}

// A disabled user's sessions and connections end, and no kind of login works, until the
// user is enabled again. The data file keeps that.
func TestADisabledUserIsOutUntilEnabled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	c := caller{t, srv.URL, srv.Client()}
	id := c.signUp(jane)
	token := c.open(jane)
	device := talk(t, srv.URL, id, "11111111")
	path := "/_sandbox/users/" + id

	if g := c.send("GET", path, ""); g.str("sessions") != "1" || g.str("open_sockets.0.available") != "true" || g.str("live_sessions.0.user_id") != id || strings.Contains(g.text, token) {
		t.Errorf("before: %s", g.text)
	}
	if g := c.send("PUT", path+"/disabled", `{"disabled":true}`); g.status != 200 || g.str("disabled") != "true" || g.str("sessions") != "0" {
		t.Errorf("disabling: %d %s", g.status, g.text)
	}
	device.ended()
	refused := func(c caller) {
		t.Helper()
		for request, body := range map[string]string{
			"POST /session":             application + `,"user":` + jane + `}`,
			"POST " + path + "/session": `{}`,
		} {
			method, at, _ := strings.Cut(request, " ")
			if g := c.send(method, at, body); g.status != 401 || !strings.Contains(g.text, "User is disabled") {
				t.Errorf("%s: %d %s", request, g.status, g.text)
			}
		}
		app := c.open("")
		if g := c.send("POST", "/login", jane, "CB-Token", app); g.status != 401 {
			t.Errorf("POST /login: %d %s", g.status, g.text)
		}
		if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 401 {
			t.Errorf("the old token: %d", g.status)
		}
	}
	refused(c)
	shut(t, s)
	srv.Close()

	s = open(t, file)
	c = onThisMachine(t, s)
	refused(c)
	if g := c.send("PUT", path+"/disabled", `{"disabled":false}`); g.status != 200 || strings.Contains(g.text, "disabled") {
		t.Errorf("enabling: %d %s", g.status, g.text)
	}
	c.open(jane)
}

func TestSigningInAsAUserAndDeletingHer(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := onThisMachine(t, s)
	id := c.signUp(jane)
	g := c.send("POST", "/_sandbox/users/"+id+"/session", `{}`)
	token := g.str("token")
	if g.status != 201 || g.str("user_id") != id || g.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", g.status, g.text, g.header)
	}
	if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 200 || g.str("session.user_id") != id {
		t.Errorf("the session: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/_sandbox/traffic", ""); strings.Contains(g.text, token) {
		t.Errorf("the traffic shows the token: %s", g.text)
	}
	if g := c.send("DELETE", "/_sandbox/users/"+id, ""); g.status != 200 {
		t.Errorf("deleting: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 401 {
		t.Errorf("the deleted user's session: %d", g.status)
	}
	if n := len(s.State().Users); n != 0 {
		t.Errorf("%d users", n)
	}
}

func TestTheOverviewHasWhatAnAppNeeds(t *testing.T) {
	answer := `{"user":{"id":"7"}}`
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer == "" {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(provider.Close)
	s := sandbox.New(sandbox.Options{
		AppID: 77, AuthKey: "it's", Server: "http://localhost:3000", Certificate: []byte("pem"),
		Reachable: func() []string { return []string{"https://192.168.1.7:3001"} },
		CIdP: sandbox.CIdP{
			Enabled: true, URL: provider.URL, ResponseParams: map[string]string{"uid": "#{user.id}"},
			Headers: map[string]string{"X-Secret": "of-the-provider"},
		},
	})
	c := onThisMachine(t, s)
	g := c.send("GET", "/_sandbox/overview", "")
	for path, want := range map[string]string{
		"application_id": "77", "auth_key": "it's", "chat_domain": sandbox.DefaultChatDomain, "server": "http://localhost:3000",
		"places.0.url": "http://localhost", "places.0.chat_url": "ws://localhost/chat",
		"places.1.url": "https://192.168.1.7:3001", "places.1.chat_url": "wss://192.168.1.7:3001/chat", "places.2.url": "http://10.0.2.2",
		"in_network": "true", "certificate": "/_sandbox/ca.pem", "provider.url": provider.URL, "provider.last": "",
	} {
		if got := g.str(path); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	if plain := g.str("places.0.snippet"); !strings.Contains(plain, `authKey: 'it\'s'`) || !strings.Contains(plain, "api_url: 'http://localhost'") || !strings.Contains(plain, "api: 'localhost'") {
		t.Errorf("snippet: %s", plain)
	}
	if strings.Contains(g.text, "of-the-provider") {
		t.Errorf("it shows the provider's secret: %s", g.text)
	}
	own := strings.NewReplacer("1001", "77", "sandbox-auth-key", "it's").Replace(withTicket)
	for _, step := range []struct{ answer, problem string }{
		{`{"user":{"id":"7"}}`, ""}, {"", "status 418"}, {`{}`, "without a user ID"},
	} {
		answer = step.answer
		c.send("POST", "/session", own)
		g := c.send("GET", "/_sandbox/overview", "")
		if got := g.str("provider.last.problem"); g.str("provider.last.at") == "" || step.problem == "" && got != "" || !strings.Contains(got, step.problem) {
			t.Errorf("after %q: %q", step.answer, got)
		}
	}
	provider.Close()
	c.send("POST", "/session", own)
	if got := c.send("GET", "/_sandbox/overview", "").str("provider.last.problem"); !strings.Contains(got, "did not answer") {
		t.Errorf("without a provider: %q", got)
	}
}

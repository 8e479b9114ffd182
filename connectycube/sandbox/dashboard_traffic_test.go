package sandbox_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/connectycube/sandbox/core"
)

func TestTrafficIsFilteredAndInPages(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := onThisMachine(t, s)
	id := c.signUp(jane)                                      // 1
	token := c.open(jane)                                     // 2
	c.send("GET", "/session?a=hidden", "", "CB-Token", token) // 3
	c.send("GET", "/nowhere", "")                             // 4
	arm(t, s, sandbox.Fault{Kind: "status", Status: 503, Times: 1})
	c.send("PUT", "/users/1", `{}`) // 5
	s.Note(core.Entry{On: core.OnChat, UserID: 5, Direction: "in", Stanza: `<message to="x"><body>secret</body></message>`, At: s.Now()})
	s.Note(core.Entry{On: core.OnREST, Method: "GET", Path: "/cut", At: s.Now()})
	tests := []struct{ query, ids string }{
		{"", "[7 6 5 4 3 2 1]"},
		{"limit=2", "[7 6]"},
		{"limit=2&before=4", "[3 2]"},
		{"on=chat", "[6]"},
		{"on=rest&method=get", "[7 4 3]"},
		{"user=" + id, "[3]"},
		{"user=5", "[6]"},
		{"status=2xx", "[3 2 1]"},
		{"status=404", "[4]"},
		{"status=5xx", "[5]"},
		{"status=none", "[7]"},
		{"fault=1", "[5]"},
		{"path=SESSION", "[3 2]"},
		{"path=hidden", "[]"}, // of a query, which may contain secrets
		{"path=message", "[6]"},
		{"path=secret", "[]"},
		{"status=2xx&method=POST&path=/users", "[1]"},
	}
	for _, tt := range tests {
		g := c.send("GET", "/_sandbox/traffic?"+tt.query, "")
		if ids := fmt.Sprint(g.strs("entries", "id")); g.status != 200 || ids != tt.ids {
			t.Errorf("%s: %d %s, want %s", tt.query, g.status, ids, tt.ids)
		}
	}
	if g := c.send("GET", "/_sandbox/traffic?limit=2&before=4&on=rest", ""); g.str("older") != "true" || g.str("matched") != "6" || g.str("total") != "7" {
		t.Errorf("counts: %s", g.text)
	}
	g := c.send("GET", "/_sandbox/traffic/2", "")
	if g.status != 200 || !strings.Contains(g.str("entry.request"), `"login":"jane"`) || strings.Contains(g.text, "11111111") || strings.Contains(g.text, token) {
		t.Errorf("an entry: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/_sandbox/traffic/6", ""); g.str("curl") != "" || !strings.Contains(g.str("entry.stanza"), "<body>") {
		t.Errorf("a stanza: %s", g.text)
	}
}

// The command is the request as a shell runs it. Secrets are masked, and the keys of the
// sandbox's own application, which are no secrets, are not.
func TestCopyAsCurl(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := onThisMachine(t, s)
	token := c.open("")
	const evil = "it's \"$(touch x)\" `y` \\ \n\t\x1b[31m\x03 ü"
	tests := []struct {
		name     string
		request  string
		body     string
		header   []string
		want     []string // arguments, or parts of them
		wantNone []string
	}{
		{"a session with the own key", "POST /session", `{"application_id":1001,"auth_key":"sandbox-auth-key","user":{"login":"a","password":"hidden-word"}}`, nil,
			[]string{"-X", "POST", "http://localhost/session", "Content-Type: application/json", `{"application_id":1001,"auth_key":"sandbox-auth-key","user":{"login":"a","password":"•••"}}`}, []string{"hidden-word"}},
		{"another key", "POST /session", `{"application_id":1001,"auth_key":"foreign-key"}`, nil, []string{`"auth_key":"•••"`}, []string{"foreign-key"}},
		{"own and another key", "POST /session", `{"auth_key":"foreign-key","x":{"auth_key":"sandbox-auth-key"}}`, nil, []string{`"auth_key":"•••"`}, []string{"foreign-key"}},
		{"a form", "POST /session", `application_id=1001&auth_key=sandbox-auth-key&user[password]=hidden-word`, nil,
			[]string{"application_id=1001&auth_key=sandbox-auth-key&user[password]=•••", "Content-Type: application/x-www-form-urlencoded"}, []string{"hidden-word"}},
		{"headers", "GET /users/v2?login=a&token=hidden-word", "", []string{"CB-Token", token, "CB-AuthKey", "sandbox-auth-key"},
			[]string{"Cb-Token: •••", "Cb-Authkey: sandbox-auth-key", "http://localhost/users/v2?login=a&token=•••"}, []string{token, "-X", "hidden-word"}},
		{"a foreign key in a header", "GET /users/v2", "", []string{"CB-AuthKey", "foreign-key"}, []string{"Cb-Authkey: •••"}, []string{"foreign-key", "sandbox-auth-key"}},
		{"the administration key", "GET /admin/chat/list", "", []string{"CB-Administration-API-Key", "sandbox-api-key"}, []string{"Cb-Administration-Api-Key: sandbox-api-key"}, nil},
		{"hostile text", "POST /users", evil, nil, []string{"\n" + evil + "\n"}, nil},
	}
	for i, tt := range tests {
		s.ClearJournal()
		method, path, _ := strings.Cut(tt.request, " ")
		c.send(method, path, tt.body, tt.header...)
		entry := s.Journal(0)[0]
		curl := c.send("GET", fmt.Sprintf("/_sandbox/traffic/%d", entry.ID), "").str("curl")
		out, err := exec.Command("bash", "-c", `curl() { printf '%s\n' "$@"; }`+"\n"+curl).CombinedOutput()
		if err != nil || strings.ContainsAny(curl, "\x1b\x03") {
			t.Errorf("%d, %s: %v: %q", i, tt.name, err, curl)
		}
		for _, want := range tt.want {
			if !strings.Contains("\n"+string(out), want) {
				t.Errorf("%s: %q is not in %q", tt.name, want, out)
			}
		}
		for _, none := range tt.wantNone {
			if strings.Contains(curl, none) {
				t.Errorf("%s: %q is in %s", tt.name, none, curl)
			}
		}
	}
	s.ClearJournal()
	c.send("POST", "/users", `{"x":"`+strings.Repeat("x", 5000)+`"}`)
	if curl := c.send("GET", fmt.Sprintf("/_sandbox/traffic/%d", s.Journal(0)[0].ID), "").str("curl"); !strings.Contains(curl, "\n# The body was longer") {
		t.Errorf("a long body: …%s", curl[len(curl)-100:])
	}
}

func TestFaultsCountAndAreRemovedOneByOne(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := onThisMachine(t, s)
	add := func(body string) string {
		t.Helper()
		return c.send("POST", "/_sandbox/faults", body).str("id")
	}
	twice := add(`{"kind":"status","status":500,"delay_ms":0,"times":2}`)
	always := add(`{"kind":"status","status":501,"delay_ms":0,"times":0}`)
	other := add(`{"kind":"status","status":502,"path":"/x","delay_ms":0,"times":0}`)
	for range 5 {
		c.send("GET", "/session", "")
	}
	g := c.send("GET", "/_sandbox/faults", "")
	if fmt.Sprint(g.strs("faults", "id"), g.strs("faults", "acted"), g.strs("spent", "id"), g.strs("spent", "acted")) != fmt.Sprintf("[%s %s] [3 0] [%s] [2]", always, other, twice) {
		t.Errorf("faults = %s", g.text)
	}
	if back := c.send("PUT", "/_sandbox/faults", g.text); back.status != 200 || fmt.Sprint(back.strs("faults", "acted")) != "[0 0]" {
		t.Errorf("written back: %d %s", back.status, back.text)
	}
	first := c.send("GET", "/_sandbox/faults", "").strs("faults", "id")[0]
	if g := c.send("DELETE", "/_sandbox/faults/"+first, ""); g.status != 200 || len(g.strs("faults", "id")) != 1 || g.str("faults.0.path") != "/x" {
		t.Errorf("removing one: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/session", ""); g.status != 401 {
		t.Errorf("the removed fault acts: %d", g.status)
	}
	if g := c.send("DELETE", "/_sandbox/faults/"+first, ""); g.status != 404 {
		t.Errorf("removing it twice: %d", g.status)
	}
	for range 30 {
		arm(t, s, sandbox.Fault{Kind: "status", Status: 500, Times: 1})
		c.send("GET", "/session", "")
	}
	if g := c.send("GET", "/_sandbox/faults", ""); len(g.strs("spent", "id")) != 20 {
		t.Errorf("%d spent faults", len(g.strs("spent", "id")))
	}
	if g := c.send("DELETE", "/_sandbox/faults", ""); g.text != `{"faults":[],"spent":[]}`+"\n" {
		t.Errorf("cleared: %s", g.text)
	}
}

// The table for the form says what a fault of each kind needs.
func TestTheTableOfFaultKindsIsRight(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	g := onThisMachine(t, s).send("GET", "/_sandbox/fault-kinds", "")
	if n := len(g.strs("kinds", "meaning")); n != 15 {
		t.Errorf("%d kinds", n)
	}
	for _, k := range core.FaultKinds {
		f := sandbox.Fault{On: k.On, Kind: k.Kind, Status: 200, Delay: time.Second}
		if k.Status == core.Unused {
			f.Status = 0
		}
		without := f
		without.Status = 0
		if err := s.AddFault(without); (err != nil) != (k.Status == core.Required) {
			t.Errorf("%s on %s without a status: %v", k.Kind, k.On, err)
		}
		without = f
		without.Delay = 0
		if err := s.AddFault(without); (err != nil) != (k.Delay == core.Required) {
			t.Errorf("%s on %s without a delay: %v", k.Kind, k.On, err)
		}
	}
}

// What happened in the time ahead counts as if it had happened at the return: sessions
// live their usual time, dates are not in the future, and IDs keep their order.
func TestTheWayBackToRealTime(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := onThisMachine(t, s)
	ann := people(t, s, "ann", "bob")
	early := ann[0].call(201, "POST /chat/Dialog", `{"type":2,"name":"Early","occupants_ids":[`+ann[1].id+`]}`).str("_id")
	c.send("POST", "/_sandbox/clock", `{"advance":"1000h"}`)
	ahead := person{c, ann[0].id, c.open(`{"login":"ann","password":"11111111"}`)}
	late := ahead.call(201, "POST /chat/Dialog", `{"type":2,"name":"Late","occupants_ids":[`+ann[1].id+`]}`).str("_id")
	then := ahead.call(201, "POST /chat/Message", `{"chat_dialog_id":"`+late+`","message":"ahead"}`).str("_id")
	record := ahead.call(201, "POST /data/Movie", `{"name":"x"}`).str("_id")

	before := time.Now().Add(-time.Second)
	if g := c.send("DELETE", "/_sandbox/clock", ""); g.status != 200 || g.str("ahead") != "0s" {
		t.Fatalf("%d %s", g.status, g.text)
	}
	if s.Ahead() != 0 || s.Now().After(time.Now()) {
		t.Errorf("%s ahead", s.Ahead())
	}
	now := ahead.call(201, "POST /chat/Message", `{"chat_dialog_id":"`+late+`","message":"back"}`).str("_id")
	if now <= then || late <= early {
		t.Errorf("the ID %s is not above %s", now, then)
	}
	list := ahead.call(200, "GET /chat/Message?chat_dialog_id="+late+"&sort_asc=date_sent", "")
	if texts := fmt.Sprint(list.strs("items", "message")); texts != "[ahead back]" {
		t.Errorf("messages: %s", texts)
	}
	dates := list.text + ahead.call(200, "GET /chat/Dialog", "").text + c.send("GET", "/_sandbox/state", "").text +
		ahead.call(200, "GET /data/Movie/"+record, "").text + ahead.call(200, "GET /users/"+ann[0].id, "").text
	if future := before.Add(999 * time.Hour).UTC().Format("2006-01"); future != before.UTC().Format("2006-01") && strings.Contains(dates, `"`+future) {
		t.Errorf("a date in the future: %s", dates)
	}
	for _, step := range []struct {
		advance string
		status  int
	}{{"1h59m", http.StatusOK}, {"2h1m", http.StatusUnauthorized}} {
		c.send("POST", "/_sandbox/clock", `{"advance":"`+step.advance+`"}`)
		if g := c.send("GET", "/session", "", "CB-Token", ahead.token); g.status != step.status {
			t.Errorf("after %s: %d, want %d", step.advance, g.status, step.status)
		}
	}
}

package sandbox_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"cubegate/connectycube/sandbox"
)

func (p person) meeting(fields string) got {
	p.t.Helper()
	return p.call(201, "POST /meetings.json", `{"name":"weekly","start_date":1613729948,"end_date":1613731012,"attendees":[]`+fields+`}`)
}

func TestMeetings(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := people(t, s, "host", "guest", "stranger")
	host, guest, stranger := all[0], all[1], all[2]
	g := host.call(201, "POST /meetings.json", `{"name":"weekly","start_date":1613729948,"end_date":"1613731012.0","attendees":[{"id":`+guest.id+`,"email":"g@example.com"},{"email":"x@example.com"}],
		"chat":true,"record":false,"notify":true,"notify_before":{"metric":"minutes","value":10},"timezone":{"offset":120,"name":"Europe/Riga"}}`)
	for path, want := range map[string]string{
		"name": "weekly", "start_date": "1613729948", "end_date": "1613731012", "host_id": host.id, "record": "false", "scheduled": "false",
		"public": "false", "notify": "true", "notify_before": "map[metric:minutes value:10]", "timezone": "map[name:Europe/Riga offset:120]",
		"attendees": "[map[email:g@example.com id:" + guest.id + "] map[email:x@example.com]]", "created_at": g.str("updated_at"),
	} {
		if v := g.str(path); v != want {
			t.Errorf("%s = %q, want %q", path, v, want)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", g.str("created_at")); err != nil {
		t.Errorf("created_at: %v", err)
	}
	id, dialog := g.str("_id"), g.str("chat_dialog_id")
	if d := guest.call(200, "GET /chat/Dialog?_id="+dialog, ""); d.str("items.0.type") != "2" || d.str("items.0.name") != "weekly" {
		t.Errorf("its dialog: %s", d.text)
	}
	if g := host.meeting(""); g.str("chat_dialog_id") != "" || g.str("attendees") != "[]" {
		t.Errorf("the SDK's default: %s", g.text)
	}
	for who, want := range map[person]int{host: 2, guest: 1, stranger: 0} {
		list := who.call(200, "GET /meetings.json", "")
		if items, ok := list.body.([]any); !ok || len(items) != want {
			t.Errorf("%s, want %d meetings", list.text, want)
		}
	}
	if g := stranger.call(200, "GET /meetings?_id="+id, ""); g.text != "[]\n" {
		t.Errorf("a stranger sees %s", g.text)
	}
	guest.call(403, "PUT /meetings/"+id, `{"name":"mine"}`)
	stranger.call(404, "PUT /meetings/"+id, `{"name":"mine"}`)
	changed := host.call(200, "PUT /meetings/"+id+".json", `{"name":"daily","public":true,"scheduled":true,"record":true,"timezone":null,"chat":true,
		"attendees":[{"id":7}],"notify_before":{"metric":"hours","value":1}}`)
	if changed.str("name") != "daily" || changed.str("start_date") != "1613729948" || changed.str("timezone") != "" || changed.str("record") != "true" ||
		changed.str("chat_dialog_id") != dialog || changed.str("attendees") != "[map[id:7]]" || changed.str("notify_before.metric") != "hours" {
		t.Errorf("changed: %s", changed.text)
	}
	if g := stranger.call(200, "GET /meetings?_id="+id, ""); g.str("0.name") != "daily" || g.str("1") != "" {
		t.Errorf("a public meeting: %s", g.text)
	}
	if g := stranger.call(200, "GET /meetings", ""); g.text != "[]\n" {
		t.Errorf("a public meeting is listed: %s", g.text)
	}
	if g := host.call(200, "GET /meetings?_id="+id, ""); g.str("0.name") != "daily" || g.str("1") != "" {
		t.Errorf("the host sees %s", g.text)
	}
	if g := host.call(200, "GET /meetings/recordings/"+id+".json", ""); g.text != "[]\n" {
		t.Errorf("recordings: %s", g.text)
	}
	guest.call(200, "GET /meetings/recordings/"+id, "") // public by now
	guest.call(404, "GET /meetings/recordings/5c0d4f95ca8bf4291e8d3c2d", "")
	stranger.call(403, "DELETE /meetings/"+id, "")
	if g := host.call(200, "DELETE /meetings/"+id+".json", ""); g.text != "" {
		t.Errorf("body %q", g.text)
	}
	host.call(404, "DELETE /meetings/"+id, "")
}

func TestMeetingsAreFoundByEmail(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	host := people(t, s, "host")[0]
	c := in(t, s)
	c.signUp(`{"email":"Guest@example.com","password":"11111111"}`)
	guest := person{c, "", c.open(`{"email":"guest@example.com","password":"11111111"}`)}
	host.call(201, "POST /meetings", `{"name":"m","start_date":1,"end_date":2,"attendees":[{"email":"GUEST@example.com"}]}`)
	if g := guest.call(200, "GET /meetings", ""); g.str("0.name") != "m" {
		t.Errorf("got %s", g.text)
	}
}

func TestMeetingsAreFiltered(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	host := people(t, s, "host")[0]
	for i, start := range []int{100, 200, 300} {
		host.call(201, "POST /meetings", fmt.Sprintf(`{"name":"m%d","start_date":%d,"end_date":%d,"attendees":[],"scheduled":%t}`, i, start, start+50, i == 1))
	}
	for query, want := range map[string]string{
		"":                                       "m0 m1 m2",
		"?start_date[gte]=200":                   "m1 m2",
		"?start_date[gt]=199.5&end_date[lt]=300": "m1",
		"?scheduled=true":                        "m1",
		"?scheduled=false":                       "m0 m2",
		"?limit=1&offset=1":                      "m1",
		"?offset=5":                              "",
		"?created_at[gt]=2024-01-01T00:00:00.000Z": "m0 m1 m2",
		"?updated_at[lt]=2024-01-01T00:00:00.000Z": "",
		"?sort_desc=start_date":                    "m2 m1 m0",
	} {
		g := host.call(200, "GET /meetings"+query, "")
		var names []string
		for _, item := range g.body.([]any) {
			names = append(names, item.(map[string]any)["name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"?limit=0", "?offset=-1", "?start_date[near]=1", "?start_date=soon", "?color[gt]=1"} {
		host.call(422, "GET /meetings"+query, "")
	}
}

func TestMeetingsThatAreRefused(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	host := people(t, s, "host")[0]
	id := host.meeting(`,"chat":true`).str("_id")
	before := host.call(200, "GET /meetings", "").text
	whole := `{"name":"m","start_date":1,"end_date":2,"attendees":[]}`
	for _, edit := range [][2]string{
		{`"name":"m",`, ``}, {`"m"`, `""`}, {`"m"`, `"` + strings.Repeat("x", 256) + `"`},
		{`"start_date":1,`, ``}, {`"start_date":1`, `"start_date":"soon"`}, {`"end_date":2,`, ``}, {`"end_date":2`, `"end_date":null`},
		{`,"attendees":[]`, ``}, {`[]`, `"7"`}, {`[]`, `[{}]`}, {`[]`, `[7]`}, {`[]`, `[{"id":"x","email":"a@example.com"}]`},
		{`[]`, `[` + strings.Repeat(`{"id":7},`, 100) + `{"id":7}]`},
		{`[]`, `[],"notify_before":{"metric":"years","value":1}`}, {`[]`, `[],"notify_before":{"metric":"minutes","value":56}`}, {`[]`, `[],"notify_before":{"metric":"minutes","value":"soon"}`},
		{`[]`, `[],"notify_before":{"metric":"hours","value":0}`}, {`[]`, `[],"timezone":{"name":"UTC"}`}, {`[]`, `[],"timezone":{"offset":100000,"name":"UTC"}`},
	} {
		body := strings.Replace(whole, edit[0], edit[1], 1)
		host.call(422, "POST /meetings", body)
		if edit[1] != "" {
			host.call(422, "PUT /meetings/"+id, body)
		}
	}
	if after := host.call(200, "GET /meetings", "").text; after != before {
		t.Errorf("meetings are %s, were %s", after, before)
	}
	if n := s.State().Totals.Dialogs; n != 1 {
		t.Errorf("%d dialogs, want one", n)
	}
}

func TestWhiteboards(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := people(t, s, "ann", "bob", "clara")
	ann, bob, clara := all[0], all[1], all[2]
	group := ann.group(bob)
	g := ann.call(201, "POST /whiteboards.json", `{"name":"plan","chat_dialog_id":"`+group+`"}`)
	if g.str("name") != "plan" || g.str("chat_dialog_id") != group || g.str("user_id") != ann.id || len(g.str("_id")) != 24 || !strings.HasSuffix(g.str("created_at"), "Z") {
		t.Errorf("answer %s", g.text)
	}
	id := g.str("_id")
	bob.call(201, "POST /whiteboards", `{"name":"two","chat_dialog_id":"`+group+`"}`)
	ann.call(201, "POST /whiteboards", `{"name":"three","chat_dialog_id":"`+group+`"}`)
	ann.call(422, "POST /whiteboards", `{"name":"four","chat_dialog_id":"`+group+`"}`)
	if g := bob.call(200, "GET /whiteboards.json?chat_dialog_id="+group, ""); g.str("0._id") != id || g.str("2.name") != "three" || g.str("3") != "" {
		t.Errorf("list %s", g.text)
	}
	private := ann.dialog(`{"type":3,"occupants_ids":"` + bob.id + `"}`)
	if g := ann.call(200, "GET /whiteboards?chat_dialog_id="+private, ""); g.text != "[]\n" {
		t.Errorf("list %s", g.text)
	}
	bob.call(201, "POST /whiteboards", `{"name":"two of us","chat_dialog_id":"`+private+`"}`)
	public := ann.dialog(`{"type":4,"name":"all"}`)
	for _, body := range []string{`{"name":"x","chat_dialog_id":"` + public + `"}`, `{"name":"x"}`, `{"chat_dialog_id":"` + group + `"}`, `{"name":"` + strings.Repeat("x", 256) + `","chat_dialog_id":"` + private + `"}`} {
		ann.call(422, "POST /whiteboards", body)
	}
	ann.call(422, "GET /whiteboards", "")
	clara.call(403, "GET /whiteboards?chat_dialog_id="+group, "")
	clara.call(403, "POST /whiteboards", `{"name":"x","chat_dialog_id":"`+group+`"}`)
	clara.call(404, "GET /whiteboards?chat_dialog_id=5c0d4f95ca8bf4291e8d3c2d", "")

	bob.call(403, "PUT /whiteboards/"+id, `{"name":"mine"}`)
	clara.call(404, "PUT /whiteboards/"+id, `{"name":"mine"}`)
	ann.call(422, "PUT /whiteboards/"+id, `{}`)
	if err := s.Advance(time.Minute); err != nil {
		t.Fatal(err)
	}
	if g := ann.call(200, "PUT /whiteboards/"+id+".json", `{"name":"new plan"}`); g.str("name") != "new plan" || g.str("updated_at") == g.str("created_at") {
		t.Errorf("answer %s", g.text)
	}
	bob.call(403, "DELETE /whiteboards/"+id, "")
	if g := ann.call(200, "DELETE /whiteboards/"+id+".json", ""); g.text != "" {
		t.Errorf("body %q", g.text)
	}
	ann.call(404, "DELETE /whiteboards/"+id, "")
	ann.call(201, "POST /whiteboards", `{"name":"four","chat_dialog_id":"`+group+`"}`)
}

func TestMeetingsAndWhiteboardsAreInTheDataFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	ann := people(t, s, "ann")[0]
	bob := people(t, s, "bob")[0]
	group := ann.group(bob)
	ann.meeting(`,"public":true,"timezone":{"offset":-300,"name":"America/New_York"},"notify_before":{"metric":"weeks","value":4}`)
	board := ann.call(201, "POST /whiteboards", `{"name":"plan","chat_dialog_id":"`+group+`"}`).str("_id")
	look := func() string {
		t.Helper()
		return ann.call(200, "GET /meetings", "").text + ann.call(200, "GET /whiteboards?chat_dialog_id="+group, "").text
	}
	s = survivesRestarts(t, s, file, func(s *sandbox.Sandbox) { ann.caller = in(t, s) }, look)
	ann.call(200, "DELETE /whiteboards/"+board, "")
	shut(t, s)
}

// TestConferencesAreRefusedInWords: the SDK passes the reason on to the app.
func TestConferencesAreRefusedInWords(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	var answer struct {
		Janus, Transaction string
		Error              struct {
			Code   int
			Reason string
		}
	}
	check := func(by string) {
		t.Helper()
		if answer.Janus != "error" || answer.Transaction != "t1" || answer.Error.Code == 0 || !strings.Contains(answer.Error.Reason, "no media server") {
			t.Errorf("by %s: %+v", by, answer)
		}
	}
	g := c.send("POST", "/janus", `{"janus":"create","transaction":"t1","token":"x"}`)
	if err := json.Unmarshal([]byte(g.text), &answer); err != nil || g.status != 200 {
		t.Errorf("%d %s: %v", g.status, g.text, err)
	}
	check("HTTP")
	answer.Error.Reason = ""
	conn, _, err := websocket.Dial(t.Context(), c.base+"/janus", &websocket.DialOptions{HTTPClient: c.http, Subprotocols: []string{"janus-protocol"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := wsjson.Write(t.Context(), conn, map[string]string{"janus": "create", "transaction": "t1"}); err != nil {
		t.Fatal(err)
	}
	if err := wsjson.Read(t.Context(), conn, &answer); err != nil || conn.Subprotocol() != "janus-protocol" {
		t.Errorf("subprotocol %q: %v", conn.Subprotocol(), err)
	}
	check("WebSocket")
	if g := c.send("GET", "/janus", ""); g.status != 404 {
		t.Errorf("GET: %d", g.status)
	}
}

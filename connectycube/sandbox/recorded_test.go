package sandbox_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
)

// recorded is every recorded request of the official JavaScript SDK, unchanged except for
// IDs, tokens and names that must exist. Each has the status and the fields of the answer
// with which the recorded SDK succeeded or failed; only blob_id is left out, which the
// service no longer has. See fixture.
//
//go:embed testdata/recorded.json
var recorded []byte

// The size of the recording, so that a lost row is noticed.
const (
	recordedFixtures = 111
	recordedRequests = 114
)

// fixture is one file of the recording.
type fixture struct {
	Fixture string
	None    string // the reason why there is nothing to replay
	Differs string // the reason why the answer is not the recorder's

	Key      string // the application's authorization key; default the usual one
	Deny     bool   // unknown users are not created
	Provider string // the identity provider's answer; "": there is none
	Online   bool   // a user is in the chat
	Fault    *sandbox.Fault

	Requests []struct {
		Request string // method, path and query; see prepared for the names in braces
		As      string // john, app, dead, empty, last, key; "" = none
		After   string // time after the previous request
		Body    string
		Status  int    // 0: no answer
		Has     string // paths, separated by spaces; a:user means all fields of a user in a
		Empty   bool
	}
}

func recording(t *testing.T) (all []fixture, fields map[string]string) {
	t.Helper()
	var file struct {
		Fields   map[string]string
		Fixtures []fixture
	}
	dec := json.NewDecoder(bytes.NewReader(recorded))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file.Fixtures, file.Fields
}

func TestRecordedRequests(t *testing.T) {
	all, fields := recording(t)
	requests := 0
	for _, f := range all {
		requests += len(f.Requests)
		if (f.None == "") == (len(f.Requests) == 0) {
			t.Errorf("%s has neither requests nor a reason, or both", f.Fixture)
		}
		t.Run(f.Fixture, func(t *testing.T) {
			if f.None != "" {
				t.Skip(f.None)
			}
			f.replay(t, fields)
		})
	}
	if len(all) != recordedFixtures || requests != recordedRequests {
		t.Errorf("replayed %d requests of %d fixtures, want %d of %d", requests, len(all), recordedRequests, recordedFixtures)
	}
}

func (f fixture) replay(t *testing.T, fields map[string]string) {
	p := prepare(t, f)
	if f.Fault != nil {
		arm(t, p.s, *f.Fault)
	}
	for _, r := range f.Requests {
		if after, err := time.ParseDuration(r.After); err == nil {
			if err := p.s.Advance(after); err != nil {
				t.Fatal(err)
			}
		}
		method, path, _ := strings.Cut(p.fill.Replace(r.Request), " ")
		header := append(slices.Clone(p.headers[r.As]), "Content-Type", contentType(exchange{}, method))
		p.john.http.Timeout = 0
		if hangs := f.Fault != nil && f.Fault.Kind == sandbox.FaultHang; hangs && r.Status == 0 {
			p.john.http.Timeout = 200 * time.Millisecond // the SDK's timeout in the recording
		}
		g, err := p.john.try(method, path, p.fill.Replace(r.Body), header...)
		if r.Status == 0 {
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v, %d, want no answer", r.Request, err, g.status)
			}
			continue
		}
		if err != nil || g.status != r.Status {
			t.Fatalf("%s: %v, %d %s, want %d", r.Request, err, g.status, g.text, r.Status)
		}
		if r.Empty != (g.text == "") {
			t.Errorf("%s: body = %q", r.Request, g.text)
		}
		for _, path := range paths(p.fill.Replace(r.Has), fields) {
			if _, present := g.at(path); !present {
				t.Errorf("%s: the answer has no %s: %s", r.Request, path, g.text)
			}
		}
		if ct := g.header.Get("Content-Type"); r.Has != "" && ct != "application/json; charset=utf-8" {
			t.Errorf("%s: content type = %q", r.Request, ct)
		}
		if f.Fault == nil && strings.HasPrefix(path, "/chat/") && g.header.Get("CB-Token-ExpirationDate") == "" {
			t.Errorf("%s: the answer does not say when the session ends", r.Request)
		}
		if token := g.str("session.token"); token != "" {
			p.headers["last"] = []string{"CB-Token", token}
		}
	}
}

// paths expands the abbreviations.
func paths(has string, fields map[string]string) (all []string) {
	for path := range strings.FieldsSeq(has) {
		at, kind, short := strings.Cut(path, ":")
		if !short {
			all = append(all, path)
		}
		for field := range strings.FieldsSeq(fields[kind]) {
			all = append(all, strings.TrimPrefix(at+"."+field, "."))
		}
	}
	return all
}

// prepared returns a sandbox with the items of the recording: users have the recorded IDs,
// and IDs that the sandbox assigns are named in braces.
type prepared struct {
	s       *sandbox.Sandbox
	john    person
	fill    *strings.Replacer
	headers map[string][]string
}

func prepare(t *testing.T, f fixture) prepared {
	t.Helper()
	key := f.Key
	if key == "" {
		key = sandbox.DefaultAuthKey
	}
	s := sandbox.New(sandbox.Options{AuthKey: key, V1Users: true, DenyAutoCreate: f.Deny, HTTP: &http.Client{
		Transport: provider(func(*http.Request) (int, string) { return 200, f.Provider }),
	}})
	seed := sandbox.Seed{Users: []sandbox.SeedUser{
		{ID: 51941, Login: "john", Email: "john@example.com", Password: "11111111", FullName: "John"},
		{ID: 51946, Login: "Dacia", Email: "dacia_k+a@domain.com", Password: "petU4or!", ExternalID: "ext-1", FullName: "Gabrielle Corcoran", Phone: "44678162873", Tags: []string{"apple", "ios"}},
	}}
	for _, id := range []int64{12, 21, 45, 56, 89, 97, 789, 4377, 29085, 29086, 29087} {
		seed.Users = append(seed.Users, sandbox.SeedUser{ID: id, Login: fmt.Sprintf("user-%d", id), Password: "11111111"})
	}
	if _, err := s.Seed(seed); err != nil {
		t.Fatal(err)
	}
	c := in(t, s)
	open := func(user string) string {
		g := c.send("POST", "/session", `{"application_id":1001,"auth_key":"`+key+`"`+user+`}`)
		return g.str("session.token")
	}
	john := person{c, "51941", open(`,"user":{"login":"john","password":"11111111"}`)}
	other := person{c, "29086", open(`,"user":{"login":"user-29086","password":"11111111"}`)}
	group := john.dialog(`{"type":2,"name":"g","occupants_ids":"45,89,97","admins_ids":"45","extensions":{"location":"Sunbar"}}`)
	message := john.say(group, "lorem")
	john.call(200, "PUT /chat/Message/"+message+"/reactions", `{"add":"👍"}`)
	device := john.call(201, "POST /subscriptions", `{"notification_channel":"gcm","device":{"platform":"android","udid":"u"},"push_token":{"environment":"development","client_identification_sequence":"r"}}`)
	file := john.newFile("awesome.txt", "text/plain", false)
	john.upload(file, "lorem ipsum")
	if f.Provider != "" { // last, because it affects every session
		err := s.SetCIdP(sandbox.CIdP{Enabled: true, URL: "http://provider.example", ResponseParams: map[string]string{"uid": "#{user.id}"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if f.Online {
		chatters(t, s, "olga")
	}
	return prepared{
		s, john,
		strings.NewReplacer("{unknown}", "51942", "{group}", group, "{public}", other.dialog(`{"type":4,"name":"p"}`),
			"{message}", message, "{subscription}", device.str("0.subscription.id"), "{file}", file.id),
		map[string][]string{
			"john": {"CB-Token", john.token}, "app": {"CB-Token", open("")}, "key": {"CB-AuthKey", key},
			"dead": {"CB-Token", strings.Repeat("A1", 18)}, "empty": {"CB-Token", ""},
		},
	}
}

var inBraces = regexp.MustCompile(`\\\{[a-z]+\\\}`)

// TestTheRecordingIsWhole compares the replayed requests with the recording itself, which is
// not part of this repository.
func TestTheRecordingIsWhole(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "connectycube", "fixtures", "rest")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("the recording is not beside this repository: there is no %s", dir)
	}
	all, _ := recording(t)
	missing := map[string]fixture{}
	for _, f := range all {
		missing[f.Fixture] = f
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		f, ok := missing[name]
		if !ok {
			t.Errorf("%s is not replayed", name)
		}
		delete(missing, name)
		f.compare(t, file)
	}
	if len(missing) > 0 {
		t.Errorf("not of the recording: %s", slices.Sorted(maps.Keys(missing)))
	}
}

// compare compares methods, paths, queries and the presence of bodies with a file. Bodies
// themselves have other names and passwords.
func (f fixture) compare(t *testing.T, file string) {
	t.Helper()
	type request struct {
		Method, Path string
		Query        string          `json:"query_raw"`
		Raw          string          `json:"body_raw"`
		Body         json.RawMessage `json:"body"`
	}
	var original struct {
		Exchanges []struct{ Request request }
		Requests  []request
	}
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &original)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range original.Exchanges {
		original.Requests = append(original.Requests, e.Request)
	}
	// A request without an answer was not recorded.
	if n := len(original.Requests); f.None == "" && n > 0 && n != len(f.Requests) {
		t.Fatalf("%s has %d requests, want %d", f.Fixture, len(f.Requests), n)
	}
	for i, r := range f.Requests[:min(len(f.Requests), len(original.Requests))] {
		want := original.Requests[i]
		line := strings.TrimSuffix(want.Method+" "+want.Path+"?"+want.Query, "?")
		pattern := "^" + inBraces.ReplaceAllString(regexp.QuoteMeta(r.Request), "[0-9a-f]+") + "$"
		if !regexp.MustCompile(pattern).MatchString(line) {
			t.Errorf("%s: %s, want %s", f.Fixture, r.Request, line)
		}
		if (r.Body == "") != (want.Raw == "" && want.Body == nil) {
			t.Errorf("%s: %s has a body, or the recording, not both", f.Fixture, r.Request)
		}
	}
}

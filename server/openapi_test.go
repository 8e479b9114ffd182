package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// described is openapi.json as the program serves it.
type described struct {
	raw   any
	Paths map[string]map[string]struct {
		RequestBody *struct {
			Content map[string]any
		}
		Responses map[string]any
		Security  []map[string]any
	}
}

func (r *running) described(t *testing.T) described {
	t.Helper()
	got := r.request(t, http.MethodGet, "/openapi.json", "")
	var d described
	if err := json.Unmarshal([]byte(got.body), &d); err != nil || got.status != 200 {
		t.Fatalf("%d: %v", got.status, err)
	}
	var err error
	if d.raw, err = jsonschema.UnmarshalJSON(strings.NewReader(got.body)); err != nil {
		t.Fatal(err)
	}
	return d
}

// fits checks an answer against what the description says of it.
func (d described) fits(t *testing.T, method, path string, got reply) {
	t.Helper()
	status := fmt.Sprint(got.status)
	responses := d.Paths[path][strings.ToLower(method)].Responses
	if _, listed := responses[status]; !listed {
		t.Errorf("%s %s: the status %s is not described", method, path, status)
		return
	}
	if got.status == http.StatusNoContent {
		if got.body != "" {
			t.Errorf("%s %s: 204 with a body", method, path)
		}
		return
	}
	media, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	place := "/paths/" + escaped(path) + "/" + strings.ToLower(method) + "/responses/" + status
	if got.status >= 400 {
		place = "/components/responses/Problem"
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", d.raw); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("openapi.json#" + place + "/content/" + escaped(media) + "/schema")
	if err != nil {
		t.Fatalf("%s %s %s as %s: %v", method, path, status, media, err)
	}
	answer, err := jsonschema.UnmarshalJSON(strings.NewReader(got.body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if err := schema.Validate(answer); err != nil {
		t.Errorf("%s %s %s: %v", method, path, status, err)
	}
}

// escaped is a part of a JSON pointer in a fragment.
func escaped(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "%2B").Replace(s)
}

// undescribed are routes that are no part of the REST API.
var undescribed = []string{
	"GET /", "GET /healthz", "GET /readyz", "POST /api", "GET /api", "GET /openapi.json", "GET /docs",
}

func TestOpenAPIHasEveryRoute(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	d := r.described(t)
	seen := map[string]bool{}
	err := chi.Walk(r.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		name := method + " " + route
		if strings.HasPrefix(route, "/api/playground/") || slices.Contains(undescribed, name) {
			return nil
		}
		seen[name] = true
		if _, ok := d.Paths[route][strings.ToLower(method)]; !ok {
			t.Errorf("%s is not described", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, operations := range d.Paths {
		for method := range operations {
			if name := strings.ToUpper(method) + " " + path; !seen[name] {
				t.Errorf("%s is described and not routed", name)
			}
		}
	}
}

// Every operation is asked with and without what it needs, and each answer is
// held against the description.
func TestOpenAPIFitsRealAnswers(t *testing.T) {
	t.Parallel()
	r := start(t, with(knownCallback, map[string]string{"LOGIN_FAILURES": "0"}))
	d := r.described(t)
	body := func(m map[string]string) string {
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	var token, refresh, session string
	ask := func(status int, method, path, text string) reply {
		t.Helper()
		var header []string
		if token != "" {
			header = []string{"Authorization", "Bearer " + token}
		} else if path == verifyPath {
			header = askedBy
		}
		got := r.request(t, method, strings.Replace(path, "{id}", session, 1), text, header...)
		if got.status != status {
			t.Errorf("%s %s: %d, want %d", method, path, got.status, status)
		}
		path, _, _ = strings.Cut(path, "?")
		d.fits(t, method, path, got)
		return got
	}
	keep := func(got reply) {
		t.Helper()
		var in struct{ Token, RefreshToken, SessionID string }
		if err := json.Unmarshal([]byte(got.body), &in); err != nil || in.Token == "" {
			t.Fatalf("%d: no token: %v", got.status, err)
		}
		token, refresh, session = in.Token, in.RefreshToken, in.SessionID
	}
	const address = "ada@example.org"
	ask(400, "POST", "/auth/register", `{}`)
	ask(400, "POST", "/auth/register", `[`)
	keep(ask(201, "POST", "/auth/register", body(ada(address))))
	ask(409, "POST", "/auth/register", body(ada(address)))
	ask(401, "POST", "/auth/login", body(map[string]string{"email": address, "password": "wrong"}))
	keep(ask(200, "POST", "/auth/login", body(credentials(address))))
	keep(ask(200, "POST", "/auth/login-by-token", `{"email":"ada@example.org","password":"correct horse","device":{"id":"u","name":"phone"}}`))
	ask(401, "POST", "/auth/login-by-token", body(map[string]string{"email": "x@y.zz", "password": "wrong"}))
	ask(400, "POST", "/auth/refresh", `{"refreshToken":7}`)
	ask(401, "POST", "/auth/refresh", `{"refreshToken":"x"}`)
	keep(ask(200, "POST", "/auth/refresh", `{"refreshToken":"`+refresh+`"}`))
	ask(200, "GET", "/auth/me", "")
	if got := ask(200, "GET", "/auth/sessions", ""); strings.Count(got.body, `"id"`) != 3 || !strings.Contains(got.body, `"device":"phone"`) {
		t.Errorf("sessions: %s", got.body)
	}
	ask(200, "GET", verifyPath+"?token="+token, "")
	ask(401, "GET", verifyPath+"?token=x", "")
	ask(200, "POST", verifyPath, `{"token":"`+token+`"}`)
	ask(200, "GET", verifyPath, "") // by the header
	ask(200, "POST", verifyPath, `{}`)
	ask(200, "GET", "/.well-known/jwks.json", "")
	ask(204, "DELETE", "/auth/sessions/{id}", "")
	ask(401, "DELETE", "/auth/sessions/{id}", "")
	ask(401, "GET", "/auth/me", "")
	ask(401, "GET", "/auth/sessions", "")
	keep(ask(200, "POST", "/auth/login", body(credentials(address))))
	session = "nobody"
	ask(404, "DELETE", "/auth/sessions/{id}", "")
	ask(204, "POST", "/auth/logout", "")
	ask(401, "POST", "/auth/logout", "")
	token = ""
	ask(400, "POST", verifyPath, `{}`)
	ask(400, "GET", verifyPath, "")
	ask(200, "POST", verifyPath, body(credentials(address)))
	ask(401, "POST", verifyPath, body(map[string]string{"email": address, "password": "wrong"}))
	if got := r.request(t, "POST", verifyPath, body(credentials(address))); got.status != 403 {
		t.Errorf("a stranger: %d, want 403", got.status)
	} else {
		d.fits(t, "POST", verifyPath, got)
	}
	keep(ask(200, "POST", "/auth/login", body(credentials(address))))
	ask(204, "DELETE", "/auth/sessions", "")
	ask(401, "DELETE", "/auth/sessions", "")
	if got := r.request(t, "POST", "/auth/login", body(credentials(address)), "Content-Type", "text/plain"); got.status != 415 {
		t.Errorf("as text: %d, want 415", got.status)
	}
	if got := r.request(t, "GET", "/docs", ""); got.status != 200 || !strings.Contains(got.body, "/auth/login-by-token") {
		t.Errorf("the page: %d", got.status)
	}
}

package apicontract

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cubegate/server"
	"cubegate/server/servertest"

	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is openapi.json, as the server serves it.
type description struct {
	raw   any
	Paths map[string]map[string]struct {
		RequestBody *struct {
			Content map[string]any
		}
		Responses map[string]any
		Security  []map[string]any
	}
}

func readDescription(t *testing.T, r *servertest.Server) description {
	t.Helper()
	got := r.Request(t, http.MethodGet, "/openapi.json", "")
	var d description
	if err := json.Unmarshal([]byte(got.Body), &d); err != nil || got.Status != 200 {
		t.Fatalf("%d: %v", got.Status, err)
	}
	var err error
	if d.raw, err = jsonschema.UnmarshalJSON(strings.NewReader(got.Body)); err != nil {
		t.Fatal(err)
	}
	return d
}

// check compares a response with the description.
func (d description) check(t *testing.T, method, path string, got servertest.Reply) {
	t.Helper()
	status := fmt.Sprint(got.Status)
	responses := d.Paths[path][strings.ToLower(method)].Responses
	if _, listed := responses[status]; !listed {
		t.Errorf("%s %s: the description lacks the status %s", method, path, status)
		return
	}
	if got.Status == http.StatusNoContent {
		if got.Body != "" {
			t.Errorf("%s %s: 204 with a body", method, path)
		}
		return
	}
	media, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	place := "/paths/" + escapePointer(path) + "/" + strings.ToLower(method) + "/responses/" + status
	if got.Status >= 400 {
		place = "/components/responses/Problem"
		d.checkCode(t, responses[status], servertest.CodeOf(got.Body))
	}
	if wait := got.Header.Get("Retry-After"); wait != "" {
		seconds, err := strconv.Atoi(wait)
		if err != nil {
			t.Errorf("%s %s: Retry-After %q", method, path, wait)
		}
		d.validate(t, place+"/headers/Retry-After/schema", seconds)
	}
	answer, err := jsonschema.UnmarshalJSON(strings.NewReader(got.Body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	d.validate(t, place+"/content/"+escapePointer(media)+"/schema", answer)
}

// checkCode compares the code of an error with those that the description has for the
// status of one operation.
func (d description) checkCode(t *testing.T, response any, code string) {
	t.Helper()
	content, _ := response.(map[string]any)["content"].(map[string]any)
	problem, _ := content["application/problem+json"].(map[string]any)
	if examples, _ := problem["examples"].(map[string]any); examples[code] == nil {
		t.Errorf("the description lacks %s among %v", code, slices.Collect(maps.Keys(examples)))
	}
}

// validate compares a value with the schema at a place in the description.
func (d description) validate(t *testing.T, place string, value any) {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", d.raw); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("openapi.json#" + place)
	if err != nil {
		t.Fatalf("%s: %v", place, err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s: %v", place, err)
	}
}

// escapePointer escapes one part of a JSON pointer in a URL fragment (RFC 6901).
func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "%2B").Replace(s)
}

// undescribed lists the routes that do not belong to the REST API.
var undescribed = []string{
	"GET /", "GET /healthz", "GET /readyz", "POST /api", "GET /api", "GET /openapi.json", "GET /docs",
}

func TestOpenAPIHasEveryRoute(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	d := readDescription(t, r)
	seen := map[string]bool{}
	err := chi.Walk(r.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		name := method + " " + route
		if strings.HasSuffix(route, "/*") || slices.Contains(undescribed, name) {
			return nil
		}
		seen[name] = true
		if _, ok := d.Paths[route][strings.ToLower(method)]; !ok {
			t.Errorf("the description lacks %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, operations := range d.Paths {
		for method := range operations {
			if name := strings.ToUpper(method) + " " + path; !seen[name] {
				t.Errorf("the description has %s, which is no route", name)
			}
		}
	}
}

// A client that sends too many refresh tokens that we have not issued is told so as the
// description says.
func TestOpenAPIFitsLimits(t *testing.T) {
	t.Parallel()
	for path, success := range map[string]int{"/auth/refresh": 401, "/auth/logout": 204} {
		r := servertest.Start(t, nil)
		d := readDescription(t, r)
		got := r.Request(t, http.MethodPost, path, `{"refreshToken":"x"}`)
		for n := 0; got.Status == success && n < 1000; n++ {
			got = r.Request(t, http.MethodPost, path, `{"refreshToken":"x"}`)
		}
		if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", path, got.Status, got.Header.Get("Retry-After"))
		}
		d.check(t, http.MethodPost, path, got)
	}
}

// The responses of all operations, successes and errors, fit the description.
func TestOpenAPIFitsResponses(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.Merge(servertest.CallbackSettings, map[string]string{"LOGIN_FAILURES": "0"}))
	d := readDescription(t, r)
	body := func(m map[string]string) string {
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	var token, refresh, session string
	ask := func(status int, method, path, text string) servertest.Reply {
		t.Helper()
		var header []string
		if token != "" {
			header = []string{"Authorization", "Bearer " + token}
		} else if path == server.VerifyPath {
			header = servertest.CallbackHeader
		}
		got := r.Request(t, method, strings.Replace(path, "{id}", session, 1), text, header...)
		if got.Status != status {
			t.Errorf("%s %s: %d, want %d", method, path, got.Status, status)
		}
		path, _, _ = strings.Cut(path, "?")
		d.check(t, method, path, got)
		return got
	}
	keep := func(got servertest.Reply) {
		t.Helper()
		var in struct{ Token, RefreshToken, SessionID string }
		if err := json.Unmarshal([]byte(got.Body), &in); err != nil || in.Token == "" {
			t.Fatalf("%d: no token: %v", got.Status, err)
		}
		token, refresh, session = in.Token, in.RefreshToken, in.SessionID
	}
	const email = "ada@example.org"
	ask(400, "POST", "/auth/register", `{}`)
	ask(400, "POST", "/auth/register", `[`)
	keep(ask(201, "POST", "/auth/register", body(servertest.NewUser(email))))
	again := servertest.NewUser(email)
	again["password"] = "another horse"
	ask(409, "POST", "/auth/register", body(again))
	ask(401, "POST", "/auth/login", body(map[string]string{"email": email, "password": "wrong"}))
	keep(ask(200, "POST", "/auth/login", body(servertest.Credentials(email))))
	keep(ask(200, "POST", "/auth/login-by-token", `{"email":"ada@example.org","password":"correct horse","device":{"id":"u","name":"phone"}}`))
	ask(401, "POST", "/auth/login-by-token", body(map[string]string{"email": "x@y.zz", "password": "wrong"}))
	ask(400, "POST", "/auth/refresh", `{"refreshToken":7}`)
	ask(401, "POST", "/auth/refresh", `{"refreshToken":"x"}`)
	keep(ask(200, "POST", "/auth/refresh", `{"refreshToken":"`+refresh+`"}`))
	ask(200, "GET", "/auth/me", "")
	if got := ask(200, "GET", "/auth/sessions", ""); strings.Count(got.Body, `"id"`) != 3 || !strings.Contains(got.Body, `"device":"phone"`) {
		t.Errorf("sessions: %s", got.Body)
	}
	ask(200, "GET", server.VerifyPath+"?token="+token, "")
	ask(401, "GET", server.VerifyPath+"?token=x", "")
	ask(200, "POST", server.VerifyPath, `{"token":"`+token+`"}`)
	ask(200, "GET", server.VerifyPath, "") // with the token in the header
	ask(200, "POST", server.VerifyPath, `{}`)
	ask(200, "GET", "/.well-known/jwks.json", "")
	ask(204, "DELETE", "/auth/sessions/{id}", "")
	ask(401, "DELETE", "/auth/sessions/{id}", "")
	ask(401, "GET", "/auth/me", "")
	ask(401, "GET", "/auth/sessions", "")
	keep(ask(200, "POST", "/auth/login", body(servertest.Credentials(email))))
	session = "unknown"
	ask(404, "DELETE", "/auth/sessions/{id}", "")
	ask(204, "POST", "/auth/logout", "")
	ask(204, "POST", "/auth/logout", "") // has ended
	ask(400, "POST", "/auth/logout", `{"refreshToken":7}`)
	token = "x"
	ask(401, "POST", "/auth/logout", "")
	token = ""
	ask(401, "POST", "/auth/logout", "")
	keep(ask(200, "POST", "/auth/login", body(servertest.Credentials(email))))
	token = ""
	ask(204, "POST", "/auth/logout", `{"refreshToken":"`+refresh+`"}`)
	ask(204, "POST", "/auth/logout", `{"refreshToken":"x"}`)
	ask(401, "POST", "/auth/refresh", `{"refreshToken":"`+refresh+`"}`)
	old := ask(200, "POST", "/auth/login", body(servertest.Credentials(email)))
	keep(old)
	first := refresh
	token = ""
	keep(ask(200, "POST", "/auth/refresh", `{"refreshToken":"`+first+`"}`))
	token = ""
	begun := time.Now()
	keep(ask(200, "POST", "/auth/refresh", `{"refreshToken":"`+refresh+`"}`))
	token = ""
	stale := ask(401, "POST", "/auth/refresh", `{"refreshToken":"`+first+`"}`)
	least := 30 - int(time.Since(begun)/time.Second) // of the 30 seconds, a busy machine has used some
	if wait, err := strconv.Atoi(stale.Header.Get("Retry-After")); err != nil || wait < least || wait > 31 || servertest.CodeOf(stale.Body) != "STALE_REFRESH_TOKEN" {
		t.Errorf("a stale token: %s, Retry-After %q, want %d to 31", stale.Body, stale.Header.Get("Retry-After"), least)
	}
	ask(400, "POST", server.VerifyPath, `{}`)
	ask(400, "GET", server.VerifyPath, "")
	ask(200, "POST", server.VerifyPath, body(servertest.Credentials(email)))
	ask(401, "POST", server.VerifyPath, body(map[string]string{"email": email, "password": "wrong"}))
	if got := r.Request(t, "POST", server.VerifyPath, body(servertest.Credentials(email))); got.Status != 403 {
		t.Errorf("without the callback secret: %d, want 403", got.Status)
	} else {
		d.check(t, "POST", server.VerifyPath, got)
	}
	keep(ask(200, "POST", "/auth/login", body(servertest.Credentials(email))))
	ask(204, "DELETE", "/auth/sessions", "")
	ask(401, "DELETE", "/auth/sessions", "")
	if got := r.Request(t, "POST", "/auth/login", body(servertest.Credentials(email)), "Content-Type", "text/plain"); got.Status != 415 {
		t.Errorf("as text: %d, want 415", got.Status)
	}
}

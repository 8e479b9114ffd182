package regressions

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"cubegate/server/config"
	"cubegate/server/servertest"
)

// document returns the JSON body of a GraphQL request.
func document(t *testing.T, text string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// bodyOf returns a GraphQL request of a number of bytes.
func bodyOf(bytes int) string {
	const head, tail = `{"query":"{hello}","extensions":{"x":"`, `"}}`
	return head + strings.Repeat("a", bytes-len(head)-len(tail)) + tail
}

const (
	loginField    = `login(body: {email: %q, password: %q}) { user { email } }`
	registerField = `register(body: {email: %q, password: "correct horse", firstName: %q, lastName: "Lovelace"}) { user { email firstName } }`
)

// differences are rows of the table in docs/from-nestjs.md, by the beginning of their first cell,
// each with a request and what its answer has to contain.
var differences = []struct {
	row, method, path, body string
	status                  int
	contains                string
}{
	{"bodies of 100 KiB", "POST", "/api", bodyOf(64 << 10), 200, `"hello"`},
	{"bodies of 100 KiB", "POST", "/api", bodyOf(64<<10 + 1), 413, "PAYLOAD_TOO_LARGE"},
	{"any document that fits", "POST", "/api", `{"query":"{` + strings.Repeat("hello ", 1001) + `}"}`, 200, "GRAPHQL_VALIDATION_FAILED"},
	{"GraphQL also at `/api/x`", "POST", "/api/x", `{"query":"{hello}"}`, 404, "NOT_FOUND"},
	{"GraphQL also at `/api/x`", "POST", "/api/", `{"query":"{hello}"}`, 200, `"hello"`},
	{"GraphQL also at `/api/x`", "POST", "/API", `{"query":"{hello}"}`, 200, `"hello"`},
	{"`GET /` answers", "GET", "/", "", 200, "Hello World!"},
	{"`OPTIONS` is 204", "OPTIONS", "/api", "", 204, ""},
	{"`OPTIONS` is 204", "OPTIONS", "/nope", "", 404, "NOT_FOUND"},
}

// The table in docs/from-nestjs.md says what the server does.
func TestDifferencesFromTheOriginal(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	page, err := os.ReadFile("../../docs/from-nestjs.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		if !strings.Contains(string(page), "\n| "+d.row) {
			t.Errorf("docs/from-nestjs.md has no row %q", d.row)
		}
		if got := r.Request(t, d.method, d.path, d.body); got.Status != d.status || !strings.Contains(got.Body, d.contains) {
			t.Errorf("%s: %s %s: %d %.200s; want %d, %s", d.row, d.method, d.path, got.Status, got.Body, d.status, d.contains)
		}
	}
	if got := r.Request(t, http.MethodGet, "/", ""); got.Header.Get("ETag") != "" {
		t.Errorf("GET / has the ETag %s", got.Header.Get("ETag"))
	}
	if got := r.Request(t, http.MethodOptions, "/api", ""); !strings.Contains(got.Header.Get("Allow"), "POST") {
		t.Errorf("OPTIONS /api: Allow: %s", got.Header.Get("Allow"))
	}
	preflight := []string{"Origin", "https://app.example.org", "Access-Control-Request-Method", "POST"}
	if got := r.Request(t, http.MethodOptions, "/nope", "", preflight...); got.Status/100 != 2 || got.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a preflight of no route: %d %v", got.Status, got.Header)
	}
}

// The rows about users, in the order of a story.
func TestDifferencesForUsersOfTheOriginal(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "3"})
	good, wrong := fmt.Sprintf(loginField, "ada@example.org", "correct horse"), fmt.Sprintf(loginField, "ada@example.org", "wrong horse")
	for _, step := range []struct {
		what, document, code, contains string
	}{
		{"a control character", fmt.Sprintf(registerField, "ada@example.org", "A\tda"), "BAD_USER_INPUT", `"firstName"`},
		{"a space around", fmt.Sprintf(registerField, " ada@example.org ", " Ada "), "", `{"email":"ada@example.org","firstName":"Ada"}`},
		{"a space around", fmt.Sprintf(loginField, " ada@example.org ", "correct horse"), "", `"ada@example.org"`},
		{"an alias that fails", "a: " + good + " b: " + wrong, "UNAUTHENTICATED", `"data":null`},
		{"an alias that fails", "a: " + wrong + " b: " + fmt.Sprintf(registerField, "bob@example.org", "Bob"), "UNAUTHENTICATED", `"data":null`},
		{"the mutation after it", fmt.Sprintf(loginField, "bob@example.org", "correct horse"), "", `"bob@example.org"`},
		{"the third try", wrong, "UNAUTHENTICATED", ""},
		{"the fourth", wrong, "RATE_LIMITED", `"retryAfter":`},
	} {
		got := r.Request(t, http.MethodPost, "/api", document(t, "mutation { "+step.document+" }"))
		if servertest.CodeOf(got.Body) != step.code || !strings.Contains(got.Body, step.contains) {
			t.Errorf("%s: %s; want %q and %s", step.what, got.Body, step.code, step.contains)
		}
	}
}

func TestSecretsNeed32Bytes(t *testing.T) {
	t.Parallel()
	for secret, good := range map[string]bool{servertest.JWTSecret[:31]: false, servertest.JWTSecret[:32]: true} {
		env := map[string]string{"JWT_SECRET": secret}
		_, err := config.Load(servertest.ConfigYAML, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, t.TempDir())
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "32 bytes") {
			t.Errorf("%d bytes: %v, want accepted %t", len(secret), err, good)
		}
	}
}

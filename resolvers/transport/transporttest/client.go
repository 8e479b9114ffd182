// Package transporttest is a GraphQL client for tests. It calls a handler without a
// network.
package transporttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Result is an answer as a client decodes it.
type Result struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Text   string      `json:"-"` // the body
	Data   map[string]any
	Errors []struct {
		Message    string
		Locations  []map[string]int
		Path       []any
		Extensions map[string]any
	}
}

// Code returns the code of the first error, or "".
func (r Result) Code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	code, _ := r.Errors[0].Extensions["code"].(string)
	return code
}

// Send posts a body with the required headers, which edit may change.
func Send(t testing.TB, h http.Handler, body string, edit ...func(*http.Request)) Result {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/api", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := Result{Status: w.Code, Header: w.Header(), Text: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("answer %q: %v", got.Text, err)
	}
	return got
}

// Ask posts a document with variables.
func Ask(t testing.TB, h http.Handler, document string, variables any) Result {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return Send(t, h, string(body))
}

// Header returns an edit that sets a header.
func Header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// Aliases returns a selection of a field n times, as a0, a1 and so on.
func Aliases(n int, field string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d:%s ", i, field)
	}
	return b.String()
}

// LoginDocument is a login that selects all fields.
const LoginDocument = `mutation($body: LoginUserDto!) { login(body: $body) { message token connectySession ccUserId chat { userId jid domain mucDomain endpoint wsEndpoint } chatStatus chatTicket user { id email firstName lastName } } }`

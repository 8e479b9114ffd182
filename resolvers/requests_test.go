package resolvers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// result is an answer as a client reads it.
type result struct {
	status int
	header http.Header
	text   string
	Data   map[string]any
	Errors []struct {
		Message    string
		Locations  []map[string]int
		Path       []any
		Extensions map[string]any
	}
}

func (r result) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	code, _ := r.Errors[0].Extensions["code"].(string)
	return code
}

// send posts a body with the right headers, unless edit changes them.
func send(t *testing.T, h http.Handler, body string, edit ...func(*http.Request)) result {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/api", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := result{status: w.Code, header: w.Header(), text: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("answer %q: %v", got.text, err)
	}
	return got
}

// ask posts a document with variables.
func ask(t *testing.T, h http.Handler, document string, variables any) result {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return send(t, h, string(body))
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func aliases(n int, field string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d:%s ", i, field)
	}
	return b.String()
}

const loginDocument = `mutation($body: LoginUserDto!) { login(body: $body) { message token connectySession ccUserId chat { userId jid domain mucDomain endpoint wsEndpoint } chatStatus chatTicket user { id email firstName lastName } } }`

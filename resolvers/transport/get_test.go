package transport

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport/transporttest"
)

// get sends parameters by GET. An edit may change the request.
func get(t *testing.T, h http.Handler, parameters string, edits ...func(*http.Request)) transporttest.Result {
	t.Helper()
	return transporttest.Send(t, h, "", append([]func(*http.Request){func(r *http.Request) {
		r.Method, r.URL.RawQuery = http.MethodGet, parameters
		r.Header.Del("Content-Type")
	}}, edits...)...)
}

func parameters(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

// persisted returns the extension of Apollo's clients that names a document.
func persisted(document string) string {
	return fmt.Sprintf(`{"clientLibrary":{"name":"@apollo/client","version":"4.1.0"},"persistedQuery":{"version":1,"sha256Hash":"%x"}}`, sha256.Sum256([]byte(document)))
}

const logoutDocument = `mutation Logout { logout { message } }`

func TestGETExecutesQueries(t *testing.T) {
	f, h := newHandler(t)
	ran := false
	f.onLogin = func() { ran = true }
	const hello, both = `query Hello { hello }`, `query Hello { hello } mutation Login($body: LoginUserDto!) { login(body: $body) { message } }`
	const person = `{"body":{"email":"ada@example.org","password":"correct horse"}}`
	newType := transporttest.Header("Accept", mediaGraphQL)
	tests := []struct {
		name, parameters string
		edit             func(*http.Request)
		status           int
		code             apierror.Code // "" = the query was executed
	}{
		{"a query", parameters("query", hello), nil, 200, ""},
		{"all parameters", parameters("query", both, "operationName", "Hello", "variables", "{}", "extensions", "{}"), nil, 200, ""},
		{"variables", parameters("query", `query($no: Boolean!) { hello x: hello @skip(if: $no) }`, "variables", `{"no":true}`), nil, 200, ""},
		{"nulls", parameters("query", hello, "variables", "null", "extensions", "null"), nil, 200, ""},
		{"empty parameters", parameters("query", hello, "operationName", "", "variables", "", "extensions", ""), nil, 200, ""},
		{"plus for a space", "query=query+Hello+%7B+hello+%7D", nil, 200, ""},
		{"percent for a space", "query=query%20Hello%20%7B%0Ahello%7D", nil, 200, ""},
		{"unknown parameters", parameters("query", hello, "utm_source", "x", "id", "1", "id", "2"), nil, 200, ""},
		{"new type", parameters("query", hello), newType, 200, ""},
		{"HEAD", parameters("query", hello), func(r *http.Request) { r.Method = http.MethodHead }, 200, ""},
		{"with a content type", parameters("query", hello), transporttest.Header("Content-Type", "text/plain"), 200, ""},
		{"fetch of the same origin", parameters("query", hello), transporttest.Header("Sec-Fetch-Mode", "same-origin"), 200, ""},
		{"fetch of another origin", parameters("query", hello), transporttest.Header("Sec-Fetch-Mode", "cors"), 200, ""},

		{"a mutation", parameters("query", logoutDocument), nil, 405, apierror.MethodNotAllowed},
		{"a mutation, new type", parameters("query", logoutDocument), newType, 405, apierror.MethodNotAllowed},
		{"a mutation by HEAD", parameters("query", logoutDocument), func(r *http.Request) { r.Method = http.MethodHead }, 405, apierror.MethodNotAllowed},
		{"the mutation of two operations", parameters("query", both, "operationName", "Login", "variables", person), nil, 405, apierror.MethodNotAllowed},
		{"a mutation with bad variables", parameters("query", both, "operationName", "Login"), nil, 405, apierror.MethodNotAllowed},
		{"a mutation with a comment before it", parameters("query", "# query\n"+logoutDocument), nil, 405, apierror.MethodNotAllowed},
		{"a mutation in fragments", parameters("query", "fragment f on Mutation { logout { message } } mutation { ...f }"), nil, 405, apierror.MethodNotAllowed},
		{"a mutation with its digest", parameters("query", logoutDocument, "extensions", persisted(logoutDocument)), nil, 405, apierror.MethodNotAllowed},
		{"a persisted mutation", parameters("extensions", persisted(logoutDocument)), nil, 405, apierror.MethodNotAllowed},
		{"a persisted mutation by HEAD", parameters("extensions", persisted(logoutDocument)), func(r *http.Request) { r.Method = http.MethodHead }, 405, apierror.MethodNotAllowed},

		{"a page", parameters("query", hello), transporttest.Header("Sec-Fetch-Mode", "navigate"), 403, apierror.Forbidden},
		{"an image", parameters("query", hello), transporttest.Header("Sec-Fetch-Mode", "no-cors"), 403, apierror.Forbidden},
		{"a page of a mutation", parameters("query", logoutDocument), transporttest.Header("Sec-Fetch-Mode", "navigate"), 403, apierror.Forbidden},
		{"a page that wants HTML", parameters("query", hello), func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Mode", "Navigate")
			r.Header.Set("Accept", "text/html")
		}, 403, apierror.Forbidden},
		{"two modes", parameters("query", hello), func(r *http.Request) { r.Header["Sec-Fetch-Mode"] = []string{"cors", "no-cors"} }, 403, apierror.Forbidden},

		{"nothing", "", nil, 400, apierror.BadUserInput},
		{"an empty query", "query=", nil, 400, apierror.BadUserInput},
		{"no query", parameters("variables", "{}"), nil, 400, apierror.BadUserInput},
		{"two queries", parameters("query", hello, "query", hello), nil, 400, apierror.BadUserInput},
		{"two sets of variables", parameters("query", hello, "variables", "{}", "variables", "{}"), nil, 400, apierror.BadUserInput},
		{"variables that are no JSON", parameters("query", hello, "variables", "{"), nil, 400, apierror.BadUserInput},
		{"variables that end the object", parameters("query", hello, "variables", `{},"query":"{x}"`), nil, 400, apierror.BadUserInput},
		{"a list of variables", parameters("query", hello, "variables", "[]"), nil, 400, apierror.BadUserInput},
		{"a variable twice", parameters("query", hello, "variables", `{"a":1,"a":2}`), nil, 400, apierror.BadUserInput},
		{"extensions that are a text", parameters("query", hello, "extensions", `"x"`), nil, 400, apierror.BadUserInput},
		{"half an escape", "query=%7", nil, 400, apierror.BadUserInput},
		{"a semicolon", "query=%7Bhello%7D;variables=%7B%7D", nil, 400, apierror.BadUserInput},
		{"not UTF-8", "query=%7Bhello%7D%FF", nil, 400, apierror.BadUserInput},
		{"invalid", parameters("query", "{ nope }"), nil, 200, apierror.GraphQLValidationFailed},
		{"invalid, new type", parameters("query", "{ nope }"), newType, 400, apierror.GraphQLValidationFailed},
		{"no acceptable type", parameters("query", hello), transporttest.Header("Accept", "image/png"), 406, apierror.NotAcceptable},
	}
	transporttest.Ask(t, h, logoutDocument, nil) // now its digest is known
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			edit := tt.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			ran = false
			got := get(t, h, tt.parameters, edit)
			if got.Status != tt.status || got.Code() != string(tt.code) {
				t.Errorf("%d %q, want %d %q: %.300s", got.Status, got.Code(), tt.status, tt.code, got.Text)
			}
			if tt.code == "" && got.Data["hello"] != "Hello from API!" {
				t.Errorf("data %v", got.Data)
			}
			if allow := got.Header.Get("Allow"); (allow == "POST") != (tt.status == 405) {
				t.Errorf("Allow %q", allow)
			}
			if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Vary") != "Authorization, Accept" {
				t.Errorf("Cache-Control %q, Vary %q", got.Header.Get("Cache-Control"), got.Header.Get("Vary"))
			}
			if ran {
				t.Error("a mutation was executed")
			}
		})
	}
}

// POST takes its request from the body alone.
func TestPOSTIgnoresTheQueryString(t *testing.T) {
	_, h := newHandler(t)
	got := transporttest.Send(t, h, `{"query":"{hello}"}`, func(r *http.Request) { r.URL.RawQuery = parameters("query", "{nope}", "operationName", "x") })
	if got.Status != 200 || got.Data["hello"] == nil {
		t.Errorf("%d %s", got.Status, got.Text)
	}
	got = transporttest.Send(t, h, `{}`, func(r *http.Request) { r.URL.RawQuery = parameters("query", "{hello}") })
	if got.Status != 400 {
		t.Errorf("%d %s", got.Status, got.Text)
	}
}

func TestAutomaticPersistedQueries(t *testing.T) {
	_, h := newHandler(t)
	const document = `query Persisted { hello }`
	const withText = `mutation { revokeSession(id: "guess") { message } }`
	send := func(query, extensions string) transporttest.Result {
		t.Helper()
		if query == "" {
			return transporttest.Send(t, h, `{"extensions":`+extensions+`}`)
		}
		return transporttest.Send(t, h, fmt.Sprintf(`{"query":%q,"extensions":%s}`, query, extensions))
	}
	digestOf := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	extension := func(version, hash string) string {
		return `{"persistedQuery":{"version":` + version + `,"sha256Hash":"` + hash + `","miss":true}}`
	}
	steps := []struct {
		name, query, extensions string
		status                  int
		code                    apierror.Code
	}{
		{"unknown", "", persisted(document), 200, apierror.PersistedQueryNotFound},
		{"unknown again", "", persisted(document), 200, apierror.PersistedQueryNotFound},
		{"with its document", document, persisted(document), 200, ""},
		{"known", "", persisted(document), 200, ""},
		{"known, by urql", "", extension("1", digestOf(document)), 200, ""},
		{"known, in upper case", "", extension("1", strings.ToUpper(digestOf(document))), 200, ""},
		{"another digest", document, persisted("{ hello }"), 400, apierror.BadUserInput},
		{"that digest is still unknown", "", persisted("{ hello }"), 200, apierror.PersistedQueryNotFound},
		{"invalid", "{ nope }", persisted("{ nope }"), 200, apierror.GraphQLValidationFailed},
		{"invalid is not kept", "", persisted("{ nope }"), 200, apierror.PersistedQueryNotFound},
		{"a mutation with a text", withText, persisted(withText), 200, ""},
		{"a mutation with a text is not kept", "", persisted(withText), 200, apierror.PersistedQueryNotFound},
		{"short", "", extension("1", digestOf(document)[2:]), 400, apierror.BadUserInput},
		{"no hexadecimal digits", "", extension("1", strings.Repeat("x", 64)), 400, apierror.BadUserInput},
		{"no digest", document, `{"persistedQuery":{"version":1}}`, 400, apierror.BadUserInput},
		{"another version", "", extension("2", digestOf(document)), 200, apierror.PersistedQueryNotSupported},
		{"another version, with its document", document, extension("2", digestOf(document)), 200, apierror.PersistedQueryNotSupported},
		{"a text as version", "", extension(`"1"`, digestOf(document)), 400, apierror.BadUserInput},
		{"no object", "", `{"persistedQuery":true}`, 400, apierror.BadUserInput},
		{"null", document, `{"persistedQuery":null}`, 200, ""},
		{"null alone", "", `{"persistedQuery":null}`, 400, apierror.BadUserInput},
	}
	for _, tt := range steps {
		got := send(tt.query, tt.extensions)
		if got.Status != tt.status || got.Code() != string(tt.code) {
			t.Errorf("%s: %d %q, want %d %q: %s", tt.name, got.Status, got.Code(), tt.status, tt.code, got.Text)
		}
		if tt.code == "" && tt.query != withText && got.Data["hello"] != "Hello from API!" {
			t.Errorf("%s: %s", tt.name, got.Text)
		}
		if text := map[apierror.Code]string{apierror.PersistedQueryNotFound: "PersistedQueryNotFound", apierror.PersistedQueryNotSupported: "PersistedQueryNotSupported"}[tt.code]; text != "" && got.Errors[0].Message != text {
			t.Errorf("%s: message %q, want %q", tt.name, got.Errors[0].Message, text)
		}
	}
	got := transporttest.Send(t, h, `{"query":"","extensions":`+persisted(document)+`}`)
	if got.Data["hello"] == nil {
		t.Errorf("with an empty query: %s", got.Text)
	}
	got = transporttest.Send(t, h, `{"extensions":`+persisted("{ unknown }")+`}`, transporttest.Header("Accept", mediaGraphQL))
	if got.Status != 200 || got.Code() != string(apierror.PersistedQueryNotFound) {
		t.Errorf("as %s: %d %s", mediaGraphQL, got.Status, got.Text)
	}
}

// The costs of a document that is cached count at each request, with its variables.
func TestCachedDocumentsKeepTheirBounds(t *testing.T) {
	_, h := newHandler(t)
	document := "query($n: Int, $on: Boolean = true) {" + transporttest.Aliases(6, "users(page: {limit: $n}) { items { id email firstName lastName accountStatus createdAt disabled ccUserId @include(if: $on) } }") + "}"
	send := func(variables string) transporttest.Result {
		return transporttest.Send(t, h, `{"extensions":`+persisted(document)+`,"variables":`+variables+`}`)
	}
	transporttest.Ask(t, h, document, map[string]any{"n": 1})
	if !h.guard.known.holds(document) {
		t.Fatal("the document is not cached")
	}
	for range 2 {
		if got := send(`{"n":100}`); got.Code() != string(apierror.GraphQLValidationFailed) || !strings.Contains(got.Text, "values") {
			t.Errorf("600 users: %.200s", got.Text)
		}
		if got := send(`{"n":1}`); got.Code() == string(apierror.GraphQLValidationFailed) {
			t.Errorf("6 users: %.200s", got.Text)
		}
		if got := send(`{"n":"1"}`); got.Code() != string(apierror.BadUserInput) {
			t.Errorf("a text: %.200s", got.Text)
		}
	}
}

func TestBatchesAreToldWhatToSend(t *testing.T) {
	_, h := newHandler(t)
	for _, body := range []string{`[{"query":"{hello}"}]`, `[]`, " \n[{}]", "\ufeff[{}]", "["} {
		got := transporttest.Send(t, h, body)
		if got.Status != 400 || got.Code() != string(apierror.BadUserInput) || !strings.Contains(got.Text, "send each operation in a request of its own") {
			t.Errorf("%q: %d %s", body, got.Status, got.Text)
		}
	}
}

// The parser knows @defer, and the schema has no such directive.
func TestUnknownDirectivesAreNamed(t *testing.T) {
	_, h := newHandler(t)
	for document, name := range map[string]string{
		`{ ... @defer { hello } }`:                                  "@defer",
		`{ ...f @defer(label: "x") } fragment f on Query { hello }`: "@defer",
		`{ ... @defer(if: false) { hello } }`:                       "@defer",
		`{ hello @defer }`:                                          "@defer",
		`query @defer { hello }`:                                    "@defer",
		`mutation { ... @defer { logout { message } } }`:            "@defer",
		`{ hello @stream(initialCount: 1) }`:                        "@stream",
		`{ hello @client }`:                                         "@client",
		`{ hello @connection(key: "x") }`:                           "@connection",
	} {
		got := transporttest.Ask(t, h, document, nil)
		if got.Code() != string(apierror.GraphQLValidationFailed) || got.Errors[0].Message != `Unknown directive "`+name+`".` || len(got.Errors[0].Locations) != 1 {
			t.Errorf("%s: %s", document, got.Text)
		}
	}
	for document, name := range map[string]string{`{ hello @deprecated }`: "@deprecated", `{ hello @oneOf }`: "@oneOf", `{ hello @specifiedBy(url: "x") }`: "@specifiedBy", `{ hello @listSize(assumedSize: 1) }`: "@listSize"} {
		got := transporttest.Ask(t, h, document, nil)
		if got.Code() != string(apierror.GraphQLValidationFailed) || got.Errors[0].Message != `Directive "`+name+`" may not be used on FIELD.` {
			t.Errorf("%s: %s", document, got.Text)
		}
	}
}

// A query string may be as long as the server's headers.
func TestGETOfALongDocument(t *testing.T) {
	_, h := newHandler(t)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/api?"+parameters("query", "{"+transporttest.Aliases(20, "hello")+strings.Repeat(" ", 8<<10)+"}"), nil)
	h.ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"a19"`) {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
}

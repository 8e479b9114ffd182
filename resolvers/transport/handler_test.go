package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport/transporttest"
)

func TestGraphQLOverHTTP(t *testing.T) {
	_, h := newHandler(t)
	hello := `{"query":"{hello}"}`
	packed := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, s)
		z.Close()
		return b.String()
	}
	newType := transporttest.Header("Accept", "application/graphql-response+json")
	tests := []struct {
		name   string
		body   string
		edit   func(*http.Request)
		status int
		code   apierror.Code // "" = no error
	}{
		{"plain", hello, nil, 200, ""},
		{"charset", hello, transporttest.Header("Content-Type", "application/json; charset=UTF-8"), 200, ""},
		{"charset without a hyphen", hello, transporttest.Header("Content-Type", "application/json;charset=utf8"), 200, ""},
		{"charset in quotes", hello, transporttest.Header("Content-Type", `Application/JSON; Charset="UTF8"`), 200, ""},
		{"old charset", hello, transporttest.Header("Content-Type", "application/json; charset=unicode-1-1-utf-8"), 200, ""},
		{"ASCII", hello, transporttest.Header("Content-Type", "application/json; charset=us-ascii"), 200, ""},
		{"empty charset", hello, transporttest.Header("Content-Type", "application/json; charset="), 200, ""},
		{"answer in utf8", hello, transporttest.Header("Accept", "application/json; charset=utf8"), 200, ""},
		{"new type", hello, newType, 200, ""},
		{"any type", hello, transporttest.Header("Accept", "*/*"), 200, ""},
		{"byte order mark", "\ufeff" + hello, nil, 200, ""},
		{"nulls", `{"query":"{hello}","variables":null,"operationName":null,"extensions":null}`, nil, 200, ""},
		{"unknown keys", `{"query":"{hello}","id":1,"__proto__":{}}`, nil, 200, ""},
		{"gzip", packed(hello), transporttest.Header("Content-Encoding", "gzip"), 200, ""},
		{"gzip by its old name", packed(hello), transporttest.Header("Content-Encoding", "x-gzip"), 200, ""},
		{"page wanted", hello, transporttest.Header("Accept", "text/html"), 406, apierror.NotAcceptable},
		{"nothing wanted", hello, transporttest.Header("Accept", "application/json;q=0"), 406, apierror.NotAcceptable},
		{"no type", hello, transporttest.Header("Content-Type", ""), 415, apierror.UnsupportedMediaType},
		{"text", hello, transporttest.Header("Content-Type", "text/plain"), 415, apierror.UnsupportedMediaType},
		{"form", "query={hello}", transporttest.Header("Content-Type", "application/x-www-form-urlencoded"), 415, apierror.UnsupportedMediaType},
		{"UTF-16", hello, transporttest.Header("Content-Type", "application/json; charset=utf-16"), 415, apierror.UnsupportedMediaType},
		{"UTF-7", hello, transporttest.Header("Content-Type", "application/json; charset=utf7"), 415, apierror.UnsupportedMediaType},
		{"latin1", hello, transporttest.Header("Content-Type", "application/json; charset=latin1"), 415, apierror.UnsupportedMediaType},
		{"br", hello, transporttest.Header("Content-Encoding", "br"), 415, apierror.UnsupportedMediaType},
		{"not gzip", hello, transporttest.Header("Content-Encoding", "gzip"), 400, apierror.BadUserInput},
		{"empty", "", nil, 400, apierror.BadUserInput},
		{"not JSON", "{query", nil, 400, apierror.BadUserInput},
		{"half JSON", hello[:10], nil, 400, apierror.BadUserInput},
		{"JSON and more", hello + "x", nil, 400, apierror.BadUserInput},
		{"scalar", "1", nil, 400, apierror.BadUserInput},
		{"null", "null", nil, 400, apierror.BadUserInput},
		{"batch", "[" + hello + "]", nil, 400, apierror.BadUserInput},
		{"not UTF-8", "{\"query\":\"{hello}\",\"x\":\"\xff\"}", nil, 400, apierror.BadUserInput},
		{"no query", "{}", nil, 400, apierror.BadUserInput},
		{"query not a string", `{"query":1}`, nil, 400, apierror.BadUserInput},
		{"variables not an object", `{"query":"{hello}","variables":[]}`, nil, 400, apierror.BadUserInput},
		{"operationName not a string", `{"query":"{hello}","operationName":{}}`, nil, 400, apierror.BadUserInput},
		{"extensions not an object", `{"query":"{hello}","extensions":"x"}`, nil, 400, apierror.BadUserInput},
		{"largest body", `{"query":"{hello}","x":"` + strings.Repeat("x", MaxBody-26) + `"}`, nil, 200, ""},
		{"one byte more", `{"query":"{hello}","x":"` + strings.Repeat("x", MaxBody-25) + `"}`, nil, 413, apierror.PayloadTooLarge},
		{"too large once unpacked", packed(`{"query":"{hello}","x":"` + strings.Repeat("x", 8<<20) + `"}`), transporttest.Header("Content-Encoding", "gzip"), 413, apierror.PayloadTooLarge},
		{"syntax error", `{"query":"{"}`, nil, 200, apierror.GraphQLParseFailed},
		{"syntax error, new type", `{"query":"{"}`, newType, 400, apierror.GraphQLParseFailed},
		{"unknown field", `{"query":"{nope}"}`, nil, 200, apierror.GraphQLValidationFailed},
		{"unknown field, new type", `{"query":"{nope}"}`, newType, 400, apierror.GraphQLValidationFailed},
		{"unknown operation", `{"query":"query a{hello} query b{hello}","operationName":"c"}`, newType, 400, apierror.GraphQLValidationFailed},
		{"which operation", `{"query":"query a{hello} query b{hello}"}`, newType, 400, apierror.GraphQLValidationFailed},
		{"subscription", `{"query":"subscription{x}"}`, newType, 400, apierror.GraphQLValidationFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			edit := tt.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			got := transporttest.Send(t, h, tt.body, edit)
			if got.Status != tt.status || got.Code() != string(tt.code) {
				t.Errorf("%d %q, want %d %q: %.300s", got.Status, got.Code(), tt.status, tt.code, got.Text)
			}
			if tt.code == "" && got.Data["hello"] != "Hello from API!" {
				t.Errorf("data %v", got.Data)
			}
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q", got.Header.Get("Cache-Control"))
			}
		})
	}
}

func TestAnswersHaveTheRequestedType(t *testing.T) {
	_, h := newHandler(t)
	for accept, want := range map[string]string{
		"":                                  MediaJSON,
		"*/*":                               MediaJSON,
		"application/*;q=0.5":               MediaJSON,
		"application/graphql-response+json": mediaGraphQL,
		"application/graphql-response+json, application/json;q=0.9":                                                         mediaGraphQL,
		"application/graphql-response+json;q=0.1, application/json":                                                         MediaJSON,
		"text/html, application/json;q=0.2":                                                                                 MediaJSON,
		"application/json;q=0, */*":                                                                                         mediaGraphQL,
		"*/*, application/json;q=0":                                                                                         mediaGraphQL,
		"*/*;q=0.9, application/graphql-response+json;q=0.1":                                                                MediaJSON,
		"application/graphql-response+json, application/json":                                                               mediaGraphQL,
		"application/json, application/graphql-response+json":                                                               MediaJSON,
		"application/*, application/graphql-response+json;q=0.5":                                                            MediaJSON,
		"application/graphql-response+json; charset=utf-8, application/json; charset=utf-8":                                 mediaGraphQL,
		"application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed": mediaGraphQL,
		"multipart/mixed;deferSpec=20220824,application/graphql-response+json,application/json;q=0.9":                       mediaGraphQL,
	} {
		got := transporttest.Send(t, h, `{"query":"{hello}"}`, transporttest.Header("Accept", accept))
		if have := got.Header.Get("Content-Type"); have != want+"; charset=utf-8" {
			t.Errorf("Accept %q got %q, want %q", accept, have, want)
		}
	}
}

func TestNoWorkIsDoneWithoutRoomForTheAnswer(t *testing.T) {
	f, h := newHandler(t)
	var last *reservation
	for room, ok := h.answers.reserve(maxAnswer); ok; room, ok = h.answers.reserve(maxAnswer) {
		last = room
	}
	body := map[string]any{"body": map[string]string{"email": "ada@example.org", "password": "correct horse"}}
	got := transporttest.Ask(t, h, transporttest.LoginDocument, body)
	if got.Status != http.StatusServiceUnavailable || got.Code() != string(apierror.ServiceUnavailable) || got.Header.Get("Retry-After") == "" || len(f.passwords) > 0 {
		t.Errorf("%d, %d logins: %s", got.Status, len(f.passwords), got.Text)
	}
	last.release()
	if got := transporttest.Ask(t, h, transporttest.LoginDocument, body); got.Status != http.StatusOK || got.Code() != "" {
		t.Errorf("with room again: %d %s", got.Status, got.Text)
	}
}

// The database may contain a longer text than expected.
func TestAnswersAreBounded(t *testing.T) {
	f, h := newHandler(t)
	f.profile.FirstName = strings.Repeat("x", maxAnswer)
	got := transporttest.Send(t, Bearer(h), `{"query":"{me{firstName}}"}`, transporttest.Header("Authorization", "Bearer good"))
	if got.Code() != string(apierror.GraphQLValidationFailed) || got.Data != nil || len(got.Text) > 1<<10 {
		t.Errorf("%.300s", got.Text)
	}
}

func TestAllErrorsOfVariablesAreReported(t *testing.T) {
	_, h := newHandler(t)
	document := `mutation($body: UserRegisterInput!) { register(body: $body) { message } }`
	got := transporttest.Ask(t, h, document, map[string]any{"body": map[string]any{"email": 1, "firstName": nil, "nick": "x", "hunter2 topsecret": 1}})
	fields, _ := got.Errors[0].Extensions["fields"].(map[string]any)
	want := map[string]any{
		"email": "must be of type String", "firstName": "must not be null", "lastName": "is required",
		"password": "is required", "nick": "is not a field of UserRegisterInput",
		"(unnamed)": "is not a field of UserRegisterInput", // a secret may stand in the place of a name
	}
	for field, problem := range want {
		if fields[field] != problem {
			t.Errorf("%s %v, want %v", field, fields[field], problem)
		}
	}
	if got.Code() != string(apierror.BadUserInput) || len(fields) != len(want) {
		t.Errorf("%s", got.Text)
	}
}

func TestPanicIsNotShown(t *testing.T) {
	f, h := newHandler(t)
	f.onLogin = func() { panic("hunter2-topsecret") }
	got := transporttest.Ask(t, h, transporttest.LoginDocument, map[string]any{"body": map[string]string{"email": "ada@example.org", "password": "correct horse"}})
	if got.Code() != "INTERNAL_SERVER_ERROR" || strings.Contains(got.Text, "hunter2") {
		t.Errorf("%s", got.Text)
	}
	if !strings.Contains(f.log.String(), "handler_test.go") {
		t.Error("the log has no stack")
	}
}

func TestNewReportsAllMissingOptions(t *testing.T) {
	_, err := New(Options{Root: new(fakeRoot)})
	if err == nil || err.Error() != "missing options: Log, Outward, Schema" {
		t.Errorf("New error = %v", err)
	}
}

// The fields of a query may share values in their context; each field of a mutation
// must not see those of an earlier one.
func TestOnlyQueriesGetTheirOwnContext(t *testing.T) {
	made := 0
	_, h := newHandler(t, func(o *Options) {
		o.QueryContext = func(ctx context.Context) context.Context {
			made++
			return ctx
		}
	})
	for _, tt := range []struct {
		document string
		want     int
	}{
		{"{" + transporttest.Aliases(20, "hello") + "}", 1},
		{"mutation{a:logout{message} b:logout{message}}", 0},
		{"{__schema{queryType{name}}}", 0},
	} {
		made = 0
		if got := transporttest.Ask(t, h, tt.document, nil); got.Code() != "" || made != tt.want {
			t.Errorf("%s: %d contexts, want %d: %s", tt.document, made, tt.want, got.Text)
		}
	}
}

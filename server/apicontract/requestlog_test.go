package apicontract

import (
	"net/http"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// lastRequest returns the log line of the last request that was not a callback or a probe.
func lastRequest(t *testing.T, r *servertest.Server, path string) map[string]any {
	t.Helper()
	var last map[string]any
	for _, line := range r.LogLines(t, "request") {
		if line["path"] == path {
			last = line
		}
	}
	if last == nil {
		t.Fatalf("no line for %s: %s", path, r.Log)
	}
	return last
}

// The line of a request tells the operation, its error and the user, over GraphQL and REST
// alike. So the log shows which logins failed, although GraphQL answers with status 200.
func TestRequestLogTellsOperationCodeAndUser(t *testing.T) {
	r := servertest.Start(t, servertest.CallbackSettings)
	ada := r.Register(t, "ada@example.org")
	in := r.Login(t, servertest.LoginDocument, "ada@example.org")
	credentials := func(email, password string) map[string]string {
		return map[string]string{"email": email, "password": password}
	}
	rest := func(method, path, body string, header ...string) func() {
		return func() { r.Request(t, method, path, body, header...) }
	}
	gql := func(document string, body map[string]string) func() { return func() { r.GraphQL(t, document, body) } }
	bearer := []string{"Authorization", "Bearer " + in.Token}
	const verify = "/auth/verify-connectycube"
	for _, tt := range []struct {
		name                          string
		send                          func()
		path                          string
		operation, code, reason, user any
	}{
		{"login", gql(servertest.LoginDocument, servertest.Credentials("ada@example.org")), "/api", "login", nil, nil, ada.ID},
		{"login by token", gql(servertest.ByTokenDocument, servertest.Credentials("ada@example.org")), "/api", "login_By_token", nil, nil, ada.ID},
		{"wrong password", gql(servertest.LoginDocument, credentials("ada@example.org", "zebra 7 quartz")), "/api", "login", "UNAUTHENTICATED", "wrong_password", ada.ID},
		{"unknown email", gql(servertest.LoginDocument, credentials("eve@example.org", "zebra 7 quartz")), "/api", "login", "UNAUTHENTICATED", "wrong_password", nil},
		{"no password", gql(servertest.LoginDocument, map[string]string{"email": "ada@example.org"}), "/api", "login", "BAD_USER_INPUT", "invalid_input", nil},
		{"email in use", gql(servertest.RegisterDocument, servertest.Merge(servertest.NewUser("ada@example.org"), map[string]string{"password": "another password"})), "/api", "register", "CONFLICT", "email_taken", ada.ID},
		{"query without a token", gql(`{ me { id } }`, nil), "/api", "me", "UNAUTHENTICATED", "no_token", nil},
		{"query of two fields", func() { r.SendAs(t, in.Token, `{ a: me { id } b: me { id } hello }`, nil) }, "/api", "", nil, nil, ada.ID},
		{"operation of an admin", func() { r.SendAs(t, in.Token, `{ users { items { id } } }`, nil) }, "/api", "users", "FORBIDDEN", "forbidden", ada.ID},
		{"unknown field", gql(`{ nothing }`, nil), "/api", nil, "GRAPHQL_VALIDATION_FAILED", nil, nil},
		{"no document", gql(`{`, nil), "/api", nil, "GRAPHQL_PARSE_FAILED", nil, nil},
		{"introspection", gql(`{ __schema { queryType { name } } }`, nil), "/api", "introspection", nil, nil, nil},
		{"introspection from the cache", gql(`{ __schema { queryType { name } } }`, nil), "/api", "introspection", nil, nil, nil},
		{"body that is no JSON", rest(http.MethodPost, "/api", `{`), "/api", nil, "BAD_USER_INPUT", nil, nil},
		{"REST login", rest(http.MethodPost, "/auth/login", `{"email":"ada@example.org","password":"correct horse"}`), "/auth/login", "login", nil, nil, ada.ID},
		{"REST wrong password", rest(http.MethodPost, "/auth/login", `{"email":"ada@example.org","password":"zebra 7 quartz"}`), "/auth/login", "login", "UNAUTHENTICATED", "wrong_password", ada.ID},
		{"REST body that is no JSON", rest(http.MethodPost, "/auth/login", `{`), "/auth/login", "login", "BAD_USER_INPUT", "invalid_input", nil},
		{"REST me", rest(http.MethodGet, "/auth/me", "", bearer...), "/auth/me", "me", nil, nil, ada.ID},
		{"REST me without a token", rest(http.MethodGet, "/auth/me", ""), "/auth/me", "me", "UNAUTHENTICATED", "no_token", nil},
		{"verified token", rest(http.MethodGet, verify+"?token="+in.Token, ""), verify, "verify", nil, nil, ada.ID},
		{"forged token", rest(http.MethodGet, verify+"?token=a.b.c", ""), verify, "verify", "UNAUTHENTICATED", "invalid_token", nil},
		{"verified password", rest(http.MethodPost, verify, `{"email":"ada@example.org","password":"correct horse"}`, servertest.CallbackHeader...), verify, "verify", nil, nil, ada.ID},
		{"wrong password at the callback", rest(http.MethodPost, verify, `{"email":"ada@example.org","password":"zebra 7 quartz"}`, servertest.CallbackHeader...), verify, "verify", "UNAUTHENTICATED", "wrong_password", ada.ID},
		{"callback without the secret", rest(http.MethodPost, verify, `{"email":"ada@example.org","password":"correct horse"}`), verify, "verify", "FORBIDDEN", "forbidden", nil},
		{"refresh", rest(http.MethodPost, "/auth/refresh", `{"refreshToken":"`+in.RefreshToken+`"}`), "/auth/refresh", "refresh", nil, nil, ada.ID},
		{"forged refresh token", rest(http.MethodPost, "/auth/refresh", `{"refreshToken":"x"}`), "/auth/refresh", "refresh", "UNAUTHENTICATED", "invalid_token", nil},
		{"no route", rest(http.MethodGet, "/nothing", ""), "/nothing", nil, "NOT_FOUND", nil, nil},
		{"another method", rest(http.MethodPut, "/auth/me", ""), "/auth/me", nil, "METHOD_NOT_ALLOWED", nil, nil},
		{"logout", rest(http.MethodPost, "/auth/logout", "", bearer...), "/auth/logout", "logout", nil, nil, ada.ID},
		{"token of an ended session", rest(http.MethodGet, "/auth/me", "", bearer...), "/auth/me", "me", "UNAUTHENTICATED", "session_ended", ada.ID},
		{"the same at the callback", rest(http.MethodGet, verify+"?token="+in.Token, ""), verify, "verify", "UNAUTHENTICATED", "session_ended", ada.ID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.send()
			line := lastRequest(t, r, tt.path)
			if tt.operation == "" { // the fields of a query end in any order
				if line["operation"] != "me,hello" && line["operation"] != "hello,me" {
					t.Errorf("operation %v, want me and hello", line["operation"])
				}
				tt.operation = line["operation"]
			}
			if line["operation"] != tt.operation || line["code"] != tt.code || line["reason"] != tt.reason || line["user_id"] != tt.user {
				t.Errorf("operation %v, code %v, reason %v, user %v, want %v, %v, %v, %v",
					line["operation"], line["code"], line["reason"], line["user_id"], tt.operation, tt.code, tt.reason, tt.user)
			}
			if took, ok := line["took_ms"].(float64); !ok || took < 0 {
				t.Errorf("took_ms = %#v, want a number", line["took_ms"])
			}
		})
	}
	if log := r.Log.String(); strings.Contains(log, "eve@example.org") || strings.Contains(log, "zebra 7 quartz") {
		t.Errorf("the log has an email or a password of a client: %s", log)
	}
}

// A limit that refuses one mutation of a document does not hide the other one from the log.
func TestRefusalHidesNoOtherOperation(t *testing.T) {
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "1"})
	ada := r.Register(t, "ada@example.org")
	spend := `mutation { login(body: {email: "eve@example.org", password: "zebra 7 quartz"}) { message } }`
	r.GraphQL(t, spend, nil)
	before := len(r.LogLines(t, "request"))
	r.GraphQL(t, spend, nil) // refused
	r.GraphQL(t, strings.Replace(spend, "login(", "login_By_token(", 1), nil)
	login := strings.TrimSuffix(strings.TrimPrefix(spend, "mutation { "), " }")
	r.GraphQL(t, "mutation { a: "+login+" b: "+login+" }", nil)
	if lines := r.LogLines(t, "request"); len(lines) != before {
		t.Fatalf("a document of refused logins has the line %v, want it counted", lines[len(lines)-1])
	}
	for _, password := range []string{"correct horse", "zebra 8 quartz"} { // the second one spends the budget
		before := len(r.LogLines(t, "request"))
		r.GraphQL(t, `mutation { a: login(body: {email: "eve@example.org", password: "zebra 7 quartz"}) { message } b: login(body: {email: "ada@example.org", password: "`+password+`"}) { message } }`, nil)
		lines := r.LogLines(t, "request")
		if len(lines) <= before {
			t.Errorf("a login with %q beside a refusal has no line", password)
			continue
		}
		line := lastRequest(t, r, "/api")
		if line["operation"] != "login" || line["code"] != "RATE_LIMITED" || line["reason"] != "budget" || line["user_id"] != ada.ID {
			t.Errorf("a login with %q beside a refusal has the line %v", password, line)
		}
	}
}

// A trace goes from a request into each of its log lines, and to ConnectyCube with a new
// span.
func TestTraceGoesToLogAndConnectyCube(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	body := func(email string) string {
		return servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser(email))
	}
	r.Request(t, http.MethodPost, "/api", body("ada@example.org"), "Traceparent", "00-"+trace+"-"+span+"-01")
	seen := u.Requests(http.MethodPost, "/users")
	if len(seen) != 1 {
		t.Fatalf("%d sign-ups", len(seen))
	}
	got := seen[0].Header.Get("Traceparent")
	if !strings.HasPrefix(got, "00-"+trace+"-") || !strings.HasSuffix(got, "-01") || strings.Contains(got, span) || len(got) != 55 {
		t.Errorf("traceparent at ConnectyCube %q, want the trace with a new span", got)
	}
	if line := lastRequest(t, r, "/api"); line["trace_id"] != trace {
		t.Errorf("trace_id = %v, want %s", line["trace_id"], trace)
	}
	for _, sent := range []string{"", "00-" + strings.ToUpper(trace) + "-" + span + "-01", "ff-" + trace + "-" + span + "-01", "00-" + trace + "-0000000000000000-01"} {
		before := len(u.Requests(http.MethodPost, "/users"))
		r.Request(t, http.MethodPost, "/api", body("u"+string(rune('a'+before))+"@example.org"), "Traceparent", sent)
		seen := u.Requests(http.MethodPost, "/users")
		if len(seen) != before+1 || seen[before].Header["Traceparent"] != nil {
			t.Errorf("traceparent %q: %d sign-ups, the last with %q, want none", sent, len(seen), seen[len(seen)-1].Header["Traceparent"])
		}
		if line := lastRequest(t, r, "/api"); line["trace_id"] != nil {
			t.Errorf("traceparent %q: trace_id = %v, want none", sent, line["trace_id"])
		}
	}
}

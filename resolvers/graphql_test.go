package resolvers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport"
	"cubegate/resolvers/transport/transporttest"
	"cubegate/store"

	"github.com/google/go-cmp/cmp"
)

func TestLoginResolvesEveryField(t *testing.T) {
	_, h := newAPI(t)
	got := transporttest.Ask(t, h, transporttest.LoginDocument, map[string]any{"body": map[string]string{"email": credentials.Email, "password": credentials.Password}})
	want := map[string]any{
		"message": "Login successful", "token": "access " + adaID, "connectySession": "session", "ccUserId": float64(adaCubeID),
		"chat": map[string]any{
			"userId": float64(adaCubeID), "jid": "51941-1001@chat.example.test", "domain": "chat.example.test", "mucDomain": "muc.chat.example.test",
			"endpoint": "https://api.example.test", "wsEndpoint": "wss://chat.example.test:5291",
		},
		"chatStatus": "READY", "chatTicket": "ticket " + adaID,
		"user": map[string]any{"id": adaID, "email": credentials.Email, "firstName": "Ada", "lastName": "Lovelace"},
	}
	wantText, _ := json.Marshal(want)
	gotText, _ := json.Marshal(got.Data["login"])
	if string(gotText) != string(wantText) {
		t.Errorf("got  %s\nwant %s", gotText, wantText)
	}
}

func TestErrorsHaveTheFormOfTheSpecification(t *testing.T) {
	f, h := newAPI(t)
	got := transporttest.Ask(t, h, transporttest.LoginDocument, map[string]any{"body": map[string]string{"email": credentials.Email, "password": "wrong"}})
	if len(got.Errors) != 1 || got.Code() != "UNAUTHENTICATED" || got.Errors[0].Path[0] != "login" || !strings.Contains(got.Text, `"data":null`) || !strings.Contains(got.Text, "Invalid email or password") {
		t.Errorf("refused login: %s", got.Text)
	}
	f.users.Err = errSecret
	got = transporttest.Ask(t, h, transporttest.LoginDocument, map[string]any{"body": map[string]string{"email": credentials.Email, "password": credentials.Password}})
	if got.Code() != "INTERNAL_SERVER_ERROR" || strings.Contains(got.Text, "mongodb") {
		t.Errorf("unknown failure: %s", got.Text)
	}
	if !strings.Contains(f.log.String(), errSecret.Error()) {
		t.Error("the log does not have the cause")
	}
}

// An error never contains a value of the request.
func TestPasswordsAreNeverEchoed(t *testing.T) {
	const secret = "hunter2-topsecret"
	f, h := newAPI(t)
	variables := []any{
		map[string]any{"body": map[string]any{"email": "a@b.org", "password": []string{secret}}},
		map[string]any{"body": map[string]any{"email": "a@b.org", "password": map[string]string{"x": secret}}},
		map[string]any{"body": map[string]any{"email": []string{secret}, "password": secret}},
		map[string]any{"body": map[string]any{"password": secret}},
		map[string]any{"body": map[string]any{"email": "a@b.org", "password": secret, "more": secret}},
		map[string]any{"body": secret},
		map[string]any{"body": []any{secret}},
	}
	for _, v := range variables {
		got := transporttest.Ask(t, h, transporttest.LoginDocument, v)
		if got.Code() != string(apierror.BadUserInput) && got.Code() != string(apierror.Unauthenticated) || strings.Contains(got.Text, secret) {
			t.Errorf("%v: %s", v, got.Text)
		}
	}
	for _, document := range []string{
		`mutation { login(body: {email: "a@b.org", password: ["` + secret + `"]}) { message } }`,
		`mutation { login(body: {email: "a@b.org", password: {x: "` + secret + `"}}) { message } }`,
		`mutation { login(body: {email: 12, password: "` + secret + `"}) { message } }`,
		`mutation { login(body: "` + secret + `") { message } }`,
		`mutation { login(body: {email: "a@b.org" password "` + secret + `"}) { message } }`,
		`mutation { login("` + secret + `") { message } }`,
		`mutation { login(body: {email: "a@b.org", password: "` + secret + `"}) { message } `,
		`mutation($b: LoginUserDto = {email: "a@b.org", password: ["` + secret + `"]}) { login(body: $b) { message } }`,
		`mutation { login(body: {email: "a@b.org", password: "` + secret + `"}) { user } }`,
		`{ hello(password: "` + secret + `") }`,
		`{ hello @skip(if: "` + secret + `") }`,
		"mutation { login(body: {email: \"a@b.org\", password: \"\"\"" + secret,
	} {
		if got := transporttest.Ask(t, h, document, nil); got.Code() == "" || strings.Contains(got.Text, secret) {
			t.Errorf("%s: %s", document, got.Text)
		}
	}
	if strings.Contains(f.log.String(), secret) {
		t.Errorf("the log has it: %s", f.log)
	}
}

// Apps of the NestJS original use its schema: each of its fields must stay. Nullable
// fields may be added.
func TestSchemaKeepsTheFieldsOfTheOriginal(t *testing.T) {
	_, h := newAPI(t)
	document := `{__schema{types{kind name fields{name args{name type{...t}} type{...t}} inputFields{name type{...t}}}}}
		fragment t on __Type{kind name ofType{kind name ofType{kind name ofType{kind name}}}}`
	got := transporttest.Ask(t, h, document, nil)
	raw, err := os.ReadFile("testdata/original-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]string
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	have := signatures(got.Data["__schema"].(map[string]any)["types"].([]any))
	for name, fields := range want {
		missing := cmp.Diff(fields, keep(have[name], fields))
		if missing != "" {
			t.Errorf("%s (-original +ours):\n%s", name, missing)
		}
	}
}

// keep returns the elements of have that are in want, in the order of want.
func keep(have, want []string) []string {
	in := map[string]bool{}
	for _, h := range have {
		in[h] = true
	}
	var out []string
	for _, w := range want {
		if in[w] {
			out = append(out, w)
		}
	}
	return out
}

// signatures writes each field as the schema language does.
func signatures(types []any) map[string][]string {
	all := map[string][]string{}
	for _, t := range types {
		typ := t.(map[string]any)
		name := typ["name"].(string)
		for _, kind := range []string{"fields", "inputFields"} {
			list, _ := typ[kind].([]any)
			for _, f := range list {
				field := f.(map[string]any)
				s := field["name"].(string)
				args, _ := field["args"].([]any)
				for _, a := range args {
					arg := a.(map[string]any)
					s += fmt.Sprintf("(%s: %s)", arg["name"], typeName(arg["type"]))
				}
				all[name] = append(all[name], s+": "+typeName(field["type"]))
			}
		}
	}
	return all
}

func typeName(t any) string {
	typ := t.(map[string]any)
	switch typ["kind"] {
	case "NON_NULL":
		return typeName(typ["ofType"]) + "!"
	case "LIST":
		return "[" + typeName(typ["ofType"]) + "]"
	}
	return typ["name"].(string)
}

func TestSchemaDescribesEveryField(t *testing.T) {
	_, h := newAPI(t)
	got := transporttest.Ask(t, h, `{__schema{types{name description fields{name description args{name description}} inputFields{name description} enumValues{name description}}}}`, nil)
	var missing func(path string, v any)
	missing = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		path += fmt.Sprintf("/%v", m["name"])
		if strings.HasPrefix(path, "/__") {
			return
		}
		if text, _ := m["description"].(string); text == "" {
			t.Errorf("%s has no description", path)
		}
		for _, inner := range []string{"fields", "args", "inputFields", "enumValues"} {
			list, _ := m[inner].([]any)
			for _, x := range list {
				missing(path, x)
			}
		}
	}
	for _, typ := range got.Data["__schema"].(map[string]any)["types"].([]any) {
		missing("", typ)
	}
}

// crowdedAPI is the API over a store with the longest pages. Ada is an administrator.
func crowdedAPI(t *testing.T) *transport.Handler {
	t.Helper()
	list := make(onePage, store.MaxPage)
	f, h := newAPI(t, func(p *parts) { p.flows.Stores.Admin = list })
	f.users.User.Roles = []string{"admin"}
	for i := range list {
		list[i] = *f.users.User
		list[i].Email = strings.Repeat("e", 240) + "@example.org"
		f.events.All = append(f.events.All, store.Event{Detail: strings.Repeat("d", 200)})
	}
	return h
}

// Long pages stay within the bounds that the tests of package transport set for expensive
// documents.
func TestLongPagesStayWithinTheBounds(t *testing.T) {
	h := transport.Bearer(crowdedAPI(t))
	for _, document := range []string{
		"{users{items{" + transporttest.Aliases(38, "email") + "}}}",
		"{audit{items{" + transporttest.Aliases(45, "detail") + "}}}",
		"{a:users{items{id email roles createdAt}} b:audit{items{id at kind outcome detail}} " + transporttest.Aliases(18, "me{id roles}") + "}",
		"{" + transporttest.Aliases(15, "sessions{id device}") + "}",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := transporttest.Ask(t, withHeader(h, "Authorization", "Bearer good "+adaID), document, nil)
		runtime.ReadMemStats(&after)
		if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 32<<20 {
			t.Errorf("%s: allocated %d KiB", document, bytes>>10)
		}
		if got.Code() != "" || len(got.Text) > 1<<20+1<<10 {
			t.Errorf("%s: code %q, answered %d bytes", document, got.Code(), len(got.Text))
		}
	}
}

// withHeader adds a header to each request.
func withHeader(next http.Handler, name, value string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set(name, value)
		next.ServeHTTP(w, r)
	})
}

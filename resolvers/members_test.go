package resolvers

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDecodeObjectRefusesConfusableMembers(t *testing.T) {
	deep := func(levels int) string {
		return `{"variables":` + strings.Repeat(`[`, levels-1) + strings.Repeat(`]`, levels-1) + `}`
	}
	tests := []struct {
		name  string
		body  string
		into  any
		want  string // part of the message; empty when the body is fine
		field string // key in the error's fields
	}{
		{"once each", `{"email":"a","password":"b","device":{"name":"c"}}`, new(loginInput), "", ""},
		{"unknown members are ignored", `{"email":"a","x":1,"y":{"z":[1,{}]}}`, new(loginInput), "", ""},
		{"twice", `{"email":"a","email":"b"}`, new(loginInput), "email occurs more than once", "email"},
		{"twice, once escaped", `{"email":"a","\u0065mail":"b"}`, new(loginInput), "email occurs more than once", "email"},
		{"other case", `{"Email":"a"}`, new(loginInput), "email is spelled in other letter case", "email"},
		{"both cases", `{"email":"a","EMAIL":"b"}`, new(loginInput), "email is spelled in other letter case", "email"},
		{"a letter that folds to ASCII", `{"pa\u017fsword":"a"}`, new(loginInput), "password is spelled in other letter case", "password"},
		{"below a field", `{"device":{"name":"a","Name":"b"}}`, new(loginInput), "device.name is spelled in other letter case", "device.name"},
		{"twice below a field", `{"device":{"name":"a","name":"b"}}`, new(loginInput), "device.name occurs more than once", "device.name"},
		{"unknown, twice", `{"x":1,"x":2}`, new(loginInput), "more than once", ""},
		{"unknown, by case alone", `{"x":1,"X":2}`, new(loginInput), "more than once", ""},
		{"below an unknown member, twice", `{"x":{"y":1,"y":2}}`, new(loginInput), "more than once", ""},
		{"below an unknown member, by case alone", `{"x":{"y":1,"Y":2}}`, new(loginInput), "", ""},
		{"token, twice", `{"token":"a","token":"b"}`, new(proof), "token occurs more than once", "token"},

		{"variables differ by case", `{"query":"","variables":{"a":1,"A":2}}`, new(gqlRequest), "", ""},
		{"a variable twice", `{"query":"","variables":{"a":1,"a":2}}`, new(gqlRequest), "variables has a member", "variables"},
		{"twice deep in variables", `{"variables":{"a":[1,{"b":{"c":1,"c":2}}]}}`, new(gqlRequest), "variables has a member", "variables"},
		{"twice in extensions", `{"extensions":{"a":{"b":1,"b":1}}}`, new(gqlRequest), "extensions has a member", "extensions"},
		{"query twice", `{"query":"{a}","query":"{b}"}`, new(gqlRequest), "query occurs more than once", "query"},
		{"operation name in other case", `{"query":"{a}","operationname":"b"}`, new(gqlRequest), "operationName is spelled", "operationName"},

		{"a large number", `{"variables":{"a":1e999}}`, new(gqlRequest), "is of the wrong type", ""},
		{"as deep as allowed", deep(maxNesting), new(gqlRequest), "of the wrong type", ""}, // a list, so no object
		{"deeper", deep(maxNesting + 1), new(gqlRequest), "nested deeper than 64 levels", ""},
		{"twice, and cut off", `{"email":"a","email":`, new(loginInput), "", "email"},
		{"no JSON", `{"email"}`, new(loginInput), "is not JSON", ""},
		{"two values", `{} {"email":"a","email":"b"}`, new(loginInput), "is not JSON", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := decodeObject([]byte(test.body), test.into)
			if test.want == "" && test.field == "" {
				if err != nil {
					t.Fatalf("got %v, want no error", err)
				}
				return
			}
			var coded *Error
			if !errors.As(err, &coded) || coded.Code != BadUserInput {
				t.Fatalf("got %v, want %s", err, BadUserInput)
			}
			if !strings.Contains(coded.Message, test.want) {
				t.Errorf("message is %q, want %q in it", coded.Message, test.want)
			}
			if _, ok := coded.Fields[test.field]; test.field != "" && !ok {
				t.Errorf("fields are %v, want %q", coded.Fields, test.field)
			}
		})
	}
}

// Each route that reads JSON reads it with decodeObject.
func TestConfusableMembersAreRefusedEverywhere(t *testing.T) {
	f, gql := newAPI(t)
	rest := NewREST(f.Auth)
	handlers := map[string]http.HandlerFunc{
		"graphql":        gql.ServeHTTP,
		"verify":         f.VerifyConnectyCube(),
		"register":       rest.Register,
		"login":          rest.Login,
		"login by token": rest.LoginByToken,
		"refresh":        rest.Refresh,
	}
	bodies := map[string]string{
		"graphql":        `{"query":"{hello}","Query":"{hello}"}`,
		"verify":         `{"token":"good ` + adaID + `","Token":"old"}`,
		"register":       `{"email":"a@example.org","firstName":"A","lastName":"B","password":"correct horse","password":"correct horsf"}`,
		"login":          `{"email":"` + ada.Email + `","password":"` + ada.Password + `","Password":"x"}`,
		"login by token": `{"email":"` + ada.Email + `","password":"` + ada.Password + `","device":{"name":"a","name":"b"}}`,
		"refresh":        `{"RefreshToken":"x"}`,
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(bodies[name]))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler(w, r)
			text := w.Body.String()
			if w.Code != http.StatusBadRequest || !strings.Contains(text, string(BadUserInput)) || !strings.Contains(text, "occurs more than once") && !strings.Contains(text, "letter case") {
				t.Errorf("got %d %s", w.Code, text)
			}
		})
	}
}

package transport

import (
	"errors"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
)

// loginBody and tokenBody have the form of REST bodies.
type (
	loginBody struct {
		Email    string `json:"email"`
		Password string `json:"password"`
		Device   *struct {
			Name *string `json:"name"`
		} `json:"device"`
	}

	tokenBody struct {
		Token string `json:"token"`
	}
)

func TestDecodeObjectRefusesConfusableMembers(t *testing.T) {
	deep := func(levels int) string {
		return `{"variables":` + strings.Repeat(`[`, levels-1) + strings.Repeat(`]`, levels-1) + `}`
	}
	tests := []struct {
		name  string
		body  string
		into  any
		want  string // part of the message; "" = no error
		field string // key in the error's fields
	}{
		{"once each", `{"email":"a","password":"b","device":{"name":"c"}}`, new(loginBody), "", ""},
		{"unknown members are ignored", `{"email":"a","x":1,"y":{"z":[1,{}]}}`, new(loginBody), "", ""},
		{"twice", `{"email":"a","email":"b"}`, new(loginBody), "email occurs more than once", "email"},
		{"twice, once escaped", `{"email":"a","\u0065mail":"b"}`, new(loginBody), "email occurs more than once", "email"},
		{"other case", `{"Email":"a"}`, new(loginBody), "email is spelled in a different letter case", "email"},
		{"both cases", `{"email":"a","EMAIL":"b"}`, new(loginBody), "email is spelled in a different letter case", "email"},
		{"a letter that folds to ASCII", `{"pa\u017fsword":"a"}`, new(loginBody), "password is spelled in a different letter case", "password"},
		{"below a field", `{"device":{"name":"a","Name":"b"}}`, new(loginBody), "device.name is spelled in a different letter case", "device.name"},
		{"twice below a field", `{"device":{"name":"a","name":"b"}}`, new(loginBody), "device.name occurs more than once", "device.name"},
		{"unknown, twice", `{"x":1,"x":2}`, new(loginBody), "more than once", ""},
		{"unknown, by case alone", `{"x":1,"X":2}`, new(loginBody), "more than once", ""},
		{"below an unknown member, twice", `{"x":{"y":1,"y":2}}`, new(loginBody), "more than once", ""},
		{"below an unknown member, by case alone", `{"x":{"y":1,"Y":2}}`, new(loginBody), "", ""},
		{"token, twice", `{"token":"a","token":"b"}`, new(tokenBody), "token occurs more than once", "token"},

		{"variables differ by case", `{"query":"","variables":{"a":1,"A":2}}`, new(gqlRequest), "", ""},
		{"a variable twice", `{"query":"","variables":{"a":1,"a":2}}`, new(gqlRequest), "variables has a member", "variables"},
		{"twice deep in variables", `{"variables":{"a":[1,{"b":{"c":1,"c":2}}]}}`, new(gqlRequest), "variables has a member", "variables"},
		{"twice in extensions", `{"extensions":{"a":{"b":1,"b":1}}}`, new(gqlRequest), "extensions has a member", "extensions"},
		{"query twice", `{"query":"{a}","query":"{b}"}`, new(gqlRequest), "query occurs more than once", "query"},
		{"operation name in other case", `{"query":"{a}","operationname":"b"}`, new(gqlRequest), "operationName is spelled", "operationName"},

		{"a large number", `{"variables":{"a":1e999}}`, new(gqlRequest), "is of the wrong type", ""},
		{"as deep as allowed", deep(maxNesting), new(gqlRequest), "of the wrong type", ""}, // a list instead of an object
		{"deeper", deep(maxNesting + 1), new(gqlRequest), "nested deeper than 64 levels", ""},
		{"twice, and cut off", `{"email":"a","email":`, new(loginBody), "", "email"},
		{"no JSON", `{"email"}`, new(loginBody), "is not JSON", ""},
		{"two values", `{} {"email":"a","email":"b"}`, new(loginBody), "is not JSON", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := DecodeObject([]byte(test.body), test.into)
			if test.want == "" && test.field == "" {
				if err != nil {
					t.Fatalf("got %v, want no error", err)
				}
				return
			}
			var coded *apierror.Error
			if !errors.As(err, &coded) || coded.Code != apierror.BadUserInput {
				t.Fatalf("got %v, want %s", err, apierror.BadUserInput)
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

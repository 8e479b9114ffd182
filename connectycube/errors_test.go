package connectycube_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"cubegate/connectycube"
)

var sentinels = []error{
	connectycube.ErrUnavailable, connectycube.ErrTaken, connectycube.ErrBadCredentials,
	connectycube.ErrNotFound, connectycube.ErrIdentityProvider, connectycube.ErrSessionExpired,
	connectycube.ErrMisconfigured, connectycube.ErrRefused,
}

// matching returns the names of the sentinels that err matches; there must be exactly one.
func matching(err error) (out []error) {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			out = append(out, s)
		}
	}
	return out
}

func TestEachAnswerHasOneMeaning(t *testing.T) {
	tests := []struct {
		call   string
		answer string
		want   error
	}{
		// Texts and statuses of the real service.
		{"CreateSession", `401 {"errors":["Invalid password"]}`, connectycube.ErrBadCredentials},
		{"CreateSession", `401 {"errors":["Unauthorized"]}`, connectycube.ErrMisconfigured},
		{"CreateSession", `401 `, connectycube.ErrBadCredentials},
		{"CreateSession", `404 {"errors":["User not found"]}`, connectycube.ErrNotFound},
		{"CreateSession", `422 {"errors":{"password":["cannot be blank"]}}`, connectycube.ErrRefused},
		{"CreateSession", `422 {"errors":{"base":["Custom Identity Provider uid is required"]}}`, connectycube.ErrIdentityProvider},
		{"CreateSession", `422 {"errors":{"base":["Custom Identity Provider responded with an error = \"Token invalid\". Status code = 404"]}}`, connectycube.ErrIdentityProvider},
		{"CreateSession", `422 {"errors":["Bad Authentication data. Unauthorized on remote side. Status: 401. "]}`, connectycube.ErrIdentityProvider},
		{"CreateSession", `200 {"errors":["Bad Authentication data. Unauthorized on remote side. Status: 401. "]}`, connectycube.ErrIdentityProvider},
		{"CreateSession", `200 {"errors":["Bad Authentication data"]}`, connectycube.ErrUnavailable},
		{"CreateSession", `422 {"errors":["Unexpected signature"]}`, connectycube.ErrMisconfigured},
		{"UpdateUser", `401 {"errors":{"base":["Required session does not exist"]}}`, connectycube.ErrSessionExpired},
		{"UpdateUser", `401 {"errors":["Token is required"]}`, connectycube.ErrRefused},
		{"UpdateUser", `403 {"errors":{"base":["Forbidden. Need user."]}}`, connectycube.ErrRefused},
		{"UpdateUser", `404 {"errors":["User not found"]}`, connectycube.ErrNotFound},
		{"SignUp", `422 {"errors":{"base":["email must be unique"]}}`, connectycube.ErrTaken},
		{"SignUp", `422 {"errors":{"email":["has already been taken"]}}`, connectycube.ErrTaken},
		{"SignUp", `409 {"errors":["login must be unique"]}`, connectycube.ErrTaken},
		{"SignUp", `422 {"errors":{"base":["email is invalid"]}}`, connectycube.ErrRefused},
		{"SignUp", `422 {"errors":{"base":["No application found"]}}`, connectycube.ErrMisconfigured},
		{"SignUp", `401 {"errors":["Unauthorized"]}`, connectycube.ErrMisconfigured},
		{"SignUp", `401 {"errors":["Token is required"]}`, connectycube.ErrMisconfigured},
		{"SignUp", `404 <html>`, connectycube.ErrMisconfigured},
		{"SignUp", `403 {"errors":["Forbidden"]}`, connectycube.ErrRefused},
		{"UserByExternalID", `422 {"errors":{"base":["No application found"]}}`, connectycube.ErrMisconfigured},
		{"UserByExternalID", `401 {"errors":["Unauthorized"]}`, connectycube.ErrMisconfigured},
		{"UserByExternalID", `404 `, connectycube.ErrMisconfigured},
		// What any server may answer.
		{"CreateSession", `302 `, connectycube.ErrUnavailable},
		{"CreateSession", `408 `, connectycube.ErrUnavailable},
		{"CreateSession", `418 teapot`, connectycube.ErrRefused},
		{"CreateSession", `429 {"errors":["Too Many Requests"]}`, connectycube.ErrUnavailable},
		{"SignUp", `500 <html><h1>must be unique</h1></html>`, connectycube.ErrUnavailable},
		{"SignUp", `500 {"errors":["email must be unique"]}`, connectycube.ErrUnavailable},
		{"SignUp", `503 `, connectycube.ErrUnavailable},
		{"SignUp", `999 `, connectycube.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.call+" "+tt.answer, func(t *testing.T) {
			c, s := scripted(t, tt.answer)
			err := calls[tt.call](t.Context(), c)
			if got := matching(err); len(got) != 1 || got[0] != tt.want {
				t.Errorf("error = %v, which is %v, want only %v", err, got, tt.want)
			}
			if status := tt.answer[:3]; err == nil || !strings.Contains(err.Error(), "(status "+status+")") {
				t.Errorf("error = %v, want it to show status %s", err, status)
			}
			if len(s.seen) != 1 {
				t.Errorf("%d requests were made, want 1: the client repeats nothing", len(s.seen))
			}
		})
	}
}

// TestSuccessNeedsASubstance: the SDK or the original once took each of these for a
// success; the original then stored users without an ID.
func TestSuccessNeedsASubstance(t *testing.T) {
	useless := []string{``, ` `, `null`, `[]`, `{}`, `"text"`, `<html>welcome</html>`, `{"user":`, `{"errors":[]}`, `{"user":null,"session":null}`}
	tests := map[string][]string{
		"SignUp": append([]string{
			`{"user":{}}`, `{"user":{"id":null}}`, `{"user":{"id":0}}`, `{"user":{"id":-4}}`, `{"user":{"id":"x"}}`, `{"user":{"id":""}}`,
			`{"user":{"id":1.5}}`, `{"user":{"id":true}}`, `{"user":{"id":[1]}}`, `{"user":{"id":99999999999999999999}}`, `{"user":[]}`, `{"user":{"id":1}} trailing`,
		}, useless...),
		"CreateSession": append([]string{
			`{"session":{"user_id":5}}`, `{"session":{"token":"","user_id":5}}`, `{"session":{"token":null,"user_id":5}}`, `{"session":{"token":{},"user_id":5}}`,
			`{"session":{"token":"t"}}`, `{"session":{"token":"t","user_id":null}}`, `{"session":{"token":"t","user_id":0}}`, `{"session":{"token":"t","user_id":"abc"}}`,
			`{"session":{"token":"t","user_id":-1}}`, `{"session":{"token":"t","user_id":{}}}`, `{"session":"t"}`,
		}, useless...),
		"UpdateUser": append([]string{
			`{"user":{"id":6,"external_id":"ext-1"}}`, `{"user":{"id":5,"external_id":null}}`, `{"user":{"id":5,"external_id":"ext-2"}}`,
		}, useless...),
	}
	for call, bodies := range tests {
		for _, body := range bodies {
			t.Run(call+" "+body, func(t *testing.T) {
				c, _ := scripted(t, "200 "+body)
				err := calls[call](t.Context(), c)
				if got := matching(err); len(got) != 1 || got[0] != connectycube.ErrUnavailable {
					t.Errorf("error = %v, want only ErrUnavailable", err)
				}
			})
		}
	}
	for _, body := range append([]string{
		`{"items":null}`, `{"items":[{"id":0,"external_id":"ext-1"}]}`, `{"items":[{"id":4,"external_id":"ext-2"}]}`, `{"items":[{}]}`, `{"items":{}}`,
	}, useless...) {
		t.Run("UserByExternalID "+body, func(t *testing.T) {
			c, _ := scripted(t, `201 {"session":{"token":"t"}}`, "200 "+body)
			if err := calls["UserByExternalID"](t.Context(), c); !errors.Is(err, connectycube.ErrUnavailable) {
				t.Errorf("error = %v, want ErrUnavailable", err)
			}
		})
	}
}

func TestLookUpWithADeadSessionOfItsOwn(t *testing.T) {
	c, _ := scripted(t, `201 {"session":{"token":"t"}}`, `401 {"errors":{"base":["Required session does not exist"]}}`)
	err := calls["UserByExternalID"](t.Context(), c)
	if got := matching(err); len(got) != 1 || got[0] != connectycube.ErrUnavailable {
		t.Errorf("error = %v, want only ErrUnavailable: the session is not the caller's", err)
	}
}

func TestMessagesOfEveryShape(t *testing.T) {
	tests := []struct{ body, want string }{
		{`{"errors":["a","b"]}`, "a|b"},
		{`{"errors":{"base":["a","b"]}}`, "a|b"},
		{`{"errors":{"password":["is short"],"email":["is wrong","is taken"]}}`, "email is wrong|email is taken|password is short"},
		{`{"errors":"a"}`, "a"},
		{`{"message":"a"}`, "a"},
		{`{"error":"a","code":5}`, "a"},
		{`{"errors":[1,null,["a"],{"x":"b"}]}`, "a|x b"},
		{`{"errors":{"a":{"b":{"c":{"d":"too deep"}}}}}`, ""},
		{`plain text`, "plain text"},
		{"line\nforged line", "line forged line"},
		{`<html>page</html>`, ""},
		{`[1]`, ""},
		{``, ""},
		{`{"errors":["1","2","3","4","5","6","7","8","9"]}`, "1|2|3|4|5|6|7|8"},
	}
	for _, tt := range tests {
		t.Run(tt.body, func(t *testing.T) {
			c, _ := scripted(t, "400 "+tt.body)
			var api *connectycube.APIError
			if err := calls["SignUp"](t.Context(), c); !errors.As(err, &api) {
				t.Fatalf("error = %v, want an APIError", err)
			}
			if got := strings.Join(api.Messages, "|"); got != tt.want || api.Status != 400 {
				t.Errorf("messages = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestErrorsHideWhatTheAnswerEchoes(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IjEifQ.c2lnbmF0dXJl"
	secrets := []string{key, "p@ss word/1", "opaque-ticket", jwt, token, "eyJpZCI6IjEifQ", "p%40ss+word%2F1"}
	answer := `422 {"errors":["refused ` + strings.Join(secrets, `","in x`) + `y"]}`
	c, _ := scripted(t, answer)
	_, err := c.CreateSession(t.Context(), connectycube.Credentials{Login: "opaque-ticket", Password: "p@ss word/1"})
	if !errors.Is(err, connectycube.ErrRefused) || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("error = %v", err)
	}
	var api *connectycube.APIError
	if !errors.As(err, &api) {
		t.Fatal("no APIError")
	}
	shown := err.Error() + strings.Join(api.Messages, " ")
	for _, s := range secrets {
		if strings.Contains(shown, s) {
			t.Errorf("error shows %q: %s", s, shown)
		}
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	long := strings.Repeat("ü", 10_000)
	for _, answer := range []string{`400 {"errors":["` + long + `","` + long + `","` + long + `"]}`, `400 ` + long, `400 {"errors":{"` + long + `":["x"]}}`} {
		c, _ := scripted(t, answer)
		err := calls["SignUp"](t.Context(), c)
		if n := utf8.RuneCountInString(err.Error()); n > 500 || !utf8.ValidString(err.Error()) {
			t.Errorf("error text has %d characters", n)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			header string
			want   time.Duration
		}{
			{"", 0},
			{"7", 7 * time.Second},
			{"-7", 0},
			{"soon", 0},
			{"99999999", time.Hour},
			{"99999999999999999999", 0},
			{"Sat, 01 Jan 2000 00:00:30 GMT", 30 * time.Second},
			{"Fri, 31 Dec 1999 00:00:30 GMT", 0},
		}
		for _, tt := range tests {
			c := via(t, roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {tt.header}}, Body: io.NopCloser(strings.NewReader(""))}, nil
			}))
			var api *connectycube.APIError
			if err := calls["SignUp"](t.Context(), c); !errors.As(err, &api) || api.RetryAfter != tt.want {
				t.Errorf("Retry-After %q: error = %v with %v, want %v", tt.header, err, api.RetryAfter, tt.want)
			}
		}
	})
}

// FuzzAnswer: for any answer, the error has exactly one kind, is bounded, and does
// not contain the key.
//
//	go test -run '^$' -fuzz '^FuzzAnswer$' -fuzztime 2m ./connectycube
//
// testdata/fuzz holds the findings of earlier runs.
func FuzzAnswer(f *testing.F) {
	f.Add(422, `{"errors":{"base":["email must be unique"]}}`)
	f.Add(200, `{"session":{"token":"t","user_id":"5"}}`)
	f.Add(401, `{"errors":["Required session does not exist, the-auth-key"]}`)
	f.Add(500, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		for name, call := range calls {
			c := via(t, roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
			}))
			err := call(t.Context(), c)
			if err == nil {
				continue
			}
			if got := matching(err); len(got) != 1 {
				t.Errorf("%s: error = %v, which is %v, want exactly one kind", name, err, got)
			}
			if text := err.Error(); len(text) > 2500 || strings.Contains(text, key) || strings.ContainsAny(text, "\r\n") {
				t.Errorf("%s: error text %q", name, text)
			}
		}
	})
}

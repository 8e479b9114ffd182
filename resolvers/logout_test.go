package resolvers

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/transport"
	"cubegate/resolvers/transport/transporttest"
)

// refreshTokenOf logs Ada in and returns the refresh token and the login session.
func refreshTokenOf(t *testing.T, f fakes) (token, session string) {
	t.Helper()
	in, err := run(t.Context(), f.API, opLogin, credentials, f.API.sessions.login)
	must(t, err)
	return *in.RefreshToken, *in.SessionID
}

// A client may send a body to the REST twin, or none: clients of earlier versions send
// what their library sends.
func TestBodiesOfALogout(t *testing.T) {
	zipped := func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, err := io.WriteString(w, text)
		must(t, err)
		must(t, w.Close())
		return out.String()
	}
	for name, tt := range map[string]struct {
		header http.Header
		body   func(refresh string) string
		status int
		ends   bool // the session of the refresh token
	}{
		"none":                      {nil, func(string) string { return "" }, 204, false},
		"none, as JSON":             {http.Header{"Content-Type": {"application/json"}}, func(string) string { return "" }, 204, false},
		"none, as a form":           {http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, func(string) string { return "" }, 204, false},
		"an empty object":           {http.Header{"Content-Type": {"application/json"}}, func(string) string { return "{}" }, 204, false},
		"null":                      {http.Header{"Content-Type": {"application/json"}}, func(string) string { return `{"refreshToken":null}` }, 204, false},
		"an empty token":            {http.Header{"Content-Type": {"application/json"}}, func(string) string { return `{"refreshToken":""}` }, 204, false},
		"a refresh token":           {http.Header{"Content-Type": {"application/json"}}, func(r string) string { return `{"refreshToken":"` + r + `"}` }, 204, true},
		"a refresh token, zipped":   {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, func(r string) string { return zipped(`{"refreshToken":"` + r + `"}`) }, 204, true},
		"a number":                  {http.Header{"Content-Type": {"application/json"}}, func(string) string { return `{"refreshToken":1}` }, 400, false},
		"a name in upper case":      {http.Header{"Content-Type": {"application/json"}}, func(r string) string { return `{"RefreshToken":"` + r + `"}` }, 400, false},
		"text":                      {http.Header{"Content-Type": {"text/plain"}}, func(r string) string { return `{"refreshToken":"` + r + `"}` }, 415, false},
		"broken":                    {http.Header{"Content-Type": {"application/json"}}, func(string) string { return `{` }, 400, false},
		"of no type":                {nil, func(r string) string { return `{"refreshToken":"` + r + `"}` }, 415, false},
		"more than a body may have": {http.Header{"Content-Type": {"application/json"}}, func(string) string { return `{"refreshToken":"` + strings.Repeat("x", 70_000) + `"}` }, 413, false},
	} {
		for _, length := range []string{"known", "unknown"} {
			f := newFakes(t)
			token, session := refreshTokenOf(t, f)
			r := httptest.NewRequest(http.MethodPost, "/auth/logout", strings.NewReader(tt.body(token)))
			if length == "unknown" { // as a chunked body has
				r.ContentLength = -1
			}
			for name, values := range tt.header {
				r.Header[name] = values
			}
			r.Header.Set("Authorization", "Bearer good "+adaID)
			w := httptest.NewRecorder()
			f.rest().ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("%s, length %s: %d %s, want %d", name, length, w.Code, w.Body, tt.status)
			}
			if ended := !slices.Contains(f.users.User.Sessions, session); ended != tt.ends {
				t.Errorf("%s, length %s: the session of the refresh token has ended: %t", name, length, ended)
			}
			if ended := !slices.Contains(f.users.User.Sessions, "s1"); ended != (tt.status == 204 && !tt.ends) {
				t.Errorf("%s, length %s: the session of the access token has ended: %t", name, length, ended)
			}
		}
	}
}

func TestLogoutByGraphQL(t *testing.T) {
	for name, tt := range map[string]struct {
		header, document string
		code             apierror.Code
	}{
		"an expired access token":   {"Bearer expired " + adaID, `mutation{logout{message}}`, ""},
		"a refresh token":           {"", `mutation{logout(refreshToken:"$"){message}}`, ""},
		"an unknown refresh token":  {"", `mutation{logout(refreshToken:"x"){message}}`, ""},
		"null":                      {"Bearer good " + adaID, `mutation{logout(refreshToken:null){message}}`, ""},
		"null alone":                {"", `mutation{logout(refreshToken:null){message}}`, apierror.Unauthenticated},
		"nothing":                   {"", `mutation{logout{message}}`, apierror.Unauthenticated},
		"a header of another kind":  {"Basic eDp5", `mutation{logout{message}}`, apierror.Unauthenticated},
		"a forged access token":     {"Bearer bad", `mutation{logout{message}}`, apierror.Unauthenticated},
		"a number as refresh token": {"Bearer good " + adaID, `mutation{logout(refreshToken:1){message}}`, apierror.GraphQLValidationFailed},
	} {
		f, h := newAPI(t)
		token, _ := refreshTokenOf(t, f)
		body, err := json.Marshal(map[string]string{"query": strings.ReplaceAll(tt.document, "$", token)})
		must(t, err)
		var edit []func(*http.Request)
		if tt.header != "" {
			edit = append(edit, transporttest.Header("Authorization", tt.header))
		}
		if got := transporttest.Send(t, transport.Bearer(h), string(body), edit...); got.Code() != string(tt.code) {
			t.Errorf("%s: %.300s, want %q", name, got.Text, tt.code)
		}
	}
}

// Only a logout takes an expired token.
func TestAnExpiredTokenIsOnlyForALogout(t *testing.T) {
	f := newFakes(t)
	for _, op := range Operations() {
		if op.Role == identity.RoleAnyone {
			continue
		}
		if _, err := f.caller(asked(t, "Bearer expired "+adaID), op); Outward(err).Code != apierror.Unauthenticated {
			t.Errorf("%s: %v", op.Name, err)
		}
	}
}

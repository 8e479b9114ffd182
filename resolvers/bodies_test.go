package resolvers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
)

// Each route that reads JSON must use transport.DecodeObject.
func TestEveryRouteRefusesConfusableMembers(t *testing.T) {
	f, gql := newAPI(t)
	paths := map[string]string{
		"graphql":        "",
		"verify":         VerifyPath,
		"register":       "/auth/register",
		"login":          "/auth/login",
		"login by token": "/auth/login-by-token",
		"refresh":        "/auth/refresh",
		"logout":         "/auth/logout",
	}
	bodies := map[string]string{
		"graphql":        `{"query":"{hello}","Query":"{hello}"}`,
		"verify":         `{"token":"good ` + adaID + `","Token":"old"}`,
		"register":       `{"email":"a@example.org","firstName":"A","lastName":"B","password":"correct horse","password":"correct horsf"}`,
		"login":          `{"email":"` + credentials.Email + `","password":"` + credentials.Password + `","Password":"x"}`,
		"login by token": `{"email":"` + credentials.Email + `","password":"` + credentials.Password + `","device":{"name":"a","name":"b"}}`,
		"refresh":        `{"RefreshToken":"x"}`,
		"logout":         `{"refreshToken":"x","refreshToken":"y"}`,
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			handler := f.rest()
			if path == "" {
				path, handler = "/", gql
			}
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(bodies[name]))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			text := w.Body.String()
			if w.Code != http.StatusBadRequest || !strings.Contains(text, string(apierror.BadUserInput)) || !strings.Contains(text, "occurs more than once") && !strings.Contains(text, "letter case") {
				t.Errorf("got %d %s", w.Code, text)
			}
		})
	}
}

package resolvers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
)

// Each route that reads JSON reads it with DecodeObject.
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
			if w.Code != http.StatusBadRequest || !strings.Contains(text, string(apierror.BadUserInput)) || !strings.Contains(text, "occurs more than once") && !strings.Contains(text, "letter case") {
				t.Errorf("got %d %s", w.Code, text)
			}
		})
	}
}

package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox/core"
)

func TestOutboxInTheControlArea(t *testing.T) {
	s := New(Options{})
	if err := s.Registry.Add(&core.User{Profile: core.Profile{Login: "ann", Email: "ann@example.com"}}, s.Now()); err != nil {
		t.Fatal(err)
	}
	reset := httptest.NewRequest("GET", "http://localhost/users/password/reset?email=Ann@example.com", nil)
	reset.Header.Set("CB-Token", s.Registry.Open(nil, s.Now()).Token)
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, reset)
	if answer.Code != http.StatusOK || answer.Body.Len() > 0 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	for _, step := range []struct{ method, want, wantNot string }{
		{"GET", `"email":"ann@example.com"`, ""},
		{"DELETE", `"outbox":[]`, "ann"},
		{"GET", `"outbox":[]`, "ann"},
	} {
		r := httptest.NewRequest(step.method, "http://localhost/_sandbox/outbox", nil)
		r.RemoteAddr = "127.0.0.1:5"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if text := w.Body.String(); w.Code != 200 || !strings.Contains(text, step.want) || step.wantNot != "" && strings.Contains(text, step.wantNot) {
			t.Errorf("%s: %d %s", step.method, w.Code, text)
		}
	}
	r := httptest.NewRequest("GET", "http://sandbox.example/_sandbox/outbox", nil) // from another machine
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("from elsewhere: %d %s", w.Code, w.Body)
	}
}

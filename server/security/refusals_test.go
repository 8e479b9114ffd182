package security

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// The log has a count of the requests that the limit of wrong passwords refuses, over
// REST and GraphQL. The shutdown writes the last count.
func TestFloodOfRefusalsIsNoFloodOfLines(t *testing.T) {
	t.Parallel()
	r, stop := servertest.StartUntil(t, servertest.Configure(t, map[string]string{"LOGIN_FAILURES": "2"}))
	defer stop()
	refusedLogins(t, r, "unknown@example.org", 2)
	for range 30 {
		rest := r.Request(t, http.MethodPost, "/auth/login", `{"email":"unknown@example.org","password":"wrong password"}`)
		gql := r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": "unknown@example.org", "password": "wrong password"})
		if rest.Status != http.StatusTooManyRequests || gql.Code() != "RATE_LIMITED" {
			t.Fatalf("%d and %s, want refusals", rest.Status, gql.Code())
		}
	}
	stop()
	counted, lines := 0, 0
	for text := range strings.Lines(r.Log.String()) {
		var line struct {
			Msg         string
			Path        string
			RateLimited int `json:"rate_limited"`
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		counted += line.RateLimited
		if line.Msg == "request" && (line.Path == "/auth/login" || line.Path == "/api") {
			lines++
		}
	}
	if counted != 60 || lines != 2 {
		t.Errorf("%d refusals are counted and %d logins have lines, want 60 and 2: %s", counted, lines, r.Log)
	}
}

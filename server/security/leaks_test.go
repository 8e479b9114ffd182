package security

import (
	"net/http"
	"strings"
	"testing"

	"cubegate/server/servertest"
	"cubegate/tokens"
)

// Each test of the whole program searches the logs, headers, URLs and Referers that it
// produces for what looks like a credential (servertest.TokenShapes; nhost put a refresh
// token into the URL of a redirect, CVE-2026-34969). This test checks that the search
// finds each kind of credential, as a server issues it, and nothing in usual lines.
func TestSearchFindsEveryKindOfToken(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"JWT_SECRET": limitsSecret.Reveal()})
	ring, err := tokens.NewSecretRing(limitsSecret)
	if err != nil {
		t.Fatal(err)
	}
	ada := r.Register(t, "ada@example.org")
	in := r.Login(t, servertest.LoginDocument, "ada@example.org")
	user, err := r.Store.Users().ByID(t.Context(), ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	for kind, token := range map[string]string{
		"access token": in.Token, "chat ticket": in.ChatTicket, "refresh token": in.RefreshToken, "ConnectyCube session": in.ConnectySession,
		"device token": deviceToken(ring, ada.ID, "ada@example.org"), "password hash": user.PasswordHash,
	} {
		for _, text := range []string{token, "GET /auth/me?token=" + token, "https://app.example.org/#" + token, `{"err":"` + token + ` is bad"}`} {
			if token == "" || servertest.TokenShapes(text) == nil {
				t.Errorf("the %s is not found in %s", kind, text)
			}
		}
	}
	for _, line := range strings.Split(r.Log.String(), "\n") {
		if found := servertest.TokenShapes(line); found != nil {
			t.Errorf("%q found in %s", found, line)
		}
	}
	if !strings.Contains(r.Log.String(), `"request"`) {
		t.Error("the log has no request, so the test proves little")
	}
}

// No reply of any operation sends a browser anywhere or makes it tell another site where
// it was: there is no Location, no Refresh and no cookie, and the policy for Referers is
// no-referrer.
func TestNoReplyLeadsElsewhere(t *testing.T) {
	t.Parallel()
	c := servertest.NewActors(t, servertest.Start(t, map[string]string{"LOGIN_FAILURES": "0", "LIMITS": "observe", "LOG_LEVEL": "error"}), 0)
	for _, q := range everyRequest(t, c) {
		got := sendAt(t, c.Server, q, "", nil)
		for _, name := range []string{"Location", "Content-Location", "Refresh", "Link", "Set-Cookie"} {
			if value := got.Header.Get(name); value != "" {
				t.Errorf("%s %s: the reply has %s: %s", q.method, q.path, name, value)
			}
		}
		if policy := got.Header.Get("Referrer-Policy"); policy != "no-referrer" || got.Status >= http.StatusMultipleChoices && got.Status < http.StatusBadRequest {
			t.Errorf("%s %s: %d, Referrer-Policy %q", q.method, q.path, got.Status, policy)
		}
	}
}

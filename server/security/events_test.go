package security

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"cubegate/server/servertest"
	"cubegate/tokens"
)

// An administrator who loses the role has lost it for each credential that was issued
// before: the old access token, a new one by the old refresh token, and a new login.
// TestNoCredentialSurvives has the events that end credentials.
func TestLostRoleIsLostForEveryCredential(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.OnDatabase(t, nil))
	c, other := servertest.NewActors(t, r, 0), servertest.NewActors(t, r, 1)
	const users = `{ users { items { id } } }`
	c.MustDo(t, c.Root.Token, users)
	c.MustDo(t, other.Root.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: []) { id } }`, c.Root.User.ID))
	refreshed := r.Request(t, http.MethodPost, "/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, c.Root.RefreshToken))
	for name, token := range map[string]string{
		"the old access token":         c.Root.Token,
		"a token by the refresh token": tokenOf(t, refreshed),
		"a token of a new login":       r.Login(t, servertest.LoginDocument, c.Root.User.Email).Token,
	} {
		if got := r.SendAs(t, token, users, nil); servertest.CodeOf(got.Body) != "FORBIDDEN" {
			t.Errorf("%s: %s, want FORBIDDEN", name, got.Body)
		}
		c.MustDo(t, token, `{ me { id } }`)
	}
}

// A device token that was issued before a revocation, a logout everywhere, a new password
// or a ban makes no device known afterwards. It is no credential: after a logout of the
// device itself it stays valid, as docs/login-sessions.md says.
func TestDeviceTokensEndWithTheirLogins(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]struct {
		do       func(t *testing.T, c servertest.Actors, other servertest.LoginReply)
		survives bool
	}{
		"nothing":               {func(*testing.T, servertest.Actors, servertest.LoginReply) {}, true},
		"logout":                {events["logout"].do, true},
		"revoked":               {events["revoked by another"].do, false},
		"logged out everywhere": {events["logout everywhere, by another"].do, false},
		"password changed":      {events["password changed by another"].do, false},
		"disabled and enabled": {func(t *testing.T, c servertest.Actors, other servertest.LoginReply) {
			events["disabled"].do(t, c, other)
			c.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { enableUser(id: %q) { id } }`, c.Ada.User.ID))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "1", "JWT_SECRET": limitsSecret.Reveal(), "LOG_LEVEL": "error", "TRUSTED_PROXIES": "127.0.0.1"})
			ring, err := tokens.NewSecretRing(limitsSecret)
			if err != nil {
				t.Fatal(err)
			}
			c := servertest.NewActors(t, r, 0)
			token := deviceToken(ring, c.Ada.User.ID, c.Ada.User.Email)
			event.do(t, c, r.Login(t, servertest.LoginDocument, c.Ada.User.Email))
			if known := isKnown(t, c, token); known != event.survives {
				t.Errorf("the device is known: %t, want %t", known, event.survives)
			}
		})
	}
}

// isKnown reports whether a device token still separates its device from strangers: once
// strangers have used up the budget of the account, only a known device may try.
func isKnown(t *testing.T, c servertest.Actors, token string) bool {
	t.Helper()
	guess := func(network, device string) string {
		body := fmt.Sprintf(`{"email":%q,"password":"wrong horse","device":{"token":%q}}`, c.Ada.User.Email, device)
		return servertest.CodeOf(c.Request(t, http.MethodPost, "/auth/login", body, "X-Forwarded-For", network).Body)
	}
	for i := range 60 { // more than the 20 of an account
		if code := guess(fmt.Sprintf("198.51.100.%d", i), ""); code == "RATE_LIMITED" {
			break
		}
	}
	if code := guess("203.0.113.200", ""); code != "RATE_LIMITED" {
		t.Fatalf("a stranger gets %q, want RATE_LIMITED", code)
	}
	return guess("203.0.113.201", token) != "RATE_LIMITED"
}

func tokenOf(t *testing.T, got servertest.Reply) string {
	t.Helper()
	var in servertest.LoginReply
	if err := json.Unmarshal([]byte(got.Body), &in); err != nil || in.Token == "" {
		t.Fatalf("%d %s, %v", got.Status, got.Body, err)
	}
	return in.Token
}

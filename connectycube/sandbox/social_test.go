package sandbox_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// social logs in with another service's token and returns the session.
func (c caller) social(provider, token string) got {
	c.t.Helper()
	keys := `"keys":{"token":"` + token + `"}`
	if strings.HasPrefix(provider, "firebase") {
		keys = `"` + provider + `":{"project_id":"p","access_token":"` + token + `"}`
	}
	g := c.send("POST", "/session", application+`,"provider":"`+provider+`",`+keys+`}`)
	if g.status != 201 {
		c.t.Fatalf("%s: %d %s", provider, g.status, g.text)
	}
	return g
}

// jwt returns an unsigned token.
func jwt(claims string) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestASocialTokenIsAnIdentity(t *testing.T) {
	for _, provider := range []string{"facebook", "twitter", "firebase_phone", "firebase_email"} {
		t.Run(provider, func(t *testing.T) {
			c := in(t, sandbox.New(sandbox.Options{DenyAutoCreate: true}))
			for _, token := range []string{"token", strings.Repeat("long", 1000)} {
				first := c.social(provider, token)
				if again := c.social(provider, token); again.str("session.user_id") != first.str("session.user_id") {
					t.Errorf("the same token is another user: %s", again.text)
				}
				if other := c.social(provider, token+"2"); other.str("session.user_id") == first.str("session.user_id") {
					t.Errorf("another token is the same user: %s", other.text)
				}
				id, live := first.str("session.user_id"), first.str("session.token")
				if g := c.send("PUT", "/users/"+id, `{"user":{"full_name":"Renamed"}}`, "CB-Token", live); g.status != 200 {
					t.Errorf("a social user changes its profile: %d %s", g.status, g.text)
				}
			}
		})
	}
}

func TestAFirebaseTokenIsReadAndNotChecked(t *testing.T) {
	tests := []struct {
		name, provider, first, again string
		field, want                  string
	}{
		{"phone", "firebase_phone", `{"sub":"u1","phone_number":"+380501234567"}`, `{"sub":"u1","phone_number":"+380501234567","iat":2}`, "phone", "+380501234567"},
		{"email", "firebase_email", `{"user_id":"u1","email":"Ann@Example.com","name":"Ann"}`, `{"user_id":"u1","email":"other@example.com"}`, "email", "ann@example.com"},
		{"name", "firebase_email", `{"sub":"u1","name":"Ann"}`, `{"sub":"u1"}`, "full_name", "Ann"},
		{"a phone that is none", "firebase_phone", `{"sub":"u1","phone_number":"call me"}`, `{"sub":"u1"}`, "phone", ""},
		{"facebook", "facebook", `{"sub":"u1"}`, `{"sub":"u1","iat":2}`, "facebook_id", "u1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := in(t, sandbox.New(sandbox.Options{}))
			first := c.social(tt.provider, jwt(tt.first))
			if v := first.str("session.user." + tt.field); v != tt.want {
				t.Errorf("%s = %q, want %q", tt.field, v, tt.want)
			}
			if again := c.social(tt.provider, jwt(tt.again)); again.str("session.user_id") != first.str("session.user_id") {
				t.Errorf("a later token of the same subject is another user: %s", again.text)
			}
		})
	}
}

func TestASocialLoginFindsWhoHasTheIdentityInTheProfile(t *testing.T) {
	for provider, field := range map[string]string{
		"facebook": "facebook_id", "twitter": "twitter_id", "firebase_phone": "phone", "firebase_email": "email",
	} {
		c := in(t, sandbox.New(sandbox.Options{}))
		identity := "380501234567"
		if field == "email" {
			identity = "jane@example.com"
		}
		id := c.signUp(`{"login":"jane","password":"11111111","` + field + `":"` + identity + `"}`)
		if g := c.social(provider, identity); g.str("session.user_id") != id {
			t.Errorf("%s: %s", provider, g.text)
		}
	}
}

// A text that looks like a JWT and is none is treated like any other text.
func TestBrokenTokensAreTexts(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{}))
	seen := map[string]bool{}
	for _, token := range []string{"a.b.c", "a.!.c", jwt(`[1]`), jwt(`{"sub":`), jwt(`{}`), "e30.e30"} {
		seen[c.social("facebook", token).str("session.user_id")] = true
	}
	if len(seen) != 6 {
		t.Errorf("six tokens made %d users", len(seen))
	}
}

package resolvers

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/resolvers/identity"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// Every time of expiry has its seconds beside it, in the schema and in OpenAPI.
func TestEveryExpiresAtHasItsSeconds(t *testing.T) {
	found := 0
	for _, block := range strings.Split(schemaText, "\n}\n") {
		if strings.Contains(block, "\n  expiresAt: ") {
			found++
			if !strings.Contains(block, "\n  expiresIn: Int") || strings.Contains(block, "expiresAt: String!") != strings.Contains(block, "expiresIn: Int!") {
				t.Errorf("a type has expiresAt without expiresIn: %s", block)
			}
		}
	}
	raw, err := os.ReadFile("openapi/openapi.json")
	must(t, err)
	var described struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
				Required   []string
			}
		}
	}
	must(t, json.Unmarshal(raw, &described))
	for name, s := range described.Components.Schemas {
		if s.Properties["expiresAt"] != nil {
			found++
			if s.Properties["expiresIn"] == nil || !strings.Contains(strings.Join(s.Required, " "), "expiresAt expiresIn") {
				t.Errorf("the schema %s has expiresAt without expiresIn", name)
			}
		}
	}
	if found != 7 {
		t.Errorf("%d times of expiry are found, want 7", found)
	}
}

func TestExpiresInCountsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for want, expires := range map[int32]time.Time{
			3600: now.Add(time.Hour), 59: now.Add(time.Minute - time.Millisecond), 0: now.Add(-time.Hour), 1<<31 - 1: now.Add(100 * 365 * 24 * time.Hour),
		} {
			if got := newLoginSession(store.Session{Expires: expires}, "").ExpiresIn; got != want {
				t.Errorf("a login session that ends in %v: %d, want %d", expires.Sub(now), got, want)
			}
		}
		endpoints := ChatEndpoints{}
		out, err := endpoints.newLoginResponse(t.Context(), opLogin, identity.LoginResult{
			Expires: now.Add(time.Hour), Cube: provisioning.CubeSession{UserID: 1, Token: "t", Expires: now.Add(2 * time.Hour)},
		}, nil)
		must(t, err)
		if *out.ExpiresIn != 3600 || *out.Chat.ExpiresIn != 7200 {
			t.Errorf("a login: %d and %d seconds", *out.ExpiresIn, *out.Chat.ExpiresIn)
		}
		out, err = endpoints.newLoginResponse(t.Context(), opLogin, identity.LoginResult{Cube: provisioning.CubeSession{UserID: 1}}, nil)
		must(t, err)
		if out.Chat.ExpiresIn != nil || out.Chat.ExpiresAt != nil {
			t.Errorf("without a session: %+v", out.Chat)
		}
	})
}

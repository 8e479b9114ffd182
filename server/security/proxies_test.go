package security

import (
	"net/http"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// wrongLogin sends a wrong password over REST, with headers as names and values in
// turn, and returns the code of the reply.
func wrongLogin(t *testing.T, r *servertest.Server, header ...string) string {
	t.Helper()
	const body = `{"email":"ada@example.org","password":"wrong horse"}`
	return servertest.CodeOf(r.Request(t, http.MethodPost, "/auth/login", body, header...).Body)
}

// Wrong passwords count for the IPv4 address or the IPv6 /64 that the trusted proxy
// writes. No other header names the client.
func TestWrongPasswordsAreCountedByNetworkBehindAProxy(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "2", "TRUSTED_PROXIES": "127.0.0.1"})
	r.Register(t, "ada@example.org")
	steps := []struct{ xff, forwarded, want string }{
		{"[2001:db8:1:2::1]:40001", "", "UNAUTHENTICATED"},
		{"[2001:db8:1:2:ffff::1]:40002", "", "UNAUTHENTICATED"},
		{"2001:db8:1:2:3::3", "", "RATE_LIMITED"},
		{"2001:db8:1:3::1", "", "UNAUTHENTICATED"},
		{"192.0.2.1:5000", "", "UNAUTHENTICATED"},
		{"203.0.113.9, ::ffff:192.0.2.1", "", "UNAUTHENTICATED"},
		{"64:ff9b::192.0.2.1", "", "RATE_LIMITED"},
		{"192.0.2.1", "for=203.0.113.9", "RATE_LIMITED"},
	}
	for _, s := range steps {
		if got := wrongLogin(t, r, "X-Forwarded-For", s.xff, "Forwarded", s.forwarded); got != s.want {
			t.Errorf("%s, %q: %s, want %s", s.xff, s.forwarded, got, s.want)
		}
	}
}

func TestForwardedIsReadWhenItIsSet(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "1", "TRUSTED_PROXIES": "127.0.0.1", "FORWARDED_HEADER": "Forwarded"})
	r.Register(t, "ada@example.org")
	for _, s := range []struct{ forwarded, xff, want string }{
		{`for="[2001:db8:1:2::1]:40001";proto=https`, "", "UNAUTHENTICATED"},
		{`for="[2001:db8:1:2::2]"`, "203.0.113.9", "RATE_LIMITED"},
		{`for="[2001:db8:1:2::2]", for=192.0.2.1`, "203.0.113.9", "UNAUTHENTICATED"},
	} {
		if got := wrongLogin(t, r, "Forwarded", s.forwarded, "X-Forwarded-For", s.xff); got != s.want {
			t.Errorf("%s, %q: %s, want %s", s.forwarded, s.xff, got, s.want)
		}
	}
}

// Behind a proxy that TRUSTED_PROXIES does not name, all users share one limit. The log
// says so once, and only after requests to the routes of logins.
func TestProxyThatIsNotNamedIsLogged(t *testing.T) {
	t.Parallel()
	const message = "proxy missing from TRUSTED_PROXIES"
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "1"})
	r.Register(t, "ada@example.org")
	for range 150 {
		r.Request(t, http.MethodGet, "/healthz", "", "X-Forwarded-For", "203.0.113.9")
	}
	if strings.Contains(r.Log.String(), message) {
		t.Error("health checks count as logins")
	}
	for range 250 {
		wrongLogin(t, r, "X-Forwarded-For", "203.0.113.9")
	}
	if n := strings.Count(r.Log.String(), message); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"cubegate/middleware"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("2001:db8:ffff::/48"),
}

func clientOf(peer string, trusted []netip.Prefix, header http.Header) string {
	var got string
	h := middleware.ClientIP(trusted)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = middleware.ClientIPFrom(r.Context())
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr, r.Header = peer, header
	h.ServeHTTP(httptest.NewRecorder(), r)
	return got
}

func TestClientIP(t *testing.T) {
	tests := []struct {
		name, peer string
		trusted    []netip.Prefix
		xff        []string
		want       string
	}{
		{"no proxy", "192.0.2.1:1234", nil, nil, "192.0.2.1"},
		{"no proxy, a lie", "192.0.2.1:1234", nil, []string{"203.0.113.9"}, "192.0.2.1"},
		{"no proxy, IPv6", "[2001:db8::1]:1234", nil, nil, "2001:db8::1"},
		{"no proxy, IPv4 in IPv6", "[::ffff:192.0.2.1]:1234", nil, nil, "192.0.2.1"},
		{"not through the proxy, a lie", "192.0.2.1:1234", proxies, []string{"203.0.113.9"}, "192.0.2.1"},
		{"not through the proxy, claims to be it", "192.0.2.1:1234", proxies, []string{"203.0.113.9, 10.0.0.1"}, "192.0.2.1"},
		{"through the proxy", "10.0.0.1:1234", proxies, []string{"192.0.2.1"}, "192.0.2.1"},
		{"through the proxy, as IPv4 in IPv6", "[::ffff:10.0.0.1]:1234", proxies, []string{"192.0.2.1"}, "192.0.2.1"},
		{"through an IPv6 proxy", "[2001:db8:ffff::1]:1234", proxies, []string{"2001:db8::7"}, "2001:db8::7"},
		{"through two", "10.0.0.1:1234", proxies, []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"through two, in two headers", "10.0.0.1:1234", proxies, []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"through the proxy, with a lie before", "10.0.0.1:1234", proxies, []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		{"through the proxy, a lie in a header of its own", "10.0.0.1:1234", proxies, []string{"203.0.113.9", "192.0.2.1"}, "192.0.2.1"},
		{"the proxy says nothing", "10.0.0.1:1234", proxies, nil, "10.0.0.1"},
		{"the proxy says nonsense", "10.0.0.1:1234", proxies, []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		{"the proxy asks for itself", "10.0.0.1:1234", proxies, []string{"10.0.0.7"}, "10.0.0.1"},
		{"Unix socket", "@", proxies, []string{"192.0.2.1"}, ""},
		{"Unix socket, none trusted", "", nil, []string{"192.0.2.1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clientOf(tt.peer, tt.trusted, http.Header{"X-Forwarded-For": tt.xff}); got != tt.want {
				t.Errorf("client = %q, want %q", got, tt.want)
			}
		})
	}
	if got := middleware.ClientIPFrom(context.Background()); got != "" {
		t.Errorf("outside of a request: %q", got)
	}
}

// headersThatLie are those by which some proxy or other names the client.
var headersThatLie = []string{
	"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "Forwarded",
	"X-Forwarded", "X-Cluster-Client-Ip", "Fastly-Client-Ip", "X-Azure-Clientip", "X-Original-Forwarded-For", "X-Forwarded-Host", "Host", "Via",
}

// From a peer that is no trusted proxy no header changes the address (GO-2026-5774,
// -5775, -5777: chi's RealIP believed True-Client-IP and the leftmost
// X-Forwarded-For of anyone).
func FuzzClientIPFromUntrustedPeer(f *testing.F) {
	for _, value := range []string{"203.0.113.9", "10.0.0.1", "127.0.0.1, 10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "for=203.0.113.9", ",,,", "\x00", strings.Repeat("1,", 5000)} {
		f.Add(value, value)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		header := http.Header{}
		for _, name := range headersThatLie {
			header[name] = []string{first, second}
		}
		for _, trusted := range [][]netip.Prefix{nil, proxies} {
			if got := clientOf("192.0.2.1:1234", trusted, header); got != "192.0.2.1" {
				t.Errorf("with %d trusted and %q, %q: client = %q", len(trusted), first, second, got)
			}
		}
		// Through a proxy the worst there can be is an address, never free text.
		if got := clientOf("10.0.0.1:1234", proxies, header); !netip.MustParseAddr(got).IsValid() {
			t.Errorf("client = %q", got)
		}
	})
}

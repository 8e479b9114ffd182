package middleware_test

import (
	"bytes"
	"context"
	"log/slog"
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

// clientOf returns the address that ClientIP finds for a request.
func clientOf(t testing.TB, peer string, trusted []netip.Prefix, read middleware.ForwardingHeader, header http.Header) string {
	t.Helper()
	client, _ := clientAndLog(t, peer, trusted, read, header)
	return client
}

// clientAndLog also returns the log.
func clientAndLog(t testing.TB, peer string, trusted []netip.Prefix, read middleware.ForwardingHeader, header http.Header) (client, logged string) {
	t.Helper()
	var out bytes.Buffer
	find, err := middleware.ClientIP(trusted, read, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	h := find(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { client = middleware.ClientIPFrom(r.Context()) }))
	h.ServeHTTP(httptest.NewRecorder(), requestFrom(peer, header))
	return client, out.String()
}

func requestFrom(peer string, header http.Header) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.RemoteAddr, r.Header = peer, header
	return r
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
		{"a proxy further away says nonsense", "10.0.0.1:1234", proxies, []string{"192.0.2.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"a proxy asks for itself", "10.0.0.1:1234", proxies, []string{"10.0.0.7"}, "10.0.0.7"},
		{"a client among the trusted", "10.0.0.1:1234", proxies, []string{"10.0.0.9, 10.0.0.7"}, "10.0.0.9"},
		{"empty entries", "10.0.0.1:1234", proxies, []string{"192.0.2.1, ,\t, 10.0.0.2,", ""}, "192.0.2.1"},
		{"through a trusted link-local proxy", "[fe80::1%eth0]:1234", []netip.Prefix{netip.MustParsePrefix("fe80::/64")}, []string{"192.0.2.1"}, "192.0.2.1"},
		{"link-local", "[fe80::1%eth0]:1234", proxies, nil, "fe80::1%eth0"},
		{"Unix socket", "@", proxies, []string{"192.0.2.1"}, ""},
		{"Unix socket, none trusted", "", nil, []string{"192.0.2.1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clientOf(t, tt.peer, tt.trusted, middleware.XForwardedFor, http.Header{"X-Forwarded-For": tt.xff}); got != tt.want {
				t.Errorf("client = %q, want %q", got, tt.want)
			}
		})
	}
	if got := middleware.ClientIPFrom(context.Background()); got != "" {
		t.Errorf("outside of a request: %q", got)
	}
}

func TestClientIPRefusesBadArguments(t *testing.T) {
	if _, err := middleware.ClientIP(nil, "x-real-ip", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an unknown header is accepted")
	}
	if _, err := middleware.ClientIP(nil, middleware.Forwarded, nil); err == nil {
		t.Error("a nil log is accepted")
	}
}

// A proxy that writes one of the headers forwards the client's other one unchanged:
// nginx with X-Forwarded-For, HAProxy with "option forwarded". A proxy that removes the
// header (AWS in mode "remove") names no client at all.
func TestClientIPReadsOneHeaderOnly(t *testing.T) {
	const lie, truth = "203.0.113.9", "192.0.2.1"
	tests := []struct {
		name   string
		read   middleware.ForwardingHeader
		header http.Header
		want   string
	}{
		{"Forwarded from the client", middleware.XForwardedFor, http.Header{"X-Forwarded-For": {truth}, "Forwarded": {"for=" + lie}}, truth},
		{"X-Forwarded-For from the client", middleware.Forwarded, http.Header{"Forwarded": {"for=" + truth}, "X-Forwarded-For": {lie}}, truth},
		{"only Forwarded from the client", middleware.XForwardedFor, http.Header{"Forwarded": {"for=" + lie}}, "10.0.0.1"},
		{"only X-Forwarded-For from the client", middleware.Forwarded, http.Header{"X-Forwarded-For": {lie}}, "10.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, logged := clientAndLog(t, "10.0.0.1:1234", proxies, tt.read, tt.header)
			if got != tt.want {
				t.Errorf("client = %q, want %q", got, tt.want)
			}
			if warned := strings.Contains(logged, "the header is absent"); warned != (tt.want == "10.0.0.1") {
				t.Errorf("logged: %s", logged)
			}
		})
	}
}

func TestClientIPWarnsOnceForEachProxy(t *testing.T) {
	var out bytes.Buffer
	find, err := middleware.ClientIP(proxies, middleware.XForwardedFor, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	h := find(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func(peer, xff string) int {
		out.Reset()
		h.ServeHTTP(httptest.NewRecorder(), requestFrom(peer, http.Header{"X-Forwarded-For": {xff}}))
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("the log quotes the header: %s", out.String())
		}
		return strings.Count(out.String(), "level=WARN msg=\"trusted proxy sent no readable client address\"")
	}
	steps := []struct {
		peer, xff string
		warnings  int
	}{
		{"192.0.2.1:1", "hunter2", 0}, // not trusted: its headers are ignored
		{"10.0.0.1:1", "192.0.2.1", 0},
		{"10.0.0.1:1", "hunter2, 192.0.2.1", 0}, // the client wrote the invalid part
		{"10.0.0.1:1", "192.0.2.1, hunter2", 1},
		{"10.0.0.1:2", "hunter2", 0},
		{"10.0.0.2:1", "hunter2, 10.0.0.1", 0}, // 10.0.0.1 wrote it
		{"10.0.0.2:1", "hunter2", 1},
	}
	for _, s := range steps {
		if got := ask(s.peer, s.xff); got != s.warnings {
			t.Errorf("%s, %q: %d warnings, want %d: %s", s.peer, s.xff, got, s.warnings, out.String())
		}
	}
	total := 0
	for i := range 1000 {
		total += ask(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String()+":1", "hunter2")
	}
	if total == 0 || total > 100 {
		t.Errorf("%d warnings for 1000 proxies, want some and at most 100", total)
	}
}

// headersThatLie are headers in which some proxies name the client.
var headersThatLie = []string{
	"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "Forwarded",
	"X-Forwarded", "X-Cluster-Client-Ip", "Fastly-Client-Ip", "X-Azure-Clientip", "X-Azure-Socketip", "X-Original-Forwarded-For", "X-Forwarded-Host", "Host", "Via",
}

// No header of an untrusted peer changes the address (GO-2026-5774, -5775, -5777: chi's
// RealIP believed the True-Client-IP and the leftmost X-Forwarded-For of any peer).
func FuzzClientIPFromUntrustedPeer(f *testing.F) {
	for _, value := range []string{"203.0.113.9", "10.0.0.1", "127.0.0.1, 10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "for=203.0.113.9", "for=\"[::1]:1\"", ",,,", "\x00", strings.Repeat("1,", 5000)} {
		f.Add(value, value)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		header := http.Header{}
		for _, name := range headersThatLie {
			header[name] = []string{first, second}
		}
		for _, read := range []middleware.ForwardingHeader{middleware.XForwardedFor, middleware.Forwarded} {
			for _, trusted := range [][]netip.Prefix{nil, proxies} {
				got, logged := clientAndLog(t, "192.0.2.1:1234", trusted, read, header)
				if got != "192.0.2.1" || logged != "" {
					t.Errorf("with %d trusted and %q, %q: client = %q, logged %s", len(trusted), first, second, got, logged)
				}
			}
			// Behind a proxy, the result is at worst another address, never free text.
			if got := clientOf(t, "10.0.0.1:1234", proxies, read, header); !netip.MustParseAddr(got).IsValid() {
				t.Errorf("client = %q", got)
			}
		}
	})
}

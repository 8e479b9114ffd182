package middleware_test

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"cubegate/middleware"
)

// The headers that proxies write, from their documentation. The client is 192.0.2.1 or
// 2001:db8::7 if the documentation gives no address; 203.0.113.9 is an address that the
// client claims.
func TestClientIPAsProxiesDocument(t *testing.T) {
	const (
		xff, forwarded = middleware.XForwardedFor, middleware.Forwarded

		nginx      = "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#var_proxy_add_x_forwarded_for"
		nginxRFC   = "https://www.nginx.com/resources/wiki/start/topics/examples/forwarded/"
		caddy      = "https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#defaults"
		traefik    = "https://doc.traefik.io/traefik/routing/entrypoints/#forwarded-headers"
		haproxy    = "https://docs.haproxy.org/3.0/configuration.html#4-option%20forwardfor"
		haproxyRFC = "https://docs.haproxy.org/3.0/configuration.html#4-option%20forwarded"
		alb        = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html"
		elb        = "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/x-forwarded-headers.html"
		gcp        = "https://cloud.google.com/load-balancing/docs/https#x-forwarded-for_header"
		appGateway = "https://learn.microsoft.com/en-us/azure/application-gateway/how-application-gateway-works#modifications-to-the-request"
		frontDoor  = "https://learn.microsoft.com/en-us/azure/frontdoor/front-door-http-headers-protocol"
		cloudflare = "https://developers.cloudflare.com/fundamentals/reference/http-headers/#x-forwarded-for"
		squid      = "http://www.squid-cache.org/Doc/config/forwarded_for/"
		rfc        = "https://www.rfc-editor.org/rfc/rfc7239"
	)
	tests := []struct {
		docs   string
		name   string
		read   middleware.ForwardingHeader
		lines  []string
		want   string
		reason string // in the warning; "" = no warning
	}{
		{nginx, "header of its own", xff, []string{"192.0.2.1"}, "192.0.2.1", ""},
		{nginx, "appended after a comma and a blank", xff, []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1", ""},
		{nginx, "IPv6", xff, []string{"203.0.113.9, 2001:db8::7"}, "2001:db8::7", ""},
		{nginxRFC, "IPv4 as it is", forwarded, []string{`for=203.0.113.9, for=192.0.2.1`}, "192.0.2.1", ""},
		{nginxRFC, "IPv6 in brackets and quotation marks", forwarded, []string{`for=203.0.113.9, for="[2001:db8::7]"`}, "2001:db8::7", ""},
		{nginxRFC, "a Unix socket", forwarded, []string{`for=203.0.113.9, for=unknown`}, "10.0.0.1", "unknown"},
		{nginxRFC, "a secret between", forwarded, []string{`for=192.0.2.1, for=10.0.0.3;secret=egah2CGj55fSJFs, for=10.0.0.2`}, "192.0.2.1", ""},

		{caddy, "what the client says is dropped", xff, []string{"192.0.2.1"}, "192.0.2.1", ""},
		{caddy, "from its trusted proxies, appended", xff, []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1", ""},
		{traefik, "IPv4", xff, []string{"192.0.2.1"}, "192.0.2.1", ""},
		{traefik, "IPv6, from its trusted IPs", xff, []string{"2001:db8::7, 10.0.0.2"}, "2001:db8::7", ""},

		{haproxy, "a line of its own at the end", xff, []string{"203.0.113.9", "192.0.2.1"}, "192.0.2.1", ""},
		{haproxyRFC, "the defaults", forwarded, []string{`proto=http;for=127.0.0.2`}, "127.0.0.2", ""},
		{haproxyRFC, "for behind host", forwarded, []string{`for=203.0.113.9`, `host="haproxy.org";for="192.0.2.1:60138"`}, "192.0.2.1", ""},
		{haproxyRFC, "IPv6 and a port", forwarded, []string{`host="host.com";by=_haproxy;for="[::1]:10"`}, "::1", ""},
		{haproxyRFC, "a hash with a port", forwarded, []string{`host="haproxy.org";for="_000000007F2F367E:60138"`}, "10.0.0.1", "obfuscated"},
		{haproxyRFC, "a random identifier", forwarded, []string{`for=_000000002B1F4D63`}, "10.0.0.1", "obfuscated"},

		{alb, "IPv4", xff, []string{"203.0.113.7"}, "203.0.113.7", ""},
		{alb, "mode append", xff, []string{"203.0.113.9, 203.0.113.10, 192.0.2.1"}, "192.0.2.1", ""},
		{alb, "IPv6 appended in brackets", xff, []string{"203.0.113.9, [2001:db8::7]"}, "2001:db8::7", ""},
		{alb, "client port preservation", xff, []string{"12.34.56.78:8080"}, "12.34.56.78", ""},
		{alb, "client port preservation, IPv6", xff, []string{"[2001:db8:85a3:8d3:1319:8a2e:370:7348]:8080"}, "2001:db8:85a3:8d3:1319:8a2e:370:7348", ""},
		{elb, "IPv6, upper case", xff, []string{"2001:DB8::21f:5bff:febf:ce22:8a2e"}, "2001:db8:0:21f:5bff:febf:ce22:8a2e", ""},

		{gcp, "client and load balancer, without blank", xff, []string{"192.0.2.1,10.0.0.200"}, "192.0.2.1", ""},
		{gcp, "behind what the client says", xff, []string{"203.0.113.9,192.0.2.1,10.0.0.200"}, "192.0.2.1", ""},
		{appGateway, "IP:port", xff, []string{"192.0.2.1:50123"}, "192.0.2.1", ""},
		{appGateway, "a list of IP:port", xff, []string{"203.0.113.9:1, 192.0.2.1:50123"}, "192.0.2.1", ""},
		{frontDoor, "socket IP appended", xff, []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1", ""},
		{frontDoor, "before an Application Gateway", xff, []string{"192.0.2.1, 10.0.0.7:443"}, "192.0.2.1", ""},
		{cloudflare, "visitor", xff, []string{"203.0.113.1"}, "203.0.113.1", ""},
		{cloudflare, "appended without a blank", xff, []string{"203.0.113.1,198.51.100.101,198.51.100.102"}, "198.51.100.102", ""},
		{squid, "forwarded_for off", xff, []string{"unknown"}, "10.0.0.1", "unknown"},

		{rfc + "#section-4", "obfuscated", forwarded, []string{`for="_gazonk"`}, "10.0.0.1", "obfuscated"},
		{rfc + "#section-4", "names in any case, IPv6 and a port", forwarded, []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17", ""},
		{rfc + "#section-4", "several parameters", forwarded, []string{`for=192.0.2.60;proto=http;by=203.0.113.43`}, "192.0.2.60", ""},
		{rfc + "#section-4", "two elements", forwarded, []string{`for=192.0.2.43, for=198.51.100.17`}, "198.51.100.17", ""},
		{rfc + "#section-6", "IPv4 and a port", forwarded, []string{`for="192.0.2.43:47011"`}, "192.0.2.43", ""},
		{rfc + "#section-6", "an obfuscated port", forwarded, []string{`for="[2001:db8:cafe::17]:_sWf"`}, "2001:db8:cafe::17", ""},
		{rfc + "#section-7.1", "one list", forwarded, []string{`for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown`}, "10.0.0.1", "unknown"},
		{rfc + "#section-7.1", "a list in two lines", forwarded, []string{`for=192.0.2.43`, `for="[2001:db8:cafe::17]", for=10.0.0.2`}, "2001:db8:cafe::17", ""},
		{rfc + "#section-7.4", "X-Forwarded-For, IPv6 without brackets", xff, []string{`192.0.2.43, 2001:db8:cafe::17`}, "2001:db8:cafe::17", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkClient(t, tt.read, tt.lines, tt.want, tt.reason)
			if t.Failed() {
				t.Log("see", tt.docs)
			}
		})
	}
}

// Headers that no documentation shows: valid and invalid ones.
func TestClientIPFromOddHeaders(t *testing.T) {
	const xff, forwarded = middleware.XForwardedFor, middleware.Forwarded
	tests := []struct {
		name   string
		read   middleware.ForwardingHeader
		line   string
		want   string
		reason string
	}{
		{"quotation marks", xff, `"[2001:db8::7]:80"`, "2001:db8::7", ""},
		{"IPv4 in IPv6", xff, "::ffff:192.0.2.1", "192.0.2.1", ""},
		{"IPv4 in IPv6, with a port", xff, "[::ffff:192.0.2.1]:80", "192.0.2.1", ""},
		{"a trusted proxy as IPv4 in IPv6", xff, "192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1", ""},
		{"a trusted proxy with a zone", xff, "192.0.2.1, 2001:db8:ffff::1%eth0", "192.0.2.1", ""},
		{"IPv6 with a zone", xff, "fe80::7%eth0", "fe80::7", ""},
		{"IPv4 in brackets", xff, "[192.0.2.1]:80", "10.0.0.1", "malformed"},
		{"a name", xff, "client.example", "10.0.0.1", "malformed"},
		{"a port that is none", xff, "192.0.2.1:http", "10.0.0.1", "malformed"},
		{"no port after the colon", xff, "192.0.2.1:", "10.0.0.1", "malformed"},
		{"text after the bracket", xff, "[2001:db8::7]80", "10.0.0.1", "malformed"},
		{"a bracket left open", xff, "[2001:db8::7", "10.0.0.1", "malformed"},
		{"leading zeros", xff, "192.0.002.1", "10.0.0.1", "malformed"},
		{"blanks around the equals sign and the semicolon", forwarded, "proto=https ; for = 192.0.2.1 ; by=x", "192.0.2.1", ""},
		{"a port without quotation marks", forwarded, "for=192.0.2.1:80", "192.0.2.1", ""},
		{"a comma and a semicolon in quotation marks", forwarded, `for=203.0.113.9, for=192.0.2.1;host="a, for=203.0.113.9;for=x"`, "192.0.2.1", ""},
		{"a quotation mark in quotation marks", forwarded, `for=192.0.2.1;host="a\", for=203.0.113.9"`, "192.0.2.1", ""},
		{"a backslash that escapes", forwarded, `for="192\.0.2.1"`, "192.0.2.1", ""},
		{"a client that opens a quotation mark", forwarded, `for=", for=192.0.2.1`, "192.0.2.1", ""},
		{"a client that closes one", forwarded, `for=203.0.113.9", for=192.0.2.1`, "192.0.2.1", ""},
		{"a client that escapes", forwarded, `for="\, for="[2001:db8::7]"`, "2001:db8::7", ""},
		{"for twice", forwarded, "for=192.0.2.1;for=203.0.113.9", "10.0.0.1", "malformed"},
		{"no for", forwarded, "for=203.0.113.9, proto=https;by=192.0.2.1", "10.0.0.1", "an element without the parameter for"},
		{"no value", forwarded, "for", "10.0.0.1", "malformed"},
		{"an empty value", forwarded, "for=", "10.0.0.1", "malformed"},
		{"unknown with a port", forwarded, `for="Unknown:80"`, "10.0.0.1", "unknown"},
		{"the form of the other header", forwarded, "192.0.2.1", "10.0.0.1", "malformed"},
		{"the form of the other header", xff, "for=192.0.2.1", "10.0.0.1", "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkClient(t, tt.read, []string{tt.line}, tt.want, tt.reason) })
	}
}

// checkClient sends a request through the proxy 10.0.0.1.
func checkClient(t *testing.T, read middleware.ForwardingHeader, lines []string, want, reason string) {
	t.Helper()
	got, logged := clientAndLog(t, "10.0.0.1:1234", proxies, read, http.Header{http.CanonicalHeaderKey(string(read)): lines})
	if got != want {
		t.Errorf("client = %q, want %q", got, want)
	}
	if reason == "" && logged != "" || reason != "" && !strings.Contains(logged, "reason="+reason) && !strings.Contains(logged, strconv.Quote(reason)) {
		t.Errorf("logged %q, want the reason %q", logged, reason)
	}
}

// forms returns the spellings of an address that proxies use.
func forms(read middleware.ForwardingHeader, addr netip.Addr, port uint16) []string {
	plain, withPort := addr.String(), netip.AddrPortFrom(addr, port).String()
	if read == middleware.XForwardedFor {
		if addr.Is4() {
			return []string{plain, withPort}
		}
		return []string{plain, withPort, "[" + plain + "]"}
	}
	if addr.Is4() {
		return []string{"for=" + plain, `proto=https;for="` + withPort + `"`, `For="` + plain + `";host="a,b;c\""`}
	}
	return []string{`for="[` + plain + `]"`, `by=_x;for="` + withPort + `";host="a,b;c"`}
}

// The entry that the trusted proxy appends counts, whatever the client sends: in every
// form, in the client's line and in a line of its own.
func FuzzClientIPBehindAppendingProxy(f *testing.F) {
	for _, sent := range []string{"203.0.113.9", "10.0.0.2", `for="`, `for="\`, `"`, `for=203.0.113.9;host="`, "for=10.0.0.2, for=", ",", ";", "[", "unknown", "\x00", strings.Repeat(`"\`, 1000)} {
		f.Add(sent, []byte{192, 0, 2, 1}, uint16(80))
		f.Add(sent, []byte("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"), uint16(1))
	}
	f.Fuzz(func(t *testing.T, sent string, raw []byte, port uint16) {
		addr, ok := netip.AddrFromSlice(raw)
		for _, p := range proxies {
			ok = ok && !p.Contains(addr.Unmap())
		}
		if !ok {
			t.Skip("no address, or a trusted one, from which the walk goes on")
		}
		for _, read := range []middleware.ForwardingHeader{middleware.XForwardedFor, middleware.Forwarded} {
			for _, form := range forms(read, addr, port) {
				for _, lines := range [][]string{{form}, {sent + ", " + form}, {sent + "," + form}, {sent, form}, {sent, sent + ",\t" + form}} {
					got, logged := clientAndLog(t, "10.0.0.1:1", proxies, read, http.Header{http.CanonicalHeaderKey(string(read)): lines})
					if got != addr.Unmap().String() || logged != "" {
						t.Errorf("%s %q: client = %q, want %s; logged %s", read, lines, got, addr.Unmap(), logged)
					}
				}
			}
		}
	})
}

package resolvers

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"cubegate/resolvers/transport"
)

// ChatEndpoints are where apps find ConnectyCube.
type ChatEndpoints struct {
	AppID  int64
	APIURL string // origin of the REST API
	Domain string // XMPP domain
	URL    string // WebSocket; "": the path /chat below APIURL

	// FollowsClient makes the host in APIURL the one at which the client reached this
	// server, if the header Host names one: it may be the only address of this machine
	// that the client knows, such as 10.0.2.2 in an emulator.
	FollowsClient bool
}

// sandboxChatPath is the path of the WebSocket below the URL of a REST API that serves both.
const sandboxChatPath = "/chat"

// SeenBy returns the endpoints for the client of the request that ctx belongs to.
func (e ChatEndpoints) SeenBy(ctx context.Context) ChatEndpoints {
	if host, ok := hostName(transport.Host(ctx)); ok && e.FollowsClient {
		e.APIURL = withHost(e.APIURL, host)
	}
	if e.URL == "" {
		e.URL = strings.Replace(e.APIURL, "http", "ws", 1) + sandboxChatPath
	}
	return e
}

// withHost returns rawURL with another host and the same port.
func withHost(rawURL, host string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Port() == "" {
		return rawURL
	}
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}

// hostName returns the host of a header Host, without port and brackets. It accepts the
// forms that a URL can carry: a DNS name, an IPv4 address or an IPv6 address in brackets
// (RFC 9110, section 7.2, and RFC 3986, section 3.2.2), and no others.
func hostName(header string) (host string, ok bool) {
	if rest, isIPv6 := strings.CutPrefix(header, "["); isIPv6 {
		host, after, closed := strings.Cut(rest, "]")
		at, err := netip.ParseAddr(host)
		return at.String(), closed && err == nil && at.Is6() && at.Zone() == "" && isPortSuffix(after)
	}
	host, port, hasPort := strings.Cut(header, ":")
	if hasPort && !isPortSuffix(":"+port) {
		return "", false
	}
	host = strings.ToLower(host)
	return host, isIPv4(host) || isDNSName(host)
}

// isPortSuffix reports whether s is empty or a colon and a port.
func isPortSuffix(s string) bool {
	if s == "" {
		return true
	}
	port, err := strconv.ParseUint(s[1:], 10, 16) // no sign, no blank
	return s[0] == ':' && err == nil && port > 0
}

func isIPv4(s string) bool {
	at, err := netip.ParseAddr(s)
	return err == nil && at.Is4()
}

// isDNSName reports whether s consists of labels of letters, digits, hyphens and
// underscores. Its last label is no number, or clients would read an IPv4 address
// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func isDNSName(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return false
		}
	}
	last := labels[len(labels)-1]
	_, err := strconv.ParseUint(last, 10, 64)
	isHex := strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == ""
	return err != nil && strings.Trim(last, "0123456789") != "" && !isHex
}

func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

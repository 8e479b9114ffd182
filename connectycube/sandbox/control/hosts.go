package control

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// forwardedNames are the names of the host machine in containers, whose engine
// forwards connections to the host's loopback. The domain internal is reserved.
var forwardedNames = []string{"host.docker.internal", "host.containers.internal"}

// IsAddressed reports whether a request over loopback names the sandbox in its Host.
// A web page can point its own name at 127.0.0.1 and then has the same origin as the
// sandbox (DNS rebinding); only the Host reveals that. An IP address as Host is safe.
// So is the control token, which no page knows.
//
// Requests from other machines may have any Host: there a proxy, a container network
// or a phone chooses the name.
func (s *Area) IsAddressed(r *http.Request) bool {
	if !isLoopback(r.RemoteAddr) || isLoopback(r.Host) {
		return true
	}
	name, ip := hostOf(r.Host)
	return ip.IsValid() || slices.Contains(s.names, name) || s.holdsControlToken(r.Header.Get("X-Sandbox-Token"))
}

// isLoopback reports whether an IP address or a Host header, with or without a port,
// means loopback. Names below localhost do (RFC 6761, section 6.3).
func isLoopback(hostport string) bool {
	name, ip := hostOf(hostport)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip.Unmap().IsLoopback()
}

// hostOf splits an address or a Host header. It returns an IP address, or else a name
// in lower case without a trailing dot.
func hostOf(hostport string) (name string, ip netip.Addr) {
	host, port, err := net.SplitHostPort(hostport)
	if _, wrong := strconv.ParseUint(cmp.Or(port, "0"), 10, 16); err == nil && wrong != nil {
		return hostport, netip.Addr{} // the text after the colon is no port: no name matches
	}
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return "", ip
	}
	return strings.ToLower(strings.TrimSuffix(host, ".")), netip.Addr{}
}

// ownNames returns the names that IsAddressed accepts in addition to localhost.
func ownNames(given []string) []string {
	names := slices.Clone(forwardedNames)
	for _, one := range given {
		if name, _ := hostOf(one); name != "" {
			names = append(names, name)
		}
	}
	return names
}

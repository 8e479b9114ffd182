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

// forwardedNames are how containers name the machine that they run on, whose
// engine connects them to loopback there. The domain internal is reserved.
var forwardedNames = []string{"host.docker.internal", "host.containers.internal"}

// IsAddressed reports whether a request that came over loopback names the
// sandbox in its Host. A page of any site can point its own name at 127.0.0.1,
// and is of one origin with the sandbox from then on (DNS rebinding): nothing
// but the Host tells. An IP address in it cannot be pointed elsewhere. The
// control token passes, as no page knows it.
//
// From other machines any name is taken: there a proxy, a container's network or
// a phone decides what the sandbox is called.
func (s *Area) IsAddressed(r *http.Request) bool {
	if !isLoopback(r.RemoteAddr) || isLoopback(r.Host) {
		return true
	}
	name, ip := hostOf(r.Host)
	return ip.IsValid() || slices.Contains(s.names, name) || s.holdsControlToken(r.Header.Get("X-Sandbox-Token"))
}

// isLoopback takes an address or a Host header, with or without a port. Names
// below localhost are loopback, too (RFC 6761, section 6.3).
func isLoopback(hostport string) bool {
	name, ip := hostOf(hostport)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip.Unmap().IsLoopback()
}

// hostOf splits an address or a Host header: it gives an IP address, or else a
// name in lower case without the dot at its end.
func hostOf(hostport string) (name string, ip netip.Addr) {
	host, port, err := net.SplitHostPort(hostport)
	if _, wrong := strconv.ParseUint(cmp.Or(port, "0"), 10, 16); err == nil && wrong != nil {
		return hostport, netip.Addr{} // what follows the colon is no port: no name matches
	}
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return "", ip
	}
	return strings.ToLower(strings.TrimSuffix(host, ".")), netip.Addr{}
}

// ownNames are the names that IsAddressed takes beside localhost.
func ownNames(given []string) []string {
	names := slices.Clone(forwardedNames)
	for _, one := range given {
		if name, _ := hostOf(one); name != "" {
			names = append(names, name)
		}
	}
	return names
}

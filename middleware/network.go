package middleware

import "net/netip"

// Network returns the key for limits by address: an IPv4 address itself, or the /64 of
// an IPv6 address, because a host usually has all addresses of a /64. Text that is not
// an address is returned unchanged.
func Network(address string) string {
	networks := Networks(address)
	return networks[len(networks)-1]
}

// Networks returns the networks that contain an address, the outermost first: an IPv4
// address itself; for IPv6 the /48, which is the largest network that a site usually
// gets (RFC 6177), and the /64. Text that is not an address is returned unchanged, as
// the only element.
//
// An IPv6 address that contains an IPv4 address counts as that. Otherwise one host
// would count as many, or many hosts as one:
//
//	::ffff:0:0/96  IPv4-mapped, RFC 4291 section 2.5.5.2
//	64:ff9b::/96   written by a translator before an IPv6-only server, RFC 6052: all of IPv4 is one /64
//	2002::/16      6to4, RFC 3056: one IPv4 address has 65,536 /64 networks
func Networks(address string) []string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return []string{address}
	}
	addr = carriedIPv4(addr.Unmap().WithZone(""))
	if addr.Is4() {
		return []string{addr.String()}
	}
	return []string{
		netip.PrefixFrom(addr, 48).Masked().String(),
		netip.PrefixFrom(addr, 64).Masked().String(),
	}
}

var (
	translated = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// carriedIPv4 returns the IPv4 address inside a translated or tunneled address, and any
// other address unchanged.
func carriedIPv4(addr netip.Addr) netip.Addr {
	b := addr.As16()
	switch {
	case translated.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return addr
}

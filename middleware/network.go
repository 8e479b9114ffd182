package middleware

import "net/netip"

// Network returns the text to limit an address by: an IPv4 address itself, the
// /64 of an IPv6 address, since a host that has one address of a /64 has all of
// them. Text that is no address is returned as it is.
func Network(address string) string {
	networks := Networks(address)
	return networks[len(networks)-1]
}

// Networks returns the networks that an address lies in, the outermost first: an
// IPv4 address itself; for IPv6 the /48, the most that one site usually gets
// (RFC 6177), and in it the /64. It returns at least one text; text that is no
// address is returned as it is.
//
// An IPv6 address that carries an IPv4 address counts as that, or one host would
// be many, or many hosts one:
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

// carriedIPv4 returns the IPv4 address inside an address that was translated or
// tunneled, and any other address as it is.
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

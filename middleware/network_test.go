package middleware_test

import (
	"slices"
	"testing"

	"cubegate/middleware"
)

func TestNetworks(t *testing.T) {
	tests := []struct {
		name, address string
		want          []string // the outermost first
	}{
		{"IPv4", "192.0.2.1", []string{"192.0.2.1"}},
		{"IPv4 in IPv6", "::ffff:192.0.2.1", []string{"192.0.2.1"}},
		{"IPv4 in IPv6, in hexadecimal", "::ffff:c000:201", []string{"192.0.2.1"}},
		{"IPv6", "2001:db8:1:2:3::4", []string{"2001:db8:1::/48", "2001:db8:1:2::/64"}},
		{"the end of the same /64", "2001:db8:1:2:ffff::", []string{"2001:db8:1::/48", "2001:db8:1:2::/64"}},
		{"another /64 of the /48", "2001:db8:1:3::4", []string{"2001:db8:1::/48", "2001:db8:1:3::/64"}},
		{"another /48", "2001:db8:2::4", []string{"2001:db8:2::/48", "2001:db8:2::/64"}},
		{"another spelling", "2001:DB8:0001:0002:0003:0:0:4", []string{"2001:db8:1::/48", "2001:db8:1:2::/64"}},
		{"link-local with a zone", "fe80::1%eth0", []string{"fe80::/48", "fe80::/64"}},
		{"loopback", "::1", []string{"::/48", "::/64"}},
		{"translated from IPv4", "64:ff9b::192.0.2.1", []string{"192.0.2.1"}},
		{"translated from another IPv4", "64:ff9b::c000:202", []string{"192.0.2.2"}},
		{"beside the translator's prefix", "64:ff9b:0:0:0:1::1", []string{"64:ff9b::/48", "64:ff9b::/64"}},
		{"a prefix for local translators, of unknown length", "64:ff9b:1:2::1", []string{"64:ff9b:1::/48", "64:ff9b:1:2::/64"}},
		{"6to4", "2002:c000:201:7::1", []string{"192.0.2.1"}},
		{"6to4, another /64 of the host", "2002:c000:201:8::1", []string{"192.0.2.1"}},
		{"Unix socket", "", []string{""}},
		{"no address", "nonsense", []string{"nonsense"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := middleware.Networks(tt.address); !slices.Equal(got, tt.want) {
				t.Errorf("Networks(%q) = %q, want %q", tt.address, got, tt.want)
			}
			if got, want := middleware.Network(tt.address), tt.want[len(tt.want)-1]; got != want {
				t.Errorf("Network(%q) = %q, want %q", tt.address, got, want)
			}
		})
	}
}

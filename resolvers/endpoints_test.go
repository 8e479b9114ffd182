package resolvers

import (
	"strings"
	"testing"
)

func TestHostName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for header, want := range map[string]string{
		"localhost:3000": "localhost", "localhost": "localhost", "10.0.2.2:3000": "10.0.2.2", "192.168.1.7": "192.168.1.7",
		"[::1]:3000": "::1", "[fd12:3456::7]": "fd12:3456::7", "[FD12:3456:0::7]:80": "fd12:3456::7", "Ada-Mac.local:3000": "ada-mac.local",
		"my_box": "my_box", "xn--bcher-kva.example": "xn--bcher-kva.example", "3com.example:1": "3com.example", long + ".example": long + ".example",

		"": "", ":3000": "", "localhost:": "", "localhost:0": "", "localhost:65536": "", "localhost:+80": "", "localhost:80:80": "", "localhost:x": "",
		"::1": "", "[::1": "", "::1]": "", "[::1]3000": "", "[::1]:": "", "[::1]:x": "", "[fe80::1%25eth0]": "", "[fe80::1%eth0]": "", "[127.0.0.1]": "", "[localhost]": "",
		"127.1": "", "1.2.3.4.5": "", "256.1.1.1": "", "010.0.0.1": "", "2130706433": "", "0x7f.1": "", "a.0x7f": "", "a.0x": "", "99999999999999999999999": "",
		"evil.example/path": "", "user@evil.example": "", "evil.example?": "", "evil.example#": "", "evil example": "", "a..b": "", ".a": "", "a.": "",
		"-a.example": "", "a-.example": "", "bücher.example": "", "a\"b": "", "a<b": "", "a,b": "", "a%2eb": "", "a\\b": "", "a\x00b": "",
		long + "a.example": "", strings.Repeat("a.", 126) + "ab": "",
	} {
		if got, ok := hostName(header); ok != (want != "") || ok && got != want {
			t.Errorf("hostName(%q) = %q, %t, want %q", header, got, ok, want)
		}
	}
}

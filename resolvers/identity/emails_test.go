package identity

import (
	"regexp"
	"strings"
	"testing"
)

// whatwgEmail is the pattern of a valid email in the HTML standard, word for word
// (https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address).
var whatwgEmail = regexp.MustCompile("^[a-zA-Z0-9.!#$%&'*+\\/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$")

// emails are what people type, and whether we accept it. A comment gives the reason
// where <input type=email> decides otherwise.
var emails = []struct {
	email  string
	accept bool
}{
	{"ada@example.com", true}, {"ADA@EXAMPLE.COM", true}, {"user+tag@example.co.uk", true}, {"a.b-c_d@sub.example.org", true},
	{"o'hara@example.org", true}, {"ada@xn--exmple-cua.com", true}, {"1@2.jp", true}, {"a@b", true},
	{"!#$%&'*+/=?^_`{|}~-@example.org", true}, {"user/dept=sales@example.org", true}, {"-@example.org", true},

	// Japanese carriers.
	{"abc.@docomo.ne.jp", true}, {"a..b@docomo.ne.jp", true}, {".abc@docomo.ne.jp", true}, {"abc..@ezweb.ne.jp", true},
	{"a...b.@ezweb.ne.jp", true}, {"-abc@softbank.ne.jp", true}, {".@docomo.ne.jp", true}, {"...@docomo.ne.jp", true}, {"/a?b@docomo.ne.jp", true},

	// Hosts.
	{"ada@localhost", true}, {"ada@example", true}, {"ada@example.c", true}, {"ada@127.0.0.1", true}, {"ada@example.123", true}, {"ada@1-2.example", true},
	{"ada@a--b.example", true}, {"ada@xn--a.example", true}, {"ada@xn--.example", false},
	{"ada@-example.com", false}, {"ada@example-.com", false}, {"ada@example..com", false}, {"ada@example.com.", false}, {"ada@.example.com", false},
	{"ada@exa_mple.com", false}, {"ada@[127.0.0.1]", false}, {"ada@[IPv6:::1]", false}, {"ada@", false}, {"ada@.", false},
	{"ada@" + strings.Repeat("d", 63) + ".org", true}, {"ada@" + strings.Repeat("d", 64) + ".org", false},

	// Texts that are no email.
	{"", false}, {"ada", false}, {"@", false}, {"@example.com", false}, {"a@b@example.com", false}, {"ada@exam@ple.com", false},
	{"Ada <ada@example.com>", false}, {"<ada@example.com>", false}, {"ada@example.com (Ada)", false}, {"mailto:ada@example.com", false},
	{"ada @example.com", false}, {"ada@exam ple.com", false}, {"ada@example.com\r\nBcc: x@y.org", false}, {"ada\x00@example.com", false}, {"ada\n@example.com", false},
	{"ada@example.com\n", false}, {"ada,eve@example.com", false}, {"ada;eve@example.com", false}, {`ada\@example.com`, false}, {`"a b"@example.com`, false}, {"a(b)@example.com", false},

	// Longer than SMTP carries (RFC 5321, 4.5.3.1): <input> has no bound before the @.
	{strings.Repeat("l", 64) + "@example.org", true}, {strings.Repeat("l", 65) + "@example.org", false},
	{"ada@" + strings.Repeat("d.", 124) + "do", true}, {"ada@" + strings.Repeat("d.", 124) + "org", false},

	// Other scripts: <input> accepts them only as ASCII, which browsers make of domains.
	{"ada@exämple.com", true}, {"zoë@example.com", true}, {"zoe\u0308@example.com", true}, {"ada@example.рф", true}, {"用户.@例え.テスト", true}, {"अ@उदाहरण.भारत", true},
	{"ada@exämple", false}, {"ada@exa\u200dmple.com", false},
	{"a\u200bda@example.com", false}, {"ada\u202e@example.com", false}, {"ada\u00a0@example.com", false}, {"ada\u00ad@example.com", false},
	{"ada\ufe0f@example.com", false}, {"a\U000e0061@example.com", false}, {"ada\ufffd@example.com", false}, {"ada\u2028@example.com", false},
	{"\u2800@example.com", false}, {"\u3164@example.com", false}, {"\u0301@example.com", false}, {"ada\ufdd0@example.com", false}, {"ada\xff@example.com", false},
}

func TestValidateEmail(t *testing.T) {
	for _, tt := range emails {
		if p := validateEmail(tt.email); (p == "") != tt.accept {
			t.Errorf("%+q: %q, want accepted = %v", tt.email, p, tt.accept)
		}
	}
}

// What <input type=email> accepts, we accept, as long as SMTP carries it. The texts are
// made of the characters between which the pattern decides.
func TestValidateEmailAcceptsWhatInputAccepts(t *testing.T) {
	accepted := 0
	check := func(email string) {
		at := strings.IndexByte(email, '@')
		want := whatwgEmail.MatchString(email) && len(email) <= maxEmailBytes && at <= maxLocalBytes
		if got := validateEmail(email) == ""; got != want {
			t.Errorf("%+q: accepted = %v, but <input type=email> says %v", email, got, want)
		}
		if want {
			accepted++
		}
	}
	for _, tt := range emails {
		if !strings.ContainsFunc(tt.email, func(r rune) bool { return r >= 0x80 }) {
			check(tt.email)
		}
	}
	const alphabet = "aZ0.-_@+ "
	var words func(prefix string, n int)
	words = func(prefix string, n int) {
		check(prefix)
		if n == 0 {
			return
		}
		for _, r := range alphabet {
			words(prefix+string(r), n-1)
		}
	}
	words("", 5)
	for r := range rune(0x80) {
		check(string(r) + "@example.org")
		check("a@" + string(r) + ".org")
		check("a@b" + string(r) + "c.org")
	}
	if accepted < 1000 {
		t.Errorf("only %d of the texts are emails", accepted)
	}
}

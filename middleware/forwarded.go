package middleware

import (
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// hopReason is the reason why an entry of a forwarding header contains no address, or
// "". Its texts are constant, so that they can be logged.
type hopReason string

const (
	headerAbsent  hopReason = "the header is absent, but the other forwarding header is present"
	hopMalformed  hopReason = "malformed"
	hopUnknown    hopReason = "unknown"    // RFC 7239 section 6.2; Squid writes it to X-Forwarded-For, too
	hopObfuscated hopReason = "obfuscated" // RFC 7239 section 6.3
	hopWithoutFor hopReason = "an element without the parameter for"
)

// hops yields the addresses in all lines of f in h, the last one first, which the
// nearest proxy wrote.
//
// It reads from the right on purpose: the client's text is on the left and cannot
// change how the rest is read, even with an unclosed quotation mark.
func (f ForwardingHeader) hops(h http.Header) iter.Seq2[netip.Addr, hopReason] {
	return func(yield func(netip.Addr, hopReason) bool) {
		for _, line := range slices.Backward(h.Values(string(f))) {
			for line != "" {
				var element string
				line, element = cutLast(line, ',')
				if element == "" { // RFC 9110 section 5.6.1.2: empty elements are ignored
					continue
				}
				if !yield(f.hop(element)) {
					return
				}
			}
		}
	}
}

// hop parses one element of f.
func (f ForwardingHeader) hop(element string) (netip.Addr, hopReason) {
	if f == XForwardedFor {
		return parseNode(element)
	}
	node, found := "", false
	for element != "" {
		var pair string
		element, pair = cutLast(element, ';')
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		isFor := strings.EqualFold(strings.TrimSpace(name), "for")
		if !ok || isFor && found { // section 4: each parameter at most once
			return netip.Addr{}, hopMalformed
		}
		if isFor {
			node, found = value, true
		}
	}
	if !found {
		return netip.Addr{}, hopWithoutFor
	}
	return parseNode(node)
}

// cutLast cuts s around its last sep outside of quotation marks. Without one, last is
// all of s. Both parts are trimmed.
func cutLast(s string, sep byte) (rest, last string) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !(quoted && isEscaped(s, i)):
			quoted = !quoted
		case s[i] == sep && !quoted:
			return trim(s[:i]), trim(s[i+1:])
		}
	}
	return "", trim(s)
}

// isEscaped reports whether an odd number of backslashes precedes s[i].
func isEscaped(s string, i int) bool {
	before := strings.TrimRight(s[:i], `\`)
	return (i-len(before))%2 == 1
}

func trim(s string) string { return strings.Trim(s, " \t") }

// parseNode parses the address in a node of RFC 7239 section 6 or an entry of
// X-Forwarded-For, which may have quotation marks, brackets and a port: 192.0.2.1,
// 192.0.2.1:4711, 2001:db8::1, [2001:db8::1], "[2001:db8::1]:4711". It unmaps an IPv4
// address in IPv6 and drops a zone, because both would be a second spelling of one
// client.
func parseNode(s string) (netip.Addr, hopReason) {
	s = unquote(trim(s))
	name, port, hasPort := strings.Cut(s, ":")
	switch {
	case strings.EqualFold(name, "unknown"):
		return netip.Addr{}, hopUnknown
	case strings.HasPrefix(name, "_"):
		return netip.Addr{}, hopObfuscated
	}
	inBrackets := strings.HasPrefix(s, "[")
	switch {
	case inBrackets:
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.Addr{}, hopMalformed
		}
		name, port = s[1:end], s[end+1:]
		hasPort = port != ""
		if hasPort && port[0] != ':' {
			return netip.Addr{}, hopMalformed
		}
		port = strings.TrimPrefix(port, ":")
	case strings.Contains(port, ":"): // IPv6 without brackets has no port
		name, hasPort = s, false
	}
	addr, err := netip.ParseAddr(name)
	if err != nil || hasPort && !isNodePort(port) || inBrackets && addr.Is4() {
		return netip.Addr{}, hopMalformed
	}
	return addr.Unmap().WithZone(""), ""
}

// unquote returns the text of a quoted-string (RFC 9110 section 5.6.4), and any other
// text unchanged.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isNodePort reports whether s is a port of RFC 7239 section 6: up to five digits or an
// obfuscated port.
func isNodePort(s string) bool {
	if obfuscated, ok := strings.CutPrefix(s, "_"); ok {
		return obfuscated != ""
	}
	return s != "" && len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}

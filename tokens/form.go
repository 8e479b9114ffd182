package tokens

import (
	"encoding/base64"
	"strings"
)

// compact is a compact JWS, decoded.
type compact struct {
	signed    string // the first two segments, with the dot between them
	header    []byte
	payload   []byte
	signature []byte
}

// split checks that raw is a compact JWS, and decodes it. It checks the length first and
// allocates nothing per dot (CVE-2025-30204).
func split(raw string) (compact, error) {
	if raw == "" {
		return compact{}, invalid("it is empty")
	}
	if len(raw) > maxToken {
		return compact{}, invalid("it is too long")
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, sig, _ := strings.Cut(rest, ".")
	// encoding/base64 skips line breaks, so the alphabet is checked here. A fourth
	// segment fails here as well.
	for _, segment := range []string{head, body, sig} {
		if segment == "" || strings.ContainsFunc(segment, notBase64URL) {
			return compact{}, invalid("it is not three segments of base64url")
		}
	}
	// Strict mode: the unused bits of the last character must be zero, or one token
	// would have several spellings.
	strict := base64.RawURLEncoding.Strict()
	header, err := strict.DecodeString(head)
	payload, bodyErr := strict.DecodeString(body)
	signature, sigErr := strict.DecodeString(sig)
	if err != nil || bodyErr != nil || sigErr != nil {
		return compact{}, invalid("a segment is not base64url")
	}
	return compact{signed: raw[:len(head)+1+len(body)], header: header, payload: payload, signature: signature}, nil
}

func notBase64URL(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// header is the parsed header of a token.
type header struct{ alg, kid, typ string }

// headerJSON is a header as the library writes it.
type headerJSON struct {
	Alg string `json:"alg"`
	Kid string `json:"kid,omitempty"`
	Typ string `json:"typ"`
}

// inspect parses a header. It refuses every member that could change how the rest is
// read, instead of relying on the library: jwx v2 ignores crit, although RFC 7515
// section 4.1.11 forbids that, and supports b64. Only alg, typ and, with several keys,
// kid are allowed, because we write no others. This excludes zip, jwk, jku and x5u as
// well.
func inspect(raw []byte) (header, error) {
	var ours headerJSON
	if isWritten(raw, &ours) && ours.Alg != "" && ours.Typ != "" {
		return header{ours.Alg, ours.Kid, ours.Typ}, nil
	}
	m, err := parseObject(raw)
	if err != nil {
		return header{}, invalid("header is not one JSON object with unique keys")
	}
	h := header{m.text("alg"), m.text("kid"), m.text("typ")}
	members := 2
	if _, named := m["kid"]; named {
		members++
	}
	if len(m) != members || h.alg == "" || h.typ == "" || members == 3 && h.kid == "" {
		return header{}, invalid("header holds something other than alg, typ and kid")
	}
	return h, nil
}

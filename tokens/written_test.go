package tokens

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Otherwise each token would take the reader that is ten times as slow.
func TestOurTokensAreReadAsWritten(t *testing.T) {
	ring, err := NewSecretRing(Secret("a secret of this test alone: c8Jq2vKx9wZr4mTn"))
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := NewIssuer(Config{Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	g := Grant{Subject: "u1", Email: "ada&<løve>@example.org", SessionID: "s1", Roles: []string{"admin"}, Until: time.Now().Add(time.Hour)}
	access, _, err := issuer.AccessToken(g)
	if err != nil {
		t.Fatal(err)
	}
	g.Roles = nil
	chat, err := issuer.ChatTicket(g)
	if err != nil {
		t.Fatal(err)
	}
	service, err := issuer.ServiceTicket(ServiceGrant{Subject: "u1", Email: "ada@example.org", ExternalID: "x1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{access, chat, service} {
		c, err := split(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !isWritten(c.header, new(headerJSON)) || !isWritten(c.payload, new(payload)) {
			t.Errorf("%s %s", c.header, c.payload)
		}
	}
}

func TestHeaderWithKeyIDIsReadAsWritten(t *testing.T) {
	raw, err := base64.RawURLEncoding.DecodeString("eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIiwidHlwIjoiYXQrand0In0") // as jwx writes it
	if err != nil {
		t.Fatal(err)
	}
	var h headerJSON
	if !isWritten(raw, &h) || h != (headerJSON{"EdDSA", "k1", "at+jwt"}) {
		t.Errorf("%s: %+v", raw, h)
	}
}

// Claims with the same meaning in another form are read by parseObject, and mean the same.
func TestPayloadInAnotherForm(t *testing.T) {
	const written = `{"id":"u","email":"e","iat":1,"exp":2,"sub":"u","iss":"i","aud":"cubegate","jti":"j","sid":"s","roles":["r"],"client_id":"c"}`
	want, _, err := readPayload([]byte(written))
	if err != nil || !isWritten([]byte(written), new(payload)) {
		t.Fatal(err)
	}
	for _, other := range []string{
		strings.Replace(written, `"id"`, ` "id"`, 1),
		strings.Replace(written, `"email":"e"`, `"email":"\u0065"`, 1),
		strings.Replace(written, `"iat":1,"exp":2`, `"exp":2,"iat":1`, 1),
		strings.Replace(written, `"sub"`, `"new":{},"sub"`, 1),
		strings.Replace(written, `"sub"`, `"nbf":0,"sub"`, 1),
	} {
		if isWritten([]byte(other), new(payload)) {
			t.Errorf("%s counts as written by us", other)
		}
		got, _, err := readPayload([]byte(other))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v; want %v", other, got, err, want)
		}
	}
	for _, ambiguous := range []string{
		strings.Replace(written, `"sub":"u"`, `"sub":"u","sub":"v"`, 1),
		strings.Replace(written, `"sub":"u"`, `"sub":"v","sub":"u"`, 1),
		written + written, written + "x", "[" + written + "]", "", "null",
	} {
		if _, _, err := readPayload([]byte(ambiguous)); err == nil {
			t.Errorf("%s is accepted", ambiguous)
		}
	}
	// encoding/json alone would take a claim in another letter case.
	if p, _, err := readPayload([]byte(strings.Replace(written, `"sub"`, `"SUB"`, 1))); err != nil || p.Subject != "" {
		t.Errorf("SUB is read as sub: %v, %v", p, err)
	}
}

package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// Audience is the recipient of a token.
type Audience string

// Each recipient refuses the tokens of the other one.
const (
	AudienceAPI          Audience = "cubegate"     // access tokens, for our API
	AudienceConnectyCube Audience = "connectycube" // tickets, for ConnectyCube's callback
)

// Claims are the verified claims of a token.
type Claims struct {
	Subject   string // our user ID
	Email     string // at the time of issue
	ID        string // jti, unique for each token
	Audience  Audience
	SessionID string    // the login session; empty if Service
	Roles     []string  // at the time of issue; the user's document decides about rights
	Service   bool      // a service ticket
	External  string    // of a service ticket: the ID to report instead of the subject, usually empty
	Ticket    bool      // a chat ticket or a service ticket
	IssuedAt  time.Time // UTC, whole seconds
	ExpiresAt time.Time // UTC, whole seconds; from this time on the token is expired
}

// payload is the JSON form of the claims. The first four members and their order are
// those of the NestJS original, whose clients read id and email.
type payload struct {
	ID        string   `json:"id"` // the same as sub
	Email     string   `json:"email"`
	IssuedAt  int64    `json:"iat"` // seconds since 1970
	ExpiresAt int64    `json:"exp"` // seconds since 1970
	Subject   string   `json:"sub"`
	Issuer    string   `json:"iss"`
	Audience  Audience `json:"aud"`
	TokenID   string   `json:"jti"`
	SessionID string   `json:"sid,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	ClientID  string   `json:"client_id,omitempty"` // of access tokens; the Verifier does not read it

	ExternalID string `json:"xid,omitempty"` // of service tickets
}

// clockLeeway bounds how far the clock of the signing replica may be ahead of ours. It
// applies to iat and nbf only: the issuer rounds exp down to a whole second.
const clockLeeway = 5 * time.Second

// checkClaims checks signed claims, except the token's lifetime. All claims that we
// write must be present and have the right type: the original answered {"user":{}} to a
// token without them.
func (v *Verifier) checkClaims(data []byte, k tokenKind, now time.Time) (Claims, error) {
	p, nbf, err := readPayload(data)
	if err != nil {
		return Claims{}, err
	}
	switch {
	case p.Subject == "":
		return Claims{}, invalid("sub is missing")
	case p.ID != p.Subject:
		return Claims{}, invalid("id and sub differ")
	case (p.SessionID == "") != (k == serviceTicket):
		return Claims{}, invalid("sid is missing or not allowed")
	case p.Email == "" || p.TokenID == "":
		return Claims{}, invalid("email or jti is missing")
	case p.Issuer != v.issuer:
		return Claims{}, invalid("iss is not the configured issuer")
	case p.Audience != k.audience:
		return Claims{}, invalid("aud does not match the type")
	case !isSeconds(p.IssuedAt) || !isSeconds(p.ExpiresAt):
		return Claims{}, invalid("iat or exp is missing or not a whole number of seconds")
	case time.Unix(nbf, 0).After(now.Add(clockLeeway)):
		return Claims{}, invalid("nbf is in the future")
	}
	issued, expires := time.Unix(p.IssuedAt, 0).UTC(), time.Unix(p.ExpiresAt, 0).UTC()
	switch {
	case issued.After(now.Add(clockLeeway)):
		return Claims{}, invalid("iat is in the future")
	case !expires.After(issued):
		return Claims{}, invalid("lifetime is not positive")
	}
	external := ""
	if k == serviceTicket {
		external = p.ExternalID
	}
	return Claims{
		Subject: p.Subject, External: external, Email: p.Email, ID: p.TokenID, Audience: k.audience, SessionID: p.SessionID, Roles: p.Roles,
		Service: k == serviceTicket, Ticket: k != access, IssuedAt: issued, ExpiresAt: expires,
	}, nil
}

// checkLifetime checks that the token has not expired and lives no longer than the
// settings allow.
func (v *Verifier) checkLifetime(c Claims, k tokenKind, now time.Time) error {
	if c.ExpiresAt.Sub(c.IssuedAt) > v.ttl[k] {
		return invalid("lifetime exceeds the bound")
	}
	if !now.Before(c.ExpiresAt) {
		return ErrExpired
	}
	return nil
}

// readPayload reads the claims of a token, and nbf, which we never write. A claim that is
// missing or of the wrong type is zero; a time is negative.
func readPayload(data []byte) (p payload, nbf int64, err error) {
	if isWritten(data, &p) {
		return p, 0, nil
	}
	m, err := parseObject(data)
	if err != nil {
		return payload{}, 0, invalid("claims are not one JSON object with unique keys")
	}
	if _, there := m["nbf"]; there {
		if nbf = m.seconds("nbf"); !isSeconds(nbf) {
			return payload{}, 0, invalid("nbf is not a whole number of seconds")
		}
	}
	return payload{
		ID: m.text("id"), Email: m.text("email"), IssuedAt: m.seconds("iat"), ExpiresAt: m.seconds("exp"), Subject: m.text("sub"),
		Issuer: m.text("iss"), Audience: Audience(m.text("aud")), TokenID: m.text("jti"), SessionID: m.text("sid"), Roles: m.texts("roles"),
		ClientID: m.text("client_id"), ExternalID: m.text("xid"),
	}, nbf, nil
}

// isWritten decodes data into the struct that p points to, and reports whether data is
// exactly what encoding the struct writes. Then no other reader can see other members in
// it: it has each member of the struct once, in this order, and no other. All tokens of
// this program are such, and [parseObject], which reads all others, takes ten times as long.
func isWritten(data []byte, p any) bool {
	if json.Unmarshal(data, p) != nil {
		return false
	}
	written, err := json.Marshal(p)
	return err == nil && bytes.Equal(written, data)
}

// object is a JSON object with unique keys. When encoding/json decodes into a struct,
// it takes the last of two equal keys and ignores letter case, so two readers of one
// token could see different claims.
type object map[string]json.RawMessage

var errNotObject = errors.New("not one JSON object with unique keys")

func parseObject(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotObject
	}
	m := object{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errNotObject
		}
		name, ok := key.(string)
		if _, twice := m[name]; !ok || twice {
			return nil, errNotObject
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errNotObject
		}
		m[name] = value
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, errNotObject
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errNotObject
	}
	return m, nil
}

// text returns the member name if it is a string, else "".
func (m object) text(name string) string {
	var s string
	if json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

// texts returns the member name if it is a list of strings, else nil.
func (m object) texts(name string) []string {
	var list []string
	if json.Unmarshal(m[name], &list) != nil {
		return nil
	}
	return list
}

// seconds returns the member name if it is a whole number of seconds, else -1. RFC 7519
// allows fractions, but we write none.
func (m object) seconds(name string) int64 {
	var n *int64
	if json.Unmarshal(m[name], &n) != nil || n == nil || !isSeconds(*n) {
		return -1
	}
	return *n
}

// isSeconds reports whether n is a time that we accept. The bound prevents an overflow in
// the arithmetic on times.
func isSeconds(n int64) bool {
	const most = 253_402_300_799 // the last second of the year 9999
	return 0 <= n && n <= most
}

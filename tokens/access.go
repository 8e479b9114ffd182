package tokens

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxToken bounds a token in bytes, before anything looks into it. Ours have
// about 500.
const maxToken = 8 << 10

var (
	// ErrExpired means that a token was valid once and no longer is.
	ErrExpired = errors.New("token has expired")

	// ErrInvalid means that a token never was valid here. The text after it
	// says why, in words that hold nothing of the token.
	ErrInvalid = errors.New("token is not valid")
)

func invalid(reason string) error { return fmt.Errorf("%w: %s", ErrInvalid, reason) }

// kind is what a token may be used for. It shows twice, in the header's typ and
// in the audience, and both must fit: RFC 8725 section 3.11 recommends the first
// against tokens made for one use and shown for another, and older libraries
// look at the second only.
type kind struct {
	typ      string
	audience Audience
}

var (
	access = kind{"at+jwt", AudienceAPI} // RFC 9068
	ticket = kind{"ticket+jwt", AudienceConnectyCube}
)

// Config is what issuer and verifier must agree on. Only Secret has no default.
type Config struct {
	Secret    Secret        // key of HMAC-SHA-256; see CheckSecret
	Issuer    string        // the iss claim; default "cubegate"
	AccessTTL time.Duration // how long an access token lives, at least a second; default 1h
	TicketTTL time.Duration // how long a ticket lives, at least a second; default 1h
}

// resolve checks c, fills in the defaults and prepares the key.
func (c Config) resolve() (Config, jwk.Key, error) {
	if c.Issuer == "" {
		c.Issuer = "cubegate"
	}
	errs := []error{CheckSecret(c.Secret)}
	for _, ttl := range []*time.Duration{&c.AccessTTL, &c.TicketTTL} {
		switch {
		case *ttl == 0:
			*ttl = time.Hour
		case *ttl < time.Second:
			errs = append(errs, fmt.Errorf("token lifetime is %v, want at least 1s", *ttl))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, nil, err
	}
	key, err := jwk.FromRaw([]byte(c.Secret.Reveal()))
	if err != nil {
		return c, nil, errors.New("secret cannot be used as a key") // the library's words may hold it
	}
	return c, key, nil
}

func (c Config) lifetimes() map[kind]time.Duration {
	return map[kind]time.Duration{access: c.AccessTTL, ticket: c.TicketTTL}
}

// An Issuer signs tokens. It is safe for concurrent use.
type Issuer struct {
	key    jwk.Key // a pointer inside, so that %+v of an Issuer prints an address
	issuer string
	ttl    map[kind]time.Duration
}

// NewIssuer returns an Issuer, or all that is wrong with c.
func NewIssuer(c Config) (*Issuer, error) {
	c, key, err := c.resolve()
	if err != nil {
		return nil, err
	}
	return &Issuer{key: key, issuer: c.Issuer, ttl: c.lifetimes()}, nil
}

// AccessToken returns a token by which its bearer uses our API as subject, our
// user ID.
func (i *Issuer) AccessToken(subject, email string) (string, error) {
	return i.sign(access, subject, email)
}

// Ticket returns a token to hand to ConnectyCube, which shows it to us in its
// call-back. It opens nothing here: who reads ConnectyCube's logs gets no access
// to our API.
func (i *Issuer) Ticket(subject, email string) (string, error) {
	return i.sign(ticket, subject, email)
}

func (i *Issuer) sign(k kind, subject, email string) (string, error) {
	if subject == "" || email == "" {
		return "", errors.New("signing token: subject or email is empty")
	}
	now := time.Now()
	claims, err := json.Marshal(payload{
		ID: subject, Subject: subject, Email: email,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(i.ttl[k]).Unix(),
		Issuer: i.issuer, Audience: k.audience, TokenID: rand.Text(),
	})
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	header := jws.NewHeaders() // for each token anew: Sign writes into it
	if err := header.Set(jws.TypeKey, k.typ); err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	raw, err := jws.Sign(claims, jws.WithKey(jwa.HS256, i.key, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	if len(raw) > maxToken {
		return "", fmt.Errorf("signing token: %d bytes, want at most %d", len(raw), maxToken)
	}
	return string(raw), nil
}

// A Verifier tells our tokens from all others. It is safe for concurrent use.
type Verifier struct {
	key    jwk.Key
	issuer string
	ttl    map[kind]time.Duration
}

// NewVerifier returns a Verifier, or all that is wrong with c. Lifetimes count
// here too: a token that lives longer than they say is refused, so that lowering
// one ends the long tokens already handed out.
func NewVerifier(c Config) (*Verifier, error) {
	c, key, err := c.resolve()
	if err != nil {
		return nil, err
	}
	return &Verifier{key: key, issuer: c.Issuer, ttl: c.lifetimes()}, nil
}

// Verify checks an access token: form, signature, issuer, audience and times,
// without leeway. The error wraps ErrExpired for a token that was valid once,
// else ErrInvalid.
func (v *Verifier) Verify(raw string) (Claims, error) { return v.verify(raw, access) }

// VerifyAny is Verify for ConnectyCube's call-back: it takes tickets as well as
// access tokens, since an app may log in to ConnectyCube with either.
func (v *Verifier) VerifyAny(raw string) (Claims, error) { return v.verify(raw, access, ticket) }

func (v *Verifier) verify(raw string, accepted ...kind) (Claims, error) {
	head, err := split(raw)
	if err != nil {
		return Claims{}, err
	}
	typ, err := inspect(head)
	if err != nil {
		return Claims{}, err
	}
	for _, k := range accepted {
		if k.typ != typ {
			continue
		}
		claims, err := jws.Verify([]byte(raw), jws.WithKey(jwa.HS256, v.key), jws.WithCompact())
		if err != nil {
			return Claims{}, invalid("signature does not fit")
		}
		return v.check(claims, k, time.Now())
	}
	return Claims{}, invalid("type is not accepted here")
}

// split checks that raw is a compact JWS and nothing else, and returns its
// decoded header. Sizes come first, and nothing is allocated for each dot
// (CVE-2025-30204 was that, elsewhere).
func split(raw string) ([]byte, error) {
	if raw == "" {
		return nil, invalid("it is empty")
	}
	if len(raw) > maxToken {
		return nil, invalid("it is too long")
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, sig, _ := strings.Cut(rest, ".")
	// encoding/base64 skips line breaks, so the alphabet is checked by hand.
	// A fourth dot fails here too.
	for _, segment := range []string{head, body, sig} {
		if segment == "" || strings.ContainsFunc(segment, notBase64URL) {
			return nil, invalid("it is not three segments of base64url")
		}
	}
	// Strict: unused bits of the last character must be zero, or one token
	// would have several spellings.
	strict := base64.RawURLEncoding.Strict()
	header, err := strict.DecodeString(head)
	_, bodyErr := strict.DecodeString(body)
	mac, sigErr := strict.DecodeString(sig)
	if err != nil || bodyErr != nil || sigErr != nil || len(mac) != 32 {
		return nil, invalid("a segment is not base64url, or the signature has a wrong length")
	}
	return header, nil
}

func notBase64URL(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// inspect returns the header's typ. Everything that could change how the rest is
// read is refused here rather than left to the library: jwx v2 ignores crit
// although RFC 7515 section 4.1.11 forbids that, and knows b64. We write alg and
// typ only, so nothing else may stand there, which covers zip, jwk, jku and x5u
// as well.
func inspect(header []byte) (typ string, err error) {
	m, err := parseObject(header)
	if err != nil {
		return "", invalid("header is not one JSON object with unique keys")
	}
	if m.text("alg") != jwa.HS256.String() {
		return "", invalid("algorithm is not HS256")
	}
	if len(m) != 2 || m.text("typ") == "" {
		return "", invalid("header holds something other than alg and typ")
	}
	return m.text("typ"), nil
}

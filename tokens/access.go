package tokens

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
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
type tokenKind struct {
	typ      string
	audience Audience
}

var (
	access        = tokenKind{"at+jwt", AudienceAPI} // RFC 9068
	chatTicket    = tokenKind{"ticket+jwt", AudienceConnectyCube}
	serviceTicket = tokenKind{"service+jwt", AudienceConnectyCube} // a ticket of the server's own
)

// Config is what issuer and verifier must agree on. Only Ring has no default.
type Config struct {
	Ring       *SecretRing   // its secrets are the keys of HMAC-SHA-256
	Keys       *SigningKeys  // sign in their place when there are any; then only previous secrets verify
	Issuer     string        // the iss claim; default "cubegate"
	AccessTTL  time.Duration // how long an access token lives at most, at least a second; default 1h
	SessionTTL time.Duration // how long a login session may last, and with it a ticket; default 90 days
	ServiceTTL time.Duration // how long a ticket of the server's own lives; default 1m
}

// resolve checks c and fills in the defaults.
func (c Config) resolve() (Config, error) {
	if c.Issuer == "" {
		c.Issuer = "cubegate"
	}
	var errs []error
	if c.Ring == nil {
		errs = append(errs, errors.New("the ring of secrets is missing"))
	}
	for _, ttl := range []struct {
		is    *time.Duration
		usual time.Duration
	}{{&c.AccessTTL, time.Hour}, {&c.SessionTTL, 90 * 24 * time.Hour}, {&c.ServiceTTL, time.Minute}} {
		switch {
		case *ttl.is == 0:
			*ttl.is = ttl.usual
		case *ttl.is < time.Second:
			errs = append(errs, fmt.Errorf("token lifetime is %v, want at least 1s", *ttl.is))
		}
	}
	return c, errors.Join(errs...)
}

func (c Config) lifetimes() map[tokenKind]time.Duration {
	return map[tokenKind]time.Duration{access: c.AccessTTL, chatTicket: c.SessionTTL, serviceTicket: c.ServiceTTL}
}

// Grant says for whom a token is, and within which login session.
type Grant struct {
	Subject   string // our user ID
	Email     string
	SessionID string
	Roles     []string
	Until     time.Time // when the login session ends: no token outlives it
}

// ServiceGrant says for whom a service ticket is.
type ServiceGrant struct {
	Subject string // our user ID
	Email   string

	// ExternalID is the id that the verify route reports for this ticket in place
	// of the subject; empty means the subject.
	ExternalID string
}

// An Issuer signs tokens. It is safe for concurrent use.
type Issuer struct {
	ring   *SecretRing // a pointer inside, so that %+v of an Issuer prints an address
	keys   *SigningKeys
	issuer string
	ttl    map[tokenKind]time.Duration
}

// NewIssuer returns an Issuer, or all that is wrong with c.
func NewIssuer(c Config) (*Issuer, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	return &Issuer{ring: c.Ring, keys: c.Keys, issuer: c.Issuer, ttl: c.lifetimes()}, nil
}

// AccessToken returns a token by which its bearer uses our API as the grant's
// subject, and when it expires.
func (i *Issuer) AccessToken(g Grant) (string, time.Time, error) {
	return i.sign(access, g)
}

// Ticket returns a token to hand to ConnectyCube, which shows it to us in its
// call-back, as long as the login session lasts: SDKs keep it and show it again
// hours later. It opens nothing here: who reads ConnectyCube's logs gets no
// access to our API.
func (i *Issuer) ChatTicket(g Grant) (string, error) {
	token, _, err := i.sign(chatTicket, g)
	return token, err
}

// ServiceTicket returns a ticket for a login that the server makes by itself,
// outside of any login session. It lives for moments and is handed to nobody
// but ConnectyCube.
func (i *Issuer) ServiceTicket(g ServiceGrant) (string, error) {
	token, _, err := i.signFor(serviceTicket, Grant{Subject: g.Subject, Email: g.Email}, g.ExternalID)
	return token, err
}

func (i *Issuer) sign(k tokenKind, g Grant) (string, time.Time, error) { return i.signFor(k, g, "") }

func (i *Issuer) signFor(k tokenKind, g Grant, externalID string) (string, time.Time, error) {
	if g.Subject == "" || g.Email == "" || (g.SessionID == "") != (k == serviceTicket) {
		return "", time.Time{}, errors.New("signing token: subject, email or session is missing")
	}
	now := time.Now()
	expires := now.Add(i.ttl[k])
	if k == chatTicket || !g.Until.IsZero() && g.Until.Before(expires) && k != serviceTicket {
		expires = g.Until
	}
	expires = expires.Truncate(time.Second).UTC()
	if !expires.After(now) {
		return "", time.Time{}, errors.New("signing token: its login session is over")
	}
	claims, err := json.Marshal(payload{
		ID: g.Subject, Email: g.Email, IssuedAt: now.Unix(), ExpiresAt: expires.Unix(), Subject: g.Subject,
		Issuer: i.issuer, Audience: k.audience, TokenID: rand.Text(), SessionID: g.SessionID, Roles: g.Roles, ExternalID: externalID,
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("signing token: %w", err)
	}
	header := jws.NewHeaders() // for each token anew: Sign writes into it
	if err := header.Set(jws.TypeKey, k.typ); err != nil {
		return "", time.Time{}, fmt.Errorf("signing token: %w", err)
	}
	raw, err := i.signCompact(claims, header)
	if err != nil {
		return "", time.Time{}, errors.New("signing token: the key cannot sign") // the library's words may hold it
	}
	if len(raw) > maxToken {
		return "", time.Time{}, fmt.Errorf("signing token: %d bytes, want at most %d", len(raw), maxToken)
	}
	return string(raw), expires, nil
}

// signCompact signs with the newest key in use, or with the secret where there are no
// keys.
func (i *Issuer) signCompact(claims []byte, header jws.Headers) ([]byte, error) {
	if i.keys == nil {
		return jws.Sign(claims, jws.WithKey(jwa.HS256, i.ring.secrets[0].signing, jws.WithProtectedHeaders(header)))
	}
	key := i.keys.signer(time.Now())
	if err := header.Set(jws.KeyIDKey, key.id); err != nil {
		return nil, err
	}
	return jws.Sign(claims, jws.WithKey(key.alg, key.private, jws.WithProtectedHeaders(header)))
}

// A Verifier tells our tokens from all others. It is safe for concurrent use.
type Verifier struct {
	ring   *SecretRing
	keys   *SigningKeys
	issuer string
	ttl    map[tokenKind]time.Duration
}

// NewVerifier returns a Verifier, or all that is wrong with c. Lifetimes count
// here too: a token that lives longer than they say is refused, so that lowering
// one ends the long tokens already handed out.
func NewVerifier(c Config) (*Verifier, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	return &Verifier{ring: c.Ring, keys: c.Keys, issuer: c.Issuer, ttl: c.lifetimes()}, nil
}

// Verify checks an access token: form, signature, issuer, audience and times. Iat
// and nbf may be 5 s in the future, because replicas' clocks differ; exp has no
// leeway. The error wraps ErrExpired for a token that was valid once,
// else ErrInvalid. Whether its login session still lives is not in a token.
func (v *Verifier) VerifyAccess(raw string) (Claims, error) { return v.verify(raw, access) }

// VerifyCallbackToken is Verify for ConnectyCube's call-back: it takes tickets as well as
// access tokens, since an app may log in to ConnectyCube with either.
func (v *Verifier) VerifyCallbackToken(raw string) (Claims, error) {
	return v.verify(raw, access, chatTicket, serviceTicket)
}

func (v *Verifier) verify(raw string, accepted ...tokenKind) (Claims, error) {
	head, signature, err := split(raw)
	if err != nil {
		return Claims{}, err
	}
	h, err := inspect(head)
	if err != nil {
		return Claims{}, err
	}
	for _, k := range accepted {
		if k.typ != h.typ {
			continue
		}
		claims, err := v.verifySignature(raw, h, signature)
		if err != nil {
			return Claims{}, err
		}
		return v.checkClaims(claims, k, time.Now())
	}
	return Claims{}, invalid("type is not accepted here")
}

// verifySignature checks the signature. The key decides what algorithm that is, never
// the token: a key id is looked up, and without one it is HS256. With signing
// keys, no secret of today signs tokens, so only the previous ones verify: their
// tokens end when the operator removes them from JWT_PREVIOUS_SECRETS.
func (v *Verifier) verifySignature(raw string, h header, signature int) ([]byte, error) {
	if h.kid == "" {
		if h.alg != jwa.HS256.String() || signature != 32 {
			return nil, invalid("algorithm is not HS256")
		}
		for _, k := range v.ring.secrets {
			if v.keys != nil && !k.former {
				continue
			}
			if claims, err := jws.Verify([]byte(raw), jws.WithKey(jwa.HS256, k.signing), jws.WithCompact()); err == nil {
				return claims, nil
			}
		}
		return nil, invalid("signature does not fit")
	}
	if v.keys == nil {
		return nil, invalid("header names a key, and we have no keys")
	}
	key, ok := v.keys.verifier(h.kid, time.Now())
	if !ok || h.alg != key.alg.String() || signature != 64 {
		return nil, invalid("key is not one of ours, or is retired")
	}
	claims, err := jws.Verify([]byte(raw), jws.WithKey(key.alg, key.public), jws.WithCompact())
	if err != nil {
		return nil, invalid("signature does not fit")
	}
	return claims, nil
}

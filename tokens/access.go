package tokens

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxToken bounds a token in bytes, before anything parses it. Ours have about 500.
const maxToken = 8 << 10

var (
	// ErrExpired means that a token was valid once and has ended.
	ErrExpired = errors.New("token has expired")

	// ErrInvalid means that a token was never valid here. The text after it gives the
	// reason and quotes nothing of the token.
	ErrInvalid = errors.New("token is not valid")
)

func invalid(reason string) error { return fmt.Errorf("%w: %s", ErrInvalid, reason) }

// tokenKind is the use of a token. The header's typ and the audience both state it, and
// both must match: RFC 8725 section 3.11 recommends typ against the use of a token for
// another purpose, and older libraries check the audience alone.
type tokenKind struct {
	typ      string
	audience Audience
	clientID string // the client_id claim; empty for a token without one
}

var (
	// RFC 9068 section 2.2 requires client_id, and libraries in their strict mode refuse a token
	// without it. All apps of this server are one client.
	access        = tokenKind{"at+jwt", AudienceAPI, "app"}
	chatTicket    = tokenKind{"ticket+jwt", AudienceConnectyCube, ""}
	serviceTicket = tokenKind{"service+jwt", AudienceConnectyCube, ""} // for a login that the server makes
)

// Config configures an Issuer and the Verifier of its tokens. Ring is required.
type Config struct {
	Ring       *SecretRing   // its secrets are the keys of HS256
	Keys       *SigningKeys  // if set, they sign instead of the ring, and only its previous secrets verify
	Issuer     string        // the iss claim; default "cubegate"
	AccessTTL  time.Duration // of an access token, at least 1s; default 1h
	SessionTTL time.Duration // of a login session and its chat ticket, at least 1s; default 90 days
	ServiceTTL time.Duration // of a service ticket, at least 1s; default 1m
}

// resolve returns c with its defaults, or all errors in c.
func (c Config) resolve() (Config, error) {
	if c.Issuer == "" {
		c.Issuer = "cubegate"
	}
	var errs []error
	if c.Ring == nil {
		errs = append(errs, errors.New("secret ring is missing"))
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

// Grant names the user and the login session of a token.
type Grant struct {
	Subject   string // our user ID
	Email     string
	SessionID string
	Roles     []string
	Until     time.Time // the end of the login session; no token outlives it
}

// ServiceGrant names the user of a service ticket.
type ServiceGrant struct {
	Subject string // our user ID
	Email   string

	// ExternalID is the ID that the verify route reports for this ticket. If it is
	// empty, the route reports the subject.
	ExternalID string
}

// An Issuer signs tokens. It is safe for concurrent use.
type Issuer struct {
	ring   *SecretRing // a pointer inside, so that %+v of an Issuer prints an address
	keys   *SigningKeys
	issuer string
	ttl    map[tokenKind]time.Duration
}

// NewIssuer returns an Issuer, or all errors in c.
func NewIssuer(c Config) (*Issuer, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	return &Issuer{ring: c.Ring, keys: c.Keys, issuer: c.Issuer, ttl: c.lifetimes()}, nil
}

// AccessToken returns a token that authorizes its bearer as the grant's subject, and
// the time at which it expires.
func (i *Issuer) AccessToken(g Grant) (string, time.Time, error) {
	return i.sign(access, g)
}

// ChatTicket returns a token for ConnectyCube, which presents it to the verify route.
// It lasts as long as the login session, because SDKs keep it and present it again
// hours later. The API refuses it, so a reader of ConnectyCube's logs gets no access to
// the API.
func (i *Issuer) ChatTicket(g Grant) (string, error) {
	token, _, err := i.sign(chatTicket, g)
	return token, err
}

// ServiceTicket returns a ticket for a login that the server makes itself, outside of
// any login session. It lives for the short ServiceTTL, and only ConnectyCube gets it.
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
		return "", time.Time{}, errors.New("signing token: the login session has ended")
	}
	claims, err := json.Marshal(payload{
		ID: g.Subject, Email: g.Email, IssuedAt: now.Unix(), ExpiresAt: expires.Unix(), Subject: g.Subject,
		Issuer: i.issuer, Audience: k.audience, TokenID: rand.Text(), SessionID: g.SessionID, Roles: g.Roles, ClientID: k.clientID, ExternalID: externalID,
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("signing token: %w", err)
	}
	raw, err := i.signCompact(claims, k.typ)
	if err != nil {
		return "", time.Time{}, errors.New("signing token: the key cannot sign") // the library's error may quote the key
	}
	if len(raw) > maxToken {
		return "", time.Time{}, fmt.Errorf("signing token: %d bytes, want at most %d", len(raw), maxToken)
	}
	return raw, expires, nil
}

// joseHeader is the header of a token of ours.
type joseHeader struct {
	Algorithm jwa.SignatureAlgorithm `json:"alg"`
	KeyID     string                 `json:"kid,omitempty"`
	Type      string                 `json:"typ"`
}

// signCompact signs with the newest usable key, or with the current secret if there are
// no keys. It gives the library only what is signed, as [isSignature] does: jws.Sign would
// encode the header through a map.
func (i *Issuer) signCompact(claims []byte, typ string) (string, error) {
	h, key := joseHeader{jwa.HS256, "", typ}, any(i.ring.secrets[0].signing)
	if i.keys != nil {
		newest := i.keys.signer(time.Now())
		h, key = joseHeader{newest.alg, newest.id, typ}, newest.private
	}
	header, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	signer, err := jws.NewSigner(h.Algorithm)
	if err != nil {
		return "", err
	}
	token := base64.RawURLEncoding.AppendEncode(nil, header)
	token = base64.RawURLEncoding.AppendEncode(append(token, '.'), claims)
	signature, err := signer.Sign(token, key)
	if err != nil {
		return "", err
	}
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), signature)), nil
}

// A Verifier checks tokens of an Issuer. It is safe for concurrent use.
type Verifier struct {
	ring   *SecretRing
	keys   *SigningKeys
	issuer string
	ttl    map[tokenKind]time.Duration
}

// NewVerifier returns a Verifier, or all errors in c. It refuses a token that lives
// longer than c allows: a shorter lifetime also ends the tokens that were issued before
// the change.
func NewVerifier(c Config) (*Verifier, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	return &Verifier{ring: c.Ring, keys: c.Keys, issuer: c.Issuer, ttl: c.lifetimes()}, nil
}

// VerifyAccess checks the form, signature, issuer, audience and times of an access
// token. The claims iat and nbf may lie up to 5 s in the future, because the clocks of
// replicas differ; exp has no leeway. The error wraps ErrExpired for a token that was
// valid once, else ErrInvalid. The caller must check that the login session still
// exists.
func (v *Verifier) VerifyAccess(raw string) (Claims, error) {
	return v.verify(raw, v.checkLifetime, access)
}

// VerifyLogout is VerifyAccess for a logout, which an access token permits however long
// ago it expired: its login session may still be active.
func (v *Verifier) VerifyLogout(raw string) (Claims, error) {
	return v.verify(raw, func(Claims, tokenKind, time.Time) error { return nil }, access)
}

// VerifyCallbackToken is VerifyAccess for ConnectyCube's callback. It accepts tickets
// as well as access tokens, because an app may log in to ConnectyCube with either.
func (v *Verifier) VerifyCallbackToken(raw string) (Claims, error) {
	return v.verify(raw, v.checkLifetime, access, chatTicket, serviceTicket)
}

func (v *Verifier) verify(raw string, checkLifetime func(Claims, tokenKind, time.Time) error, accepted ...tokenKind) (Claims, error) {
	t, err := split(raw)
	if err != nil {
		return Claims{}, err
	}
	h, err := inspect(t.header)
	if err != nil {
		return Claims{}, err
	}
	for _, k := range accepted {
		if k.typ != h.typ {
			continue
		}
		if err := v.verifySignature(t, h); err != nil {
			return Claims{}, err
		}
		now := time.Now()
		claims, err := v.checkClaims(t.payload, k, now)
		if err == nil {
			err = checkLifetime(claims, k, now) // last, because ErrExpired promises that the token was valid once
		}
		if err != nil {
			return Claims{}, err
		}
		return claims, nil
	}
	return Claims{}, invalid("type is not accepted here")
}

// verifySignature checks the signature. The key determines the algorithm, never the
// token: a token with a key ID needs the algorithm of that key, a token without one needs
// HS256. If there are signing keys, the current secret signs no tokens, so only previous
// secrets verify. Their tokens end when the operator removes them from
// JWT_PREVIOUS_SECRETS.
func (v *Verifier) verifySignature(t compact, h header) error {
	if h.kid == "" {
		if h.alg != jwa.HS256.String() || len(t.signature) != 32 {
			return invalid("algorithm is not HS256")
		}
		for _, k := range v.ring.secrets {
			if v.keys != nil && !k.former {
				continue
			}
			if isSignature(t, jwa.HS256, k.signing) {
				return nil
			}
		}
		return invalid("signature does not match")
	}
	if v.keys == nil {
		return invalid("header has a kid, and there are no signing keys")
	}
	key, ok := v.keys.verifier(h.kid, time.Now())
	if !ok || h.alg != key.alg.String() || len(t.signature) != 64 {
		return invalid("signing key is unknown or retired")
	}
	if !isSignature(t, key.alg, key.public) {
		return invalid("signature does not match")
	}
	return nil
}

// isSignature reports whether a key has signed a token. It gives the library only what
// is signed: jws.Verify would parse the header once more, which [inspect] has done, and
// more strictly.
func isSignature(t compact, alg jwa.SignatureAlgorithm, key any) bool {
	verifier, err := jws.NewVerifier(alg)
	return err == nil && verifier.Verify([]byte(t.signed), t.signature, key) == nil
}

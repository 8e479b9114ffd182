package tokens

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// Sizes of the parts of a refresh token in bytes, and of the whole in characters.
const (
	refreshRandom = 32
	refreshTag    = 16
	maxRefresh    = 256
)

// RefreshToken is a new refresh token and its hash. Store the hash only.
type RefreshToken struct{ Text, Hash string }

// String hides the token.
func (RefreshToken) String() string { return hidden }

// NewRefreshToken returns a new refresh token of a login session. The token consists of
// 256 random bits, the session's ID, and a tag that distinguishes tokens that we issued,
// however long ago, from all others.
func (r *SecretRing) NewRefreshToken(sessionID string) RefreshToken {
	var random [refreshRandom]byte
	rand.Read(random[:]) // never fails
	return r.secrets[0].refreshToken(random[:], sessionID)
}

// refreshToken returns the token with these 256 bits.
func (k ringKeys) refreshToken(random []byte, sessionID string) RefreshToken {
	raw := make([]byte, 0, maxRefresh)
	raw = append(append(raw, random...), sessionID...)
	raw = append(raw, k.tag(raw)...)
	return RefreshToken{base64.RawURLEncoding.EncodeToString(raw), hashOf(raw)}
}

// PresentedToken is a refresh token that a client has sent and that we issued. Whether
// it is still valid in its login session is for [RefreshFamily] to say.
type PresentedToken struct {
	SessionID string
	Hash      string

	raw  Secret // the bytes of the token
	ring *SecretRing
}

// ParseRefreshToken reads a refresh token. The error wraps [ErrInvalid] for a token that
// we did not issue.
func (r *SecretRing) ParseRefreshToken(token string) (PresentedToken, error) {
	if len(token) > maxRefresh {
		return PresentedToken{}, invalid("it is too long")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= refreshRandom+refreshTag || base64.RawURLEncoding.EncodedLen(len(raw)) != len(token) {
		return PresentedToken{}, invalid("it is not in the form of a refresh token")
	}
	body, tag := raw[:len(raw)-refreshTag], raw[len(raw)-refreshTag:]
	for _, k := range r.secrets {
		if hmac.Equal(tag, k.tag(body)) {
			return PresentedToken{SessionID: string(body[refreshRandom:]), Hash: hashOf(raw), raw: Secret(raw), ring: r}, nil
		}
	}
	return PresentedToken{}, invalid("its tag does not match")
}

// successors returns the tokens that the token can be exchanged for under a salt, one
// for each secret, that of the current secret first. Only the holder of the token can
// have them computed: the database has only the token's hash, so that a copy of the
// database and of the secret, which may lie beside it, is not enough.
func (p PresentedToken) successors(salt string) []RefreshToken {
	list := make([]RefreshToken, len(p.ring.secrets))
	for i, k := range p.ring.secrets {
		list[i] = k.refreshToken(authenticate(k.successors, []byte(salt+"\x00"+p.raw.Reveal())), p.SessionID)
	}
	return list
}

// sibling returns a random token of the same session.
func (p PresentedToken) sibling() RefreshToken { return p.ring.NewRefreshToken(p.SessionID) }

func (k ringKeys) tag(body []byte) []byte { return authenticate(k.refresh, body)[:refreshTag] }

// hashOf needs neither salt nor stretching, because a token has 256 random bits.
func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// hashBytes returns a hash of [hashOf] in bytes. It returns false for any other text.
func hashBytes(hash string) (sum [sha256.Size]byte, ok bool) {
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) != len(sum) {
		return sum, false
	}
	return [sha256.Size]byte(raw), true
}

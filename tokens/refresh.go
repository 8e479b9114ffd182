package tokens

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
)

// ErrReplayed means that a refresh token was used after it had been retired: two
// parties have it.
var ErrReplayed = errors.New("refresh token is retired")

// Sizes of the parts of a refresh token in bytes, and of the whole in characters.
const (
	refreshRandom = 32
	refreshTag    = 16
	maxRefresh    = 256
)

// NewRefreshToken returns a new refresh token of a login session, and its hash. The
// token consists of 256 random bits, the session's ID, and a tag that distinguishes
// tokens that we issued, however long ago, from all others. Store the hash only.
func (r *SecretRing) NewRefreshToken(sessionID string) (token, hash string) {
	raw := make([]byte, refreshRandom, maxRefresh)
	rand.Read(raw) // never fails
	raw = append(raw, sessionID...)
	raw = append(raw, r.secrets[0].tag(raw)...)
	return base64.RawURLEncoding.EncodeToString(raw), hashOf(raw)
}

// ParseRefreshToken returns the login session and the hash of a refresh token. The
// error wraps [ErrInvalid] for a token that we did not issue. The caller must check
// that the token is still valid in its session.
func (r *SecretRing) ParseRefreshToken(token string) (sessionID, hash string, err error) {
	if len(token) > maxRefresh {
		return "", "", invalid("it is too long")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= refreshRandom+refreshTag || base64.RawURLEncoding.EncodedLen(len(raw)) != len(token) {
		return "", "", invalid("it is not in the form of a refresh token")
	}
	body, tag := raw[:len(raw)-refreshTag], raw[len(raw)-refreshTag:]
	for _, k := range r.secrets {
		if hmac.Equal(tag, k.tag(body)) {
			return string(body[refreshRandom:]), hashOf(raw), nil
		}
	}
	return "", "", invalid("its tag does not match")
}

func (k ringKeys) tag(body []byte) []byte { return authenticate(k.refresh, body)[:refreshTag] }

// hashOf needs neither salt nor stretching, because a token has 256 random bits.
func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// RefreshFamily holds the hashes of the valid refresh tokens of one login session: the
// parent, which is the token that was used last, and the children that the client got
// for it. The parent stays valid until a child is used. All other tokens of the session
// are retired.
//
// A lost reply does no harm, because the parent gives another child. If two parties
// have the same token, the second one to use its child is detected.
type RefreshFamily struct {
	Parent   string
	Children []string
}

// maxChildren bounds the children of one parent; the oldest are retired first. It
// bounds the number of consecutive lost replies, and of concurrent refreshes.
const maxChildren = 128

// NewRefreshFamily returns the family of a new session with one token.
func NewRefreshFamily(hash string) RefreshFamily { return RefreshFamily{Parent: hash} }

// Use exchanges a token for a child and returns the new family. The error is
// [ErrReplayed] for a retired token.
func (f RefreshFamily) Use(hash, child string) (RefreshFamily, error) {
	switch {
	case hash == "":
		return f, ErrReplayed
	case hash == f.Parent:
		children := append(slices.Clone(f.Children), child)
		return RefreshFamily{Parent: f.Parent, Children: children[max(0, len(children)-maxChildren):]}, nil
	case slices.Contains(f.Children, hash):
		return RefreshFamily{Parent: hash, Children: []string{child}}, nil
	}
	return f, ErrReplayed
}

package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
)

// ErrReplayed means that a refresh token was used after it had been retired:
// two parties hold it.
var ErrReplayed = errors.New("refresh token was used before")

// Sizes in bytes of the parts of a refresh token, and of the whole in
// characters.
const (
	refreshRandom = 32
	refreshTag    = 16
	maxRefresh    = 256
)

// RefreshToken makes a refresh token of a login session: 256 random bits, the
// session's id, and a tag by which a token that we have issued can be told from
// one that we have not, however long ago it was retired. Only the hash is to be
// kept.
func (r *SecretRing) NewRefreshToken(sessionID string) (token, hash string) {
	raw := append(randomBytes(refreshRandom), sessionID...)
	raw = append(raw, r.secrets[0].tag(raw)...)
	return base64.RawURLEncoding.EncodeToString(raw), hashOf(raw)
}

// ParseRefreshToken returns the login session that a refresh token was issued
// for, and its hash. Whether it is still good only the session knows. The error
// is [ErrInvalid] for what we have never issued.
func (r *SecretRing) ParseRefreshToken(token string) (sessionID, hash string, err error) {
	if len(token) > maxRefresh {
		return "", "", invalid("it is too long")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= refreshRandom+refreshTag || base64.RawURLEncoding.EncodedLen(len(raw)) != len(token) {
		return "", "", invalid("it has no refresh token's form")
	}
	body, tag := raw[:len(raw)-refreshTag], raw[len(raw)-refreshTag:]
	for _, k := range r.secrets {
		if hmac.Equal(tag, k.tag(body)) {
			return string(body[refreshRandom:]), hashOf(raw), nil
		}
	}
	return "", "", invalid("we have not issued it")
}

func (k ringKeys) tag(body []byte) []byte {
	mac := hmac.New(sha256.New, k.refresh)
	mac.Write(body)
	return mac.Sum(nil)[:refreshTag]
}

// hashOf needs no salt and no stretching: there are 256 random bits in it.
func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// RefreshFamily is what is left to say about the refresh tokens of one login session,
// as hashes: the one that was used last, which can be used again for as long as
// nobody has used what it was exchanged for, and those. Every other token that
// was ever issued for the session is retired.
//
// So an answer that gets lost costs nothing: the parent gives another child.
// And of two parties that hold the same token, the second to use what it got is
// found out.
type RefreshFamily struct {
	Parent   string
	Children []string
}

// maxChildren bounds the children of one parent; the oldest go first. It is the
// number of answers that may get lost in a row, less what a client that does not
// wait for its own answers wastes.
const maxChildren = 128

// NewRefreshFamily is that of a session that begins, with its one token.
func NewRefreshFamily(hash string) RefreshFamily { return RefreshFamily{Parent: hash} }

// Use exchanges a token for a child and returns the family after that. The
// error is [ErrReplayed] for a token that is retired.
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

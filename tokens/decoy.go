package tokens

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
)

// decoys selects the unknown emails that are compared with a hash of the other kind than
// new hashes: bcrypt or argon2id.
type decoys struct {
	key   []byte
	share float64
	other string // hash of no password
}

// OtherKind returns the beginning of the stored hashes whose kind is not that of new
// hashes.
func (h *Hasher) OtherKind() string {
	if h.bcrypt {
		return argon2idPrefix
	}
	return "$2"
}

// SetDecoys makes Decoy return hashes of the other kind than new hashes for a share of
// all emails, from 0 to 1. The share should be that of the users with a hash that begins
// with OtherKind. The key selects the emails; it must be secret and must not change.
func (h *Hasher) SetDecoys(key []byte, share float64) {
	if share == 0 {
		h.decoys.Store(nil)
		return
	}
	d := &decoys{key: key, share: share}
	if old := h.decoys.Load(); old != nil {
		d.other = old.other
	} else {
		d.other = unmatched(*h.params, !h.bcrypt)
	}
	h.decoys.Store(d)
}

// The lengths of the salt and the hash of bcrypt, in bytes, and its alphabet
// (https://www.openwall.com/crypt/).
const (
	bcryptSalt, bcryptKey = 16, 23
	bcryptAlphabet        = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// unmatched returns a text in the form of a bcrypt hash, or else of an argon2id hash with
// these parameters, that is random and so matches no password. To compare with it costs as
// much as to compare with the hash of a password.
func unmatched(p argon2id.Params, bcrypt bool) string {
	form, encoding, salt, key := "", base64.RawStdEncoding, make([]byte, p.SaltLength), make([]byte, p.KeyLength)
	if bcrypt {
		form = fmt.Sprintf("%s%d$%%s%%s", bcryptPrefix, bcryptCost)
		encoding = base64.NewEncoding(bcryptAlphabet).WithPadding(base64.NoPadding)
		salt, key = make([]byte, bcryptSalt), make([]byte, bcryptKey)
	} else {
		form = fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%%s$%%s", argon2idPrefix, argon2.Version, p.Memory, p.Iterations, p.Parallelism)
	}
	_, _ = rand.Read(salt) // never fails
	_, _ = rand.Read(key)
	return fmt.Sprintf(form, encoding.EncodeToString(salt), encoding.EncodeToString(key))
}

// Decoy returns the hash to compare with if an email has no account. No password
// matches it.
//
// A comparison with a bcrypt hash takes about 58 ms, one with argon2id 24 ms, and a
// failed comparison cannot be made faster. So that the time does not reveal whether an
// email has an account, an equal share of the unknown emails gets a hash of the other
// kind than new ones. An email keeps its kind. When the share falls, because users log
// in and get a new hash, some unknown emails change their time, as those users do.
//
// Limits: bcrypt rows with another cost than 10 remain visible, as do damaged rows, and
// argon2id rows with other parameters until the next login. A client that measures an
// email for days can learn that it is unknown, if its kind changes at the same time as
// that of others, which is when the share is counted again.
func (h *Hasher) Decoy(email string) string {
	d := h.decoys.Load()
	if d == nil {
		return h.dummyHash
	}
	if float64(binary.BigEndian.Uint64(authenticate(d.key, []byte(email))))/math.MaxUint64 < d.share {
		return d.other
	}
	return h.dummyHash
}

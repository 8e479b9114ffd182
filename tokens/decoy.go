package tokens

import (
	"crypto/rand"
	"encoding/binary"
	"math"
)

// decoys selects the unknown emails that are compared with a hash of the other kind than
// new hashes: bcrypt or argon2id.
type decoys struct {
	key   []byte
	share float64
	other string // hash of a random password that is not stored
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
func (h *Hasher) SetDecoys(key []byte, share float64) error {
	if share == 0 {
		h.decoys.Store(nil)
		return nil
	}
	d := &decoys{key: key, share: share}
	if old := h.decoys.Load(); old != nil {
		d.other = old.other
	} else {
		var err error
		if d.other, err = h.createAs(!h.bcrypt, rand.Text()); err != nil {
			return err
		}
	}
	h.decoys.Store(d)
	return nil
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

package tokens

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/crypto/bcrypt"
)

// decoyCost is the bcrypt cost of the original's rows, and of decoys.
const decoyCost = 10

// decoys selects the unknown emails that are compared with a bcrypt hash.
type decoys struct {
	key    []byte
	share  float64
	bcrypt string // hash of a random password that is not stored
}

// SetDecoys makes Decoy return bcrypt hashes for a share of all emails, from 0 to 1.
// The share should be that of the users with a bcrypt hash. The key selects the emails;
// it must be secret and must not change.
func (h *Hasher) SetDecoys(key []byte, share float64) error {
	if share == 0 {
		h.decoys.Store(nil)
		return nil
	}
	d := &decoys{key: key, share: share}
	if old := h.decoys.Load(); old != nil {
		d.bcrypt = old.bcrypt
	} else {
		hash, err := bcrypt.GenerateFromPassword([]byte(rand.Text()), decoyCost)
		if err != nil {
			return fmt.Errorf("hashing password: %w", err)
		}
		d.bcrypt = string(hash)
	}
	h.decoys.Store(d)
	return nil
}

// Decoy returns the hash to compare with if an email has no account. No password
// matches it.
//
// A comparison with a bcrypt hash takes about 58 ms, one with our own hashes 24 ms, and
// a failed comparison cannot be made faster. So that the time does not reveal whether
// an email has an account, an equal share of the unknown emails gets a bcrypt hash. An
// email keeps its kind. When the share falls, because users log in and get a new hash,
// some unknown emails become fast, as those users do.
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
		return d.bcrypt
	}
	return h.dummyHash
}

package tokens

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/crypto/bcrypt"
)

// decoyCost is the bcrypt cost of the original's rows, and so of decoys.
const decoyCost = 10

// decoys says which emails without an account get a bcrypt hash to compare with.
type decoys struct {
	key    []byte
	share  float64
	bcrypt string // hash of a password that is not kept
}

// SetDecoys makes Decoy return bcrypt hashes for a share of all emails, 0 to 1,
// which should be that of the users whose hash is bcrypt. The key decides which
// emails; it must stay the same, and secret.
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

// Decoy returns the hash to compare with when an email has no account. No
// password fits it.
//
// A bcrypt row takes about 58 ms where our own hashes take 24, and a wrong
// password cannot be made cheaper there. Costly unknown emails hide the costly
// rows instead: as large a share of them gets a bcrypt hash, so that neither time
// says whether an email has an account. An email keeps its kind. When the share
// falls, because users log in and get a new hash, some unknown emails become
// cheap, as those users do.
//
// The limits: rows of another cost than 10 still show, so do damaged rows, and
// rows with an argon2id hash of other parameters until the next login. A
// client that tries an email over days can learn that it is unknown when it
// changes its kind at the same moment as others, which is when the share is
// counted anew.
func (h *Hasher) Decoy(email string) string {
	d := h.decoys.Load()
	if d == nil {
		return h.dummyHash
	}
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(email))
	if float64(binary.BigEndian.Uint64(mac.Sum(nil)))/math.MaxUint64 < d.share {
		return d.bcrypt
	}
	return h.dummyHash
}

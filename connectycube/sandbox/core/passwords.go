package core

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
)

// Bounds of the cost of argon2id. A running hash holds its memory, so their number
// bounds the memory: 38 MiB.
const (
	hashesAtOnce  = 2
	maxHashQueue  = 200             // waiting callers, about 2 s of work
	maxHashWait   = 5 * time.Second // of one caller
	hashesPerSave = 32              // at full cost, about 0.6 s of work
)

// fullCost is OWASP's first choice for argon2id, about 20 ms. quickCost, about
// 0.7 ms, is for the users after the first hashesPerSave, so that thousands of new
// users soon are in the file. Later saves replace their hashes.
var (
	fullCost  = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	quickCost = &argon2id.Params{Memory: 1 << 10, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
)

// digest is the SHA-256 of a user's salt and password. The memory holds it instead
// of the password, and argon2id takes it as input. So the digests in files of
// version 1 get an argon2id hash without a login.
type digest [sha256.Size]byte

// Credential holds the derivatives of one user's password. No password matches the
// zero value, which guests and the provider's users have.
type Credential struct {
	salt [16]byte
	mac  digest // of the digest, under Passwords.key
	hash string // argon2id of the digest; empty until a save needs it

	isKnown bool    // mac is set: this process has seen the password
	pending *digest // needs a hash at full cost; its pointer identifies the password
}

// Passwords creates and checks credentials. Only Matches may be called under the
// Application's lock: argon2id takes too long.
type Passwords struct {
	key   [32]byte // of the MACs; never leaves the memory
	kept  bool     // there is a data file, which needs hashes
	slots chan struct{}
	queue atomic.Int64

	hash    func(password string, p *argon2id.Params) (string, error) // tests count the calls
	compare func(password, hash string) (bool, *argon2id.Params, error)
}

func newPasswords() *Passwords {
	p := &Passwords{slots: make(chan struct{}, hashesAtOnce), hash: argon2id.CreateHash, compare: argon2id.CheckHash}
	rand.Read(p.key[:]) // never fails, by its documentation
	return p
}

func (c *Credential) digestOf(password string) *digest {
	d := digest(sha256.Sum256(append(c.salt[:], password...)))
	return &d
}

func (p *Passwords) macOf(d *digest) (mac digest) {
	h := hmac.New(sha256.New, p.key[:])
	h.Write(d[:])
	h.Sum(mac[:0])
	return mac
}

// CredentialOf creates a credential quickly: argon2id runs when the data file is written.
func (p *Passwords) CredentialOf(password string) Credential {
	var c Credential
	rand.Read(c.salt[:])
	p.learn(&c, c.digestOf(password))
	return c
}

// learn records that d is the right digest, and that its hash is missing or outdated.
func (p *Passwords) learn(c *Credential, d *digest) {
	c.mac, c.isKnown = p.macOf(d), true
	if p.kept {
		c.pending = d
	}
}

// Matches checks a password by its MAC. It rejects the right password of a user
// from the data file until Application.Recall has seen it in this process.
func (p *Passwords) Matches(c *Credential, password string) bool {
	mac := p.macOf(c.digestOf(password))
	return hmac.Equal(mac[:], c.mac[:]) && c.isKnown
}

// Recall checks the password of a user from the data file, so that Matches then
// knows it: the first right login in a process costs one argon2id. The caller does
// not hold the lock; Recall calls find with it. The error means that too many
// hashes are waiting.
func (s *Application) Recall(ctx context.Context, find func() *User, password string) error {
	s.mu.Lock()
	s.Registry.Sweep(s.Now())
	u := find()
	var known Credential
	if u != nil {
		known = u.Credential
	}
	s.mu.Unlock()
	if known.hash == "" || known.isKnown {
		return nil
	}
	d := known.digestOf(password)
	var right bool
	var cost *argon2id.Params
	var err error
	if busy := s.Passwords.inTurn(ctx, func() { right, cost, err = s.Passwords.compare(string(d[:]), known.hash) }); busy != nil {
		return busy
	}
	if err != nil {
		return fmt.Errorf("comparing with a saved password: %w", err)
	}
	if !right {
		return nil // Matches refuses it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.Credential.hash != known.hash || u.Credential.isKnown {
		return nil // another request changed or recalled the password
	}
	s.Passwords.learn(&u.Credential, d)
	if *cost == *fullCost {
		u.Credential.pending = nil
	}
	return nil
}

// inTurn runs compute as soon as fewer than hashesAtOnce others run.
func (p *Passwords) inTurn(ctx context.Context, compute func()) error {
	defer p.queue.Add(-1)
	if p.queue.Add(1) > maxHashQueue {
		return errTooBusy
	}
	ctx, cancel := context.WithTimeout(ctx, maxHashWait)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return errTooBusy
	}
	defer func() { <-p.slots }()
	compute()
	return nil
}

// savedSalt returns a copy of the salt, or nil for a user without a password.
func (c *Credential) savedSalt() []byte {
	if c.hash == "" && c.pending == nil {
		return nil
	}
	return bytes.Clone(c.salt[:])
}

// unhashed is a user of a savedState whose password has no hash at full cost.
type unhashed struct {
	user    *User
	index   int // in savedState.Users
	pending *digest
	isFull  bool // the new hash is at full cost
}

// harden gives each saved user with a password an argon2id hash, and keeps it for
// later saves. It reports whether a later save should replace some hashes with
// those at full cost. The caller does not hold the lock.
func (s *Application) harden(saved *savedState) (again bool, err error) {
	for i := range saved.unhashed {
		one := &saved.unhashed[i]
		hash := &saved.Users[one.index].Password
		cost := quickCost
		if one.isFull = i < hashesPerSave; one.isFull {
			cost = fullCost
		} else if again = true; *hash != "" {
			continue
		}
		s.Passwords.slots <- struct{}{} // held for one computation at a time
		*hash, err = s.Passwords.hash(string(one.pending[:]), cost)
		<-s.Passwords.slots
		if err != nil {
			return false, fmt.Errorf("hashing password: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range saved.unhashed {
		c := &one.user.Credential
		if c.pending != one.pending {
			continue // the password was changed in the meantime
		}
		c.hash = saved.Users[one.index].Password
		if one.isFull {
			c.pending = nil
		}
	}
	return again, nil
}

var errBadCredential = errors.New("its password is incomplete")

// restored reads the credential of a saved user.
func (p *Passwords) restored(version int, from *savedUser) (c Credential, err error) {
	if version == 1 {
		var d digest
		if copy(c.salt[:], from.Salt) != len(from.Salt) || len(from.Salt) != len(c.salt) ||
			copy(d[:], from.Hash) != len(from.Hash) || len(from.Hash) != len(d) || from.Password != "" {
			return c, errBadCredential
		}
		if d != (digest{}) { // in version 1, zeros mean that there is no password
			p.learn(&c, &d)
		}
		return c, nil
	}
	if len(from.Hash) > 0 || (from.Password == "") != (len(from.Salt) == 0) {
		return c, errBadCredential
	}
	if from.Password == "" {
		return c, nil
	}
	if len(from.Salt) != len(c.salt) || !isAffordable(from.Password) {
		return c, errBadCredential
	}
	copy(c.salt[:], from.Salt)
	c.hash = from.Password
	return c, nil
}

// isAffordable reports whether hash is an argon2id hash within the bounds of cost.
// A file could ask for 4 TiB of memory, or for no passes, which panics.
func isAffordable(hash string) bool {
	if len(hash) > 512 {
		return false
	}
	p, salt, key, err := argon2id.DecodeHash(hash)
	return err == nil && p.Iterations >= 1 && p.Iterations <= 16 && p.Parallelism >= 1 && p.Parallelism <= 4 &&
		p.Memory >= 8*uint32(p.Parallelism) && p.Memory <= 64<<10 && // KiB
		len(salt) >= 8 && len(key) >= 16 && len(key) <= 64
}

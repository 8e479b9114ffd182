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

// Bounds of what argon2id may cost. A hash takes its memory for as long as it
// is computed, so their number is the bound of memory: 38 MiB.
const (
	hashesAtOnce  = 2
	maxHashQueue  = 200             // callers that wait for their turn, about 2 s of work
	maxHashWait   = 5 * time.Second // for that turn
	hashesPerSave = 32              // at full cost, about 0.6 s of work
)

// fullCost is OWASP's first choice for argon2id, about 20 ms. quickCost, about
// 0.7 ms, is for the users beyond hashesPerSave, so that thousands of new ones
// are in the file soon; later saves replace their hashes.
var (
	fullCost  = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	quickCost = &argon2id.Params{Memory: 1 << 10, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
)

// digest is SHA-256 of a user's salt and password. It stands for the password
// in memory and as argon2id's input, so that files of version 1, which have
// digests, need no login to get an argon2id hash.
type digest [sha256.Size]byte

// Credential is what is kept of one user's password. The zero value is that of
// guests and the provider's users: no password matches it.
type Credential struct {
	salt [16]byte
	mac  digest // of the digest, under Passwords.key
	hash string // argon2id of the digest; "" until a save needs one

	isKnown bool    // mac is set: the password was seen in this process
	pending *digest // waits for a hash at full cost; its address tells passwords apart
}

// Passwords makes and checks credentials. Only matches may be called under the
// Application's lock: argon2id takes too long.
type Passwords struct {
	key   [32]byte // of the MACs; it never leaves the memory
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

// CredentialOf is fast: argon2id waits until the data file is written.
func (p *Passwords) CredentialOf(password string) Credential {
	var c Credential
	rand.Read(c.salt[:])
	p.learn(&c, c.digestOf(password))
	return c
}

// learn notes that d is right, and that its hash is missing or stale.
func (p *Passwords) learn(c *Credential, d *digest) {
	c.mac, c.isKnown = p.macOf(d), true
	if p.kept {
		c.pending = d
	}
}

// Matches checks a password by its MAC. It says no to a right one that was not
// seen in this process yet, which Application.recall is called before to prevent.
func (p *Passwords) Matches(c *Credential, password string) bool {
	mac := p.macOf(c.digestOf(password))
	return hmac.Equal(mac[:], c.mac[:]) && c.isKnown
}

// Recall lets matches know the password of a user that the data file brought,
// if it is the given one: the first right login of a process pays for argon2id.
// The lock is not held; find is called with it. The error says that there is no
// turn for a hash.
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
		return fmt.Errorf("comparing with a kept password: %w", err)
	}
	if !right {
		return nil // matches refuses it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.Credential.hash != known.hash || u.Credential.isKnown {
		return nil // the password was changed, or recalled, meanwhile
	}
	s.Passwords.learn(&u.Credential, d)
	if *cost == *fullCost {
		u.Credential.pending = nil
	}
	return nil
}

// inTurn runs compute when fewer than hashesAtOnce others run.
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

// savedSalt is a copy, or nil for a user without a password.
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
	isFull  bool // the hash that it got is at full cost
}

// harden gives each saved user with a password an argon2id hash, also for the
// next saves. It reports whether a later save should replace some of them by
// ones at full cost. The lock is not held.
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
			continue // the password was changed meanwhile
		}
		c.hash = saved.Users[one.index].Password
		if one.isFull {
			c.pending = nil
		}
	}
	return again, nil
}

var errBadCredential = errors.New("its password is not whole")

// restored reads the credential of a saved user.
func (p *Passwords) restored(version int, from *savedUser) (c Credential, err error) {
	if version == 1 {
		var d digest
		if copy(c.salt[:], from.Salt) != len(from.Salt) || len(from.Salt) != len(c.salt) ||
			copy(d[:], from.Hash) != len(from.Hash) || len(from.Hash) != len(d) || from.Password != "" {
			return c, errBadCredential
		}
		if d != (digest{}) { // which is how version 1 wrote that there is no password
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

// isAffordable reports whether hash is one of argon2id that may be computed: a
// file can ask for 4 TiB of memory, or for no passes, which panics.
func isAffordable(hash string) bool {
	if len(hash) > 512 {
		return false
	}
	p, salt, key, err := argon2id.DecodeHash(hash)
	return err == nil && p.Iterations >= 1 && p.Iterations <= 16 && p.Parallelism >= 1 && p.Parallelism <= 4 &&
		p.Memory >= 8*uint32(p.Parallelism) && p.Memory <= 64<<10 && // KiB
		len(salt) >= 8 && len(key) >= 16 && len(key) <= 64
}

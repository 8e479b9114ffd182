package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"

	"cubegate/store"
)

// Bounds of provenPasswords: of one email, and in all. A request above them
// costs its callback a hash, as without provenPasswords.
const (
	maxProvenPerEmail = 64
	maxProven         = 10_000
)

// provenPasswords remembers passwords that requests of ours have just checked
// or hashed, for as long as those requests run. Such a request opens a session
// at ConnectyCube, which asks the verify route about the same password while
// the request waits. The answer is known then; a second hash doubled the cost
// of a login and put its callback into the queue of all other hashes.
//
// A proof is an HMAC of user, password hash and password under a key of this
// process. It fits only as long as the user's document has that hash.
type provenPasswords struct {
	key [sha256.Size]byte

	mu     sync.Mutex
	count  int
	proofs map[string][]provenMAC // by email key; one for each request
}

type provenMAC [sha256.Size]byte

func newProvenPasswords() *provenPasswords {
	p := &provenPasswords{proofs: map[string][]provenMAC{}}
	rand.Read(p.key[:]) // never fails
	return p
}

// Prove remembers that the password belongs to the hash that user has. The
// caller must call release when its request ends, also in a panic.
func (p *provenPasswords) Prove(user store.User, password string) (release func()) {
	email, mac := store.EmailKey(user.Email), p.mac(user, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count >= maxProven || len(p.proofs[email]) >= maxProvenPerEmail {
		return func() {}
	}
	p.count++
	p.proofs[email] = append(p.proofs[email], mac)
	return sync.OnceFunc(func() { p.forget(email, mac) })
}

func (p *provenPasswords) forget(email string, mac provenMAC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count--
	i := slices.Index(p.proofs[email], mac)
	p.proofs[email] = slices.Delete(p.proofs[email], i, i+1)
	if len(p.proofs[email]) == 0 {
		delete(p.proofs, email)
	}
}

// Expects reports whether a request for this email runs. Without one the
// verify route need not look for the user before it asks the limiter.
func (p *provenPasswords) Expects(email string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.proofs[store.EmailKey(email)]) > 0
}

// Check reports whether a request that runs has proven this password for the
// user, who must be as the database has the user now.
func (p *provenPasswords) Check(user store.User, password string) bool {
	mac := p.mac(user, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.proofs[store.EmailKey(user.Email)], func(known provenMAC) bool {
		return hmac.Equal(known[:], mac[:])
	})
}

// mac binds the three texts. Ids and hashes hold no NUL.
func (p *provenPasswords) mac(user store.User, password string) (sum provenMAC) {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(user.ID + "\x00" + user.PasswordHash + "\x00" + password))
	h.Sum(sum[:0])
	return sum
}

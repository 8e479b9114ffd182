package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"

	"cubegate/store"
	"cubegate/tokens"
)

// Bounds of provenPasswords: of one email, and in total. The callback of a request
// above them costs a hash.
const (
	maxProvenPerEmail = 64
	maxProven         = 10_000
)

// provenPasswords remembers the passwords that running requests of this server have
// just checked or hashed. Such a request opens a session at ConnectyCube, which
// presents the same password to the verify route while the request waits. A second
// hash would double the cost of a login, and its callback would wait in the queue of
// all other hashes.
//
// A proof is an HMAC of user ID, password hash and normalized password with a key of
// this process, so it is good for both forms in which ConnectyCube may have got the
// password. It is valid only as long as the user's document has that hash.
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

// Prove remembers that a password belongs to the hash of a user. The caller must call
// release when its request ends, also in a panic.
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

// Expects reports whether a request for this email runs. Without one, the verify route
// does not look for the user before it checks the budgets.
func (p *provenPasswords) Expects(email string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.proofs[store.EmailKey(email)]) > 0
}

// Check reports whether a running request has proven this password for a user, whose
// document must have just been read.
func (p *provenPasswords) Check(user store.User, password string) bool {
	mac := p.mac(user, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.proofs[store.EmailKey(user.Email)], func(known provenMAC) bool {
		return hmac.Equal(known[:], mac[:])
	})
}

// mac binds the three texts. IDs and hashes contain no NUL.
func (p *provenPasswords) mac(user store.User, password string) (sum provenMAC) {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(user.ID + "\x00" + user.PasswordHash + "\x00" + tokens.NormalizePassword(password)))
	h.Sum(sum[:0])
	return sum
}

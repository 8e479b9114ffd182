package tokens

import (
	"context"
	"errors"
	"strings"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

// hashTask is one hash to compute. Its cost has been checked. It may be computed
// more than once.
type hashTask struct {
	Password []byte // in JSON, a string would lose bytes that are not UTF-8
	Stored   string // the hash to compare with; empty: make a hash
	Params   argon2id.Params
	Bcrypt   bool // the hash to make is bcrypt, else argon2id
}

// fits reports whether a text has the form of the hash that t makes.
func (t hashTask) fits(made string) bool {
	if t.Bcrypt {
		cost, err := bcrypt.Cost([]byte(made))
		return err == nil && cost == bcryptCost && len(made) == 60 && strings.HasPrefix(made, bcryptPrefix)
	}
	p, _, _, err := argon2id.DecodeHash(made)
	return err == nil && *p == t.Params
}

// The prefix and the cost of the bcrypt hashes of the NestJS original, and of ours.
const (
	bcryptPrefix = "$2b$"
	bcryptCost   = 10
)

// hashResult is the outcome of a hashTask.
type hashResult struct {
	Made     string // the new hash
	Match    bool   // the password belongs to Stored
	Unusable bool   // Stored is damaged
}

// hashComputer computes hashes for a Hasher, which bounds how many at once.
type hashComputer interface {
	// compute returns an error only if the hash could not be computed.
	compute(t hashTask) (hashResult, error)

	// close releases what the computer holds. It waits for running tasks until
	// ctx ends, and then fails them. Later tasks fail, too.
	close(ctx context.Context)

	// endIdle releases what no running task needs.
	endIdle()
}

// thisProcess computes hashes in the calling goroutine.
type thisProcess struct{}

func (thisProcess) close(context.Context) {}
func (thisProcess) endIdle()              {}

func (thisProcess) compute(t hashTask) (r hashResult, err error) {
	switch {
	case t.Stored == "" && t.Bcrypt:
		// The library's hashes say $2a$, as those of other programs with a known defect.
		// The library has no such defect, so $2b$ is right
		// (https://www.openwall.com/lists/announce/2011/07/17/1).
		made, err := bcrypt.GenerateFromPassword(t.Password, bcryptCost)
		r.Made = bcryptPrefix + strings.TrimPrefix(string(made), "$2a$")
		return r, err
	case t.Stored == "":
		r.Made, err = argon2id.CreateHash(string(t.Password), &t.Params)
		return r, err
	case strings.HasPrefix(t.Stored, argon2idPrefix):
		r.Match, err = argon2id.ComparePasswordAndHash(string(t.Password), t.Stored)
		r.Unusable = err != nil
	default:
		err = bcrypt.CompareHashAndPassword([]byte(t.Stored), t.Password)
		r.Match = err == nil
		r.Unusable = err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword)
	}
	return r, nil // the libraries' errors quote the hash
}

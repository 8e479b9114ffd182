package tokens

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func newBcryptHasher(t *testing.T) *Hasher {
	t.Helper()
	params := quickHash
	params.Bcrypt = true
	h, err := NewHasher(params)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The NestJS original can read the new hashes: npm's bcrypt and bcryptjs have read such
// ones (server/regressions has hashes of theirs).
func TestBcryptHashes(t *testing.T) {
	t.Parallel()
	processes, _ := startProcesses(t, patient, "serve")
	here := newBcryptHasher(t)
	there := newBcryptHasher(t)
	there.computer = processes
	for name, h := range map[string]*Hasher{"in this process": here, "in another process": there} {
		for _, password := range []string{"correct horse", "пароль-é🦀", "a\x00b", strings.Repeat("a", BcryptLimit)} {
			hash, err := h.Hash(t.Context(), Turn{}, password)
			if err != nil || !strings.HasPrefix(hash, "$2b$10$") || len(hash) != 60 {
				t.Fatalf("%s: %q, %v; want a hash like the original's", name, hash, err)
			}
			if stale, err := h.Compare(t.Context(), Turn{}, password, hash); stale || err != nil {
				t.Errorf("%s: Compare = %t, %v", name, stale, err)
			}
			if _, err := h.Compare(t.Context(), Turn{}, password[:len(password)-1], hash); !errors.Is(err, ErrWrongPassword) {
				t.Errorf("%s: a wrong password: %v", name, err)
			}
		}
		if hash, err := h.Hash(t.Context(), Turn{}, strings.Repeat("a", BcryptLimit+1)); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: one byte more: %q, %v; want %v", name, hash, err, ErrTooLong)
		}
	}
}

// With bcrypt, no hash is replaced: neither another cost or version of bcrypt, nor
// argon2id.
func TestBcryptReplacesNoHash(t *testing.T) {
	t.Parallel()
	h := newBcryptHasher(t)
	cheap, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	costly := quickHash
	costly.Iterations = 2
	hashes := []string{string(cheap), "$2b$" + string(cheap[4:]), "$2y$" + string(cheap[4:])}
	for _, params := range []Params{quickHash, costly} {
		r, err := (thisProcess{}).compute(hashTask{Password: []byte("correct horse"), Params: *params.argon2id()})
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, r.Made)
	}
	for _, hash := range hashes {
		if stale, err := h.Compare(t.Context(), Turn{}, "correct horse", hash); stale || err != nil {
			t.Errorf("%.10s: stale %t, %v", hash, stale, err)
		}
	}
}

// countingComputer counts the comparisons by the kind of the stored hash.
type countingComputer struct {
	thisProcess
	kinds map[string]int
}

func (c countingComputer) compute(t hashTask) (hashResult, error) {
	c.kinds[t.Stored[:min(4, len(t.Stored))]]++
	return c.thisProcess.compute(t)
}

// What is no hash, and no user, costs a hash of the kind that users have.
func TestBcryptDecoys(t *testing.T) {
	t.Parallel()
	h := newBcryptHasher(t)
	kinds := map[string]int{}
	h.computer = countingComputer{kinds: kinds}
	for _, hash := range []string{"", "nonsense", strings.Repeat("A", maxHash+1), "$2b$31$" + strings.Repeat("A", 53), h.Decoy("unknown@example.org")} {
		if _, err := h.Compare(t.Context(), Turn{}, "correct horse", hash); !errors.Is(err, ErrWrongPassword) {
			t.Errorf("%.10q: %v", hash, err)
		}
	}
	if fmt.Sprint(kinds) != "map[$2b$:5]" {
		t.Errorf("compared %v, want 5 hashes of bcrypt", kinds)
	}
	if h.OtherKind() != "$argon2id$" {
		t.Errorf("the other kind begins with %q", h.OtherKind())
	}
	h.SetDecoys([]byte("key"), 0.5)
	decoys := map[string]int{}
	for n := range 1000 {
		decoys[h.Decoy(fmt.Sprintf("unknown-%d@example.org", n))[:4]]++
	}
	if len(decoys) != 2 || decoys["$arg"] < 400 || decoys["$2b$"] < 400 {
		t.Errorf("decoys %v, want about half of each kind", decoys)
	}
	h.SetDecoys([]byte("key"), 0)
	if decoy := h.Decoy("unknown@example.org"); !strings.HasPrefix(decoy, "$2b$10$") {
		t.Errorf("decoy %.10s", decoy)
	}
}

// A process that makes a hash of another kind has failed.
func TestBcryptHashOfAnotherKind(t *testing.T) {
	t.Parallel()
	p, warned := startProcesses(t, patient, "makes another hash", filepath.Join(t.TempDir(), "was here"))
	r, err := p.compute(hashTask{Password: []byte("correct horse"), Params: *quickHash.argon2id(), Bcrypt: true})
	if err != nil || !strings.HasPrefix(r.Made, "$2b$10$") || len(warned.all()) != 1 {
		t.Errorf("made %q, %v; warnings %q, want one", r.Made, err, warned.all())
	}
}

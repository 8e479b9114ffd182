package tokens

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

// argon2idPrefix begins our own hashes.
const argon2idPrefix = "$argon2id$"

var (
	// ErrWrongPassword means that a password does not match its hash, or that there is
	// no hash.
	ErrWrongPassword = errors.New("wrong password")

	// ErrBadHash accompanies ErrWrongPassword if the stored text is not a hash that we
	// compute. The row is damaged or hostile; the user can do nothing about it.
	ErrBadHash = errors.New("stored password hash cannot be used")

	// ErrTooLong means that bcrypt would ignore the end of a new password.
	ErrTooLong = errors.New("password has more bytes than bcrypt reads")
)

// Bounds of the parameters of a hash, ours and those of stored hashes. A stored hash
// could ask for 4 TiB, for no passes at all (a panic), or for an empty key (which every
// password matches).
const (
	maxMemory      = 256 << 10 // KiB
	maxIterations  = 16
	maxParallelism = 16
	minSalt        = 8      // bytes
	minKey, maxKey = 16, 64 // bytes
	maxHash        = 512    // characters
	maxBcryptCost  = 14     // each step doubles the time; about 1 s at 14
)

// BcryptLimit is the largest number of bytes of a password that bcrypt reads. It ignores
// the rest.
const BcryptLimit = 72

// Params determine the cost of a hash and the number of concurrent hashes. They are
// fixed numbers instead of argon2id.DefaultParams, which depends on the number of
// cores, so that all machines agree which hashes are stale.
type Params struct {
	Memory      uint32 // KiB for one hash, at most 262144; default 19456, OWASP's first choice
	Iterations  uint32 // passes over the memory, at most 16; default 2
	Parallelism uint8  // threads of one hash, at most 16; default 1

	// Bcrypt makes new hashes bcrypt, like those of the NestJS original, which can read no
	// others. No hash is stale then.
	Bcrypt bool

	Concurrent  int           // concurrent hashes; default: as many as Cores and MemoryLimit allow, at least 1
	Cores       int           // that the process may use; default GOMAXPROCS
	MemoryLimit int64         // bytes that the process may use; default no limit
	MaxWait     time.Duration // for a turn; default 5s

	// Command is the command line of a process that calls [ServeHashes] with its
	// standard input and output. The Hasher starts as many as hashes run at once, and
	// ends those that are idle for 10 s. By default this process computes the hashes.
	Command []string

	// Observe gets each wait for a turn, for metrics; default none. It must not block.
	Observe func(HashWait)

	// Warn gets the reason, without secrets, if a process fails or cannot be started. It
	// must not call the Hasher.
	Warn func(error)
}

func (p Params) withDefaults() Params {
	if p.Memory == 0 {
		p.Memory = 19 << 10
	}
	if p.Iterations == 0 {
		p.Iterations = 2
	}
	if p.Parallelism == 0 {
		p.Parallelism = 1
	}
	if p.Cores == 0 {
		p.Cores = runtime.GOMAXPROCS(0) // unlike NumCPU, it respects a container's limit
	}
	if p.Concurrent == 0 {
		p.Concurrent = p.concurrent()
	}
	if p.MaxWait == 0 {
		p.MaxWait = 5 * time.Second
	}
	if p.Observe == nil {
		p.Observe = func(HashWait) {}
	}
	if p.Warn == nil {
		p.Warn = func(error) {}
	}
	return p
}

// memoryOfRest is the memory that the rest of the process needs, in bytes.
const memoryOfRest = 64 << 20

// concurrent returns how many hashes cores and memory allow at once. One core in eight,
// and at least one of several, stays free for everything else: the server must answer
// ConnectyCube's callbacks while logins wait.
func (p Params) concurrent() int {
	most := p.Cores
	if p.Cores > 1 {
		most -= max(1, p.Cores/8)
	}
	most /= int(p.Parallelism)
	if p.MemoryLimit > 0 {
		most = min(most, int((p.MemoryLimit-memoryOfRest)/p.memoryOfHash()))
	}
	return max(1, most)
}

// memoryOfHash returns the memory that a running hash needs, in bytes.
func (p Params) memoryOfHash() int64 {
	memory := int64(p.Memory) << 10
	if len(p.Command) > 0 {
		memory += processMemory
	}
	return memory
}

func (p Params) check() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(affordable(p.argon2id()), "argon2id m=%d KiB t=%d p=%d is out of bounds, want m from 8×p to %d, t to %d, p to %d",
		p.Memory, p.Iterations, p.Parallelism, maxMemory, maxIterations, maxParallelism)
	require(p.Concurrent > 0, "hashes at once is %d, want at least 1", p.Concurrent)
	require(p.MaxWait > 0, "wait for a hash is %v, want more than 0", p.MaxWait)
	return errors.Join(errs...)
}

func (p Params) argon2id() *argon2id.Params {
	return &argon2id.Params{
		Memory: p.Memory, Iterations: p.Iterations, Parallelism: p.Parallelism,
		SaltLength: 16, KeyLength: 32, // bytes, as RFC 9106 recommends
	}
}

// affordable reports whether a hash with these parameters may be computed.
func affordable(p *argon2id.Params) bool {
	return p.Iterations >= 1 && p.Iterations <= maxIterations &&
		p.Parallelism >= 1 && p.Parallelism <= maxParallelism &&
		p.Memory >= 8*uint32(p.Parallelism) && p.Memory <= maxMemory &&
		p.SaltLength >= minSalt && p.KeyLength >= minKey && p.KeyLength <= maxKey
}

// A Hasher hashes and compares passwords, a bounded number at once. It is safe
// for concurrent use.
//
// It takes passwords exactly as they are: not trimmed, not case-folded, not normalized.
// The callers normalize them; see [PasswordForms].
type Hasher struct {
	params    *argon2id.Params
	bcrypt    bool   // kind of new hashes; else argon2id
	dummyHash string // of no password, for comparisons without a stored hash
	queue     *hashQueue
	decoys    atomic.Pointer[decoys] // nil: all decoys are of the kind of new hashes
	computer  hashComputer

	processMemory int64 // bytes
}

// ProcessMemory returns how many bytes the processes of Params.Command need at most.
func (h *Hasher) ProcessMemory() int64 { return h.processMemory }

// NewHasher returns a Hasher, or all errors in p. It computes no hash and starts no process.
// The caller must close a Hasher with Params.Command.
func NewHasher(p Params) (*Hasher, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return nil, err
	}
	h := &Hasher{params: p.argon2id(), bcrypt: p.Bcrypt, computer: thisProcess{}, dummyHash: unmatched(*p.argon2id(), p.Bcrypt)}
	if len(p.Command) > 0 {
		h.computer = newHashProcesses(p)
		h.processMemory = int64(p.Concurrent) * p.memoryOfHash()
	}
	h.queue = newHashQueue(p.Concurrent, p.MaxWait, p.expectedTime())
	h.queue.observe = p.Observe
	return h, nil
}

// Close ends the processes of Params.Command. It waits for running hashes until ctx
// ends, and then makes them fail. Later hashes fail, too.
func (h *Hasher) Close(ctx context.Context) { h.computer.close(ctx) }

// Announce tells the queue that a client is about to look up an account for
// [Hasher.Compare]. It returns a [QueueError] if the queue would probably refuse the
// client, which saves the look-up. Call the returned function once, before Compare or
// instead of it.
func (h *Hasher) Announce(t Turn) (arrived func(), err error) {
	arrived, err = h.queue.arrive(t)
	if err != nil {
		h.queue.observe(HashWait{Class: t.Class, Err: err})
	}
	return arrived, err
}

// Hash returns a hash of password in the usual text form, at most about 100 characters.
// It waits in the lane of t. It returns [ErrTooLong] for a password that bcrypt would
// cut, a [QueueError] if its turn does not come, and the error of ctx if ctx ends first.
// A running hash is not interrupted.
func (h *Hasher) Hash(ctx context.Context, t Turn, password string) (string, error) {
	if h.bcrypt && len(password) > BcryptLimit {
		return "", ErrTooLong
	}
	var hash string
	var err error
	if busy := h.queue.do(ctx, t, func() { hash, err = h.create(password) }); busy != nil {
		return "", busy
	}
	return hash, err
}

func (h *Hasher) create(password string) (string, error) {
	r, err := h.computer.compute(hashTask{Password: []byte(password), Params: *h.params, Bcrypt: h.bcrypt})
	if err != nil {
		return "", fmt.Errorf("hashing password: %w", err)
	}
	return r.Made, nil
}

// Compare checks password against a stored hash, argon2id or the original's bcrypt. It
// returns a nil error for a match; stale then means that the caller should replace the
// hash. The error wraps ErrWrongPassword for a mismatch, and also ErrBadHash if the
// hash itself is unusable. The turn and the other errors are those of Hash.
//
// An empty hash costs as much time as any other and gives the same error, so that a
// client cannot distinguish a user without a password from a wrong password. If there
// is no user, compare with a Decoy.
func (h *Hasher) Compare(ctx context.Context, t Turn, password, hash string) (stale bool, err error) {
	busy := h.queue.do(ctx, t, func() { stale, err = h.compare(password, hash) })
	if busy != nil {
		return false, busy
	}
	return stale, err
}

func (h *Hasher) compare(password, hash string) (stale bool, err error) {
	switch {
	case hash == "":
		err = ErrWrongPassword
	case len(hash) > maxHash:
		err = badHash("too long")
	case strings.HasPrefix(hash, argon2idPrefix):
		stale, err = h.compareArgon2id(password, hash)
	case isBcrypt(hash):
		stale, err = h.compareBcrypt(password, hash)
	default:
		err = badHash("neither argon2id nor bcrypt")
	}
	if hash == "" || errors.Is(err, ErrBadHash) { // nothing was computed yet: spend the time of a real comparison
		if err := h.match(password, h.dummyHash); !errors.Is(err, ErrWrongPassword) {
			return false, fmt.Errorf("comparing with the dummy hash: %w", err)
		}
	}
	return stale, err
}

func (h *Hasher) compareArgon2id(password, hash string) (stale bool, err error) {
	p, _, _, err := argon2id.DecodeHash(hash)
	if err != nil {
		return false, badHash("not in the form of argon2id")
	}
	if !affordable(p) {
		return false, badHash("parameters are out of bounds")
	}
	err = h.match(password, hash)
	return err == nil && !h.bcrypt && *p != *h.params, err
}

// compareBcrypt reports a match as stale unless password is longer than bcrypt's limit:
// the first 72 bytes admit anyone who knows them, and a new hash would make the rest
// that was typed today the right one.
func (h *Hasher) compareBcrypt(password, hash string) (stale bool, err error) {
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || len(hash) != 60 {
		return false, badHash("not in the form of bcrypt")
	}
	if cost > maxBcryptCost {
		return false, badHash("cost is out of bounds")
	}
	err = h.match(password, hash)
	return err == nil && !h.bcrypt && !IsTruncated(password, hash), err
}

// match returns nil if hash is that of password. The error wraps ErrWrongPassword and
// ErrBadHash as that of Compare does.
func (h *Hasher) match(password, hash string) error {
	r, err := h.computer.compute(hashTask{Password: []byte(password), Stored: hash})
	switch {
	case err != nil:
		return fmt.Errorf("comparing password: %w", err)
	case r.Unusable:
		return badHash("not in the form that its prefix names")
	case !r.Match:
		return ErrWrongPassword
	}
	return nil
}

// IsTruncated reports whether a hash is bcrypt's of only the beginning of a password.
// Such a hash must not be replaced.
func IsTruncated(password, hash string) bool {
	return isBcrypt(hash) && len(password) > BcryptLimit
}

func isBcrypt(hash string) bool {
	return strings.HasPrefix(hash, "$2a$") || strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$")
}

// badHash returns an error that quotes neither the hash nor the libraries' errors,
// which contain it.
func badHash(reason string) error {
	return fmt.Errorf("%w: %w: %s", ErrWrongPassword, ErrBadHash, reason)
}

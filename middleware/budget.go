package middleware

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// tokenEpsilon is the part of a token that may be missing: tokens are floating-point
// numbers, and a client that returns exactly when it was told must not be refused for a
// billionth.
const tokenEpsilon = 1e-6

// A Budget is a set of token buckets: each key may spend burst tokens at once, and one
// more after each interval every. An attempt takes its token before its work starts and
// returns it if the attempt does not count, such as a correct password. So concurrent
// attempts cannot spend more than there is, and no key is ever in debt.
//
// A Budget holds a fixed number of keys and drops the least recently used one. To make
// it drop a key early, a client must spend tokens of as many other keys. Keys are
// stored as hashes, which have one length and do not list who logged in. A Budget is
// safe for concurrent use and knows nothing of HTTP.
type Budget struct {
	every time.Duration
	burst int

	mu      sync.Mutex
	buckets *simplelru.LRU[[sha256.Size]byte, *rate.Limiter]
}

// NewBudget returns a Budget for at most keys keys, of about 300 bytes each. All
// arguments must be positive.
func NewBudget(every time.Duration, burst, keys int) (*Budget, error) {
	if every <= 0 || burst <= 0 || keys <= 0 {
		return nil, fmt.Errorf("budget of %d in %v for %d keys, want all positive", burst, every, keys)
	}
	buckets, err := simplelru.NewLRU[[sha256.Size]byte, *rate.Limiter](keys, nil)
	if err != nil {
		return nil, fmt.Errorf("creating budget: %w", err)
	}
	return &Budget{every: every, burst: burst, buckets: buckets}, nil
}

// Check returns the time until the key has a token, 0 if it has one. It takes none.
func (b *Budget) Check(key string) time.Duration {
	id := sha256.Sum256([]byte(key))
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, known := b.buckets.Get(id)
	if !known {
		return 0
	}
	return b.wait(bucket.TokensAt(time.Now()))
}

// Take takes a token of the key, or returns the time until there is one.
func (b *Budget) Take(key string) time.Duration {
	id := sha256.Sum256([]byte(key))
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, known := b.buckets.Get(id)
	if !known {
		bucket = rate.NewLimiter(rate.Every(b.every), b.burst)
		b.buckets.Add(id, bucket)
	}
	now := time.Now()
	if wait := b.wait(bucket.TokensAt(now)); wait > 0 {
		return wait
	}
	bucket.ReserveN(now, 1)
	return 0
}

// Return returns a token that Take took. A bucket never holds more than burst tokens. A full
// one is forgotten, because it is the same as none: attempts that do not count, such as
// correct passwords from many networks, drop no other key.
func (b *Budget) Return(key string) {
	id := sha256.Sum256([]byte(key))
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, known := b.buckets.Get(id)
	if !known {
		return
	}
	now := time.Now()
	bucket.AllowN(now, -1)
	if bucket.TokensAt(now) > float64(b.burst)-tokenEpsilon {
		b.buckets.Remove(id)
	}
}

func (b *Budget) wait(tokens float64) time.Duration {
	if tokens >= 1-tokenEpsilon {
		return 0
	}
	return max(time.Nanosecond, time.Duration((1-tokens)*float64(b.every)))
}

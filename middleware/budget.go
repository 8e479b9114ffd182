package middleware

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// tokenEpsilon is the part of a token that may be missing: tokens are computed
// in floating point, and a client that comes back exactly when told to must not
// be a billionth short.
const tokenEpsilon = 1e-6

// A Budget bounds what each key may spend: burst tokens at once, and one more
// after every. A try takes its token before its work begins and returns it if
// it was none of those that the budget is for, such as a right password. So
// tries that run side by side cannot spend more than there is, and no key is
// ever in debt.
//
// It has room for a fixed number of keys and forgets the one not seen for the
// longest time. To be forgotten early costs as many tokens of other keys as
// there is room for. Keys are kept as hashes: of one length, and no list of who
// logged in. A Budget is safe for concurrent use, and knows nothing of HTTP.
type Budget struct {
	every time.Duration
	burst int

	mu      sync.Mutex
	buckets *simplelru.LRU[[sha256.Size]byte, *rate.Limiter]
}

// NewBudget returns a Budget with room for so many keys, of about 300 bytes
// each. All three arguments must be positive.
func NewBudget(every time.Duration, burst, keys int) (*Budget, error) {
	if every <= 0 || burst <= 0 || keys <= 0 {
		return nil, fmt.Errorf("budget of %d in %v for %d keys, want all positive", burst, every, keys)
	}
	buckets, err := simplelru.NewLRU[[sha256.Size]byte, *rate.Limiter](keys, nil)
	if err != nil {
		return nil, fmt.Errorf("making budget: %w", err)
	}
	return &Budget{every: every, burst: burst, buckets: buckets}, nil
}

// Check returns after how long the key has a token; 0 when it has one now. It
// spends nothing.
func (b *Budget) Check(key string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, known := b.buckets.Get(sha256.Sum256([]byte(key)))
	if !known {
		return 0
	}
	return b.wait(bucket.TokensAt(time.Now()))
}

// Take takes a token of the key, or returns after how long there is one.
func (b *Budget) Take(key string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := sha256.Sum256([]byte(key))
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

// Return gives back a token that Take took. The bucket never holds more than
// its burst.
func (b *Budget) Return(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bucket, known := b.buckets.Get(sha256.Sum256([]byte(key))); known {
		bucket.AllowN(time.Now(), -1)
	}
}

func (b *Budget) wait(tokens float64) time.Duration {
	if tokens >= 1-tokenEpsilon {
		return 0
	}
	return max(time.Nanosecond, time.Duration((1-tokens)*float64(b.every)))
}

package middleware

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// debtFactor bounds how far a key may go into debt: this many times its burst.
	debtFactor = 10

	// nearly is what counts as a whole token: they are computed in floating
	// point, and who comes back exactly when told to must not be a billionth short.
	nearly = 1 - 1e-6
)

// A Limiter counts failures by key: an address, an account, or both. Each key
// may fail burst times, and then once again after every. Only failures are
// spent, so those who get in are never slowed down.
//
// It has room for a fixed number of keys and forgets the one not seen for the
// longest time. To be forgotten early costs as many failures under other keys as
// there is room for. Keys are kept as hashes: of one length, and no list of who
// signed in. A Limiter is safe for concurrent use, and knows nothing of HTTP.
type Limiter struct {
	every time.Duration
	burst int

	mu      sync.Mutex
	buckets *simplelru.LRU[[sha256.Size]byte, *rate.Limiter]
}

// NewLimiter returns a Limiter with room for so many keys, of about 300 bytes
// each. All three arguments must be positive.
func NewLimiter(every time.Duration, burst, keys int) (*Limiter, error) {
	if every <= 0 || burst <= 0 || keys <= 0 {
		return nil, fmt.Errorf("limiter of %d in %v for %d keys, want all positive", burst, every, keys)
	}
	buckets, err := simplelru.NewLRU[[sha256.Size]byte, *rate.Limiter](keys, nil)
	if err != nil {
		return nil, fmt.Errorf("making limiter: %w", err)
	}
	return &Limiter{every: every, burst: burst, buckets: buckets}, nil
}

// Allow reports whether key may try again, and if not, after how long it may. It
// is a look and spends nothing, so that a try which fails for another reason
// costs its maker nothing.
//
// Tries that run side by side may all be allowed by the last token. Their
// failures are owed, within the bound that Spend sets, so that guessing in
// parallel gains a head start rather than a higher rate.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, known := l.buckets.Get(sha256.Sum256([]byte(key)))
	if !known {
		return true, 0
	}
	tokens := bucket.TokensAt(time.Now())
	if tokens >= nearly {
		return true, 0
	}
	return false, time.Duration((1 - tokens) * float64(l.every))
}

// Spend takes one token of key, for a try that failed. A key with none left goes
// into debt, ten times its burst at most: a rush of guesses must not lock an
// account's owner out for hours.
func (l *Limiter) Spend(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := sha256.Sum256([]byte(key))
	bucket, known := l.buckets.Get(id)
	if !known {
		bucket = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.buckets.Add(id, bucket)
	}
	now := time.Now()
	if bucket.TokensAt(now)-1 >= -float64(debtFactor*l.burst) {
		bucket.ReserveN(now, 1)
	}
}

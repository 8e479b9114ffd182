package provisioning

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// maxNetworks is for how many networks the budget remembers the place in line. A
	// network that it has forgotten starts again like a new one. An entry takes about
	// 200 bytes.
	maxNetworks = 10_000

	// outerShares is how many turns an outer network, the /48 of an IPv6 address, gets
	// for one turn of a single network. One /64 then hardly delays the others of its
	// /48, and the 65,536 of them together delay other networks by this many turns.
	outerShares = 4

	// shortestWait is the least time to wait for a token. Tokens are computed in
	// floating point, so a wait may come out as zero with a billionth of a token missing.
	shortestWait = time.Millisecond
)

// SignUpBudget bounds how many accounts one process signs up at ConnectyCube. Each
// account takes a token from a bucket. If there is none, the account waits in a line in
// the database, and the worker signs it up with a later token.
//
// The line is ordered by start-time fair queueing (Goyal, Vin, Cheng, "Start-time Fair
// Queueing", SIGCOMM 1996): the networks that accounts come from take turns, so the flood
// of one delays the account of another by one turn. A turn is a virtual time. While the
// line is empty, virtual time follows the clock; otherwise it is the turn of the account
// that was served last.
//
// While accounts wait, the tokens belong to the worker. A request takes one only if the
// bucket is full, because the worker is too slow then and the token would be lost.
//
// A nil SignUpBudget has no limit. A SignUpBudget is safe for concurrent use.
type SignUpBudget struct {
	networks func(context.Context) []string
	every    time.Duration // from one token to the next

	mu      sync.Mutex
	bucket  *rate.Limiter
	unused  int       // tokens that were taken from the bucket and returned
	waiting bool      // accounts wait in line, as far as this process knows
	waited  int       // accounts that were put in line by this process
	virtual time.Time // turn of the account that was served last, or the time if the line is empty
	turns   *simplelru.LRU[string, time.Time]
}

// NewSignUpBudget returns a budget of perMinute accounts, of which burst, at least 1, may
// be signed up at once. If perMinute is not positive, there is no limit and the budget is
// nil.
// networks returns the networks of the client that a request comes from, the outermost
// first; it returns the same for all work without a client.
func NewSignUpBudget(perMinute, burst int, networks func(context.Context) []string) *SignUpBudget {
	if perMinute <= 0 {
		return nil
	}
	turns, err := simplelru.NewLRU[string, time.Time](maxNetworks, nil)
	if err != nil {
		panic("LRU of a constant size: " + err.Error())
	}
	every := time.Minute / time.Duration(perMinute)
	return &SignUpBudget{
		networks: networks, every: every, bucket: rate.NewLimiter(rate.Every(every), max(burst, 1)), turns: turns,
		virtual: time.Now(),
	}
}

// OverBudgetError means that the account must wait, because the budget is spent. It is a
// case of [ErrPending].
type OverBudgetError struct {
	RetryAfter time.Duration // until there is another token
}

func (e *OverBudgetError) Error() string { return "no sign-up at ConnectyCube is left in the budget" }

// Unwrap returns [ErrPending].
func (e *OverBudgetError) Unwrap() error { return ErrPending }

func isOverBudget(err error) bool {
	_, is := errors.AsType[*OverBudgetError](err)
	return is
}

// take takes a token for an account that a request signs up. The error is an
// [OverBudgetError] if the account must wait in line.
func (b *SignUpBudget) take(ctx context.Context) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	full := max(b.bucket.Burst(), 2) // a bucket of 1 is full before the worker sees it
	if b.waiting && b.bucket.TokensAt(now) < float64(full) {
		return &OverBudgetError{RetryAfter: b.every}
	}
	if err := b.draw(now); err != nil {
		return err
	}
	b.charge(ctx, now)
	return nil
}

// takeForLine takes a token for the first account in line. Without one it returns an
// [OverBudgetError].
func (b *SignUpBudget) takeForLine() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.draw(time.Now())
}

// draw takes a token if there is one. The caller holds mu.
func (b *SignUpBudget) draw(now time.Time) error {
	// Together they are never more than the bucket holds.
	b.unused = min(b.unused, b.bucket.Burst()-int(b.bucket.TokensAt(now)))
	if b.unused > 0 {
		b.unused--
		return nil
	}
	if b.bucket.AllowN(now, 1) {
		return nil
	}
	missing := 1 - b.bucket.TokensAt(now)
	return &OverBudgetError{RetryAfter: max(time.Duration(missing*float64(b.every)), shortestWait)}
}

// giveBack returns a token that was not used.
func (b *SignUpBudget) giveBack() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unused = min(b.unused+1, b.bucket.Burst())
}

// turn returns the turn of an account that must wait.
func (b *SignUpBudget) turn(ctx context.Context) time.Time {
	if b == nil {
		return time.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.charge(ctx, time.Now())
}

// charge counts an account for the networks it comes from, and returns its turn. The
// caller holds mu.
func (b *SignUpBudget) charge(ctx context.Context, now time.Time) time.Time {
	if !b.waiting {
		b.virtual = later(b.virtual, now)
	}
	turn := b.virtual
	networks := b.networks(ctx)
	for i, network := range networks {
		start, _ := b.turns.Get(network)
		start = later(start, b.virtual)
		turn = later(turn, start)
		share := b.every
		if i < len(networks)-1 {
			share /= outerShares
		}
		b.turns.Add(network, start.Add(share))
	}
	return turn
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// stands records that an account has joined the line, and reports whether the worker does
// not expect one.
func (b *SignUpBudget) stands() (unexpected bool) {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	unexpected = !b.waiting
	b.waiting, b.waited = true, b.waited+1
	return unexpected
}

// expects reports whether accounts may stand in line, and how many this process has put
// there since it started.
func (b *SignUpBudget) expects() (yes bool, standing int) {
	if b == nil {
		return true, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting, b.waited
}

// serves records that the account with this turn has left the line. If none was expected,
// another process has put it there, maybe long ago, and the accounts behind it have turns
// close to its own.
func (b *SignUpBudget) serves(turn time.Time) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting {
		turn = later(b.virtual, turn)
	}
	b.waiting, b.virtual = true, turn
}

// empties records that the line was found empty after expects returned this number.
func (b *SignUpBudget) empties(standing int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waited == standing {
		b.waiting, b.virtual = false, later(b.virtual, time.Now())
	}
}

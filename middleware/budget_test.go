package middleware_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/middleware"
)

func newBudget(t testing.TB, every time.Duration, burst, keys int) *middleware.Budget {
	t.Helper()
	b, err := middleware.NewBudget(every, burst, keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBudgetRefillsAfterTheReturnedTime(t *testing.T) {
	for i := range 400 {
		every := time.Duration(i+1) * 137 * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(t, every, 3, 10)
			for range 3 {
				if wait := b.Check("ada"); wait != 0 {
					t.Fatalf("Check = %v before the budget is spent", wait)
				}
				if wait := b.Take("ada"); wait != 0 {
					t.Fatalf("Take = %v before the budget is spent", wait)
				}
			}
			wait := b.Take("ada")
			if wait <= 0 || wait > every || b.Check("ada") != wait {
				t.Fatalf("spent: Take = %v, Check = %v, want up to %v", wait, b.Check("ada"), every)
			}
			if wait := b.Check("bob"); wait != 0 {
				t.Error("another key is spent, too")
			}
			time.Sleep(wait - wait/100)
			if b.Check("ada") == 0 {
				t.Error("refilled before the returned time")
			}
			time.Sleep(wait / 100)
			if again := b.Take("ada"); again != 0 {
				t.Errorf("after the returned time: %v more", again)
			}
			if b.Take("ada") == 0 {
				t.Error("one wait gives more than one token")
			}
		})
	}
}

func TestBudgetReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, time.Hour, 2, 10)
		for range 1000 { // a correct password costs nothing
			if wait := b.Take("ada"); wait != 0 {
				t.Fatalf("Take = %v", wait)
			}
			b.Return("ada")
		}
		b.Return("ada")
		b.Return("unknown")
		b.Take("ada")
		b.Take("ada")
		if b.Take("ada") == 0 {
			t.Error("returned tokens exceed the burst")
		}
	})
}

// Concurrent attempts cannot spend more than there is, and leave no debt.
func TestBudgetHasNoDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, time.Second, 30, 10)
		var taken atomic.Int64
		var all sync.WaitGroup
		for range 190 {
			all.Go(func() {
				if b.Take("shared") == 0 {
					taken.Add(1)
				}
			})
		}
		all.Wait()
		if taken.Load() != 30 {
			t.Errorf("%d of 30 tokens were taken", taken.Load())
		}
		if wait := b.Check("shared"); wait > time.Second {
			t.Errorf("the next token comes in %v, want a second at most", wait)
		}
	})
}

func TestBudgetNeverExceedsItsBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, time.Second, 2, 10)
		b.Take("ada")
		time.Sleep(24 * time.Hour)
		b.Take("ada")
		b.Take("ada")
		if b.Check("ada") == 0 {
			t.Error("tokens of a quiet day exceed the burst")
		}
	})
}

func TestBudgetDropsTheLeastRecentlyUsedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, time.Hour, 1, 100)
		b.Take("victim")
		for i := range 99 {
			b.Take(fmt.Sprint("other", i))
		}
		if b.Check("victim") == 0 { // a Check counts as a use
			t.Fatal("dropped although there was room")
		}
		b.Take("one more")
		if b.Check("victim") == 0 {
			t.Error("the key of the last Check was dropped")
		}
		if b.Check("other0") != 0 {
			t.Error("the oldest key was kept: the budget grows")
		}
	})
}

// Correct passwords return their token. However many keys have them, a spent key stays spent.
func TestReturnedTokensDropNoOtherKey(t *testing.T) {
	b := newBudget(t, time.Hour, 1, 10)
	b.Take("spent")
	for i := range 1000 {
		key := fmt.Sprint("correct ", i)
		b.Take(key)
		b.Return(key)
	}
	if b.Check("spent") == 0 {
		t.Error("a spent key has a token again")
	}
}

func TestBudgetDistinguishesLongKeys(t *testing.T) {
	b := newBudget(t, time.Hour, 1, 10)
	long := strings.Repeat("a", 1<<20)
	b.Take(long + "x")
	if b.Check(long+"x") == 0 {
		t.Error("a long key is not counted")
	}
	if b.Check(long+"y") != 0 {
		t.Error("keys are distinguished by their beginning only")
	}
}

func TestNewBudgetRefusesBadArguments(t *testing.T) {
	for _, a := range []struct {
		every       time.Duration
		burst, keys int
	}{{0, 1, 1}, {-1, 1, 1}, {1, 0, 1}, {1, 1, 0}, {1, -1, 1}, {1, 1, -1}} {
		if _, err := middleware.NewBudget(a.every, a.burst, a.keys); err == nil {
			t.Errorf("NewBudget(%v) succeeds", a)
		}
	}
}

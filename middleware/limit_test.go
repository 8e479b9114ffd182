package middleware_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/middleware"
)

func newLimiter(t testing.TB, every time.Duration, burst, keys int) *middleware.Limiter {
	t.Helper()
	l, err := middleware.NewLimiter(every, burst, keys)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func spend(l *middleware.Limiter, key string, times int) {
	for range times {
		l.Spend(key)
	}
}

func TestLimiterBlocksAfterTooManyFailures(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 6 * time.Second, 7 * time.Second, time.Minute, 10 * time.Millisecond} {
		t.Run(every.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, every, 3, 10)
				for i := range 3 {
					if ok, wait := l.Allow("ada"); !ok || wait != 0 {
						t.Fatalf("before failure %d: Allow = %v, %v", i+1, ok, wait)
					}
					l.Spend("ada")
				}
				ok, wait := l.Allow("ada")
				if ok || wait <= 0 || wait > every {
					t.Fatalf("after 3 failures: Allow = %v, %v, want a wait of up to %v", ok, wait, every)
				}
				if ok, _ := l.Allow("bob"); !ok {
					t.Error("another key is blocked too")
				}
				time.Sleep(wait - wait/100)
				if ok, _ := l.Allow("ada"); ok {
					t.Error("allowed before the time told")
				}
				time.Sleep(wait / 100)
				if ok, again := l.Allow("ada"); !ok {
					t.Errorf("at the time told: still blocked for %v", again)
				}
				l.Spend("ada")
				if ok, _ := l.Allow("ada"); ok {
					t.Error("one wait gives more than one try")
				}
			})
		})
	}
}

// Tokens are computed in floating point; with some rates the sum at the time told
// comes out a billionth short of one.
func TestLimiterAllowsAtTheTimeItTold(t *testing.T) {
	for i := range 400 {
		synctest.Test(t, func(t *testing.T) {
			every := time.Duration(i+1) * 137 * time.Millisecond
			l := newLimiter(t, every, 3, 10)
			spend(l, "ada", 5)
			_, wait := l.Allow("ada")
			time.Sleep(wait)
			if ok, again := l.Allow("ada"); !ok {
				t.Errorf("every %v: back after %v, blocked for %v more", every, wait, again)
			}
		})
	}
}

func TestLimiterLookingIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, time.Hour, 1, 10)
		for range 1000 {
			if ok, _ := l.Allow("ada"); !ok {
				t.Fatal("looking spends")
			}
		}
	})
}

// A hundred guesses sent at once all pass the look before the first has failed.
// What they spend beyond the burst is owed, so that the rate in the long run is
// the same; but only so much, since the account's owner waits too.
func TestLimiterParallelFailuresAreOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 2
		l := newLimiter(t, time.Second, burst, 10)
		spend(l, "some", burst+5)
		if ok, wait := l.Allow("some"); ok || wait.Round(time.Millisecond) != 6*time.Second {
			t.Errorf("5 in debt: Allow = %v, %v, want 6s", ok, wait)
		}
		spend(l, "rush", 100_000)
		if ok, wait := l.Allow("rush"); ok || wait.Round(time.Millisecond) != (10*burst+1)*time.Second {
			t.Errorf("after a rush: Allow = %v, %v, want %ds", ok, wait, 10*burst+1)
		}
	})
}

func TestLimiterNeverSavesUpMoreThanItsBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, time.Second, 2, 10)
		l.Spend("ada")
		time.Sleep(24 * time.Hour)
		spend(l, "ada", 2)
		if ok, _ := l.Allow("ada"); ok {
			t.Error("a quiet day saved up tokens")
		}
	})
}

func TestLimiterForgetsTheKeyNotSeenForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, time.Hour, 1, 100)
		l.Spend("victim")
		for i := range 99 {
			l.Spend(fmt.Sprint("other", i))
		}
		if ok, _ := l.Allow("victim"); ok { // and looking is being seen
			t.Fatal("forgotten while there was room")
		}
		l.Spend("one more")
		if ok, _ := l.Allow("victim"); ok {
			t.Error("the key just looked at was forgotten")
		}
		if ok, _ := l.Allow("other0"); !ok {
			t.Error("the oldest key was kept: the limiter grows")
		}
	})
}

func TestLimiterTellsLongKeysApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, time.Hour, 1, 10)
		long := strings.Repeat("a", 1<<20)
		l.Spend(long + "x")
		if ok, _ := l.Allow(long + "x"); ok {
			t.Error("a long key is not counted")
		}
		if ok, _ := l.Allow(long + "y"); !ok {
			t.Error("keys are told apart by their beginning only")
		}
	})
}

func TestLimiterServesManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, small := newLimiter(t, time.Second, 50, 8), newLimiter(t, time.Second, 50, 8)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				for j := range 20 {
					l.Spend("shared")
					small.Spend(fmt.Sprint(i, j))
					l.Allow("shared")
				}
			})
		}
		all.Wait()
		// 1000 spent of 50: at the bound of its debt, with not one lost on the way.
		if ok, wait := l.Allow("shared"); ok || wait.Round(time.Millisecond) != 501*time.Second {
			t.Errorf("Allow = %v, %v, want 501s", ok, wait)
		}
	})
}

func TestLimiterRefusesArgumentsThatAreNot(t *testing.T) {
	for _, a := range []struct {
		every       time.Duration
		burst, keys int
	}{{0, 1, 1}, {-1, 1, 1}, {1, 0, 1}, {1, 1, 0}, {1, -1, 1}, {1, 1, -1}} {
		if _, err := middleware.NewLimiter(a.every, a.burst, a.keys); err == nil {
			t.Errorf("NewLimiter(%v) succeeds", a)
		}
	}
}

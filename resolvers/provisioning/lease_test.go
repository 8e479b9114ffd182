package provisioning

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

func TestRetryAfterIsHonored(t *testing.T) {
	f := newFixture(t)
	busy := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "90")
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	f.away.Store(&busy)
	begun := time.Now()
	user, err := f.register(t, "ada@x.org", password)
	if !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	a := f.read(t, user.ID).Account
	if !dueAfter(a, begun, 90*time.Second) || a.Lease != "" || a.LastError != "ConnectyCube does not answer" {
		t.Errorf("due in %v, %+v; want 90s", time.Until(a.Due), a)
	}
}

// dueAfter reports whether work is due a delay after a moment between begun and now. The
// database keeps whole milliseconds.
func dueAfter(a store.Account, begun time.Time, delay time.Duration) bool {
	return !a.Due.Before(begun.Add(delay-time.Millisecond)) && !a.Due.After(time.Now().Add(delay))
}

func TestBackOffGrowsAndIsBounded(t *testing.T) {
	for attempts, most := range map[int]time.Duration{-1: time.Second, 0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 9: 512 * time.Second, 10: store.MaxBackOff, 1000: store.MaxBackOff} {
		seen := map[time.Duration]bool{}
		for range 50 {
			d := backOff(attempts, errors.New("x"))
			if seen[d] = true; d < most/2 || d > most {
				t.Fatalf("after %d attempts %v, want %v to %v", attempts, d, most/2, most)
			}
		}
		if len(seen) < 10 {
			t.Errorf("after %d attempts there are %d different delays", attempts, len(seen))
		}
	}
}

func TestAcquireWaitsForTheLease(t *testing.T) {
	for name, tt := range map[string]struct {
		held int
		want error
	}{
		"it is free":                      {0, nil},
		"it is returned after a moment":   {acquireTries - 1, nil},
		"another reconciliation keeps it": {acquireTries, errLeaseHeld},
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newUnit(t)
			u.queue.user, u.accounts.user, u.queue.held = newUser(), newUser(), tt.held
			if _, err := u.acquire(t.Context(), newUser(), LoginMethod{}); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
		})
	}
}

// The lease of a user who has another password by now, or is being deleted, is returned.
func TestAcquireRefusesAChangedUser(t *testing.T) {
	for name, edit := range map[string]func(*store.User){
		"another password": func(u *store.User) { u.PasswordHash = "another" },
		"deleted":          func(u *store.User) { u.Deleting = true },
	} {
		u := newUnit(t)
		u.queue.user = newUser(edit)
		_, err := u.acquire(t.Context(), newUser(), LoginMethod{})
		if !errors.Is(err, store.ErrChanged) || u.queue.completed+len(u.queue.retried) != 1 {
			t.Errorf("%s: %v, returned %d times; want %v and once", name, err, u.queue.completed+len(u.queue.retried), store.ErrChanged)
		}
	}
}

func TestReturnLease(t *testing.T) {
	for name, tt := range map[string]struct {
		err       error
		completed int
		retries   bool // by itself, else at the user's next login
	}{
		"done":                      {nil, 1, false},
		"ConnectyCube is away":      {connectycube.ErrUnavailable, 0, true},
		"waits for another account": {pending(connectycube.ErrTaken), 0, true},
		"taken":                     {connectycube.ErrTaken, 0, false},
		"needs the password":        {ErrPasswordRequired, 0, false},
	} {
		u := newUnit(t)
		if err := u.begin(newUser(), LoginMethod{}).returnLease(t.Context(), tt.err); !errors.Is(err, tt.err) || u.queue.completed != tt.completed {
			t.Errorf("%s: %v, completed %d times", name, err, u.queue.completed)
		}
		if retries := len(u.queue.due) == 1 && !u.queue.due[0].IsZero(); retries != tt.retries || len(u.queue.due) != 1-tt.completed {
			t.Errorf("%s: the next attempts are due %v", name, u.queue.due)
		}
	}
}

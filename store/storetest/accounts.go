package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"cubegate/store"

	"github.com/google/go-cmp/cmp"
)

// accounts tests the work on accounts: leases, results and the line of sign-ups.
func accounts(t *testing.T, tg Target) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"Claim leases due work once":                    claimLeasesOnce,
		"Acquire refuses a leased account":              acquireRefusesLeased,
		"Save stores the account":                       saveStoresAccount,
		"a lost lease writes nothing":                   lostLeaseWritesNothing,
		"Complete ends the work":                        completeEndsWork,
		"Complete of an old version makes the work due": completeOfOldVersion,
		"Retry sets the time or waits for the user":     retrySetsTimeOrWaits,
		"Remove needs the lease":                        removeNeedsLease,
		"ReleaseAll makes leased work due":              releaseAllMakesDue,
		"an account of the original can be leased":      originalCanBeLeased,
		"one of many Acquires wins":                     oneAcquireWins,
		"Complete keeps a sweep that became due again":  completeKeepsNewSweep,
		"ClaimTurn follows the turns":                   claimTurnFollowsTurns,
		"completed or waiting accounts leave the line":  accountsLeaveTheLine,
		"Backlog counts the work that waits":            backlogCountsWaiting,
		"claim outlives its context":                    claimOutlivesContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBase(t, tg).openStore(t)) })
	}
	t.Run("Backlog keeps the first time", func(t *testing.T) { backlogKeepsFirstTime(t, newBase(t, tg)) })
}

func claimLeasesOnce(t *testing.T, s *store.Store) {
	later, err := s.Users().Create(t.Context(), newUser("later@x.org"), store.Lease{ID: "l", Until: time.Now().Add(-time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Users().Create(t.Context(), newUser("first@x.org"), store.Lease{ID: "f", Until: time.Now().Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s.Users(), "leased@x.org")
	for _, want := range []string{first.ID, later.ID} {
		got, err := s.AccountWork().Claim(t.Context(), lease("worker"))
		if err != nil || got.ID != want || got.Account.Lease != "worker" || got.Account.Attempts != 1 {
			t.Errorf("claimed %s by %q after %d attempts, %v; want %s", got.ID, got.Account.Lease, got.Account.Attempts, err, want)
		}
	}
	if got, err := s.AccountWork().Claim(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a third claim: %s, %v; want %v", got.ID, err, store.ErrNotFound)
	}
}

// Work that a worker claims while it is told to stop has a holder, so that it does not wait
// until the lease ends.
func claimOutlivesContext(t *testing.T, s *store.Store) {
	made, err := s.Users().Create(t.Context(), newUser("a@x.org"), expiredLease("gone"))
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if got, err := s.AccountWork().Claim(stopped, lease("w")); err != nil || got.ID != made.ID {
		t.Errorf("claimed %q, %v; want %s", got.ID, err, made.ID)
	}
}

func acquireRefusesLeased(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if _, err := s.AccountWork().Acquire(t.Context(), made.ID, lease("other")); !errors.Is(err, store.ErrChanged) {
		t.Errorf("while it is leased: %v, want %v", err, store.ErrChanged)
	}
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "created"}, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.AccountWork().Acquire(t.Context(), made.ID, expiredLease("other")); err != nil || got.Account.Lease != "other" {
		t.Errorf("without a lease: %+v, %v", got.Account, err)
	}
	if got, err := s.AccountWork().Acquire(t.Context(), made.ID, lease("third")); err != nil || got.Account.Lease != "third" {
		t.Errorf("after the lease has expired: %+v, %v", got.Account, err)
	}
	for _, unknown := range []string{"0123456789abcdef01234567", "x"} {
		if _, err := s.AccountWork().Acquire(t.Context(), unknown, lease("x")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown user: %v, want %v", err, store.ErrNotFound)
		}
	}
}

func saveStoresAccount(t *testing.T, s *store.Store) {
	for email, cubeID := range map[string]int64{"small@x.org": 51941, "large@x.org": 1<<31 + 7} {
		made := create(t, s.Users(), email)
		if err := s.Accounts().Save(t.Context(), store.Lease{ID: "created"}, store.User{
			ID: made.ID, CubeID: cubeID, Account: store.Account{Email: "at@cube.org", Name: "Name There", PasswordKind: "derived:k"},
		}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Users().ByID(t.Context(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := store.Account{Email: "at@cube.org", Name: "Name There", PasswordKind: "derived:k", Lease: "created", Due: got.Account.Due}
		if diff := cmp.Diff(want, got.Account); diff != "" || got.CubeID != cubeID {
			t.Errorf("account %d, want %d (-want +got):\n%s", got.CubeID, cubeID, diff)
		}
	}
}

func lostLeaseWritesNothing(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	for name, err := range map[string]error{
		"Save":     s.Accounts().Save(t.Context(), store.Lease{ID: "lost"}, store.User{ID: made.ID, CubeID: 7, Account: store.Account{Email: "e", Name: "n", PasswordKind: "p"}}),
		"Complete": s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "lost"}, 0),
		"Retry":    s.AccountWork().Retry(t.Context(), made.ID, store.Lease{ID: "lost"}, time.Time{}, "p"),
		"Remove":   s.Accounts().Remove(t.Context(), made.ID, store.Lease{ID: "lost"}),
		"Wait":     s.Accounts().Wait(t.Context(), made.ID, store.Lease{ID: "lost"}, time.Now(), 0),
	} {
		if !errors.Is(err, store.ErrChanged) {
			t.Errorf("%s with a lost lease: %v, want %v", name, err, store.ErrChanged)
		}
	}
	got, err := s.Users().ByID(t.Context(), made.ID)
	if diff := cmp.Diff(made.Account.Lease, got.Account.Lease); err != nil || diff != "" || got.CubeID != 0 {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
}

func completeEndsWork(t *testing.T, s *store.Store) {
	made, err := s.Users().Create(t.Context(), newUser("a@x.org"), expiredLease("gone"))
	if err != nil {
		t.Fatal(err)
	}
	claimed, err := s.AccountWork().Claim(t.Context(), lease("w"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "w"}, claimed.Account.Version); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Users().ByID(t.Context(), made.ID); err != nil || got.Account != (store.Account{}) {
		t.Errorf("completed: %+v, %v", got.Account, err)
	}
}

func completeOfOldVersion(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if _, err := s.Users().ChangeName(t.Context(), store.NameChange{UserID: made.ID, FirstName: "New", LastName: "Name"}, lease("created")); err != nil {
		t.Fatal(err)
	}
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "created"}, made.Account.Version); err != nil {
		t.Fatal(err)
	}
	got, err := s.AccountWork().Claim(t.Context(), lease("w"))
	if err != nil || got.ID != made.ID || got.FirstName != "New" || got.Account.Version != 1 {
		t.Errorf("due: %+v, %v", got, err)
	}
}

func retrySetsTimeOrWaits(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	soon := time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)
	if err := s.AccountWork().Retry(t.Context(), made.ID, store.Lease{ID: "created"}, soon, "away"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Users().ByID(t.Context(), made.ID); err != nil || !got.Account.Due.Equal(soon) || got.Account.Lease != "" || got.Account.LastError != "away" {
		t.Errorf("later: %+v, %v", got.Account, err)
	}
	if _, err := s.AccountWork().Claim(t.Context(), lease("w")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("claimed before it is due: %v", err)
	}
	if _, err := s.AccountWork().Acquire(t.Context(), made.ID, lease("login")); err != nil {
		t.Errorf("during a back-off: %v", err)
	}
	if err := s.AccountWork().Retry(t.Context(), made.ID, store.Lease{ID: "login"}, time.Time{}, "waits"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Users().ByID(t.Context(), made.ID); err != nil || !got.Account.Due.IsZero() || got.Account.Lease != "" {
		t.Errorf("waiting: %+v, %v", got.Account, err)
	}
}

func removeNeedsLease(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if err := s.Accounts().Remove(t.Context(), made.ID, store.Lease{ID: "created"}); err != nil {
		t.Fatal(err)
	}
	if again := create(t, s.Users(), "A@x.org"); again.ID == made.ID {
		t.Error("the new user has the ID of the removed one")
	}
}

func releaseAllMakesDue(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if err := s.AccountWork().ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.AccountWork().Claim(t.Context(), lease("w")); err != nil || got.ID != made.ID {
		t.Errorf("claimed %+v, %v", got, err)
	}
}

func originalCanBeLeased(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "created"}, 0); err != nil {
		t.Fatal(err)
	}
	acquired, err := s.AccountWork().Acquire(t.Context(), made.ID, lease("login"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "login"}, acquired.Account.Version); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Users().ByID(t.Context(), made.ID); err != nil || got.Account != (store.Account{}) {
		t.Errorf("afterwards: %+v, %v", got.Account, err)
	}
}

func oneAcquireWins(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "created"}, 0); err != nil {
		t.Fatal(err)
	}
	errs := race(func(racer int) error {
		_, err := s.AccountWork().Acquire(context.Background(), made.ID, lease(string(rune('a'+racer))))
		return err
	})
	oneWinner(t, 0, errs, store.ErrChanged)
}

func completeKeepsNewSweep(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if _, err := s.Users().RemoveAllSessions(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)
	if got, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); err != nil || got.ID != made.ID {
		t.Fatalf("claimed %+v, %v", got, err)
	}
	if _, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second claim: %v, want %v", err, store.ErrNotFound)
	}
	if _, err := s.Users().RemoveAllSessions(t.Context(), made.ID); err != nil { // during the sweep
		t.Fatal(err)
	}
	if err := s.Sweeps().Complete(t.Context(), made.ID, store.Lease{Until: until}, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); err != nil || got.ID != made.ID {
		t.Errorf("due again: %+v, %v; want the same user", got.ID, err)
	}
	if err := s.Sweeps().Complete(t.Context(), made.ID, store.Lease{Until: until}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after the sweep: %v, want %v", err, store.ErrNotFound)
	}
}

package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"cubegate/store"

	"github.com/google/go-cmp/cmp"
)

// accounts asks the machine in a user's document: who may look after an
// account, and what becomes of it then.
func accounts(t *testing.T, tg Target) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"what is due is claimed by one":               dueIsClaimedByOne,
		"what is leased is not touched":               leasedIsNotTouched,
		"what is recorded comes back":                 recordedComesBack,
		"a lost lease writes nothing":                 lostLeaseWritesNothing,
		"settled, it is due no more":                  settledIsDueNoMore,
		"changed meanwhile, it is due at once":        changedMeanwhileIsDueAtOnce,
		"given back, it is due later or waits":        givenBackIsDueLaterOrWaits,
		"a user is removed by who holds it":           removedByHolder,
		"after a restart all leases are free":         restartFreesLeases,
		"an account of the original can be visited":   originalCanBeVisited,
		"one of many touches wins":                    oneTouchWins,
		"a sweep that was overtaken stays to be done": overtakenSweepStays,
		"the line is served by turn":                  lineIsServedByTurn,
		"an account leaves the line for good":         leavingTheLineIsForGood,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBase(t, tg).openStore(t)) })
	}
}

func dueIsClaimedByOne(t *testing.T, s *store.Store) {
	later, err := s.Users().Create(t.Context(), ada("later@x.org"), store.Lease{ID: "l", Until: time.Now().Add(-time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Users().Create(t.Context(), ada("first@x.org"), store.Lease{ID: "f", Until: time.Now().Add(-time.Minute)})
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
		t.Errorf("a third one: %s, %v; want %v", got.ID, err, store.ErrNotFound)
	}
}

func leasedIsNotTouched(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if _, err := s.AccountWork().Acquire(t.Context(), made.ID, lease("other")); !errors.Is(err, store.ErrChanged) {
		t.Errorf("while it is leased: %v, want %v", err, store.ErrChanged)
	}
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "created"}, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.AccountWork().Acquire(t.Context(), made.ID, run("other")); err != nil || got.Account.Lease != "other" {
		t.Errorf("when it is free: %+v, %v", got.Account, err)
	}
	if got, err := s.AccountWork().Acquire(t.Context(), made.ID, lease("third")); err != nil || got.Account.Lease != "third" {
		t.Errorf("when the lease has run out: %+v, %v", got.Account, err)
	}
	for _, nobody := range []string{"0123456789abcdef01234567", "x"} {
		if _, err := s.AccountWork().Acquire(t.Context(), nobody, lease("x")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("nobody: %v, want %v", err, store.ErrNotFound)
		}
	}
}

func recordedComesBack(t *testing.T, s *store.Store) {
	for address, cubeID := range map[string]int64{"small@x.org": 51941, "large@x.org": 1<<31 + 7} {
		made := create(t, s.Users(), address)
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

func settledIsDueNoMore(t *testing.T, s *store.Store) {
	made, err := s.Users().Create(t.Context(), ada("a@x.org"), run("gone"))
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
		t.Errorf("settled: %+v, %v", got.Account, err)
	}
}

func changedMeanwhileIsDueAtOnce(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if _, err := s.Users().ChangeName(t.Context(), made.ID, "New", "Name", lease("created")); err != nil {
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

func givenBackIsDueLaterOrWaits(t *testing.T, s *store.Store) {
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
		t.Errorf("a back-off is nobody's lease: %v", err)
	}
	if err := s.AccountWork().Retry(t.Context(), made.ID, store.Lease{ID: "login"}, time.Time{}, "waits"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Users().ByID(t.Context(), made.ID); err != nil || !got.Account.Due.IsZero() || got.Account.Lease != "" {
		t.Errorf("waiting: %+v, %v", got.Account, err)
	}
}

func removedByHolder(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if err := s.Accounts().Remove(t.Context(), made.ID, store.Lease{ID: "created"}); err != nil {
		t.Fatal(err)
	}
	if again := create(t, s.Users(), "A@x.org"); again.ID == made.ID {
		t.Error("the removed user's ID came back")
	}
}

func restartFreesLeases(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if err := s.AccountWork().ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.AccountWork().Claim(t.Context(), lease("w")); err != nil || got.ID != made.ID {
		t.Errorf("claimed %+v, %v", got, err)
	}
}

func originalCanBeVisited(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "created"}, 0); err != nil {
		t.Fatal(err)
	}
	touched, err := s.AccountWork().Acquire(t.Context(), made.ID, lease("login"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AccountWork().Complete(t.Context(), made.ID, store.Lease{ID: "login"}, touched.Account.Version); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Users().ByID(t.Context(), made.ID); err != nil || got.Account != (store.Account{}) {
		t.Errorf("after the visit: %+v, %v", got.Account, err)
	}
}

func oneTouchWins(t *testing.T, s *store.Store) {
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

func overtakenSweepStays(t *testing.T, s *store.Store) {
	made := create(t, s.Users(), "a@x.org")
	if _, err := s.Users().RemoveAllSessions(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)
	if got, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); err != nil || got.ID != made.ID {
		t.Fatalf("swept %+v, %v", got, err)
	}
	if _, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second sweeper: %v, want %v", err, store.ErrNotFound)
	}
	if _, err := s.Users().RemoveAllSessions(t.Context(), made.ID); err != nil { // while the sweep goes on
		t.Fatal(err)
	}
	if err := s.Sweeps().Complete(t.Context(), made.ID, store.Lease{Until: until}, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); err != nil || got.ID != made.ID {
		t.Errorf("after it was overtaken: %+v, %v; want the same user again", got.ID, err)
	}
	if err := s.Sweeps().Complete(t.Context(), made.ID, store.Lease{Until: until}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweeps().Claim(t.Context(), store.Lease{Until: until}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("when it is done: %v, want %v", err, store.ErrNotFound)
	}
}

package storetest

import (
	"errors"
	"testing"
	"time"

	"cubegate/store"
)

// inLine stores a user whose account waits in the line.
func inLine(t *testing.T, s *store.Store, email string, turn time.Time) store.User {
	t.Helper()
	made := create(t, s.Users(), email)
	if err := s.Accounts().Wait(t.Context(), made.ID, store.Lease{ID: "created"}, turn, 0); err != nil {
		t.Fatal(err)
	}
	return made
}

func claimTurnFollowsTurns(t *testing.T, s *store.Store) {
	now := time.Now()
	second := inLine(t, s, "second@x.org", now.Add(time.Hour)) // the turn is only an order
	first := inLine(t, s, "first@x.org", now)
	if got, err := s.AccountWork().Claim(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s is due, %v; want %v", got.ID, err, store.ErrNotFound)
	}
	for _, want := range []string{first.ID, second.ID} {
		got, err := s.Accounts().ClaimTurn(t.Context(), lease("worker"))
		if err != nil || got.ID != want || got.Account.Lease != "worker" || got.Account.Attempts != 1 || got.Account.Turn.IsZero() {
			t.Errorf("claimed %s, %+v, %v; want %s", got.ID, got.Account, err, want)
		}
	}
	if got, err := s.Accounts().ClaimTurn(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a third claim: %s, %v; want %v", got.ID, err, store.ErrNotFound)
	}
	if err := s.Accounts().Wait(t.Context(), first.ID, store.Lease{ID: "worker"}, now, 3); err != nil {
		t.Fatal(err)
	}
	got, err := s.AccountWork().Acquire(t.Context(), first.ID, expiredLease("login"))
	if err != nil || got.Account.Attempts != 3 || got.Account.Turn.IsZero() {
		t.Errorf("in the line and acquired: %+v, %v", got.Account, err)
	}
	if got, err := s.Accounts().ClaimTurn(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a leased account was claimed from the line: %s, %v", got.ID, err)
	}
	if got, err := s.AccountWork().Claim(t.Context(), lease("worker")); err != nil || got.ID != first.ID {
		t.Errorf("after its lease has expired: %s, %v; want %s", got.ID, err, first.ID)
	}
}

func accountsLeaveTheLine(t *testing.T, s *store.Store) {
	for name, leave := range map[string]func(id string) error{
		"completed": func(id string) error { return s.AccountWork().Complete(t.Context(), id, store.Lease{ID: "worker"}, 0) },
		"waiting": func(id string) error {
			return s.AccountWork().Retry(t.Context(), id, store.Lease{ID: "worker"}, time.Time{}, "p")
		},
	} {
		made := inLine(t, s, name+"@x.org", time.Now())
		if _, err := s.Accounts().ClaimTurn(t.Context(), lease("worker")); err != nil {
			t.Fatal(err)
		}
		if err := leave(made.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Accounts().ClaimTurn(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %+v is in the line, %v", name, got.Account, err)
		}
	}
}

package storetest

import (
	"errors"
	"testing"
	"time"

	"cubegate/store"
)

// inLine stores a user whose account waits at a turn.
func inLine(t *testing.T, u *store.Users, email string, turn time.Time) store.User {
	t.Helper()
	made := create(t, u, email)
	if err := u.Wait(t.Context(), made.ID, "created", turn, 0); err != nil {
		t.Fatal(err)
	}
	return made
}

func lineIsServedByTurn(t *testing.T, u *store.Users) {
	now := time.Now()
	second := inLine(t, u, "second@x.org", now.Add(time.Hour)) // a turn is an order, not a time to wait for
	first := inLine(t, u, "first@x.org", now)
	if got, err := u.ClaimDue(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s is due, %v; want %v", got.ID, err, store.ErrNotFound)
	}
	for _, want := range []string{first.ID, second.ID} {
		got, err := u.ClaimTurn(t.Context(), lease("worker"))
		if err != nil || got.ID != want || got.Account.Lease != "worker" || got.Account.Attempts != 1 || got.Account.Turn.IsZero() {
			t.Errorf("claimed %s, %+v, %v; want %s", got.ID, got.Account, err, want)
		}
	}
	if got, err := u.ClaimTurn(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a third one: %s, %v; want %v", got.ID, err, store.ErrNotFound)
	}
	if err := u.Wait(t.Context(), first.ID, "worker", now, 3); err != nil {
		t.Fatal(err)
	}
	got, err := u.Touch(t.Context(), first.ID, run("login"))
	if err != nil || got.Account.Attempts != 3 || got.Account.Turn.IsZero() {
		t.Errorf("back in line and touched: %+v, %v", got.Account, err)
	}
	if got, err := u.ClaimTurn(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a leased account was claimed from the line: %s, %v", got.ID, err)
	}
	if got, err := u.ClaimDue(t.Context(), lease("worker")); err != nil || got.ID != first.ID {
		t.Errorf("after its lease ran out, due: %s, %v; want %s", got.ID, err, first.ID)
	}
}

func leavingTheLineIsForGood(t *testing.T, u *store.Users) {
	for name, leave := range map[string]func(id string) error{
		"settled": func(id string) error { return u.Settled(t.Context(), id, "worker", 0) },
		"waiting": func(id string) error { return u.Later(t.Context(), id, "worker", time.Time{}, "p") },
	} {
		made := inLine(t, u, name+"@x.org", time.Now())
		if _, err := u.ClaimTurn(t.Context(), lease("worker")); err != nil {
			t.Fatal(err)
		}
		if err := leave(made.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := u.ClaimTurn(t.Context(), lease("worker")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %+v is in the line, %v", name, got.Account, err)
		}
	}
}

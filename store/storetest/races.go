package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cubegate/store"
)

// Sizes of a race. Every round must have exactly one winner.
const (
	rounds = 200
	racers = 32
)

// races tests that concurrent changes of one document are atomic.
func races(t *testing.T, tg Target) {
	u := newBase(t, tg).open(t)

	t.Run("one email has one user", func(t *testing.T) {
		for round := range rounds {
			errs := race(func(racer int) error {
				email := fmt.Sprintf("race%d@example.org", round)
				if racer%2 == 1 {
					email = strings.ToUpper(email)
				}
				_, err := u.Create(context.Background(), newUser(email), lease("x"))
				return err
			})
			oneWinner(t, round, errs, store.TakenError{Field: "email"})
		}
	})

	t.Run("one old hash has one new hash", func(t *testing.T) {
		made := create(t, u, "hash@example.org")
		hash := made.PasswordHash
		for round := range rounds / 4 {
			race(func(racer int) error {
				return u.UpgradeHash(context.Background(), store.HashUpgrade{UserID: made.ID, OldHash: hash, NewHash: fmt.Sprintf("%d by %d", round, racer)})
			})
			got, err := u.ByID(t.Context(), made.ID)
			if err != nil || !strings.HasPrefix(got.PasswordHash, fmt.Sprintf("%d by ", round)) {
				t.Fatalf("round %d left hash %q, %v", round, got.PasswordHash, err)
			}
			hash = got.PasswordHash
		}
	})
}

// race runs f concurrently for all racers and returns the errors.
func race(f func(racer int) error) []error {
	errs := make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// oneWinner checks that exactly one of errs is nil and that all others are lost.
func oneWinner(t *testing.T, round int, errs []error, lost error) {
	t.Helper()
	winners := 0
	for _, err := range errs {
		switch {
		case err == nil:
			winners++
		case !errors.Is(err, lost):
			t.Fatalf("round %d: %v, want %v", round, err, lost)
		}
	}
	if winners != 1 {
		t.Fatalf("round %d has %d winners, want one", round, winners)
	}
}

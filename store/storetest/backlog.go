package storetest

import (
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// expectBacklog reads the backlog, which must have these numbers.
func expectBacklog(t *testing.T, s *store.Store, when string, accounts, revocations int) store.Backlog {
	t.Helper()
	b, err := s.Backlog(t.Context())
	if err != nil || b.Accounts != accounts || b.Revocations != revocations || (b.OldestAge > 0) != (accounts > 0) {
		t.Errorf("%s: backlog %+v, %v, want %d accounts and %d revocations", when, b, err, accounts, revocations)
	}
	return b
}

func backlogCountsWaiting(t *testing.T, s *store.Store) {
	expectBacklog(t, s, "nothing", 0, 0)
	ada, eve := create(t, s.Users(), "ada@x.org"), create(t, s.Users(), "eve@x.org")
	expectBacklog(t, s, "two sign-ups", 2, 0)
	work, l := s.AccountWork(), lease("created")
	if err := s.Accounts().Wait(t.Context(), ada.ID, l, time.Now(), 0); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "one in line", 2, 0)
	if err := work.Retry(t.Context(), eve.ID, l, time.Now().Add(time.Hour), "away"); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "one backs off", 2, 0)
	if _, err := work.Acquire(t.Context(), ada.ID, l); err != nil {
		t.Fatal(err)
	}
	if err := work.Complete(t.Context(), ada.ID, l, 0); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "one is complete", 1, 0)
	if _, err := s.Users().ChangeName(t.Context(), store.NameChange{UserID: ada.ID, FirstName: "A", LastName: "B"}, l); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "a new name", 2, 0)
	if err := work.Retry(t.Context(), ada.ID, l, time.Time{}, "password"); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "one waits for its user", 1, 0)
	if err := s.Accounts().Remove(t.Context(), eve.ID, store.Lease{ID: "none"}); err == nil {
		t.Error("a user was removed without a lease")
	}
	if _, err := s.Accounts().MarkDeleting(t.Context(), ada.ID, "", l); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "one is to be deleted", 2, 0)
	if err := s.Accounts().Remove(t.Context(), ada.ID, l); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "and is", 1, 0)
	ended := newSession("ended")
	ended.CubeToken = "sealed"
	insert(t, s.Sessions(), ended)
	expectBacklog(t, s, "a login session", 1, 0)
	if _, err := s.Sessions().End(t.Context(), ended.ID, "logout"); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "a login session has ended", 1, 1)
}

// The age is that of the work, not of its last attempt: a change of the wanted state, a
// new attempt and a back-off leave it alone.
func backlogKeepsFirstTime(t *testing.T, b base) {
	s := b.openStore(t)
	ada := create(t, s.Users(), "ada@x.org")
	work, users := s.AccountWork(), b.raw.Collection("users")
	age := func(d time.Duration) { // of Ada's work
		if _, err := users.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "account.since", Value: time.Now().Add(-d)}}}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, attempt := range map[string]func() error{
		"nothing": func() error { return nil },
		"Retry": func() error {
			return work.Retry(t.Context(), ada.ID, lease("mine"), time.Now().Add(-time.Second), "away")
		},
		"Claim":   func() error { _, err := work.Claim(t.Context(), lease("mine")); return err },
		"Acquire": func() error { _, err := work.Acquire(t.Context(), ada.ID, lease("mine")); return err },
		"Wait":    func() error { return s.Accounts().Wait(t.Context(), ada.ID, lease("mine"), time.Now(), 0) },
		"ChangeName": func() error {
			_, err := s.Users().ChangeName(t.Context(), store.NameChange{UserID: ada.ID, FirstName: "A", LastName: "B"}, lease("mine"))
			return err
		},
		"ChangeEmail": func() error {
			_, err := s.Users().ChangeEmail(t.Context(), store.EmailChange{UserID: ada.ID, Old: "ada@x.org", New: "ada@y.org"}, lease("mine"))
			return err
		},
		"Complete of an older version": func() error { return work.Complete(t.Context(), ada.ID, lease("mine"), 70) },
	} {
		due := time.Now().Add(-time.Second)
		if _, err := users.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{
			{Key: "email", Value: "ada@x.org"}, {Key: "account.due", Value: due}, {Key: "account.lease", Value: "mine"}}}}); err != nil {
			t.Fatal(err)
		}
		age(time.Hour)
		if err := attempt(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := expectBacklog(t, s, name, 1, 0); got.OldestAge < time.Hour {
			t.Errorf("after %s, the oldest is %v old, want an hour", name, got.OldestAge)
		}
	}
	age(time.Hour)
	backlogBeginsAnew(t, b, s, ada)
}

// New work after a completed one begins anew. Work that an older cubegate began counts
// from its next attempt on, and not after an older cubegate has completed it.
func backlogBeginsAnew(t *testing.T, b base, s *store.Store, ada store.User) {
	work, users := s.AccountWork(), b.raw.Collection("users")
	held := bson.D{{Key: "$set", Value: bson.D{{Key: "account.lease", Value: "mine"}, {Key: "account.version", Value: 5}}}}
	if _, err := users.UpdateOne(t.Context(), bson.D{}, held); err != nil {
		t.Fatal(err)
	}
	if err := work.Complete(t.Context(), ada.ID, lease("mine"), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := work.Acquire(t.Context(), ada.ID, lease("mine")); err != nil {
		t.Fatal(err)
	}
	if got := expectBacklog(t, s, "new work", 1, 0); got.OldestAge >= time.Hour {
		t.Errorf("new work is %v old", got.OldestAge)
	}
	if _, err := users.UpdateOne(t.Context(), bson.D{}, bson.D{
		{Key: "$unset", Value: bson.D{{Key: "account.since", Value: ""}}}, {Key: "$set", Value: bson.D{{Key: "account.due", Value: time.Now().Add(-time.Second)}}},
	}); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "without a time", 0, 0)
	if _, err := work.Claim(t.Context(), lease("mine")); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "claimed", 1, 0)
	if _, err := users.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$unset", Value: bson.D{{Key: "account.due", Value: ""}, {Key: "account.lease", Value: ""}, {Key: "account.turn", Value: ""}}}}); err != nil {
		t.Fatal(err)
	}
	expectBacklog(t, s, "completed by an older cubegate", 0, 0)
}

package storetest

import (
	"errors"
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func evictedIsLoggedOut(t *testing.T, st *store.Store) {
	s, e := st.Sessions(), st.Evictions()
	user := create(t, st.Users(), "late@x.org")
	evicted, pending, left, active := newSession(user.ID), newSession(user.ID), newSession(user.ID), newSession(user.ID)
	evicted.CubeToken = "sealed"
	addSessions(t, st.Users(), user, pending.ID, active.ID)
	if _, err := e.EvictSession(t.Context(), user.ID, pending.ID); err != nil {
		t.Fatal(err)
	}
	for _, one := range []store.Session{evicted, pending, left, active} {
		insert(t, s, one)
	}
	if err := e.Evict(t.Context(), evicted.ID, store.Eviction{Generation: 0, Due: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.End(t.Context(), left.ID, "ended with others"); err != nil {
		t.Fatal(err)
	}
	lease := store.Lease{Until: time.Now().Add(time.Hour)}
	read := claimRevocations(t, st, 2, lease)[evicted.ID] // what the worker does before the logout
	for _, tt := range []lateLogout{
		{"of another user", store.LateLogout{SessionID: evicted.ID, UserID: "another"}, false},
		{"evicted", store.LateLogout{SessionID: evicted.ID}, true},
		{"evicted, again", store.LateLogout{SessionID: evicted.ID, UserID: user.ID}, false},
		{"ended for another reason", store.LateLogout{SessionID: left.ID, UserID: user.ID}, false},
		{"active, of an unknown user", store.LateLogout{SessionID: active.ID}, false},
		{"active", store.LateLogout{SessionID: active.ID, UserID: user.ID}, false},
		{"active, of another user", store.LateLogout{SessionID: active.ID, UserID: "another"}, false},
		{"in the document of the user only, of another user", store.LateLogout{SessionID: pending.ID, UserID: store.NewUserID()}, false},
		{"in the document of the user only", store.LateLogout{SessionID: pending.ID, UserID: user.ID}, true},
		{"unknown", store.LateLogout{SessionID: "unknown", UserID: user.ID}, false},
	} {
		tt.check(t, st, user.ID)
	}
	removesOnceRevoked(t, st, read, lease)
	// The worker may have read the user's document before the logout.
	if err := e.Evict(t.Context(), pending.ID, store.Eviction{Generation: 0, Due: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if got, err := st.Revocations().Claim(t.Context(), lease); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("due after a late eviction: %+v, %v", got, err)
	}
	if _, err := s.ByID(t.Context(), active.ID); err != nil {
		t.Errorf("the active session: %v", err)
	}
	if got, err := st.Users().ByID(t.Context(), user.ID); err != nil || len(got.Evicted) > 0 || len(got.Sessions) != 1 {
		t.Errorf("the user: %+v, %v", got, err)
	}
	for _, one := range []store.Session{evicted, pending, left, active} {
		if err := s.Remove(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// claimRevocations claims a number of ended login sessions.
func claimRevocations(t *testing.T, st *store.Store, n int, lease store.Lease) map[string]store.Session {
	t.Helper()
	claimed := map[string]store.Session{}
	for range n {
		one, err := st.Revocations().Claim(t.Context(), lease)
		if err != nil {
			t.Fatal(err)
		}
		claimed[one.ID] = one
	}
	return claimed
}

// removesOnceRevoked checks that a worker that began before a late logout does not remove
// the record that the logout has made due, and that a later worker removes it.
func removesOnceRevoked(t *testing.T, st *store.Store, read store.Session, lease store.Lease) {
	t.Helper()
	if err := st.Sessions().RemoveRevoked(t.Context(), read); err != nil {
		t.Fatal(err)
	}
	if err := st.Revocations().ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	due, found := claimRevocations(t, st, 3, lease)[read.ID]
	if !found {
		t.Error("the record of the late logout is gone")
	}
	if err := st.Sessions().RemoveRevoked(t.Context(), due); err != nil {
		t.Fatal(err)
	}
	if err := st.Revocations().ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, found := claimRevocations(t, st, 2, lease)[read.ID]; found {
		t.Error("the record stays after its revocation")
	}
}

type lateLogout struct {
	name string
	l    store.LateLogout
	ends bool
}

// check logs out, and claims the session that is due then.
func (tt lateLogout) check(t *testing.T, st *store.Store, userID string) {
	t.Helper()
	got, err := st.Evictions().LogOut(t.Context(), tt.l)
	if tt.ends && (err != nil || got != userID) || !tt.ends && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: %q, %v; want an end: %t", tt.name, got, err, tt.ends)
		return
	}
	due, err := st.Revocations().Claim(t.Context(), store.Lease{Until: time.Now().Add(time.Hour)})
	if tt.ends && (due.ID != tt.l.SessionID || due.EndReason != store.LoggedOut || due.Attempts != 1) || !tt.ends && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: due %+v, %v", tt.name, due, err)
	}
}

// evictionsMeetMalformed makes records of evicted login sessions malformed. One of them must
// not keep the others of its user alive.
func evictionsMeetMalformed(t *testing.T, tg Target) {
	b := newBase(t, tg)
	s := b.openStore(t)
	user := store.NewUserID()
	all := []store.Session{newSession(user), newSession(user), newSession(user), newSession(user)}
	versionless, right, userless, list := all[0], all[1], all[2], all[3]
	for _, one := range all {
		insert(t, s.Sessions(), one)
		if err := s.Evictions().Evict(t.Context(), one.ID, store.Eviction{Generation: 3, Due: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	b.set(t, "sessions", versionless.ID, bson.D{{Key: "version", Value: "two"}})
	b.set(t, "sessions", list.ID, bson.D{{Key: "version", Value: bson.A{2}}})
	b.set(t, "sessions", userless.ID, bson.D{{Key: "userId", Value: bson.A{user}}})
	for _, session := range []string{versionless.ID, userless.ID} {
		if id, err := s.Evictions().LogOut(t.Context(), store.LateLogout{SessionID: session}); !errors.Is(err, store.ErrMalformed) || id != "" {
			t.Errorf("a late logout: %q, %v", id, err)
		}
	}
	if err := s.Evictions().EndEvicted(t.Context(), user, 4, "with others"); err != nil {
		t.Errorf("EndEvicted: %v", err)
	}
	var ended struct{ Reason string }
	if err := b.raw.Collection("sessions").FindOne(t.Context(), bson.D{{Key: "_id", Value: right.ID}}).Decode(&ended); err != nil || ended.Reason != "with others" {
		t.Errorf("the other record ended for %q, %v", ended.Reason, err)
	}
	active := newSession(user)
	insert(t, s.Sessions(), active)
	b.set(t, "sessions", active.ID, bson.D{{Key: "version", Value: "two"}})
	if err := s.Evictions().Evict(t.Context(), active.ID, store.Eviction{Generation: 3, Due: time.Now()}); err != nil {
		t.Errorf("Evict of a malformed record: %v", err)
	}
}

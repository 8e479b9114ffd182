package storetest

import (
	"errors"
	"testing"
	"time"

	"cubegate/store"
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
	if err := e.Evict(t.Context(), evicted.ID, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.End(t.Context(), left.ID, "ended with others"); err != nil {
		t.Fatal(err)
	}
	lease := store.Lease{Until: time.Now().Add(time.Hour)}
	for range 2 { // what the worker does before the logout
		if _, err := st.Revocations().Claim(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
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
	// The worker may have read the user's document before the logout.
	if err := e.Evict(t.Context(), pending.ID, 0); err != nil {
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

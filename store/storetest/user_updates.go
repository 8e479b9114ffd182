package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"cubegate/store"
)

// userUpdates tests changes of users, including concurrent ones.
func userUpdates(t *testing.T, tg Target) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"AddSession needs the current hash":              sessionNeedsHash,
		"a new password ends all sessions except one":    newPasswordEndsSessions,
		"one of many new passwords wins":                 onePasswordWins,
		"one of many new emails wins":                    oneEmailWins,
		"one caller ends a session":                      oneCallerEndsSession,
		"an evicted session is remembered":               evictedSessionIsRemembered,
		"a disabled user has no sessions":                disabledUserHasNoSessions,
		"a tombstone is not found and cannot be changed": tombstoneCannotBeChanged,
		"roles are stored":                               rolesAreStored,
		"roles change one by one":                        rolesChangeOneByOne,
		"pages list every user once":                     pagesListEveryUser,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBase(t, tg).openStore(t)) })
	}
}

// addSessions adds sessions to a user and returns the changed user.
func addSessions(t *testing.T, u *store.Users, user store.User, ids ...string) store.User {
	t.Helper()
	for _, id := range ids {
		var err error
		if user, err = u.AddSession(t.Context(), store.SessionStart{UserID: user.ID, PasswordHash: user.PasswordHash, SessionID: id}); err != nil {
			t.Fatal(err)
		}
	}
	return user
}

func sessionNeedsHash(t *testing.T, s *store.Store) {
	u := s.Users()
	made := create(t, u, "a@x.org")
	if _, err := u.AddSession(t.Context(), store.SessionStart{UserID: made.ID, PasswordHash: "another", SessionID: "s"}); !errors.Is(err, store.ErrChanged) {
		t.Errorf("with another hash: %v, want %v", err, store.ErrChanged)
	}
	if got := addSessions(t, u, made, "s1", "s2"); !slices.Equal(got.Sessions, []string{"s1", "s2"}) {
		t.Errorf("sessions %v", got.Sessions)
	}
}

func evictedSessionIsRemembered(t *testing.T, s *store.Store) {
	u := s.Users()
	made := addSessions(t, u, create(t, u, "a@x.org"), "s1", "s2", "s3")
	evict := func(id string, want bool) {
		t.Helper()
		if ended, err := s.Evictions().EvictSession(t.Context(), made.ID, id); err != nil || ended != want {
			t.Errorf("evicting %s: %t, %v; want %t", id, ended, err, want)
		}
	}
	check := func(sessions, evicted []string, generation int64) {
		t.Helper()
		got, err := u.ByID(t.Context(), made.ID)
		if err != nil || !slices.Equal(got.Sessions, sessions) || !slices.Equal(got.Evicted, evicted) || got.EndGeneration != generation {
			t.Errorf("sessions %v, evicted %v in generation %d, %v; want %v, %v in %d", got.Sessions, got.Evicted, got.EndGeneration, err, sessions, evicted, generation)
		}
	}
	evict("s1", true)
	evict("s1", false)
	evict("s2", true)
	check([]string{"s3"}, []string{"s1", "s2"}, 0)
	sweep := lease("")
	if got, err := s.Sweeps().Claim(t.Context(), sweep); err != nil || got.ID != made.ID {
		t.Errorf("due: %+v, %v", got, err)
	}
	lost := store.Lease{Until: sweep.Until.Add(time.Second)}
	if err := s.Evictions().CompleteSweep(t.Context(), made.ID, lost, []string{"s1"}); err != nil {
		t.Error(err)
	}
	check([]string{"s3"}, []string{"s1", "s2"}, 0)
	if err := s.Evictions().CompleteSweep(t.Context(), made.ID, sweep, []string{"s1", "unknown"}); err != nil {
		t.Error(err)
	}
	check([]string{"s3"}, []string{"s2"}, 0)
	evict("s3", true)
	if got, err := s.Sweeps().Claim(t.Context(), lease("")); err != nil || got.ID != made.ID {
		t.Errorf("due again: %+v, %v", got, err)
	}
	if _, err := u.RemoveAllSessions(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	check([]string{}, []string{}, 1)
	if err := s.Evictions().CompleteSweep(t.Context(), store.NewUserID(), sweep, []string{"s1"}); err != nil {
		t.Errorf("of no user: %v", err)
	}
}

func newPasswordEndsSessions(t *testing.T, s *store.Store) {
	u := s.Users()
	made := addSessions(t, u, create(t, u, "a@x.org"), "s1", "s2", "s3")
	forgetsDevices(t, u, made.ID)
	got, err := u.ReplacePassword(t.Context(), store.PasswordChange{UserID: made.ID, OldHash: made.PasswordHash, NewHash: "new", KeepSession: "s2"})
	if err != nil || got.PasswordHash != "new" || !slices.Equal(got.Sessions, []string{"s2"}) {
		t.Errorf("changed: %+v, %v", got, err)
	}
	if _, err := u.ReplacePassword(t.Context(), store.PasswordChange{UserID: made.ID, OldHash: made.PasswordHash, NewHash: "newer", KeepSession: "s2"}); !errors.Is(err, store.ErrChanged) {
		t.Errorf("from the old hash: %v, want %v", err, store.ErrChanged)
	}
	if _, err := u.ReplacePassword(t.Context(), store.PasswordChange{UserID: made.ID, OldHash: "new", NewHash: "newer", KeepSession: "s1"}); !errors.Is(err, store.ErrChanged) {
		t.Errorf("with an ended session to keep: %v, want %v", err, store.ErrChanged)
	}
	if got, err = u.ReplacePassword(t.Context(), store.PasswordChange{UserID: made.ID, OldHash: "new", NewHash: "newer", KeepSession: ""}); err != nil || len(got.Sessions) != 0 {
		t.Errorf("without a session to keep: %v, %v", got.Sessions, err)
	}
}

func onePasswordWins(t *testing.T, s *store.Store) {
	u := s.Users()
	made := create(t, u, "a@x.org")
	errs := race(func(racer int) error {
		_, err := u.ReplacePassword(context.Background(), store.PasswordChange{UserID: made.ID, OldHash: made.PasswordHash, NewHash: fmt.Sprint("by ", racer), KeepSession: ""})
		return err
	})
	oneWinner(t, 0, errs, store.ErrChanged)
}

func oneEmailWins(t *testing.T, s *store.Store) {
	u := s.Users()
	made := create(t, u, "a@x.org")
	errs := race(func(racer int) error {
		_, err := u.ChangeEmail(context.Background(), store.EmailChange{UserID: made.ID, Old: "a@x.org", New: fmt.Sprintf("a%d@x.org", racer)}, lease("x"))
		return err
	})
	oneWinner(t, 0, errs, store.ErrChanged)
	other := create(t, u, "b@x.org")
	got, err := u.ByID(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.ChangeEmail(t.Context(), store.EmailChange{UserID: other.ID, Old: "b@x.org", New: got.Email}, lease("x")); !errors.Is(err, store.TakenError{Field: "email"}) {
		t.Errorf("to another user's email: %v, want %v", err, store.TakenError{Field: "email"})
	}
	if _, err := u.ByEmail(t.Context(), "a@x.org"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the old email: %v, want %v", err, store.ErrNotFound)
	}
}

func oneCallerEndsSession(t *testing.T, s *store.Store) {
	u := s.Users()
	made := addSessions(t, u, create(t, u, "a@x.org"), "s1", "s2")
	errs := race(func(int) error {
		ended, err := u.RemoveSession(context.Background(), made.ID, "s1")
		if err == nil && !ended {
			err = store.ErrChanged
		}
		return err
	})
	oneWinner(t, 0, errs, store.ErrChanged)
	if got, err := u.ByID(t.Context(), made.ID); err != nil || !slices.Equal(got.Sessions, []string{"s2"}) {
		t.Errorf("left: %v, %v", got.Sessions, err)
	}
}

func disabledUserHasNoSessions(t *testing.T, s *store.Store) {
	u := s.Users()
	made := addSessions(t, u, create(t, u, "a@x.org"), "s1")
	got, err := u.SetDisabled(t.Context(), made.ID, true)
	if err != nil || !got.Disabled || len(got.Sessions) != 0 {
		t.Errorf("disabled: %+v, %v", got, err)
	}
	if _, err := u.AddSession(t.Context(), store.SessionStart{UserID: made.ID, PasswordHash: made.PasswordHash, SessionID: "s2"}); !errors.Is(err, store.ErrChanged) {
		t.Errorf("a session of a disabled user: %v, want %v", err, store.ErrChanged)
	}
	if got, err = u.SetDisabled(t.Context(), made.ID, false); err != nil || got.Disabled {
		t.Errorf("enabled: %+v, %v", got, err)
	}
	addSessions(t, u, made, "s3")
}

func tombstoneCannotBeChanged(t *testing.T, s *store.Store) {
	u := s.Users()
	made := addSessions(t, u, create(t, u, "Ada@x.org"), "s1")
	got, err := s.Accounts().MarkDeleting(t.Context(), made.ID, "sealed", lease("leaving"))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Deleting || got.FirstName+got.LastName+got.PasswordHash != "" || len(got.Sessions)+len(got.Roles) != 0 ||
		got.Account.Email != "Ada@x.org" || got.Account.Token != "sealed" || got.Account.Lease != "leaving" {
		t.Errorf("tombstone: %+v", got)
	}
	if _, err := u.ByEmail(t.Context(), "Ada@x.org"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by email: %v, want %v", err, store.ErrNotFound)
	}
	create(t, u, "ada@x.org") // another user may have the email
	for name, err := range map[string]error{
		"MarkDeleting": second(s.Accounts().MarkDeleting(t.Context(), made.ID, "", lease("x"))),
		"ChangeName":   second(u.ChangeName(t.Context(), store.NameChange{UserID: made.ID, FirstName: "a", LastName: "b"}, lease("x"))),
		"SetRoles":     second(u.SetRoles(t.Context(), made.ID, []string{"admin"})),
		"ChangeRole":   second(u.ChangeRole(t.Context(), store.RoleChange{UserID: made.ID, Role: "admin"})),
		"SetDisabled":  second(u.SetDisabled(t.Context(), made.ID, false)),
		"AddSession":   second(u.AddSession(t.Context(), store.SessionStart{UserID: made.ID, SessionID: "s2"})),
	} {
		if !errors.Is(err, store.ErrChanged) {
			t.Errorf("%s of a tombstone: %v, want %v", name, err, store.ErrChanged)
		}
	}
	if list, err := u.Page(t.Context(), store.UserFilter{}, "", 10); err != nil || len(list.Items) != 1 {
		t.Errorf("listed: %d, %v; want only the new user", len(list.Items), err)
	}
}

func second(_ store.User, err error) error { return err }

func rolesAreStored(t *testing.T, s *store.Store) {
	u := s.Users()
	made := create(t, u, "a@x.org")
	for _, roles := range [][]string{{"admin", "editor"}, nil} {
		if got, err := u.SetRoles(t.Context(), made.ID, roles); err != nil || !slices.Equal(got.Roles, roles) {
			t.Errorf("roles %v, %v; want %v", got.Roles, err, roles)
		}
	}
}

// Concurrent changes of different roles of one user are all kept.
func rolesChangeOneByOne(t *testing.T, s *store.Store) {
	u := s.Users()
	a, b := create(t, u, "a@x.org"), create(t, u, "b@x.org")
	create(t, u, "c@x.org")
	if names, err := u.RoleNames(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("roles at the beginning: %q, %v", names, err)
	}
	want := []string{"r0", "r1", "r2", "r3", "r4"}
	var all sync.WaitGroup
	for _, role := range append(want, "gone", "r0") {
		all.Go(func() {
			_, err := u.ChangeRole(t.Context(), store.RoleChange{UserID: a.ID, Role: role})
			if err == nil && role == "gone" {
				_, err = u.ChangeRole(t.Context(), store.RoleChange{UserID: a.ID, Role: role, Remove: true})
			}
			if err != nil {
				t.Errorf("%s: %v", role, err)
			}
		})
	}
	all.Wait()
	got, err := u.ByID(t.Context(), a.ID)
	if slices.Sort(got.Roles); err != nil || !slices.Equal(got.Roles, want) {
		t.Errorf("roles %q, %v; want %q", got.Roles, err, want)
	}
	if got.Updated.Before(a.Updated) {
		t.Errorf("updated at %v, created at %v", got.Updated, a.Updated)
	}
	if got, err := u.ChangeRole(t.Context(), store.RoleChange{UserID: b.ID, Role: "none", Remove: true}); err != nil || len(got.Roles) != 0 {
		t.Errorf("a role that the user does not have: %q, %v", got.Roles, err)
	}
	if _, err := u.ChangeRole(t.Context(), store.RoleChange{UserID: b.ID, Role: "admin"}); err != nil {
		t.Error(err)
	}
	if names, err := u.RoleNames(t.Context()); err != nil || !slices.Equal(names, append([]string{"admin"}, want...)) {
		t.Errorf("roles: %q, %v", names, err)
	}
	if _, err := u.ChangeRole(t.Context(), store.RoleChange{UserID: store.NewUserID(), Role: "admin"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of no user: %v", err)
	}
}

func pagesListEveryUser(t *testing.T, s *store.Store) {
	u := s.Users()
	var ids []string
	for i := range 7 {
		ids = append(ids, create(t, u, fmt.Sprintf("p%d@x.org", i)).ID)
	}
	create(t, u, "q.*@x.org")
	if _, err := u.SetDisabled(t.Context(), ids[3], true); err != nil {
		t.Fatal(err)
	}
	if _, err := u.SetRoles(t.Context(), ids[4], []string{"admin"}); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for _, test := range []struct {
		f    store.UserFilter
		want int
	}{
		{store.UserFilter{}, 8}, {store.UserFilter{Text: "P"}, 7}, {store.UserFilter{Text: "q.*"}, 1}, {store.UserFilter{Text: ".*"}, 0},
		{store.UserFilter{Role: "admin"}, 1}, {store.UserFilter{Disabled: &yes}, 1}, {store.UserFilter{Disabled: &no, Text: "p"}, 6},
	} {
		n, after := 0, ""
		for {
			page, err := u.Page(t.Context(), test.f, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			n, after = n+len(page.Items), page.Next
			if after == "" {
				break
			}
			if last := page.Items[len(page.Items)-1].ID; after != last {
				t.Errorf("the next page is after %q, want the ID of the last user, %q", after, last)
			}
		}
		if n != test.want {
			t.Errorf("%+v: %d users, want %d", test.f, n, test.want)
		}
	}
	if _, err := u.Page(t.Context(), store.UserFilter{}, "not an id", 2); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("an invalid cursor: %v", err)
	}
}

// forgetsDevices checks which changes make all devices unknown. It leaves the user unchanged.
func forgetsDevices(t *testing.T, u *store.Users, id string) {
	t.Helper()
	before, err := u.ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sessions := before.Sessions
	generation := before.DeviceGeneration
	for _, step := range []struct {
		name    string
		forgets bool
		do      func() error
	}{
		{"a login", false, func() error {
			_, err := u.AddSession(t.Context(), store.SessionStart{UserID: id, PasswordHash: before.PasswordHash, SessionID: "a"})
			return err
		}},
		{"another login", false, func() error {
			_, err := u.AddSession(t.Context(), store.SessionStart{UserID: id, PasswordHash: before.PasswordHash, SessionID: "b"})
			return err
		}},
		{"a logout", false, func() error { _, err := u.RemoveSession(t.Context(), id, "a"); return err }},
		{"a revocation", true, func() error { _, err := u.RevokeSession(t.Context(), id, "b"); return err }},
		{"a revocation of nothing", false, func() error { _, err := u.RevokeSession(t.Context(), id, "b"); return err }},
		{"a logout everywhere", true, func() error { _, err := u.RemoveAllSessions(t.Context(), id); return err }},
		{"a ban", true, func() error { _, err := u.SetDisabled(t.Context(), id, true); return err }},
		{"the end of a ban", false, func() error { _, err := u.SetDisabled(t.Context(), id, false); return err }},
		{"a new password", true, func() error {
			_, err := u.ReplacePassword(t.Context(), store.PasswordChange{UserID: id, OldHash: before.PasswordHash, NewHash: "another"})
			return err
		}},
		{"the old password", true, func() error {
			_, err := u.ReplacePassword(t.Context(), store.PasswordChange{UserID: id, OldHash: "another", NewHash: before.PasswordHash})
			return err
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if step.forgets {
			generation++
		}
		if user, err := u.ByID(t.Context(), id); err != nil || user.DeviceGeneration != generation {
			t.Errorf("after %s the generation is %d, want %d (%v)", step.name, user.DeviceGeneration, generation, err)
		}
	}
	for _, session := range sessions {
		if _, err := u.AddSession(t.Context(), store.SessionStart{UserID: id, PasswordHash: before.PasswordHash, SessionID: session}); err != nil {
			t.Fatal(err)
		}
	}
}

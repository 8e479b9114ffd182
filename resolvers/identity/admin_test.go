package identity

import (
	"context"
	"errors"
	"slices"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// staff is a store of several users, by ID.
type staff struct {
	UserStore      // any other call panics
	AdminUserStore // any other call panics
	users          map[string]store.User
	setRoles       func(id string) // is called after SetRoles
}

func (s *staff) ByID(_ context.Context, id string) (store.User, error) {
	u, ok := s.users[id]
	if !ok {
		return store.User{}, store.ErrNotFound
	}
	return u, nil
}

func (s *staff) change(id string, edit func(*store.User)) (store.User, error) {
	u, ok := s.users[id]
	if !ok {
		return store.User{}, store.ErrNotFound
	}
	if u.Deleting {
		return store.User{}, store.ErrChanged
	}
	edit(&u)
	s.users[id] = u
	return u, nil
}

func (s *staff) SetRoles(_ context.Context, id string, roles []string) (store.User, error) {
	u, err := s.change(id, func(u *store.User) { u.Roles = roles })
	if s.setRoles != nil {
		s.setRoles(id)
	}
	return u, err
}

func (s *staff) SetDisabled(_ context.Context, id string, on bool) (store.User, error) {
	return s.change(id, func(u *store.User) { u.Disabled = on })
}

// administration returns flows with two administrators, root and deputy, and the users
// ada and leaving, of which the second is being deleted. Root is the caller.
func administration(t *testing.T) (flows, *staff, func(store.AuditKind) Caller) {
	t.Helper()
	s := &staff{users: map[string]store.User{
		"root":    {ID: "root", Roles: []string{roleAdmin}},
		"deputy":  {ID: "deputy", Roles: []string{roleAdmin, "editor"}},
		"ada":     {ID: "ada"},
		"leaving": {ID: "leaving", Deleting: true},
	}}
	f := newFlows(t, func(o *Options) { o.Stores.Users, o.Stores.Admin = s, s })
	return f, s, func(kind store.AuditKind) Caller {
		return Caller{User: s.users["root"], SessionID: "s", Client: *f.client, Audit: kind}
	}
}

func TestSetRolesSortsAndRecords(t *testing.T) {
	f, s, root := administration(t)
	user, err := f.Admin.SetRoles(t.Context(), root(store.AuditRoles), "ada", []string{"editor", "author", "editor"})
	if err != nil || !slices.Equal(user.Roles, []string{"author", "editor"}) || !slices.Equal(s.users["ada"].Roles, user.Roles) || f.accounts.Woken != 1 {
		t.Errorf("%+v, %v", user, err)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditRoles, Outcome: store.OutcomeOK, UserID: "ada", Actor: "root", Detail: "roles: author, editor"})
}

func TestSetRolesChecksTheRoles(t *testing.T) {
	f, s, root := administration(t)
	many := make([]string, MaxRoles+1)
	for i := range many {
		many[i] = "role" + string(rune('a'+i))
	}
	for name, roles := range map[string][]string{"not a word": {"Not A Role"}, "empty": {""}, "too many": many} {
		_, err := f.Admin.SetRoles(t.Context(), root(store.AuditRoles), "ada", roles)
		if e := outward(err); e.Code != apierror.BadUserInput || e.Fields["roles"] == "" || len(s.users["ada"].Roles) != 0 {
			t.Errorf("%s: %v, the roles are %q", name, err, s.users["ada"].Roles)
		}
	}
}

func TestAdministratorsCannotLockThemselvesOut(t *testing.T) {
	f, s, root := administration(t)
	_, demoted := f.Admin.SetRoles(t.Context(), root(store.AuditRoles), "root", []string{"editor"})
	_, disabled := f.Admin.Disable(t.Context(), root(store.AuditDisable), "root")
	deleted := f.Admin.Delete(t.Context(), root(store.AuditDelete), "root")
	for name, err := range map[string]error{"demoted": demoted, "disabled": disabled, "deleted": deleted} {
		if outward(err).Code != apierror.BadUserInput {
			t.Errorf("%s: %v, want %s", name, err, apierror.BadUserInput)
		}
	}
	if _, err := f.Admin.SetRoles(t.Context(), root(store.AuditRoles), "root", []string{roleAdmin, "editor"}); err != nil || len(s.users["root"].Roles) != 2 {
		t.Errorf("another role: %v, the roles are %q", err, s.users["root"].Roles)
	}
}

func TestDemoteTakesTheRoleOfAnotherAdministrator(t *testing.T) {
	f, s, root := administration(t)
	if _, err := f.Admin.SetRoles(t.Context(), root(store.AuditRoles), "deputy", nil); err != nil || len(s.users["deputy"].Roles) != 0 {
		t.Errorf("%v, the roles are %q", err, s.users["deputy"].Roles)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditRoles, Outcome: store.OutcomeOK, UserID: "deputy", Actor: "root", Detail: "roles: "})
}

// Two administrators demote each other at the same moment.
func TestDemoteIsUndoneIfTheCallerIsNoLongerAnAdministrator(t *testing.T) {
	f, s, root := administration(t)
	c := root(store.AuditRoles)
	s.setRoles = func(id string) {
		if id == "deputy" && len(s.users["deputy"].Roles) == 0 { // the deputy was first
			s.users["root"] = store.User{ID: "root"}
		}
	}
	_, err := f.Admin.SetRoles(t.Context(), c, "deputy", nil)
	if outward(err).Code != apierror.Conflict || !slices.Equal(s.users["deputy"].Roles, []string{roleAdmin, "editor"}) || f.accounts.Woken != 0 {
		t.Errorf("%v, the roles are %q", err, s.users["deputy"].Roles)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditRoles, Outcome: store.OutcomeRefused, UserID: "deputy", Actor: "root", Detail: "roles: ; undone"})
}

func TestDisableAndEnable(t *testing.T) {
	f, s, root := administration(t)
	if user, err := f.Admin.Disable(t.Context(), root(store.AuditDisable), "ada"); err != nil || !user.Disabled || f.accounts.Woken != 1 {
		t.Errorf("disable: %+v, %v", user, err)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditDisable, Outcome: store.OutcomeOK, UserID: "ada", Actor: "root"})
	if user, err := f.Admin.Enable(t.Context(), root(store.AuditEnable), "ada"); err != nil || user.Disabled || s.users["ada"].Disabled {
		t.Errorf("enable: %+v, %v", user, err)
	}
}

func TestAdministratorsAreNeitherDisabledNorDeleted(t *testing.T) {
	f, s, root := administration(t)
	_, disabled := f.Admin.Disable(t.Context(), root(store.AuditDisable), "deputy")
	deleted := f.Admin.Delete(t.Context(), root(store.AuditDelete), "deputy")
	if outward(disabled).Code != apierror.BadUserInput || outward(deleted).Code != apierror.BadUserInput || s.users["deputy"].Disabled {
		t.Errorf("disable: %v, delete: %v; want the role taken away first", disabled, deleted)
	}
}

func TestUsersWhoAreGoneAreNotFound(t *testing.T) {
	f, _, root := administration(t)
	for _, id := range []string{"unknown", "leaving"} {
		_, roles := f.Admin.SetRoles(t.Context(), root(store.AuditRoles), id, []string{"editor"})
		_, disabled := f.Admin.Disable(t.Context(), root(store.AuditDisable), id)
		_, enabled := f.Admin.Enable(t.Context(), root(store.AuditEnable), id)
		deleted := f.Admin.Delete(t.Context(), root(store.AuditDelete), id)
		for name, err := range map[string]error{"roles": roles, "disable": disabled, "enable": enabled, "delete": deleted} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s of %s: %v, want ErrNotFound", name, id, err)
			}
		}
	}
	if got := f.recorded(t); len(got) != 0 {
		t.Errorf("recorded %+v", got)
	}
}

func TestAdminDeleteRecordsTheActor(t *testing.T) {
	f, _, root := administration(t)
	e := &recordingEditor{}
	f.editor.AccountEditor = e
	if err := f.Admin.Delete(t.Context(), root(store.AuditDelete), "ada"); err != nil || !slices.Equal(e.deleted, []provisioning.LoginMethod{{}}) || f.accounts.Woken != 1 {
		t.Errorf("%v; deleted %+v", err, e.deleted)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditDelete, Outcome: store.OutcomeOK, UserID: "ada", Actor: "root"})
}

func TestAdminDeleteOfAUserWhoJustChanged(t *testing.T) {
	f, _, root := administration(t)
	f.editor.AccountEditor = &recordingEditor{err: store.ErrChanged}
	if err := f.Admin.Delete(t.Context(), root(store.AuditDelete), "ada"); outward(err).Code != apierror.Conflict {
		t.Errorf("%v, want %s", err, apierror.Conflict)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditDelete, Outcome: store.OutcomeRefused, UserID: "ada", Detail: "CONFLICT"})
}

// oddCursor is a directory that knows no cursor.
type oddCursor struct{ AdminUserStore }

func (oddCursor) Page(context.Context, store.UserFilter, string, int) (store.Page[store.User], error) {
	return store.Page[store.User]{}, store.ErrBadCursor
}

func TestUsersExplainsBadInput(t *testing.T) {
	f := newFlows(t, func(o *Options) { o.Stores.Admin = oddCursor{} })
	_, err := f.Admin.Users(t.Context(), Caller{}, store.UserFilter{Text: "a\x00"}, Page{Limit: 10})
	if e := outward(err); e.Code != apierror.BadUserInput || e.Fields["filter.text"] == "" {
		t.Errorf("a control character: %v", err)
	}
	_, err = f.Admin.Users(t.Context(), Caller{}, store.UserFilter{}, Page{After: "x", Limit: 10})
	if e := outward(err); e.Code != apierror.BadUserInput || e.Fields["page.after"] == "" {
		t.Errorf("a bad cursor: %v", err)
	}
}

func TestEventsIncludeTheRefusalsOfThisMoment(t *testing.T) {
	f := newFlows(t)
	f.stored()
	_, _ = f.login(t.Context(), LoginInput{Email: ada.Email, Password: "guess"})
	list, err := f.Admin.Events(t.Context(), Caller{}, store.EventFilter{}, Page{Limit: 10})
	if err != nil || len(list.Items) != 1 || list.Items[0].Kind != store.AuditLogin {
		t.Errorf("%+v, %v", list, err)
	}
}

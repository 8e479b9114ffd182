package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// Directory is what administrators see and change of users. Finders return
// [store.ErrNotFound] for nobody.
type Directory interface {
	Page(ctx context.Context, f store.UserFilter, after string, limit int) ([]store.User, error)
	SetRoles(ctx context.Context, id string, roles []string) (store.User, error)
	SetDisabled(ctx context.Context, id string, on bool) (store.User, error)
}

// maxPage is how many entries one page of a list has at most.
const maxPage = 100

// listUsers is one page of users.
func (a *Auth) listUsers(ctx context.Context, f store.UserFilter, after string, limit int) ([]store.User, error) {
	if _, _, err := a.require(ctx, roleAdmin); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(f.Text, unicode.IsControl) {
		return nil, &apierror.Error{Code: apierror.BadUserInput, Message: "filter.text has control characters", Fields: apierror.FieldErrors{"filter.text": "has control characters"}}
	}
	list, err := a.Directory.Page(ctx, f, after, limit)
	if errors.Is(err, store.ErrBadCursor) {
		err = &apierror.Error{Code: apierror.BadUserInput, Message: "page.after is not an id", Fields: apierror.FieldErrors{"page.after": "is not an id"}, Cause: err}
	}
	return list, err
}

// listEvents is one page of the audit.
func (a *Auth) listEvents(ctx context.Context, f store.EventFilter, before string, limit int) ([]store.Event, error) {
	if _, _, err := a.require(ctx, roleAdmin); err != nil {
		return nil, err
	}
	if err := a.Auditor.Flush(ctx); err != nil { // else the newest refusals would be missing
		return nil, err
	}
	list, err := a.Events.Page(ctx, f, before, limit)
	if errors.Is(err, store.ErrBadCursor) {
		err = &apierror.Error{Code: apierror.BadUserInput, Message: "page.after is not an id", Fields: apierror.FieldErrors{"page.after": "is not an id"}, Cause: err}
	}
	return list, err
}

// setRoles replaces the roles of a user.
func (a *Auth) setRoles(ctx context.Context, id string, roles []string) (store.User, error) {
	admin, err := a.overOthers(ctx, id, func() bool { return slices.Contains(roles, roleAdmin) })
	if err != nil {
		return store.User{}, err
	}
	if roles, err = cleanRoles(roles); err != nil {
		return store.User{}, err
	}
	change := a.Directory.SetRoles
	if !slices.Contains(roles, roleAdmin) {
		change = func(ctx context.Context, id string, roles []string) (store.User, error) {
			return a.dismiss(ctx, admin, id, roles)
		}
	}
	return a.administer(ctx, store.AuditRoles, rolesDetail(roles), admin, id, func() (store.User, error) { return change(ctx, id, roles) })
}

// dismiss gives a user roles without the administrator's. Administrators who
// dismiss each other at the same moment would leave none: so whoever has
// dismissed one looks whether the own office is still there, and takes it back
// if not. The last one to write sees that.
func (a *Auth) dismiss(ctx context.Context, admin store.User, id string, roles []string) (store.User, error) {
	before, err := a.Users.ByID(ctx, id)
	if err != nil {
		return store.User{}, err
	}
	user, err := a.Directory.SetRoles(ctx, id, roles)
	if err != nil || !slices.Contains(before.Roles, roleAdmin) {
		return user, err
	}
	ctx = context.WithoutCancel(ctx)
	if now, err := a.Users.ByID(ctx, admin.ID); err == nil && slices.Contains(now.Roles, roleAdmin) {
		return user, nil
	}
	_, err = a.Directory.SetRoles(ctx, id, before.Roles)
	a.audit(ctx, store.Event{Kind: store.AuditRoles, Outcome: store.OutcomeRefused, UserID: id, Actor: admin.ID, Detail: rolesDetail(roles) + "; undone"})
	return store.User{}, errors.Join(&apierror.Error{Code: apierror.Conflict, Message: "Your own role may just have been taken away; try again"}, err)
}

func rolesDetail(roles []string) string { return "roles: " + strings.Join(roles, ", ") }

// setDisabled shuts a user out, or lets the user in again.
func (a *Auth) setDisabled(ctx context.Context, id string, on bool) (store.User, error) {
	admin, err := a.overOthers(ctx, id, func() bool { return !on })
	if err != nil {
		return store.User{}, err
	}
	kind := store.AuditEnable
	if on {
		if _, err := a.noAdmin(ctx, id); err != nil {
			return store.User{}, err
		}
		kind = store.AuditDisable
	}
	return a.administer(ctx, kind, "", admin, id, func() (store.User, error) { return a.Directory.SetDisabled(ctx, id, on) })
}

// deleteUser deletes a user, here and at ConnectyCube.
func (a *Auth) deleteUser(ctx context.Context, id string) error {
	admin, err := a.overOthers(ctx, id, func() bool { return false })
	if err != nil {
		return err
	}
	user, err := a.noAdmin(ctx, id)
	if err != nil {
		return err
	}
	return a.remove(ctx, user, admin.ID, provisioning.LoginMethod{})
}

// noAdmin finds a user who is no administrator: those lose the role first, which
// is where it is seen to that one remains.
func (a *Auth) noAdmin(ctx context.Context, id string) (store.User, error) {
	user, err := a.Users.ByID(ctx, id)
	if err == nil && user.Deleting {
		err = store.ErrNotFound
	}
	if err == nil && slices.Contains(user.Roles, roleAdmin) {
		err = &apierror.Error{Code: apierror.BadUserInput, Message: "This is an administrator; take the role away first"}
	}
	return user, err
}

// overOthers finds the administrator who calls. Administrators do not shut
// themselves out: about the own user only harmless may be.
func (a *Auth) overOthers(ctx context.Context, id string, harmless func() bool) (store.User, error) {
	admin, _, err := a.require(ctx, roleAdmin)
	if err != nil {
		return store.User{}, err
	}
	if admin.ID == id && !harmless() {
		return store.User{}, &apierror.Error{Code: apierror.BadUserInput, Message: "Administrators cannot do this to themselves; another one can"}
	}
	return admin, nil
}

// administer makes one change of a user and records it.
func (a *Auth) administer(ctx context.Context, kind store.AuditKind, detail string, admin store.User, id string, change func() (store.User, error)) (store.User, error) {
	user, err := change()
	if errors.Is(err, store.ErrChanged) { // a user who is being deleted
		err = store.ErrNotFound
	}
	if err != nil {
		return store.User{}, err
	}
	a.Accounts.Wake()
	a.audit(ctx, store.Event{Kind: kind, Outcome: store.OutcomeOK, UserID: id, Actor: admin.ID, Detail: detail})
	return user, nil
}

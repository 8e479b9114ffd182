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

// AdminUserStore is what administrators see and change of users. Page returns
// [store.ErrBadCursor] for an after that is no cursor; the others return
// [store.ErrNotFound] for an unknown user, and [store.ErrChanged] for one who is being
// deleted.
type AdminUserStore interface {
	Page(ctx context.Context, f store.UserFilter, after string, limit int) (store.Page[store.User], error)
	SetRoles(ctx context.Context, id string, roles []string) (store.User, error)
	SetDisabled(ctx context.Context, id string, on bool) (store.User, error)
}

// Admin serves administrators.
type Admin struct {
	users     UserStore
	directory AdminUserStore
	accounts  AccountOpener
	profiles  *Profiles
	auditor   *Auditor
}

// Page selects a page of a list: at most Limit entries after the cursor After.
type Page struct {
	After string
	Limit int
}

// Users returns a page of users, ordered by ID.
func (a *Admin) Users(ctx context.Context, _ Caller, f store.UserFilter, p Page) (store.Page[store.User], error) {
	if strings.ContainsFunc(f.Text, unicode.IsControl) {
		return store.Page[store.User]{}, apierror.FieldErrors{"filter.text": "must not have control characters"}.Err()
	}
	list, err := a.directory.Page(ctx, f, p.After, p.Limit)
	return list, checkCursor(err)
}

// Events returns a page of the audit, the newest events first.
func (a *Admin) Events(ctx context.Context, _ Caller, f store.EventFilter, p Page) (store.Page[store.Event], error) {
	list, err := a.auditor.page(ctx, f, p)
	return list, checkCursor(err)
}

// checkCursor explains [store.ErrBadCursor] to the client.
func checkCursor(err error) error {
	if errors.Is(err, store.ErrBadCursor) {
		return apierror.FieldErrors{"page.after": "must be the value of next in a previous page"}.Err()
	}
	return err
}

// SetRoles replaces the roles of a user.
func (a *Admin) SetRoles(ctx context.Context, c Caller, id string, roles []string) (store.User, error) {
	keepsAdmin := slices.Contains(roles, roleAdmin)
	if err := requireOtherAdmin(c, id); err != nil && !keepsAdmin {
		return store.User{}, err
	}
	roles, err := cleanRoles(roles)
	if err != nil {
		return store.User{}, err
	}
	var user store.User
	if keepsAdmin {
		user, err = a.directory.SetRoles(ctx, id, roles)
	} else {
		user, err = a.demote(ctx, c, id, roles)
	}
	return a.recordChange(ctx, c, store.Event{UserID: id, Detail: rolesDetail(roles)}, user, err)
}

// demote gives a user roles without admin. Two administrators who demote each other at
// the same moment would leave none. After demoting an admin, demote therefore checks
// that the caller is still an admin, and otherwise undoes the change. Of several
// concurrent calls, at least the last to write sees the changes of the others.
func (a *Admin) demote(ctx context.Context, c Caller, id string, roles []string) (store.User, error) {
	before, err := a.users.ByID(ctx, id)
	if err != nil {
		return store.User{}, err
	}
	user, err := a.directory.SetRoles(ctx, id, roles)
	if err != nil || !slices.Contains(before.Roles, roleAdmin) {
		return user, err
	}
	ctx = context.WithoutCancel(ctx)
	if now, err := a.users.ByID(ctx, c.User.ID); err == nil && slices.Contains(now.Roles, roleAdmin) {
		return user, nil
	}
	_, err = a.directory.SetRoles(ctx, id, before.Roles)
	a.auditor.record(ctx, c, store.Event{Outcome: store.OutcomeRefused, UserID: id, Actor: c.User.ID, Detail: rolesDetail(roles) + "; undone"})
	return store.User{}, errors.Join(&apierror.Error{Code: apierror.Conflict, Message: "Another administrator may just have removed your role admin; try again"}, err)
}

func rolesDetail(roles []string) string { return "roles: " + strings.Join(roles, ", ") }

// Disable disables a user, which ends all login sessions of the user.
func (a *Admin) Disable(ctx context.Context, c Caller, id string) (store.User, error) {
	if err := requireOtherAdmin(c, id); err != nil {
		return store.User{}, err
	}
	if _, err := a.findNonAdmin(ctx, id); err != nil {
		return store.User{}, err
	}
	user, err := a.directory.SetDisabled(ctx, id, true)
	return a.recordChange(ctx, c, store.Event{UserID: id}, user, err)
}

// Enable enables a disabled user.
func (a *Admin) Enable(ctx context.Context, c Caller, id string) (store.User, error) {
	user, err := a.directory.SetDisabled(ctx, id, false)
	return a.recordChange(ctx, c, store.Event{UserID: id}, user, err)
}

// Delete deletes a user, here and at ConnectyCube.
func (a *Admin) Delete(ctx context.Context, c Caller, id string) error {
	if err := requireOtherAdmin(c, id); err != nil {
		return err
	}
	user, err := a.findNonAdmin(ctx, id)
	if err != nil {
		return err
	}
	target, admin := c, c.User.ID
	target.User = user
	return a.profiles.deleteAndAudit(ctx, target, admin, provisioning.LoginMethod{})
}

// findNonAdmin returns a user who is not an administrator. An administrator loses that
// role first, because SetRoles ensures that one administrator remains.
func (a *Admin) findNonAdmin(ctx context.Context, id string) (store.User, error) {
	user, err := a.users.ByID(ctx, id)
	if err == nil && user.Deleting {
		err = store.ErrNotFound
	}
	if err == nil && slices.Contains(user.Roles, roleAdmin) {
		err = &apierror.Error{Code: apierror.BadUserInput, Message: "The user is an administrator; remove the role admin first"}
	}
	return user, err
}

// requireOtherAdmin refuses changes that would lock administrators out by their own
// hand.
func requireOtherAdmin(c Caller, id string) error {
	if c.User.ID == id {
		return &apierror.Error{Code: apierror.BadUserInput, Message: "Administrators cannot do this to themselves; ask another administrator"}
	}
	return nil
}

// recordChange records a successful change of a user. A user who is being deleted does
// not exist for administrators.
func (a *Admin) recordChange(ctx context.Context, c Caller, e store.Event, user store.User, err error) (store.User, error) {
	if errors.Is(err, store.ErrChanged) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.User{}, err
	}
	a.accounts.Wake()
	e.Outcome, e.Actor = store.OutcomeOK, c.User.ID
	a.auditor.record(ctx, c, e)
	return user, nil
}

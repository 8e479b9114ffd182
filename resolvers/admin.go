package resolvers

import (
	"context"
	"errors"
	"slices"

	"cubegate/resolvers/accounts"
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
	list, err := a.Directory.Page(ctx, f, after, limit)
	if errors.Is(err, store.ErrNotFound) {
		err = &Error{Code: BadUserInput, Message: "page.after is not an id", Fields: problems{"page.after": "is not an id"}, Cause: err}
	}
	return list, err
}

// listEvents is one page of the audit.
func (a *Auth) listEvents(ctx context.Context, f store.EventFilter, before string, limit int) ([]store.Event, error) {
	if _, _, err := a.require(ctx, roleAdmin); err != nil {
		return nil, err
	}
	list, err := a.Events.Page(ctx, f, before, limit)
	if errors.Is(err, store.ErrNotFound) {
		err = &Error{Code: BadUserInput, Message: "page.after is not an id", Fields: problems{"page.after": "is not an id"}, Cause: err}
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
	return a.administer(ctx, "roles", admin, id, func() (store.User, error) { return a.Directory.SetRoles(ctx, id, roles) })
}

// setDisabled shuts a user out, or lets the user in again.
func (a *Auth) setDisabled(ctx context.Context, id string, on bool) (store.User, error) {
	admin, err := a.overOthers(ctx, id, func() bool { return !on })
	if err != nil {
		return store.User{}, err
	}
	kind := "enable"
	if on {
		kind = "disable"
	}
	return a.administer(ctx, kind, admin, id, func() (store.User, error) { return a.Directory.SetDisabled(ctx, id, on) })
}

// deleteUser deletes a user, here and at ConnectyCube.
func (a *Auth) deleteUser(ctx context.Context, id string) error {
	admin, err := a.overOthers(ctx, id, func() bool { return false })
	if err != nil {
		return err
	}
	user, err := a.Users.ByID(ctx, id)
	if err == nil && user.Leaving {
		err = store.ErrNotFound
	}
	if err != nil {
		return err
	}
	return a.remove(ctx, user, admin.ID, accounts.Means{})
}

// overOthers finds the administrator who calls. Administrators do not shut
// themselves out, so one always remains: about the own user only harmless may
// be.
func (a *Auth) overOthers(ctx context.Context, id string, harmless func() bool) (store.User, error) {
	admin, _, err := a.require(ctx, roleAdmin)
	if err != nil {
		return store.User{}, err
	}
	if admin.ID == id && !harmless() {
		return store.User{}, &Error{Code: BadUserInput, Message: "Administrators cannot do this to themselves; another one can"}
	}
	return admin, nil
}

// administer makes one change of a user and records it.
func (a *Auth) administer(ctx context.Context, kind string, admin store.User, id string, change func() (store.User, error)) (store.User, error) {
	user, err := change()
	if errors.Is(err, store.ErrChanged) { // a user who is being deleted
		err = store.ErrNotFound
	}
	if err != nil {
		return store.User{}, err
	}
	a.Accounts.Wake()
	a.audit(ctx, store.Event{Kind: kind, Outcome: outcomeOK, UserID: id, Actor: admin.ID})
	return user, nil
}

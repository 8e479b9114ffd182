package identity

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// changePassword replaces the caller's password. All other login sessions end
// in the same write.
func (a *Auth) changePassword(ctx context.Context, current, next string) error {
	user, claims, err := a.caller(ctx)
	if err != nil {
		return err
	}
	p := apierror.FieldErrors{}
	p.Add("new", passwordProblem(next, a.Limits.Password))
	if err := p.Err(); err != nil {
		return err
	}
	if err := a.confirm(ctx, "changePassword", user, claims.SessionID, current); err != nil {
		a.refused(ctx, store.AuditPassword, user, err)
		return err
	}
	hash, err := a.Passwords.Hash(ctx, a.knownTurn(a.strangerTurn(ctx), user.ID, claims.SessionID), next)
	if err != nil {
		return err
	}
	changed := user
	changed.PasswordHash = hash
	defer a.Callbacks.proven.Prove(user, current)()
	defer a.Callbacks.proven.Prove(changed, next)()
	ctx, cancel := a.upstream(ctx)
	defer cancel()
	err = a.Changes.ChangePassword(ctx, user, provisioning.PasswordChange{Old: current, New: next, NewHash: hash, KeepSession: claims.SessionID})
	if err != nil {
		a.refused(ctx, store.AuditPassword, user, err)
		return err
	}
	a.Accounts.Wake()
	a.done(ctx, store.AuditPassword, user, claims.SessionID)
	return nil
}

// updateProfile changes the caller's names.
func (a *Auth) updateProfile(ctx context.Context, first, last string) (store.User, error) {
	user, _, err := a.caller(ctx)
	if err != nil {
		return store.User{}, err
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	p := apierror.FieldErrors{}
	p.Add("firstName", nameProblem(first))
	p.Add("lastName", nameProblem(last))
	if err := p.Err(); err != nil {
		return store.User{}, err
	}
	ctx, cancel := a.upstream(ctx)
	defer cancel()
	return a.Changes.Rename(ctx, user, provisioning.Name{First: first, Last: last})
}

// changeEmail changes the caller's address, here and at ConnectyCube. When
// somebody else has it there, it stays as it was.
func (a *Auth) changeEmail(ctx context.Context, password, address string) (store.User, error) {
	user, claims, err := a.caller(ctx)
	if err != nil {
		return store.User{}, err
	}
	address = strings.TrimSpace(address)
	p := apierror.FieldErrors{}
	p.Add("email", emailProblem(address))
	if err := p.Err(); err != nil {
		return store.User{}, err
	}
	if err := a.confirm(ctx, "changeEmail", user, claims.SessionID, password); err != nil {
		a.refused(ctx, store.AuditEmail, user, err)
		return store.User{}, err
	}
	if address == user.Email {
		return user, nil
	}
	moved := user
	moved.Email = address
	defer a.Callbacks.proven.Prove(user, password)()
	defer a.Callbacks.proven.Prove(moved, password)()
	ctx, cancel := a.upstream(ctx)
	defer cancel()
	changed, err := a.Changes.ChangeEmail(ctx, user, provisioning.EmailChange{Email: address, Password: password})
	if err != nil {
		a.refused(ctx, store.AuditEmail, user, err)
		return store.User{}, err
	}
	a.done(ctx, store.AuditEmail, user, "")
	return changed, nil
}

// deleteMyAccount deletes the caller, here and at ConnectyCube.
func (a *Auth) deleteMyAccount(ctx context.Context, password string) error {
	user, claims, err := a.caller(ctx)
	if err != nil {
		return err
	}
	if err := a.confirm(ctx, "deleteMyAccount", user, claims.SessionID, password); err != nil {
		a.refused(ctx, store.AuditDelete, user, err)
		return err
	}
	defer a.Callbacks.proven.Prove(user, password)()
	return a.remove(ctx, user, "", provisioning.LoginMethod{Password: password})
}

// remove deletes a user. Actor is who does it, if it is somebody else.
func (a *Auth) remove(ctx context.Context, user store.User, actor string, m provisioning.LoginMethod) error {
	ctx, cancel := a.upstream(ctx)
	defer cancel()
	err := a.Changes.Delete(ctx, user, m)
	if errors.Is(err, store.ErrChanged) && actor != "" {
		err = &apierror.Error{Code: apierror.Conflict, Message: "The user has just been changed; try again", Cause: err}
	}
	if err != nil {
		a.refused(ctx, store.AuditDelete, user, err)
		return err
	}
	a.Accounts.Wake()
	a.audit(ctx, store.Event{Kind: store.AuditDelete, Outcome: store.OutcomeOK, UserID: user.ID, Actor: actor})
	return nil
}

// passwordProblem says what is wrong with a new password.
func passwordProblem(password string, most int) string {
	switch n := utf8.RuneCountInString(password); {
	case n == 0:
		return "is required"
	case n < minPassword || n > most:
		return passwordBounds(most)
	}
	return ""
}

package provisioning

import (
	"context"
	"errors"
	"fmt"

	"cubegate/connectycube"
	"cubegate/store"
)

// Name is the name of a user.
type Name struct{ First, Last string }

// Rename changes the user's name here and, at once or later, at ConnectyCube.
func (p *Provisioner) Rename(ctx context.Context, user store.User, name Name) (store.User, error) {
	r, err := p.acquire(ctx, user, LoginMethod{})
	if err != nil {
		return store.User{}, err
	}
	defer r.cleanUp(ctx)
	return updateStep{r}.change(ctx, func(l store.Lease) (store.User, error) {
		return p.db.Users.ChangeName(ctx, store.NameChange{UserID: user.ID, FirstName: name.First, LastName: name.Last}, l)
	})
}

// EmailChange is a change of a user's email.
type EmailChange struct {
	Email    string // the new one
	Password string // the user's own
}

// ChangeEmail changes the user's email here and, at once or later, at ConnectyCube. The
// error is [ErrForeignAccount] if another account at ConnectyCube has the email; the
// change is undone then.
//
// The change waits until there is an account: one whose sign-up got no reply can only
// be found by the email that it was signed up with.
func (p *Provisioner) ChangeEmail(ctx context.Context, user store.User, c EmailChange) (store.User, error) {
	r, err := p.acquire(ctx, user, LoginMethod{Password: c.Password})
	if err != nil {
		return store.User{}, err
	}
	defer r.cleanUp(ctx)
	if err := r.ensureAccount(ctx); err != nil {
		return store.User{}, r.returnLease(ctx, err)
	}
	return updateStep{r}.change(ctx, func(l store.Lease) (store.User, error) {
		return p.db.Users.ChangeEmail(ctx, store.EmailChange{UserID: user.ID, Old: user.Email, New: c.Email}, l)
	})
}

// updateStep brings email and name to ConnectyCube.
type updateStep struct{ r *reconciliation }

// change changes the user's document by write, reconciles, and returns the lease. A
// failure at ConnectyCube is an error only if it undid the change; the worker repeats
// the others.
func (s updateStep) change(ctx context.Context, write func(store.Lease) (store.User, error)) (store.User, error) {
	r := s.r
	changed, err := write(r.renewed())
	if err != nil {
		r.abort(ctx)
		return store.User{}, err
	}
	r.user = changed
	err = r.returnLease(ctx, r.reconcile(ctx))
	if errors.Is(err, ErrForeignAccount) {
		return r.user, err
	}
	if err != nil {
		r.logWarning(ctx, "change has not reached ConnectyCube yet", err)
		r.p.Wake()
	}
	return r.user, nil
}

func (s updateStep) run(ctx context.Context) error {
	r := s.r
	var update connectycube.UserUpdate
	if r.emailDiffers() {
		update.Email = r.user.Email
	}
	if r.known().nameDiffers(r.user.FullName()) {
		update.FullName = r.user.FullName()
	}
	if err := (sessionOpener{r}).anySession(ctx); err != nil {
		return err
	}
	err := r.p.userAPI.UpdateUser(ctx, r.session, update)
	if errors.Is(err, connectycube.ErrTaken) && update.Email != "" {
		return s.revertEmail(ctx, err)
	}
	if err != nil {
		return err
	}
	if update.Email != "" {
		r.user.Account.Email = update.Email
	}
	if update.FullName != "" {
		r.user.Account.Name = update.FullName
	}
	return r.save(ctx)
}

// revertEmail gives the user the old email back, because another account at
// ConnectyCube has the new one. If that is the account of a user who is being deleted,
// the email will soon be free.
func (s updateStep) revertEmail(ctx context.Context, cause error) error {
	r := s.r
	if err := s.checkHolder(ctx, cause); err != nil {
		return err
	}
	old := r.user.Account.Email
	if old == "" {
		return cause
	}
	user, err := r.p.db.Users.ChangeEmail(ctx, store.EmailChange{UserID: r.user.ID, Old: r.user.Email, New: old}, r.p.newLease())
	if err != nil {
		return errors.Join(cause, err)
	}
	user.Account.Email = old
	r.user = user
	return fmt.Errorf("%w: %w", ErrForeignAccount, cause)
}

// checkHolder returns an error that wraps ErrPending if the account that has the user's
// email is that of a user who is being deleted.
func (s updateStep) checkHolder(ctx context.Context, cause error) error {
	holder, err := s.r.p.cubeUsers.UserByEmail(ctx, s.r.user.Email)
	if err != nil {
		return nil
	}
	if deleting, err := s.r.p.isBeingDeleted(ctx, holder.ExternalID); err != nil || deleting {
		return pending(errors.Join(cause, err))
	}
	return nil
}

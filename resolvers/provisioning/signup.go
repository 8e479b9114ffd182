package provisioning

import (
	"context"
	"errors"
	"fmt"

	"cubegate/connectycube"
	"cubegate/store"
)

// Register creates a user and signs the account up. If the user was not created, the
// returned user has no ID, and the error is that of [UserWriter].
//
// A failure that will pass is [ErrPending], and the worker continues.
// [ErrForeignAccount], [connectycube.ErrTaken] and [connectycube.ErrRefused] are final,
// and so is every failure without RegisterWhileAway: Register then removes the user. It
// does so for [connectycube.ErrMisconfigured], too: only the operator can end that, so
// the account might never follow.
func (p *Provisioner) Register(ctx context.Context, user store.User, login LoginMethod) (store.User, error) {
	user, err := p.db.Users.Create(ctx, user, p.newLease())
	if err != nil {
		return store.User{}, err
	}
	r := p.begin(user, login)
	defer r.cleanUp(ctx)
	r.firstAttempt = true
	err = r.reconcile(ctx)
	if err != nil && r.user.CubeID == 0 && (isPermanent(err) || errors.Is(err, connectycube.ErrMisconfigured) || !p.settings.RegisterWhileAway) {
		return r.user, signUpStep{r}.rollback(ctx, err)
	}
	if err := r.returnLease(ctx, err); err != nil && r.user.CubeID == 0 {
		return r.user, pendingUnlessPermanent(err)
	}
	return r.user, nil // the worker does the rest, if any
}

// signUpStep gives the user an account: a new one, or one that exists and that the
// password opens.
type signUpStep struct{ r *reconciliation }

func (s signUpStep) run(ctx context.Context) error {
	if s.r.login.ViaIdentityProvider {
		return s.signUpViaProvider(ctx)
	}
	return s.signUp(ctx)
}

func (s signUpStep) signUp(ctx context.Context) error {
	r := s.r
	if err := r.token.take(ctx); err != nil {
		return pendingUnlessPermanent(err)
	}
	password := s.initialPassword()
	if r.firstAttempt && password.kind != store.PasswordShared {
		// Saved first, so that the server can open the account even if it gets no reply.
		r.user.Account.PasswordKind = password.kind
		if err := r.save(ctx); err != nil {
			return pendingUnlessPermanent(err)
		}
	}
	r.token.spent = true
	account, err := r.p.cube.SignUp(ctx, connectycube.NewUser{
		Email:      r.user.Email,
		Password:   password.text,
		FullName:   r.user.FullName(),
		ExternalID: r.user.ID,
	})
	switch {
	case err == nil:
		account.Email, account.FullName, account.ExternalID = r.user.Email, r.user.FullName(), r.user.ID
		return r.setAccount(ctx, account, password.kind)
	case errors.Is(err, connectycube.ErrTaken):
		return s.adoptExisting(ctx)
	case errors.Is(err, connectycube.ErrUnavailable):
		// The reply is lost; the account may exist all the same.
		if account, err := r.findOwn(ctx); err == nil {
			if !r.firstAttempt { // an earlier sign-up may have come late
				password.kind = store.PasswordUnknown
			}
			return r.setAccount(ctx, account, password.kind)
		}
	}
	return pendingUnlessPermanent(err)
}

// initialPassword is the password of a new account. If a registration is rolled back
// when the reply is lost, the server must be able to open the account. The same holds
// for an account that an earlier sign-up may have given a derived password.
func (s signUpStep) initialPassword() passwordCandidate {
	passwords, settings := s.r.passwords(), s.r.p.settings
	rollsBack := !settings.RegisterWhileAway && !settings.HasAdminKey
	if rollsBack || !passwords.canShare() || passwords.kind.IsDerived() {
		return passwords.currentDerived()
	}
	return passwords.shared()
}

// signUpViaProvider logs in by ticket. ConnectyCube creates the account at the first
// such login.
func (s signUpStep) signUpViaProvider(ctx context.Context) error {
	r := s.r
	if err := s.admitTicket(ctx); err != nil {
		return pendingUnlessPermanent(err)
	}
	if err := (sessionOpener{r}).open(ctx); err != nil {
		return pendingUnlessPermanent(err)
	}
	r.token.spent = r.token.spent || r.session.NewUser
	account := r.session.User
	account.ID = r.session.UserID
	if !r.hasEmail(account.Email) { // an app may sign up with any external ID, this user's included
		return otherEmailError(account.ID, r.user.ID)
	}
	return r.setAccount(ctx, account, "")
}

// adoptExisting takes over the account that has the user's email: the user's own from
// an earlier attempt, or one of no user, if the password opens it. The NestJS original
// left accounts of no user behind, from registrations whose second half failed.
func (s signUpStep) adoptExisting(ctx context.Context) error {
	r := s.r
	account, err := r.findOwn(ctx)
	if err == nil {
		return r.setAccount(ctx, account, "")
	}
	if !errors.Is(err, connectycube.ErrNotFound) {
		return pendingUnlessPermanent(err)
	}
	holder, err := r.p.cubeUsers.UserByEmail(ctx, r.user.Email)
	if err != nil { // the account has gone meanwhile, or ConnectyCube does not reply
		return pending(err)
	}
	deleting, err := r.p.isBeingDeleted(ctx, holder.ExternalID)
	if err != nil {
		return pending(err)
	}
	if deleting {
		return s.awaitDeletion(ctx, holder.ExternalID)
	}
	if r.login.Password == "" {
		return fmt.Errorf("%w: no password is at hand to adopt it: %w", ErrForeignAccount, connectycube.ErrTaken)
	}
	err = sessionOpener{r}.open(ctx)
	if errors.Is(err, connectycube.ErrUnavailable) {
		return pending(err)
	}
	if err != nil {
		if _, gone := r.p.cubeUsers.UserByEmail(ctx, r.user.Email); gone != nil { // it was just being deleted
			return pending(err)
		}
		return fmt.Errorf("%w: adopting it: %w", ErrForeignAccount, err)
	}
	if err := s.checkUnowned(ctx); err != nil {
		r.session = connectycube.Session{}
		return err
	}
	account = r.session.User
	account.ID, account.Email = r.session.UserID, r.user.Email
	// Saved before ConnectyCube gets the external ID, which stepComplete sends: a rollback
	// must not delete an account that existed before.
	return r.setAccount(ctx, account, r.openedWith.kind)
}

// findSuccessor links the account that a login may have created after the linked one was
// gone: the process of that login may have died before it saved the account.
func (s signUpStep) findSuccessor(ctx context.Context) error {
	account, err := s.r.findOwn(ctx)
	if errors.Is(err, connectycube.ErrNotFound) || isPermanent(err) {
		return nil
	}
	if err != nil {
		return pending(err)
	}
	return s.r.setAccount(ctx, account, "")
}

var errAwaitingDeletion = fmt.Errorf("%w: the account that has the email is being deleted: %w", ErrPending, connectycube.ErrUnavailable)

// awaitDeletion finishes the deletion of the user whose account has the email. The next
// step signs up then.
func (s signUpStep) awaitDeletion(ctx context.Context, userID string) error {
	if s.r.waitedForDeletion {
		return errAwaitingDeletion
	}
	s.r.waitedForDeletion = true
	if err := s.r.p.finishDeletion(ctx, userID); err != nil {
		return fmt.Errorf("%w: %v", errAwaitingDeletion, err) // the reason must not decide about this user
	}
	return nil
}

// checkUnowned checks that the account just opened belongs to no other user.
func (s signUpStep) checkUnowned(ctx context.Context) error {
	other := s.r.session.User.ExternalID
	if other == "" || other == s.r.user.ID {
		return nil
	}
	switch owner, err := s.r.p.db.Accounts.ByID(ctx, other); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return pending(err)
	case owner.Deleting:
		return pending(connectycube.ErrTaken)
	}
	return fmt.Errorf("account %d belongs to user %s: %w", s.r.session.UserID, other, connectycube.ErrTaken)
}

// rollback removes a new user whose account was not signed up, and returns the cause.
// If a sign-up got no reply, a tombstone stays until the account that it may have
// created is deleted. Over the budget, no sign-up was sent, and with wrong settings none
// was accepted.
func (s signUpStep) rollback(ctx context.Context, cause error) error {
	r := s.r
	ctx, cancel := detached(ctx)
	defer cancel()
	if isPermanent(cause) || isOverBudget(cause) || errors.Is(cause, connectycube.ErrMisconfigured) {
		if err := r.p.db.Accounts.Remove(ctx, r.user.ID, r.user.Account.Held()); err != nil && !errors.Is(err, store.ErrChanged) { // a lost lease: the worker continues
			return errors.Join(cause, err)
		}
		return cause
	}
	deleting, err := r.p.db.Accounts.MarkDeleting(ctx, r.user.ID, "", r.renewed())
	if err != nil {
		return errors.Join(cause, err)
	}
	r.user = deleting
	_ = r.returnLease(ctx, cause) // which it returns
	r.p.Wake()
	return cause
}

// pendingUnlessPermanent is the error of an account that was not signed up.
func pendingUnlessPermanent(err error) error {
	if isPermanent(err) || errors.Is(err, ErrPending) {
		return err
	}
	return pending(err)
}

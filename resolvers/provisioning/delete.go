package provisioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// ErrCannotDelete means that the account at ConnectyCube cannot be deleted: it takes the
// user's password or the administration key.
var ErrCannotDelete = errors.New("deleting the ConnectyCube account takes the user's password or the administration key")

// lateSignUpWindow is how long a sign-up that got no reply may still be on its way to
// ConnectyCube. It is a guess, far longer than any timeout of a call.
const lateSignUpWindow = time.Minute

// Delete deletes a user on both sides. First it makes sure that the deletion can
// finish: where only the user can delete the account, it saves a session of the
// account. Then it replaces the user by a tombstone, deletes the account, and removes
// the tombstone. A nil error means that there is at least a tombstone; the worker does
// the rest.
//
// The error is [connectycube.ErrUnavailable] if ConnectyCube does not reply to what
// must come first, and [ErrCannotDelete]; nothing has changed then.
func (p *Provisioner) Delete(ctx context.Context, user store.User, login LoginMethod) error {
	r, err := p.acquire(ctx, user, login)
	if err != nil {
		return err
	}
	sealed, err := deletionStep{r}.prepare(ctx)
	if err != nil {
		r.abort(ctx)
		return err
	}
	user, err = p.db.Accounts.MarkDeleting(ctx, r.user.ID, sealed, r.renewed())
	if err != nil {
		r.abort(ctx)
		return err
	}
	r.user = user
	if err := r.returnLease(ctx, r.reconcile(ctx)); err != nil {
		r.logWarning(ctx, "user deleted; the ConnectyCube account follows", err)
		p.Wake()
	}
	return nil
}

// finishDeletion continues a deletion, unless another reconciliation does.
func (p *Provisioner) finishDeletion(ctx context.Context, userID string) error {
	user, err := p.queues.Accounts.Acquire(ctx, userID, p.newLease())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r := p.begin(user, LoginMethod{})
	defer r.cleanUp(ctx)
	return r.returnLease(ctx, r.reconcile(ctx))
}

// deletionStep deletes the account of a user, the records of the user's login sessions,
// and the tombstone.
type deletionStep struct{ r *reconciliation }

func (s deletionStep) run(ctx context.Context) error {
	r := s.r
	if err := s.deleteAccount(ctx); err != nil {
		return err
	}
	for {
		loginSessions, err := r.p.db.Sessions.OfUser(ctx, r.user.ID)
		if err != nil {
			return err
		}
		if len(loginSessions) == 0 {
			break
		}
		for _, loginSession := range loginSessions {
			if err := r.p.db.Sessions.Remove(ctx, loginSession.ID); err != nil {
				return err
			}
		}
	}
	if err := r.p.db.Accounts.Remove(ctx, r.user.ID, r.user.Account.Held()); err != nil {
		return err
	}
	r.removed = true
	return nil
}

// prepare returns the sealed token of a session that can delete the account. It is
// empty if none is needed.
func (s deletionStep) prepare(ctx context.Context) (string, error) {
	r := s.r
	if r.p.settings.HasAdminKey {
		return "", nil
	}
	passwords := r.passwords()
	if r.user.CubeID == 0 {
		// A sign-up that got no reply may have created an account.
		switch account, err := r.findOwn(ctx); {
		case errors.Is(err, connectycube.ErrNotFound), errors.Is(err, connectycube.ErrTaken),
			errors.Is(err, connectycube.ErrUnavailable) && passwords.kind.IsDerived(): // the worker finds and opens it
			return "", nil
		case err != nil:
			return "", err
		default:
			r.user.CubeID, r.user.Account.Email = account.ID, account.Email
		}
	}
	opener := sessionOpener{r}
	err := opener.open(ctx)
	if errors.Is(err, ErrPasswordRequired) {
		err = opener.reuse(ctx)
	}
	if errors.Is(err, connectycube.ErrNotFound) { // no account is left to delete
		return "", nil
	}
	if errors.Is(err, connectycube.ErrBadCredentials) { // the password was changed at ConnectyCube
		if reuseErr := opener.reuse(ctx); !errors.Is(reuseErr, ErrPasswordRequired) {
			err = reuseErr
		}
	}
	if errors.Is(err, connectycube.ErrUnavailable) && (passwords.kind.IsDerived() || r.usesTickets()) {
		return "", nil // the worker can open one whenever ConnectyCube replies
	}
	if err != nil {
		return "", err
	}
	if r.session.UserID != r.user.CubeID {
		// The account was gone, and ConnectyCube has just created another one, as most
		// applications do for an unknown email.
		return "", r.p.userAPI.DeleteUser(ctx, r.session)
	}
	return r.p.sealer.Seal(r.session.Token, additionalData(r.user.ID))
}

// deleteAccount deletes the account. It asks first whether the account exists: a login
// to a missing account would create it in most applications.
func (s deletionStep) deleteAccount(ctx context.Context) error {
	r := s.r
	account, err := s.findAccount(ctx)
	switch {
	case errors.Is(err, connectycube.ErrNotFound) && r.user.CubeID == 0:
		return s.waitForLateSignUp()
	case errors.Is(err, connectycube.ErrNotFound) && r.user.Account.Email != "" && !r.p.settings.HasAdminKey:
		return nil
	case err == nil && r.user.CubeID == 0:
		if own, err := r.belongsToUser(ctx, account); err != nil || !own {
			return err // another person's account, with the user's ID
		}
		r.user.CubeID = account.ID
	case err != nil && !errors.Is(err, connectycube.ErrNotFound):
		return err
	case err == nil:
		r.account.learn(account, &r.user.Account)
	}
	if r.p.settings.HasAdminKey {
		return unlessNotFound(r.p.cubeUsers.AdminDeleteUser(ctx, r.user.CubeID))
	}
	if err := s.openSession(ctx); err != nil {
		return err
	}
	if err := r.p.userAPI.DeleteUser(ctx, r.session); err != nil || r.session.UserID == r.user.CubeID {
		return err
	}
	r.session = connectycube.Session{}
	return pending(errors.New("ConnectyCube had created another account with the email; it is deleted, the user's is next"))
}

// findAccount finds the account by its ID, or else by the external ID, which users can
// change.
func (s deletionStep) findAccount(ctx context.Context) (connectycube.User, error) {
	if s.r.user.CubeID != 0 {
		return s.r.p.cubeUsers.UserByID(ctx, s.r.user.CubeID)
	}
	return s.r.p.cubeUsers.UserByExternalID(ctx, s.r.user.ID)
}

// waitForLateSignUp keeps the tombstone of a user without an account until a delayed
// sign-up can no longer arrive. Such an account would have no owner and would block its
// email.
func (s deletionStep) waitForLateSignUp() error {
	s.r.notBefore = s.r.user.Updated.Add(lateSignUpWindow)
	if time.Now().Before(s.r.notBefore) {
		return pending(errors.New("no account was found; a sign-up may still be on its way"))
	}
	return nil
}

// openSession opens a session of the account to delete: the one at hand, the one saved
// for this, or one that the server can open by itself.
func (s deletionStep) openSession(ctx context.Context) error {
	r := s.r
	if r.session.Token != "" {
		return nil
	}
	if token, err := r.p.sealer.Open(r.user.Account.Token, additionalData(r.user.ID)); err == nil {
		session, err := r.p.cube.ExtendSession(ctx, token)
		if err == nil {
			session.Token = token
			r.session = session
			return nil
		}
		if !errors.Is(err, connectycube.ErrSessionExpired) {
			return err
		}
	}
	err := sessionOpener{r}.open(ctx)
	if errors.Is(err, ErrPasswordRequired) {
		return fmt.Errorf("%w: %w", ErrCannotDelete, err)
	}
	return err
}

package provisioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// ErrCannotDelete means that nobody could delete the account at ConnectyCube:
// neither the user's password nor the administration's key is at hand.
var ErrCannotDelete = errors.New("deleting the ConnectyCube account takes the user's password or the administration key")

// Delete deletes a user on both sides. First comes what makes the deletion
// certain, a session of the account where only the user can delete it; then the
// user is gone here, but for a tombstone; then the account, then the tombstone.
// A nil error means that the first two are done: what is missing the worker
// does.
//
// The error is [connectycube.ErrUnavailable] when ConnectyCube must be asked
// first and does not answer, and [ErrCannotDelete]; nothing has changed then.
func (k *Provisioner) Delete(ctx context.Context, user store.User, m LoginMethod) error {
	v, err := k.hold(ctx, user, m)
	if err != nil {
		return err
	}
	sealed, err := v.certain(ctx)
	if err != nil {
		v.release(ctx)
		return err
	}
	lease := v.user.Account.Lease
	user, err = k.Accounts.MarkDeleting(ctx, v.user.ID, sealed, store.Lease{ID: lease, Until: k.newLease().Until})
	if err != nil {
		v.release(ctx)
		return err
	}
	v.user = user
	if err := v.handBack(ctx, v.remove(ctx)); err != nil {
		v.warn(ctx, "user deleted; the ConnectyCube account follows", err)
		k.Wake()
	}
	return nil
}

// certain returns the sealed token of a session that can delete the account,
// empty when none is needed.
func (v *visit) certain(ctx context.Context) (string, error) {
	if v.k.AdminKey {
		return "", nil
	}
	if v.user.CubeID == 0 {
		// It may have been made all the same, by a call whose answer was lost.
		switch account, err := v.own(ctx); {
		case errors.Is(err, connectycube.ErrNotFound), errors.Is(err, connectycube.ErrTaken),
			errors.Is(err, connectycube.ErrUnavailable) && v.generated(): // the worker finds it and can open it
			return "", nil
		case err != nil:
			return "", err
		default:
			v.user.CubeID, v.user.Account.Email = account.ID, account.Email
		}
	}
	err := v.become(ctx)
	if errors.Is(err, ErrPasswordRequired) {
		err = v.borrow(ctx)
	}
	if errors.Is(err, connectycube.ErrNotFound) { // there is nothing to delete
		return "", nil
	}
	if errors.Is(err, connectycube.ErrBadCredentials) { // somebody has changed it there
		if borrowed := v.borrow(ctx); !errors.Is(borrowed, ErrPasswordRequired) {
			err = borrowed
		}
	}
	if errors.Is(err, connectycube.ErrUnavailable) && (v.generated() || v.byTicket()) {
		return "", nil // the worker can open one whenever ConnectyCube answers
	}
	if err != nil {
		return "", err
	}
	if v.session.UserID != v.user.CubeID {
		// The account is gone at ConnectyCube, which has just made another one,
		// as most applications do for an address that they do not know.
		return "", v.k.Self.DeleteUser(ctx, v.session)
	}
	return v.k.Keys.Seal(v.session.Token, about(v.user.ID))
}

// abandon takes back a user whose account was not made, for this reason, and
// returns it. What a sign-up without an answer may have made goes with a
// tombstone; over budget, none was sent.
func (v *visit) abandon(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	id, lease := v.user.ID, v.user.Account.Lease
	if forGood(cause) || isOverBudget(cause) {
		if err := v.k.Accounts.Remove(ctx, id, v.user.Account.Held()); err != nil && !errors.Is(err, store.ErrChanged) { // the lease is lost: the worker goes on
			return errors.Join(cause, err)
		}
		return cause
	}
	gone, err := v.k.Accounts.MarkDeleting(ctx, id, "", store.Lease{ID: lease, Until: v.k.newLease().Until})
	if err != nil {
		return errors.Join(cause, err)
	}
	v.user = gone
	_ = v.handBack(ctx, cause) // which it returns
	v.k.Wake()
	return cause
}

// remove deletes the account of a user who is gone, what is known of the user's
// devices, and the tombstone.
func (v *visit) remove(ctx context.Context) error {
	if err := v.erase(ctx); err != nil {
		return err
	}
	for {
		logins, err := v.k.Sessions.OfUser(ctx, v.user.ID)
		if err != nil {
			return err
		}
		if len(logins) == 0 {
			break
		}
		for _, login := range logins {
			if err := v.k.Ended.Remove(ctx, login.ID); err != nil {
				return err
			}
		}
	}
	return v.k.Accounts.Remove(ctx, v.user.ID, v.user.Account.Held())
}

// finish does what is left of a deletion, unless somebody else is at it.
func (k *Provisioner) finish(ctx context.Context, id string) error {
	user, err := k.Work.Accounts.Acquire(ctx, id, k.newLease())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	v := k.visit(user, LoginMethod{})
	defer v.close(ctx)
	return v.handBack(ctx, v.settle(ctx))
}

// lateness is for how long a sign-up that got no answer may still be on its way
// to ConnectyCube, through whatever is in between. It is a guess, and far longer
// than the calls that we wait for.
const lateness = time.Minute

// erase deletes the account. It asks first what is there: a session opened for
// an account that is gone would, in most applications, make it anew.
func (v *visit) erase(ctx context.Context) error {
	account, err := v.account(ctx)
	switch {
	case errors.Is(err, connectycube.ErrNotFound) && v.user.CubeID == 0:
		return v.awaitLate()
	case errors.Is(err, connectycube.ErrNotFound) && v.user.Account.Email != "" && !v.k.AdminKey:
		return nil
	case err == nil && v.user.CubeID == 0:
		if mine, err := v.mine(ctx, account); err != nil || !mine {
			return err // somebody else's, with an id of ours
		}
		v.user.CubeID = account.ID
	case err != nil && !errors.Is(err, connectycube.ErrNotFound):
		return err
	case err == nil:
		v.user.Account.Email, v.asked = account.Email, true
	}
	if v.k.AdminKey {
		err := v.k.Directory.AdminDeleteUser(ctx, v.user.CubeID)
		if errors.Is(err, connectycube.ErrNotFound) {
			return nil
		}
		return err
	}
	if err := v.reopen(ctx); err != nil {
		return err
	}
	if err := v.k.Self.DeleteUser(ctx, v.session); err != nil || v.session.UserID == v.user.CubeID {
		return err
	}
	v.session = connectycube.Session{}
	return pending(errors.New("ConnectyCube had made another account with the address; that one is gone, the user's is next"))
}

// awaitLate lets the tombstone of a user stay for whom no account was ever found,
// until none can come any more: it would be nobody's, and keep its address.
func (v *visit) awaitLate() error {
	v.notBefore = v.user.Updated.Add(lateness)
	if time.Now().Before(v.notBefore) {
		return pending(errors.New("no account was found; a sign-up may still be on its way"))
	}
	return nil
}

// reopen finds a session of the account to be deleted: the one at hand, the one
// kept for this, or one that the server can open by itself.
func (v *visit) reopen(ctx context.Context) error {
	if v.session.Token != "" {
		return nil
	}
	if token, err := v.k.Keys.Open(v.user.Account.Token, about(v.user.ID)); err == nil {
		session, err := v.k.Cube.ExtendSession(ctx, token)
		if err == nil {
			session.Token = token
			v.session = session
			return nil
		}
		if !errors.Is(err, connectycube.ErrSessionExpired) {
			return err
		}
	}
	err := v.become(ctx)
	if errors.Is(err, ErrPasswordRequired) {
		return fmt.Errorf("%w: %w", ErrCannotDelete, err)
	}
	return err
}

package provisioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// PasswordChange is a change of a user's own password.
type PasswordChange struct {
	Old, New    string
	NewHash     string // of New
	KeepSession string // ID of the login session that stays; all others end
}

// ChangePassword changes the user's own password. The error is [store.ErrChanged]
// if the user's hash is another one by now. Where ConnectyCube has the same
// password, its account gets a derived one first, so that a crash at any moment
// leaves an account that the server or the user can open; the new password follows
// after the new hash.
//
// ConnectyCube must therefore reply if it may have the user's own password. The
// error wraps [connectycube.ErrUnavailable] if it does not, and nothing has changed
// then.
func (k *Provisioner) ChangePassword(ctx context.Context, user store.User, c PasswordChange) error {
	v, err := k.hold(ctx, user, LoginMethod{Password: c.Old})
	if err != nil {
		return err
	}
	defer v.close(ctx)
	if err := v.freeze(ctx); err != nil {
		return v.handBack(ctx, err)
	}
	_, err = k.Users.ReplacePassword(ctx, store.PasswordChange{
		UserID: user.ID, OldHash: user.PasswordHash, NewHash: c.NewHash, KeepSession: c.KeepSession,
	})
	if err != nil {
		v.release(ctx)
		return err
	}
	v.means.Password = c.New
	if err := v.handBack(ctx, v.settle(ctx)); err != nil {
		v.warn(ctx, "password changed; ConnectyCube does not know all yet", err)
	}
	return nil
}

// freeze makes sure that the account has a password that does not depend on
// the user's own.
func (v *visit) freeze(ctx context.Context) error {
	if v.generated() {
		return nil
	}
	if err := v.exist(ctx); err != nil {
		return err
	}
	if v.byTicket() {
		return nil
	}
	err := v.become(ctx)
	if errors.Is(err, connectycube.ErrBadCredentials) { // somebody has changed it there: it is not the user's here
		v.warn(ctx, "ConnectyCube does not know the user's password", err)
		return nil
	}
	if err != nil {
		return err
	}
	return v.replacePassword(ctx, v.current())
}

// exist makes the account if there is none yet and does nothing else.
func (v *visit) exist(ctx context.Context) error {
	if v.user.CubeID != 0 {
		return nil
	}
	return v.make(ctx)
}

// holdTries is how often hold looks whether another visit has ended.
const holdTries = 40

// errInUse means that somebody else's visit goes on for too long.
var errInUse = fmt.Errorf("%w: another visit of the account is going on: %w", ErrPending, connectycube.ErrUnavailable)

// hold starts a visit under a lease of its own, and waits a while for one that
// is going on. The user must be as the caller knows it: the error is
// [store.ErrChanged] when the password is another by now.
func (k *Provisioner) hold(ctx context.Context, user store.User, m LoginMethod) (*visit, error) {
	for range holdTries {
		touched, err := k.Work.Accounts.Acquire(ctx, user.ID, k.newLease())
		v := k.visit(touched, m)
		if err == nil && (touched.PasswordHash != user.PasswordHash || touched.Deleting) {
			v.release(ctx)
			return nil, store.ErrChanged
		}
		if err == nil {
			return v, nil
		}
		if !errors.Is(err, store.ErrChanged) && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		current, err := k.Accounts.ByID(ctx, user.ID)
		if err != nil {
			return nil, err
		}
		if current.PasswordHash != user.PasswordHash || current.Deleting {
			return nil, store.ErrChanged
		}
		select {
		case <-ctx.Done():
			return nil, errInUse
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, errInUse
}

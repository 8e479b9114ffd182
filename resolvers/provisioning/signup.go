package provisioning

import (
	"context"
	"errors"
	"fmt"

	"cubegate/connectycube"
	"cubegate/store"
)

// make sees to it that the user has an account: the one that an earlier visit
// made, a new one, or one that was there before and that the password opens.
func (v *visit) make(ctx context.Context) error {
	if v.means.ViaIdentityProvider {
		return v.makeByTicket(ctx)
	}
	if !v.fresh {
		account, err := v.own(ctx)
		if err == nil {
			if v.user.Account.PasswordKind == "" { // made by a visit that heard no answer
				v.user.Account.PasswordKind = store.PasswordUnknown
			}
			return v.found(ctx, account, v.user.Account.PasswordKind)
		}
		if !errors.Is(err, connectycube.ErrNotFound) {
			return v.unmade(err)
		}
	}
	if err := v.admit(ctx); err != nil {
		return v.unmade(err)
	}
	password := v.first()
	if v.fresh && password.kind != store.PasswordShared {
		// Noted first, so that the server knows how to open what comes of it.
		v.user.Account.PasswordKind = password.kind
		if err := v.record(ctx); err != nil {
			return v.unmade(err)
		}
	}
	v.spent = true
	account, err := v.k.Cube.SignUp(ctx, connectycube.NewUser{
		Email:      v.user.Email,
		Password:   password.text,
		FullName:   v.user.FullName(),
		ExternalID: v.user.ID,
	})
	switch {
	case err == nil:
		account.Email, account.FullName = v.user.Email, v.user.FullName()
		return v.found(ctx, account, password.kind)
	case errors.Is(err, connectycube.ErrTaken):
		return v.claim(ctx)
	case errors.Is(err, connectycube.ErrUnavailable):
		// The answer is lost, the account may be there all the same: ask.
		if account, askErr := v.own(ctx); askErr == nil {
			if !v.fresh { // an earlier one may have come late
				password.kind = store.PasswordUnknown
			}
			return v.found(ctx, account, password.kind)
		}
	}
	return v.unmade(err)
}

// makeByTicket lets ConnectyCube make the account by itself, as an identity
// provider's client does at the first login.
func (v *visit) makeByTicket(ctx context.Context) error {
	if err := v.admitTicket(ctx); err != nil {
		return v.unmade(err)
	}
	if err := v.become(ctx); err != nil {
		return v.unmade(err)
	}
	v.spent = v.spent || v.session.NewUser
	account := v.session.User
	account.ID = v.session.UserID
	if !v.goesBy(account.Email) { // an app may sign up with any external id, this user's included
		return fmt.Errorf("account %d has the id of user %s and another email: %w", account.ID, v.user.ID, connectycube.ErrTaken)
	}
	return v.found(ctx, account, "")
}

// goesBy reports whether an email of an account fits the user: it is the user's
// or the one that ConnectyCube was last known to have. An account that ConnectyCube
// made for a login by ticket has none.
func (v *visit) goesBy(email string) bool {
	key := store.EmailKey(email)
	return email == "" || key == store.EmailKey(v.user.Email) || v.user.Account.Email != "" && key == store.EmailKey(v.user.Account.Email)
}

// unmade is the error of an account that could not be made.
func (v *visit) unmade(err error) error {
	if forGood(err) || errors.Is(err, ErrPending) {
		return err
	}
	return pending(err)
}

// found records the account. Password says how its password is made; empty
// when we do not know.
func (v *visit) found(ctx context.Context, account connectycube.User, password store.PasswordKind) error {
	v.user.CubeID = account.ID
	v.user.Account.Email, v.user.Account.Name, v.user.Account.PasswordKind = account.Email, account.FullName, password
	return v.record(ctx)
}

// own finds the account that carries the user's id and is the user's.
func (v *visit) own(ctx context.Context) (connectycube.User, error) {
	account, err := v.k.Directory.UserByExternalID(ctx, v.user.ID)
	if err != nil {
		return connectycube.User{}, err
	}
	mine, err := v.mine(ctx, account)
	if err == nil && !mine {
		err = fmt.Errorf("account %d has the id of user %s and another address: %w", account.ID, v.user.ID, connectycube.ErrTaken)
	}
	if err != nil {
		return connectycube.User{}, err
	}
	return account, nil
}

// mine reports whether an account that carries the user's id is the user's.
// Whoever has an app has its key and could sign up with any id, so the address
// must agree as well: it is the user's, or the one that ConnectyCube was last
// known to have. An account that ConnectyCube made by itself, at a login by
// ticket, has none; whose it is a ticket shows.
func (v *visit) mine(ctx context.Context, account connectycube.User) (bool, error) {
	if account.Email != "" {
		return v.goesBy(account.Email), nil
	}
	switch err := v.becomeByTicket(ctx); {
	case refused(err):
		return false, nil
	case err != nil:
		return false, err
	}
	if v.session.UserID != account.ID {
		return false, nil
	}
	v.k.cidp.Store(true)
	return true, nil
}

// claim takes over the account that has the user's address already: the
// user's own from an earlier try, or one that nobody of ours has, if the
// password proves that it is the same person's. The original left many of the
// latter behind (a sign-up whose other half failed).
func (v *visit) claim(ctx context.Context) error {
	account, err := v.own(ctx)
	if err == nil {
		return v.found(ctx, account, "")
	}
	if !errors.Is(err, connectycube.ErrNotFound) {
		return v.unmade(err)
	}
	holder, err := v.k.Directory.UserByEmail(ctx, v.user.Email)
	if err != nil { // not there any more, or nobody can say
		return pending(err)
	}
	gone, err := v.leaving(ctx, holder.ExternalID)
	if err != nil {
		return pending(err)
	}
	if gone {
		return v.makeAfter(ctx, holder.ExternalID)
	}
	if v.means.Password == "" {
		return fmt.Errorf("%w: nobody's password is at hand to claim it: %w", ErrForeignAccount, connectycube.ErrTaken)
	}
	err = v.become(ctx)
	if errors.Is(err, connectycube.ErrUnavailable) {
		return pending(err)
	}
	if err != nil {
		if _, gone := v.k.Directory.UserByEmail(ctx, v.user.Email); gone != nil { // it was just being deleted
			return pending(err)
		}
		return fmt.Errorf("%w: claiming it: %w", ErrForeignAccount, err)
	}
	if err := v.nobodys(ctx); err != nil {
		v.session = connectycube.Session{}
		return err
	}
	account = v.session.User
	account.ID, account.Email = v.session.UserID, v.user.Email
	if account.FullName == "" {
		account.FullName = v.user.FullName()
	}
	// Ours before it says so: an account that was there is not to be taken back.
	if err := v.found(ctx, account, v.opener.kind); err != nil {
		return err
	}
	if err := v.introduce(ctx); err != nil {
		return v.unmade(err)
	}
	return nil
}

// makeAfter makes the account once the one that has the address is gone: that of
// a user of ours who is being deleted.
func (v *visit) makeAfter(ctx context.Context, leaver string) error {
	if v.waited {
		return errOccupied
	}
	v.waited = true
	if err := v.k.finish(ctx, leaver); err != nil {
		return fmt.Errorf("%w: %v", errOccupied, err) // whose deletion waits for what is not this user's matter
	}
	return v.make(ctx)
}

var errOccupied = fmt.Errorf("%w: the account that has the address is being deleted: %w", ErrPending, connectycube.ErrUnavailable)

// nobodys checks that no other user of ours has the account just opened.
func (v *visit) nobodys(ctx context.Context) error {
	other := v.session.User.ExternalID
	if other == "" || other == v.user.ID {
		return nil
	}
	switch holder, err := v.k.Accounts.ByID(ctx, other); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return pending(err)
	case holder.Deleting:
		return pending(connectycube.ErrTaken)
	}
	return fmt.Errorf("account %d is user %s's: %w", v.session.UserID, other, connectycube.ErrTaken)
}

// introduce tells ConnectyCube what its account lacks of the user: our id, by
// which both logins meet one identity, and a name to show in chats. An account
// that ConnectyCube made by itself, at a login, has neither.
func (v *visit) introduce(ctx context.Context) error {
	var missing connectycube.UserUpdate
	if v.session.User.ExternalID != v.user.ID {
		missing.ExternalID = v.user.ID
	}
	if v.session.User.FullName == "" {
		missing.FullName = v.user.FullName()
	}
	if missing == (connectycube.UserUpdate{}) {
		return nil
	}
	return v.k.Self.UpdateUser(ctx, v.session, missing)
}

// remake makes the account again that ConnectyCube no longer has, and opens a
// session.
func (v *visit) remake(ctx context.Context) error {
	touched, err := v.k.Work.Accounts.Acquire(ctx, v.user.ID, v.k.newLease())
	if err != nil {
		return pending(err)
	}
	v.user = touched
	v.user.CubeID = 0
	if err := v.handBack(ctx, v.make(ctx)); err != nil {
		return err
	}
	return v.become(ctx)
}

package provisioning

import (
	"context"
	"errors"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// PasswordChange is a change of a user's own password.
type PasswordChange struct {
	Old, New    string
	NewHash     string // of New in tokens.PasswordForm
	KeepSession string // ID of the login session that stays; all others end
}

// ChangePassword changes the user's own password. The error is [store.ErrChanged] if
// the user has another password hash by now. Where ConnectyCube has the same password,
// its account gets a derived one first, so that a crash at any moment leaves an account
// that the server or the user can open; the new password follows after the new hash.
//
// ConnectyCube must therefore reply if it may have the user's own password. The error
// wraps [connectycube.ErrUnavailable] if it does not, and nothing has changed then.
func (p *Provisioner) ChangePassword(ctx context.Context, user store.User, c PasswordChange) error {
	r, err := p.acquire(ctx, user, LoginMethod{Password: c.Old})
	if err != nil {
		return err
	}
	defer r.cleanUp(ctx)
	if err := (passwordStep{r}).useDerivedPassword(ctx); err != nil {
		return r.returnLease(ctx, err)
	}
	_, err = p.db.Users.ReplacePassword(ctx, store.PasswordChange{
		UserID: user.ID, OldHash: user.PasswordHash, NewHash: c.NewHash, NewForm: tokens.PasswordForm, KeepSession: c.KeepSession,
	})
	if err != nil {
		r.abort(ctx)
		return err
	}
	r.login.Password = c.New
	if err := r.returnLease(ctx, r.reconcile(ctx)); err != nil {
		r.logWarning(ctx, "password changed; the ConnectyCube account follows", err)
	}
	return nil
}

// passwordCandidate is a password that an account may have.
type passwordCandidate struct {
	kind store.PasswordKind
	text string
}

// passwords are the passwords that an account can have. It is pure.
type passwords struct {
	mode    PasswordMode
	kind    store.PasswordKind // that the account has, as far as known
	own     string             // the user's own, as it was sent; empty when it is not at hand
	derived func() []tokens.DerivedPassword
}

func (r *reconciliation) passwords() passwords {
	return passwords{
		mode: r.p.settings.PasswordMode, kind: r.user.Account.PasswordKind, own: r.login.Password,
		derived: func() []tokens.DerivedPassword { return r.p.derivePasswords(r.user.ID) },
	}
}

// candidates are the passwords to try, the likeliest first. After a crash between
// ConnectyCube's reply and Save, kind is that of an earlier password, so it decides the
// order alone.
func (p passwords) candidates() []passwordCandidate {
	own, derived := p.ownForms(), []passwordCandidate(nil)
	for _, d := range p.derived() {
		c := passwordCandidate{store.PasswordDerived(d.Key), d.Password}
		if c.kind == p.kind {
			derived = append([]passwordCandidate{c}, derived...)
			continue
		}
		derived = append(derived, c)
	}
	if p.kind.IsDerived() {
		return append(derived, own...)
	}
	return append(own, derived...)
}

// currentDerived is the derived password of the current key.
func (p passwords) currentDerived() passwordCandidate {
	d := p.derived()[0]
	return passwordCandidate{store.PasswordDerived(d.Key), d.Password}
}

// desired is the password that the account should have, as far as this is possible: the
// user's own only when it is at hand.
func (p passwords) desired() passwordCandidate {
	switch {
	case p.mode == DerivedPasswords:
		return p.currentDerived()
	case p.canShare():
		return p.shared()
	case p.kind.IsDerived():
		return p.currentDerived()
	}
	return passwordCandidate{kind: p.kind}
}

// passwordStep gives the account the password that it should have.
type passwordStep struct{ r *reconciliation }

func (s passwordStep) run(ctx context.Context) error {
	r := s.r
	if err := (sessionOpener{r}).open(ctx); err != nil {
		return err
	}
	err := s.rotatePassword(ctx, r.passwords().desired())
	if errors.Is(err, connectycube.ErrRefused) { // the password that the account has works, too
		r.logWarning(ctx, "password at ConnectyCube not replaced", err)
		r.user.Account.PasswordKind = r.openedWith.kind
		return r.save(ctx)
	}
	return err
}

// rotatePassword replaces the password that opened the session. If ConnectyCube does
// not know that password, there are two reasons, which the new password tells apart:
// an earlier request has replaced it, or ConnectyCube asks the verify route about
// passwords, and the account needs none.
func (s passwordStep) rotatePassword(ctx context.Context, want passwordCandidate) error {
	r := s.r
	if r.openedWith.kind == "" {
		return nil
	}
	if r.openedWith.kind != want.kind {
		if want.kind == store.PasswordShared && r.user.Account.PasswordKind.IsDerived() {
			r.user.Account.PasswordKind = store.PasswordUnknown
			if err := r.save(ctx); err != nil {
				return err
			}
		}
		err := r.p.userAPI.UpdateUser(ctx, r.session, connectycube.UserUpdate{Password: want.text, OldPassword: r.openedWith.text})
		if errors.Is(err, connectycube.ErrBadCredentials) {
			err = sessionOpener{r}.passwordWorks(ctx, want)
		}
		if errors.Is(err, connectycube.ErrIdentityProvider) {
			r.p.seenProviderOn.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
	}
	r.user.Account.PasswordKind, r.openedWith = want.kind, want
	return r.save(ctx)
}

// useDerivedPassword makes sure that the account's password does not depend on the
// user's own.
func (s passwordStep) useDerivedPassword(ctx context.Context) error {
	r := s.r
	if r.user.Account.PasswordKind.IsDerived() {
		return nil
	}
	if err := r.ensureAccount(ctx); err != nil {
		return err
	}
	if r.usesTickets() {
		return nil
	}
	err := sessionOpener{r}.open(ctx)
	if errors.Is(err, connectycube.ErrBadCredentials) { // changed at ConnectyCube, so it is not the user's own
		r.logWarning(ctx, "ConnectyCube does not know the user's password", err)
		return nil
	}
	if err != nil {
		return err
	}
	return s.rotatePassword(ctx, r.passwords().currentDerived())
}

package provisioning

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// visit is one look after one account.
type visit struct {
	k     *Provisioner
	user  store.User // the document as it was read, and the facts learned since
	means LoginMethod

	fresh  bool // nobody has been here before, so nothing needs to be asked first
	asked  bool // ConnectyCube has told what the account is called
	waited bool // for the deletion of another account with the same address

	claimed  bool // by the worker, which counted an attempt for it
	admitted bool // the visit has a token of the budget for sign-ups
	spent    bool // and has used it

	notBefore time.Time // nothing is to be done again earlier; zero: whenever

	session connectycube.Session // of the user; zero until become
	opener  candidate            // what opened it; zero for a ticket or a kept token
	spare   bool                 // it was opened here and nobody has got it
}

func leaseID() string { return rand.Text() }

func (k *Provisioner) visit(user store.User, m LoginMethod) *visit {
	return &visit{k: k, user: user, means: m}
}

// prepare settles what is open of the account before a session is opened. The
// lease in the document may be anybody's, so one is taken first.
func (v *visit) prepare(ctx context.Context) error {
	if !v.open() {
		return nil
	}
	touched, err := v.k.Work.Accounts.Acquire(ctx, v.user.ID, v.k.newLease())
	switch {
	case err == nil:
		v.user = touched
	case errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrNotFound): // somebody else is here
		if v.user.CubeID == 0 || v.moving() {
			return pending(err)
		}
		return nil
	default:
		return err
	}
	if v.user.Deleting { // deleted since the caller looked
		v.release(ctx)
		return ErrLoginSessionEnded
	}
	err = v.handBack(ctx, v.settle(ctx))
	if err != nil && v.user.CubeID != 0 && !v.moving() {
		v.warn(ctx, "account not settled", err)
		return nil // what is left can wait; a chat is possible all the same
	}
	return err
}

// open reports whether anything about the account is left to do that these
// means allow.
func (v *visit) open() bool {
	return v.user.CubeID == 0 || !v.user.Account.Due.IsZero() || v.moving() || v.renamed() || v.means.Password != "" && v.adoptable()
}

// moving reports whether ConnectyCube has another address of the user.
func (v *visit) moving() bool {
	return v.known() && store.EmailKey(v.user.Account.Email) != store.EmailKey(v.user.Email)
}

// renamed reports whether ConnectyCube has another name of the user.
func (v *visit) renamed() bool { return v.known() && v.user.Account.Name != v.user.FullName() }

// known reports whether we know what ConnectyCube has of the user. Of an
// account of the original we do not, until something changes.
func (v *visit) known() bool { return v.user.Account.Email != "" || v.user.Account.Version > 0 }

// settle is the machine: it compares what should be with what is known to be,
// and does the first thing that differs, then the next.
func (v *visit) settle(ctx context.Context) error {
	if v.user.Deleting {
		return v.remove(ctx)
	}
	if err := v.forget(ctx); err != nil {
		return err
	}
	if v.user.CubeID == 0 {
		if err := v.make(ctx); err != nil {
			return err
		}
	} else if v.user.Account.Attempts > 0 {
		if err := v.ask(ctx); err != nil {
			return err
		}
	}
	if err := v.update(ctx); err != nil {
		return err
	}
	return v.adopt(ctx)
}

// ask learns what an earlier visit got done whose answer was lost.
func (v *visit) ask(ctx context.Context) error {
	if v.asked || v.user.CubeID == 0 {
		return nil
	}
	account, err := v.k.Directory.UserByID(ctx, v.user.CubeID) // its external id is the user's to change
	if errors.Is(err, connectycube.ErrNotFound) {
		return nil
	}
	if err != nil {
		return pending(err)
	}
	v.user.Account.Email, v.user.Account.Name, v.asked = account.Email, account.FullName, true
	return nil
}

// update brings address and name to ConnectyCube.
func (v *visit) update(ctx context.Context) error {
	var change connectycube.UserUpdate
	if v.moving() {
		change.Email = v.user.Email
	}
	if v.renamed() {
		change.FullName = v.user.FullName()
	}
	if change == (connectycube.UserUpdate{}) {
		return nil
	}
	if err := v.act(ctx); err != nil {
		return err
	}
	err := v.k.Self.UpdateUser(ctx, v.session, change)
	if errors.Is(err, connectycube.ErrTaken) && change.Email != "" {
		return v.revert(ctx, err)
	}
	if err != nil {
		return err
	}
	v.user.Account.Email, v.user.Account.Name = v.user.Email, v.user.FullName()
	return v.record(ctx)
}

// revert gives the user the old address back, since the new one belongs to
// somebody at ConnectyCube. When that is a user of ours who is about to be
// gone, it will be free soon.
func (v *visit) revert(ctx context.Context, cause error) error {
	if holder, err := v.k.Directory.UserByEmail(ctx, v.user.Email); err == nil {
		if gone, err := v.leaving(ctx, holder.ExternalID); err != nil || gone {
			return pending(errors.Join(cause, err))
		}
	}
	old := v.user.Account.Email
	if old == "" {
		return cause
	}
	lease := v.k.newLease()
	user, err := v.k.Users.ChangeEmail(ctx, store.EmailChange{UserID: v.user.ID, Old: v.user.Email, New: old}, lease)
	if err != nil {
		return errors.Join(cause, err)
	}
	user.Account.Email = old
	v.user = user
	return fmt.Errorf("%w: %w", ErrForeignAccount, cause)
}

// leaving reports whether an account carries the id of a user of ours who is
// being deleted.
func (v *visit) leaving(ctx context.Context, externalID string) (bool, error) {
	if externalID == "" {
		return false, nil
	}
	other, err := v.k.Accounts.ByID(ctx, externalID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return other.Deleting, err
}

// meet makes both sides know each other after a session was opened: the
// account's id here, ours there. Neither is worth a session, so trouble is
// only logged; the next one tries again.
func (v *visit) meet(ctx context.Context) {
	kept := v.session.UserID == v.user.CubeID
	if !kept {
		if v.user.CubeID != 0 {
			v.k.Log.LogAttrs(ctx, slog.LevelWarn, "ConnectyCube account changed", slog.String("user_id", v.user.ID),
				slog.Int64("from", v.user.CubeID), slog.Int64("to", v.session.UserID))
		}
		if err := v.replace(ctx, v.session.UserID); err != nil {
			v.warn(ctx, "account not settled", err)
		}
	}
	// The account whose id we keep gets its external id back when the user has
	// changed it. On any other account, an id of another user stays: whose account
	// it is, a person must say.
	if v.session.User.ID != 0 && (kept || v.session.User.ExternalID == "" || v.session.User.ExternalID == v.user.ID) {
		if err := v.introduce(ctx); err != nil {
			v.warn(ctx, "account not settled", err)
		}
	}
}

// stays checks that neither the login session ended nor the user was deleted
// while a session was opened. A deleted user's account ConnectyCube may just have
// made anew, as most applications do at a login of somebody whom they do not
// know, and it goes again.
func (v *visit) stays(ctx context.Context, login string) error {
	user, err := v.k.Accounts.ByID(ctx, v.user.ID)
	if err == nil && !user.Deleting {
		if slices.Contains(user.Sessions, login) {
			return nil
		}
		// Its record may be younger than the sweep that was to find it.
		if _, err := v.k.Sessions.End(ctx, login, "ended with others"); err != nil {
			return err
		}
		return ErrLoginSessionEnded
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if v.spare {
		v.spare = false
		if err := v.k.Self.DeleteUser(ctx, v.session); err != nil {
			v.warn(ctx, "ConnectyCube account of a user who is gone not deleted", err)
		}
	}
	return ErrLoginSessionEnded
}

// replace records another account as the user's.
func (v *visit) replace(ctx context.Context, cubeID int64) error {
	touched, err := v.k.Work.Accounts.Acquire(ctx, v.user.ID, v.k.newLease())
	if err != nil {
		return err
	}
	v.user = touched
	v.user.CubeID = cubeID
	v.user.Account.Email, v.user.Account.Name, v.user.Account.PasswordKind = v.session.User.Email, v.session.User.FullName, v.opener.kind
	err = v.record(ctx)
	v.release(ctx)
	return err
}

// record writes down what was learned, while the lease is ours.
func (v *visit) record(ctx context.Context) error {
	return v.k.Accounts.Save(ctx, v.user.Account.Held(), v.user)
}

func (v *visit) warn(ctx context.Context, message string, err error) {
	v.k.Log.LogAttrs(ctx, slog.LevelWarn, message, slog.String("user_id", v.user.ID), slog.Any("err", err))
}

package provisioning

import (
	"context"
	"errors"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// admit takes a token of the budget for sign-ups, unless the visit has one. One is enough
// for a visit: a second sign-up follows only when ConnectyCube has refused the first.
func (v *visit) admit(ctx context.Context) error {
	if v.admitted {
		return nil
	}
	if err := v.k.SignUps.take(ctx); err != nil {
		return err
	}
	v.admitted = true
	return nil
}

// refund gives back the token of a visit that made no account.
func (v *visit) refund() {
	if v.admitted && !v.spent {
		v.k.SignUps.giveBack()
	}
	v.admitted = false
}

// admitTicket is admit for a login by ticket, at which ConnectyCube makes the account by
// itself. Without a token it is only admitted when there is an account.
func (v *visit) admitTicket(ctx context.Context) error {
	over := v.admit(ctx)
	if over == nil {
		return nil
	}
	_, err := v.k.Directory.UserByExternalID(ctx, v.user.ID)
	if errors.Is(err, connectycube.ErrNotFound) {
		return over
	}
	return err
}

// forget finds out whether the account is still gone that a login has found gone, when its
// turn comes to be made again.
func (v *visit) forget(ctx context.Context) error {
	if v.user.CubeID == 0 || v.user.Account.Turn.IsZero() {
		return nil
	}
	_, err := v.k.Directory.UserByID(ctx, v.user.CubeID)
	if errors.Is(err, connectycube.ErrNotFound) {
		v.user.CubeID = 0
		return nil
	}
	if err != nil {
		return pending(err)
	}
	return nil
}

// wait puts the account in line, at the place that it had before if it had one. It is no
// failed attempt, so it does not count as one.
func (v *visit) wait(ctx context.Context) error {
	a := &v.user.Account
	if v.fresh && a.PasswordKind == "" {
		// No sign-up was sent, and the worker's will have this password. Noted now, it
		// lets the user change the own one meanwhile.
		a.PasswordKind = v.current().kind
		if err := v.record(ctx); err != nil {
			return err
		}
	}
	if a.Turn.IsZero() {
		a.Turn = v.k.SignUps.turn(ctx)
	}
	if v.claimed {
		a.Attempts--
		v.claimed = false
	}
	if err := v.k.Line.Wait(ctx, v.user.ID, a.Held(), a.Turn, a.Attempts); err != nil {
		return err
	}
	a.Due, a.Lease = time.Time{}, ""
	if v.k.SignUps.stands() {
		v.k.Wake()
	}
	return nil
}

// nextInLine makes the first account that waits in line. [store.ErrNotFound] means that
// none does, and an [OverBudgetError] that there is no token yet.
//
// Where no account is expected, the look takes no token, which a request may want. Another
// process may have left an account all the same. It takes its token like that of a request,
// or goes back to its place and is expected then.
func (k *Provisioner) nextInLine(ctx context.Context) error {
	expected, standing := k.SignUps.expects()
	if expected {
		if err := k.SignUps.takeForLine(); err != nil {
			return err
		}
	}
	user, err := k.Line.ClaimTurn(ctx, k.newLease())
	if err != nil {
		if expected {
			k.SignUps.giveBack()
		}
		if errors.Is(err, store.ErrNotFound) {
			k.SignUps.empties(standing)
		}
		return err
	}
	k.SignUps.serves(user.Account.Turn)
	k.lookAfter(ctx, user, expected)
	return nil
}

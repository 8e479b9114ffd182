package provisioning

import (
	"context"
	"errors"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// signUpToken is a reconciliation's token of the budget of sign-ups. One is enough: a
// second sign-up follows only if ConnectyCube has refused the first.
type signUpToken struct {
	budget *SignUpBudget
	taken  bool
	spent  bool // a sign-up has used it
}

// take takes a token, unless the reconciliation has one.
func (t *signUpToken) take(ctx context.Context) error {
	if t.taken {
		return nil
	}
	if err := t.budget.take(ctx); err != nil {
		return err
	}
	t.taken = true
	return nil
}

// returnUnused returns a token that no sign-up has used.
func (t *signUpToken) returnUnused() {
	if t.taken && !t.spent {
		t.budget.giveBack()
	}
	t.taken = false
}

// admitTicket takes a token for a login by ticket, at which ConnectyCube creates the
// account. Without a token, the login is only admitted if the account exists.
func (s signUpStep) admitTicket(ctx context.Context) error {
	over := s.r.token.take(ctx)
	if over == nil {
		return nil
	}
	_, err := s.r.p.cubeUsers.UserByExternalID(ctx, s.r.user.ID)
	if errors.Is(err, connectycube.ErrNotFound) {
		return over
	}
	return err
}

// waitInLine puts the account in line, at its former place if it had one. Waiting is no
// failed attempt and does not count as one.
func (r *reconciliation) waitInLine(ctx context.Context) error {
	a := &r.user.Account
	if r.firstAttempt && a.PasswordKind == "" {
		// No sign-up was sent, and the worker's will have this password. It is saved now
		// because a user whose account has a derived password can change the password
		// here before the account exists.
		a.PasswordKind = r.passwords().currentDerived().kind
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	if a.Turn.IsZero() {
		a.Turn = r.p.signUps.turn(ctx)
	}
	if r.claimed {
		a.Attempts--
		r.claimed = false
	}
	if err := r.p.db.Line.Wait(ctx, r.user.ID, a.Held(), a.Turn, a.Attempts); err != nil {
		return err
	}
	a.Due, a.Lease = time.Time{}, ""
	if r.p.signUps.stands() {
		r.p.Wake()
	}
	return nil
}

// nextInLine reconciles the first account that waits in line. The error is
// [store.ErrNotFound] if none does, and an [OverBudgetError] if there is no token yet.
//
// If no account is expected, nextInLine looks without a token, which a request may
// want. Another process may have left an account all the same. That account takes its
// token like that of a request, or returns to its place and is expected then.
func (p *Provisioner) nextInLine(ctx context.Context) error {
	expected, standing := p.signUps.expects()
	if expected {
		if err := p.signUps.takeForLine(); err != nil {
			return err
		}
	}
	user, err := p.db.Line.ClaimTurn(ctx, p.newLease())
	if err != nil {
		if expected {
			p.signUps.giveBack()
		}
		if errors.Is(err, store.ErrNotFound) {
			p.signUps.empties(standing)
		}
		return err
	}
	p.signUps.serves(user.Account.Turn)
	p.reconcileClaimed(ctx, user, expected)
	return nil
}

package identity

import (
	"context"
	"errors"
	"log/slog"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// PasswordHasher hashes and compares passwords, each in the lane of a turn. Compare
// reports a stale hash, which should be replaced. A wrong password is
// [tokens.ErrWrongPassword]; a full queue is a [tokens.QueueError]. Decoy returns the
// hash to compare with if no user has the email; no password fits it.
type PasswordHasher interface {
	Hash(ctx context.Context, t tokens.Turn, password string) (string, error)
	Compare(ctx context.Context, t tokens.Turn, password, hash string) (stale bool, err error)
	Decoy(email string) string
}

// Passwords hashes and compares the passwords of users, and charges wrong ones to the
// budgets of the operation.
type Passwords struct {
	// Hasher is exported for tests of the whole program, which replace it while no
	// request runs.
	Hasher PasswordHasher

	users     UserStore
	records   SessionStore
	devices   devices
	budgets   *Budgets
	networkOf func(ip string) string
	log       *slog.Logger

	keepsHashes bool // the NestJS original reads them, too, and compares passwords as sent
	replaceHash func(ctx context.Context, c store.HashUpgrade) error
}

var errDisabled = &apierror.Error{Code: apierror.Forbidden, Message: "This account is disabled"}

// verify returns the user with an email and a password, and changes nothing. The match
// says how the password fits. For the
// client, an unknown email and a wrong password are one error at one price. The audit
// needs to know whose password was wrong: verify returns that user with the error. A
// client without a device token is refused by a spent budget before any look-up.
func (p *Passwords) verify(ctx context.Context, c Caller, in LoginInput) (user store.User, m match, err error) {
	device := p.devices.known(in.Device, in.Email)
	if device.UserID == "" {
		if err := p.budgets.check(ctx, charges(c.Costs, p.strangersGuess(c, in.Email).keys)); err != nil {
			return store.User{}, match{}, err
		}
	}
	decoy := p.Hasher.Decoy(store.EmailKey(in.Email))
	user, err = p.users.ByEmail(ctx, in.Email)
	if errors.Is(err, store.ErrNotFound) {
		user, err = store.User{PasswordHash: decoy}, nil
	}
	if err != nil {
		return store.User{}, match{}, err
	}
	g, err := p.guessOf(ctx, c, in.Email, user, device)
	if err != nil {
		return store.User{}, match{}, err
	}
	m, err = p.compareForms(ctx, g, in.Password, user)
	if err == nil && user.Disabled {
		err = errDisabled
	}
	return user, m, err
}

// confirm checks the password of a caller who is logged in.
func (p *Passwords) confirm(ctx context.Context, c Caller, password string) error {
	if password == "" || isTooLong(password) {
		return apierror.FieldErrors{"password": "is required"}.Err()
	}
	g := p.strangersGuess(c, c.User.Email)
	g.keys.device = "session " + c.SessionID
	if err := p.budgets.check(ctx, charges(c.Costs, g.keys)); err != nil {
		return err
	}
	g.turn = func() tokens.Turn { return p.callersTurn(c) }
	_, err := p.compareForms(ctx, g, password, c.User)
	if errors.Is(err, tokens.ErrWrongPassword) {
		return &apierror.Error{Code: apierror.Forbidden, Message: "The password is wrong", Cause: err}
	}
	return err
}

// hashNew hashes the new password of a caller who is logged in, in [tokens.PasswordForm].
func (p *Passwords) hashNew(ctx context.Context, c Caller, password string) (string, error) {
	return p.Hasher.Hash(ctx, p.callersTurn(c), tokens.NormalizePassword(password))
}

// hashFirst hashes the password of a registration, in [tokens.PasswordForm]. The registration counts for the
// client's network from then on, even if the email turns out to be in use: an attacker
// can use that answer.
func (p *Passwords) hashFirst(ctx context.Context, c Caller, list []charge, password string) (string, error) {
	if len(list) == 0 {
		return "", errUnpriced
	}
	if err := p.budgets.check(ctx, list); err != nil {
		return "", err
	}
	turn := strangersTurn(c)
	turn.Start = func() error { return p.budgets.take(ctx, list) }
	return p.Hasher.Hash(ctx, turn, tokens.NormalizePassword(password))
}

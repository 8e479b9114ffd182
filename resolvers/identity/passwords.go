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

	replaceHash func(ctx context.Context, c store.HashUpgrade) error
}

var errDisabled = &apierror.Error{Code: apierror.Forbidden, Message: "This account is disabled"}

// verify returns the user with an email and a password, and changes nothing. For the
// client, an unknown email and a wrong password are one error at one price. The audit
// needs to know whose password was wrong: verify returns that user with the error. A
// client without a device token is refused by a spent budget before any look-up.
func (p *Passwords) verify(ctx context.Context, c Caller, in LoginInput) (user store.User, stale bool, err error) {
	device := p.devices.known(in.Device, in.Email)
	if device.UserID == "" {
		if err := p.budgets.check(ctx, charges(c.Costs, p.strangersGuess(c, in.Email).keys)); err != nil {
			return store.User{}, false, err
		}
	}
	decoy := p.Hasher.Decoy(store.EmailKey(in.Email))
	user, err = p.users.ByEmail(ctx, in.Email)
	if errors.Is(err, store.ErrNotFound) {
		user, err = store.User{PasswordHash: decoy}, nil
	}
	if err != nil {
		return store.User{}, false, err
	}
	g, err := p.guessOf(ctx, c, in.Email, user, device)
	if err != nil {
		return store.User{}, false, err
	}
	stale, err = p.compare(ctx, g, in.Password, user)
	if err == nil && user.Disabled {
		err = errDisabled
	}
	return user, stale, err
}

// confirm checks the password of a caller who is logged in.
func (p *Passwords) confirm(ctx context.Context, c Caller, password string) error {
	if password == "" || len(password) > maxLoginBytes {
		return apierror.FieldErrors{"password": "is required"}.Err()
	}
	g := p.strangersGuess(c, c.User.Email)
	g.keys.device = "session " + c.SessionID
	if err := p.budgets.check(ctx, charges(c.Costs, g.keys)); err != nil {
		return err
	}
	g.turn = p.callersTurn(c)
	_, err := p.compare(ctx, g, password, c.User)
	if errors.Is(err, tokens.ErrWrongPassword) {
		return &apierror.Error{Code: apierror.Forbidden, Message: "The password is wrong", Cause: err}
	}
	return err
}

// hashNew hashes the new password of a caller who is logged in.
func (p *Passwords) hashNew(ctx context.Context, c Caller, password string) (string, error) {
	return p.Hasher.Hash(ctx, p.callersTurn(c), password)
}

// hashFirst hashes the password of a registration. The registration counts for the
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
	return p.Hasher.Hash(ctx, turn, password)
}

// upgradeHash replaces a stale hash and returns the hash that is valid now, which
// always belongs to this password: a login that began with a former password must not
// continue with the hash of its successor.
func (p *Passwords) upgradeHash(ctx context.Context, c Caller, password string) (string, error) {
	hash, err := p.Hasher.Hash(ctx, strangersTurn(c), password)
	if err == nil {
		err = p.replaceHash(ctx, store.HashUpgrade{UserID: c.User.ID, OldHash: c.User.PasswordHash, NewHash: hash})
	}
	if err != nil { // this login can use the old hash; the next login tries again
		p.log.LogAttrs(ctx, slog.LevelWarn, "password hash not replaced", slog.String("user_id", c.User.ID), slog.Any("err", err))
		return c.User.PasswordHash, nil
	}
	current, err := p.users.ByID(ctx, c.User.ID)
	if err != nil {
		return c.User.PasswordHash, nil
	}
	if current.PasswordHash != hash { // another login was first, or the password has changed
		_, err = p.Hasher.Compare(ctx, strangersTurn(c), password, current.PasswordHash)
	}
	return current.PasswordHash, err
}

// compare compares a password with a user's hash, and charges a wrong one to the
// budgets of the guess.
func (p *Passwords) compare(ctx context.Context, g guess, password string, user store.User) (stale bool, err error) {
	list, taken := charges(g.costs, g.keys), false
	if len(list) == 0 {
		return false, errUnpriced
	}
	if err := p.budgets.check(ctx, list); err != nil {
		return false, err
	}
	turn := g.turn
	turn.Start = func() error {
		err := p.budgets.take(ctx, list)
		taken = err == nil
		return err
	}
	stale, err = p.Hasher.Compare(ctx, turn, password, user.PasswordHash)
	if taken && !errors.Is(err, tokens.ErrWrongPassword) {
		p.budgets.refund(list)
	}
	return stale, err
}

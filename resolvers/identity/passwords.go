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
// hash to compare with if no user has the email; no password fits it. Announce refuses a
// client that the full queue would refuse; the function that it returns must be called
// once, before Compare.
type PasswordHasher interface {
	Hash(ctx context.Context, t tokens.Turn, password string) (string, error)
	Compare(ctx context.Context, t tokens.Turn, password, hash string) (stale bool, err error)
	Decoy(email string) string
	Announce(t tokens.Turn) (arrived func(), err error)
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
	familiar  *familiarNetworks
	budgets   *Budgets
	networkOf func(ip string) string
	log       *slog.Logger

	keepsHashes bool // the NestJS original reads them, too, and compares passwords as sent
	replaceHash func(ctx context.Context, c store.HashUpgrade) error
}

var errDisabled = &apierror.Error{Code: apierror.Forbidden, Message: "This account is disabled", Reason: apierror.ReasonDisabled}

// verify returns the user with an email and a password, and changes nothing. The match
// says how the password fits. For the
// client, an unknown email and a wrong password are one error at one price. The audit
// needs to know whose password was wrong: verify returns that user with the error.
func (p *Passwords) verify(ctx context.Context, c Caller, in LoginInput) (user store.User, m match, err error) {
	user, g, err := p.lookUp(ctx, c, in)
	if err != nil {
		return store.User{}, match{}, err
	}
	m, err = p.compareForms(ctx, g, in.Password, user)
	if err == nil && user.Disabled {
		err = errDisabled
	}
	return user, m, err
}

// admit refuses a client before any look-up: one with a spent budget, or one that the full
// hash queue would refuse. It decides from the request alone, so that the
// response does not tell whether the email has an account. The returned function must be
// called before the password is compared.
func (p *Passwords) admit(ctx context.Context, c Caller, email string, device tokens.KnownDevice) (arrived func(), err error) {
	if p.isWelcome(c, email, device) {
		return func() {}, nil
	}
	g := p.guessBefore(c, email)
	if err := p.budgets.check(ctx, charges(g.costs, g.keys)); err != nil {
		return nil, err
	}
	if !c.isCallback() && p.familiar.includes(familiarPair{g.keys.email, c.Client.network()}) {
		return func() {}, nil
	}
	return p.Hasher.Announce(g.turn())
}

// isWelcome reports whether a device token is valid and its device may still guess. Only
// the look-up shows whether the token was revoked.
func (p *Passwords) isWelcome(c Caller, email string, device tokens.KnownDevice) bool {
	return device.UserID != "" && p.budgets.permits(charges(c.Costs, budgetKeys{email: store.EmailKey(email), device: device.Device}))
}

// lookUp returns the user with the email of a client that admit admits, and how the client
// guesses. If no user has the email, it returns a user with a decoy for a hash.
func (p *Passwords) lookUp(ctx context.Context, c Caller, in LoginInput) (store.User, guess, error) {
	device := p.devices.known(in.Device, in.Email)
	arrived, err := p.admit(ctx, c, in.Email, device)
	if err != nil {
		return store.User{}, guess{}, err
	}
	defer arrived() // deferred, because an announcement that never ends would fill the queue
	decoy := p.Hasher.Decoy(store.EmailKey(in.Email))
	user, err := p.users.ByEmail(ctx, in.Email)
	if errors.Is(err, store.ErrNotFound) {
		user, err = store.User{PasswordHash: decoy}, nil
	}
	if err != nil {
		return store.User{}, guess{}, err
	}
	g, err := p.guessOf(ctx, c, in.Email, user, device)
	return user, g, err
}

// confirm checks the password of a caller who is logged in.
func (p *Passwords) confirm(ctx context.Context, c Caller, password string) error {
	if password == "" || isTooLong(password) {
		return apierror.FieldErrors{"password": "is required"}.Err()
	}
	g := p.guessBefore(c, c.User.Email)
	g.keys.device = "session " + c.SessionID
	if err := p.budgets.check(ctx, charges(c.Costs, g.keys)); err != nil {
		return err
	}
	g.turn = func() tokens.Turn { return p.callersTurn(c) }
	_, err := p.compareForms(ctx, g, password, c.User)
	if errors.Is(err, tokens.ErrWrongPassword) {
		return &apierror.Error{Code: apierror.Forbidden, Message: "The password is wrong", Reason: apierror.ReasonWrongPassword, Cause: err}
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

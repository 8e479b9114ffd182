package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"cubegate/store"
	"cubegate/tokens"
)

// DeviceTokens makes and reads the tokens by which a device shows that it has
// logged in before. The error of ReadDeviceToken is of no interest: such a
// device is a stranger.
type DeviceTokens interface {
	NewDeviceToken(d tokens.KnownDevice) string
	ParseDeviceToken(token, emailKey string) (tokens.KnownDevice, error)
}

// guess is one comparison of a password: by whom, and in which lane.
type guess struct {
	operation string
	asker     asker
	turn      tokens.Turn
}

// strangerTurn is the turn of a client of which only the network is known.
func (a *Auth) strangerTurn(ctx context.Context) tokens.Turn {
	return tokens.Turn{Lanes: a.Networks(ctx)}
}

// strangersGuess is the guess of a client of which only the network is known.
func (a *Auth) strangersGuess(ctx context.Context, operation, email string) guess {
	return guess{
		operation: operation,
		asker:     asker{email: store.EmailKey(email), networks: a.Networks(ctx)},
		turn:      a.strangerTurn(ctx),
	}
}

// guessOf finds out whether the client belongs to the account that it asks for.
// An unknown user costs the same look-up as a stranger to a known one, so that
// the time does not tell them apart.
func (a *Auth) guessOf(ctx context.Context, operation, email string, user store.User, device tokens.KnownDevice) (guess, error) {
	g := a.strangersGuess(ctx, operation, email)
	if user.ID != "" && device.UserID == user.ID && device.Generation == user.DeviceGeneration {
		known := g
		known.asker.device = device.Device
		if a.Budgets.check(ctx, charges(operation, known.asker)) == nil { // else a stranger, until a login succeeds
			known.turn = a.knownTurn(g.turn, user.ID, device.Device)
			return known, nil
		}
	}
	ids := user.Sessions
	if len(ids) == 0 {
		ids = []string{"none"}
	}
	sessions, err := a.Sessions.Listed(ctx, ids)
	if err != nil {
		return guess{}, err
	}
	here := g.asker.network()
	if slices.ContainsFunc(sessions, func(s store.Session) bool { return a.Network(s.LastIP) == here }) {
		g.turn = a.knownTurn(g.turn, "network of "+user.ID)
	}
	return g, nil
}

// knownTurn is a turn among the known, unless the account has had its share of
// those: then it is the stranger's.
func (a *Auth) knownTurn(stranger tokens.Turn, lanes ...string) tokens.Turn {
	if !a.Budgets.allows(budgetKnownTurns, lanes[0]) {
		return stranger
	}
	return tokens.Turn{Known: true, Lanes: lanes, Networks: stranger.Lanes}
}

// compare compares a password with a user's hash, and charges a wrong one to the
// budgets of the guess.
func (a *Auth) compare(ctx context.Context, g guess, password string, user store.User) (stale bool, err error) {
	list, taken := charges(g.operation, g.asker), false
	if err := a.Budgets.check(ctx, list); err != nil {
		return false, err
	}
	turn := g.turn
	turn.Start = func() error {
		err := a.Budgets.take(ctx, list)
		taken = err == nil
		return err
	}
	stale, err = a.Passwords.Compare(ctx, turn, password, user.PasswordHash)
	if taken && !errors.Is(err, tokens.ErrWrongPassword) {
		a.Budgets.refund(list)
	}
	return stale, err
}

// rubbish is the answer to a token that we have not issued: err, or RATE_LIMITED
// when too many come from one network.
func (a *Auth) rubbish(ctx context.Context, operation string, err error) error {
	if spent := a.Budgets.take(ctx, charges(operation, asker{networks: a.Networks(ctx)})); spent != nil {
		return spent
	}
	return err
}

// deviceToken is the token of a device that has just logged in. A device that
// was known already stays so.
func (a *Auth) deviceToken(user store.User, session store.Session, before tokens.KnownDevice) string {
	// Each login is a device of a new name: a success begins a new budget.
	d := tokens.KnownDevice{
		UserID: user.ID, EmailKey: store.EmailKey(user.Email), Device: session.ID,
		Issued: session.Created, Generation: user.DeviceGeneration,
	}
	if before.UserID == user.ID && before.Generation == user.DeviceGeneration {
		d.Issued = time.Now().Add(-tokens.DeviceMatures)
	}
	return a.Devices.NewDeviceToken(d)
}

// renewedDeviceToken is the token that a refresh gives: none while the client
// may have one that counts sooner.
func (a *Auth) renewedDeviceToken(user store.User, session store.Session) string {
	if time.Since(session.Created) < tokens.DeviceMatures {
		return ""
	}
	return a.deviceToken(user, session, tokens.KnownDevice{})
}

// knownDevice is the device that an app says it is, if its token counts for an
// email.
func (a *Auth) knownDevice(d *deviceInput, email string) tokens.KnownDevice {
	if d == nil || d.Token == nil {
		return tokens.KnownDevice{}
	}
	known, err := a.Devices.ParseDeviceToken(*d.Token, store.EmailKey(email))
	if err != nil {
		return tokens.KnownDevice{}
	}
	return known
}

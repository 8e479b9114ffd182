package identity

import (
	"context"
	"slices"

	"cubegate/store"
	"cubegate/tokens"
)

// guess is one password to compare: the budgets that each comparison charges, and the
// lane that it waits in.
type guess struct {
	costs []Cost
	keys  budgetKeys
	turn  func() tokens.Turn // of the next comparison
}

// isCallback reports whether ConnectyCube asks, and has shown the callback secret.
func (c Caller) isCallback() bool { return slices.Contains(c.Costs, CostCallback) }

// strangersTurn is the turn of a client of which only the network is known.
func strangersTurn(c Caller) tokens.Turn { return tokens.Turn{Lanes: c.Client.Networks} }

// turnBefore is the turn of a client before the look-up. A callback has the lane of its email,
// whether or not a user has it.
func turnBefore(c Caller, emailKey string) tokens.Turn {
	if c.isCallback() {
		return tokens.Turn{Class: tokens.Callbacks, Lanes: []string{emailKey}}
	}
	return strangersTurn(c)
}

// callersTurn is the turn of a client with a login session.
func (p *Passwords) callersTurn(c Caller) tokens.Turn {
	return p.knownTurn(strangersTurn(c), c.User.ID, c.SessionID)
}

// knownTurn is a turn among the known clients of an account, which lanes begin with. If
// the account has spent its share of those, it is the stranger's turn.
func (p *Passwords) knownTurn(stranger tokens.Turn, lanes ...string) tokens.Turn {
	if !p.budgets.allows(budgetKnownTurns, lanes[0]) {
		return stranger
	}
	return tokens.Turn{Class: tokens.Known, Lanes: lanes, Networks: stranger.Lanes}
}

// guessBefore is the guess of a client before the look-up.
func (p *Passwords) guessBefore(c Caller, email string) guess {
	key := store.EmailKey(email)
	return guess{costs: c.Costs, keys: budgetKeys{email: key, networks: c.Client.Networks}, turn: func() tokens.Turn { return turnBefore(c, key) }}
}

// guessOf finds out whether the client belongs to the account with an email. An unknown
// user costs the same look-up as a stranger to a known user, so that the time does not
// distinguish them.
func (p *Passwords) guessOf(ctx context.Context, c Caller, email string, user store.User, device tokens.KnownDevice) (guess, error) {
	g := p.guessBefore(c, email)
	if c.isCallback() { // the network is ConnectyCube's, and tells nothing about the client
		return g, nil
	}
	if user.ID != "" && device.UserID == user.ID && device.Generation == user.DeviceGeneration {
		known := g
		known.keys.device = device.Device
		if p.budgets.permits(charges(known.costs, known.keys)) { // else a stranger, until a login succeeds
			known.turn = func() tokens.Turn { return p.knownTurn(g.turn(), user.ID, device.Device) }
			return known, nil
		}
	}
	ids := user.Sessions
	if len(ids) == 0 {
		ids = []string{"none"}
	}
	sessions, err := p.records.Listed(ctx, ids)
	if err != nil {
		return guess{}, err
	}
	here := c.Client.network()
	if slices.ContainsFunc(sessions, func(s store.Session) bool { return p.networkOf(s.LastIP) == here }) {
		stranger := g.turn
		g.turn = func() tokens.Turn { return p.knownTurn(stranger(), "network of "+user.ID) }
	}
	return g, nil
}

package provisioning

import (
	"context"
	"errors"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// Extension is a ConnectyCube session that the record of a login session must get: the
// one that it has, which was extended, or a new one. Its holder writes it with
// [Extension.Record] and whatever else it changes, and passes it to
// [Provisioner.OpenCubeSession] after that.
type Extension struct {
	p   *Provisioner
	had store.Session // the login session before

	session connectycube.Session
	sealed  string // its token; empty = the record stays as it is

	// The answer: what the record has after Record, or what the client gets if the
	// record stays as it is.
	answer CubeSession
	err    error
}

// ExtendCubeSession extends the ConnectyCube session that a login session has, and writes
// nothing. It returns nil if there is none, or if the account must be reconciled first.
func (p *Provisioner) ExtendCubeSession(ctx context.Context, user store.User, session store.Session) *Extension {
	s := sessionStep{p.begin(user, LoginMethod{}), session}
	if session.CubeToken == "" || s.hasWork() {
		return nil
	}
	x := &Extension{p: p, had: session}
	x.extend(ctx)
	return x
}

// extend asks ConnectyCube for the session, which is enough to extend it
// (docs/connectycube.md, Sessions). The error is [connectycube.ErrSessionExpired] if there
// is none.
func (x *Extension) extend(ctx context.Context) {
	p, had := x.p, x.had
	if had.CubeToken == "" {
		x.err = connectycube.ErrSessionExpired
		return
	}
	token, err := p.sealer.Open(had.CubeToken, additionalData(had.ID))
	if errors.Is(err, tokens.ErrSealed) { // with a secret that is no longer configured
		err = connectycube.ErrSessionExpired
	}
	if err != nil {
		x.err = err
		return
	}
	session, err := p.cube.ExtendSession(ctx, token)
	if errors.Is(err, connectycube.ErrUnavailable) && ctx.Err() == nil {
		session, err = p.cube.ExtendSession(ctx, token) // safe to repeat
	}
	session.Token = token
	switch {
	case errors.Is(err, connectycube.ErrUnavailable) && had.CubeExpires.After(time.Now()): // not extended, but still good
		x.answer = CubeSession{UserID: had.CubeID, Token: token, Expires: had.CubeExpires}
	case err != nil:
		x.answer, x.err = CubeSession{UserID: had.CubeID}, err
	case session.UserID != had.CubeID:
		x.err = connectycube.ErrSessionExpired
	default:
		x.err = x.seal(session)
	}
}

func (x *Extension) seal(session connectycube.Session) (err error) {
	x.session = session
	x.sealed, err = x.p.sealer.Seal(session.Token, additionalData(x.had.ID))
	return err
}

// Record changes the record of the login session. If another request has saved a session
// meanwhile, that one counts. Record may run several times. A nil x changes nothing.
func (x *Extension) Record(record *store.Session) {
	if x == nil || x.sealed == "" {
		return
	}
	if record.CubeToken != x.had.CubeToken {
		if other, err := x.p.sealer.Open(record.CubeToken, additionalData(record.ID)); err == nil && record.CubeExpires.After(time.Now()) {
			x.answer = CubeSession{UserID: record.CubeID, Token: other, Expires: record.CubeExpires}
			return
		}
	}
	record.CubeToken, record.CubeID, record.CubeExpires = x.sealed, x.session.UserID, x.session.ExpiresAt
	x.answer = CubeSession{UserID: x.session.UserID, Token: x.session.Token, Expires: x.session.ExpiresAt}
}

// save writes the session alone.
func (x *Extension) save(ctx context.Context) (CubeSession, error) {
	_, err := x.p.db.Sessions.Update(ctx, x.had, func(record *store.Session) error {
		x.Record(record)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrLoginSessionEnded
	}
	return x.finish(ctx, err)
}

// finish returns what the client gets after the write that Record was part of. If the
// record has another session, this one ends; it also ends if the login session is over.
// If the outcome of the write is unknown, it stays open: the record may have it, and
// where the password is shared, only the user could open another one.
func (x *Extension) finish(ctx context.Context, err error) (CubeSession, error) {
	if x.sealed == "" {
		return x.answer, x.err
	}
	if errors.Is(err, ErrLoginSessionEnded) || err == nil && x.answer.Token != x.session.Token {
		x.p.endSession(ctx, x.had.UserID, x.session.Token)
	}
	if err != nil {
		return CubeSession{}, err
	}
	return x.answer, nil
}

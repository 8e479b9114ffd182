package provisioning

import (
	"cmp"
	"context"
	"errors"

	"cubegate/connectycube"
	"cubegate/tokens"
)

// sessionOpener opens the session of the user's account that a reconciliation needs.
type sessionOpener struct{ r *reconciliation }

// open opens a session in the way that the application wants: by password, or by ticket
// where ConnectyCube asks the verify route about passwords (docs/connectycube.md,
// Identity provider). It remembers the way that worked. The caller must hold nothing
// that the verify route needs.
func (o sessionOpener) open(ctx context.Context) error {
	r := o.r
	if r.session.Token != "" {
		return nil
	}
	if r.usesTickets() {
		err := o.openByTicket(ctx)
		if r.login.ViaIdentityProvider || !isRejection(err) {
			return err
		}
		r.p.seenProviderOn.Store(false) // the application no longer accepts tickets
	}
	// Most applications create an account for an unknown email (docs/connectycube.md,
	// Sessions), so the email must be the one that ConnectyCube has.
	if r.emailDiffers() || r.user.Account.Attempts > 0 {
		if err := unlessNotFound(r.confirmAccount(ctx)); err != nil {
			return err
		}
	}
	return o.openByPassword(ctx)
}

func (o sessionOpener) openByPassword(ctx context.Context) error {
	r := o.r
	passwords := r.passwords()
	if passwords.own == "" && passwords.kind.IsOwn() && r.p.seenProviderOff.Load() {
		return ErrPasswordRequired
	}
	last := error(ErrPasswordRequired)
	for _, c := range passwords.candidates() {
		session, err := r.p.cube.CreateSession(ctx, connectycube.Credentials{Email: o.accountEmail(), Password: c.text})
		switch {
		case err == nil:
			session, err = o.relinkByPassword(ctx, session, c)
			return o.set(session, c, err)
		case errors.Is(err, connectycube.ErrIdentityProvider):
			err := o.openByTicket(ctx)
			r.p.seenProviderOn.Store(err == nil)
			return err
		case !errors.Is(err, connectycube.ErrBadCredentials):
			return err
		}
		r.p.seenProviderOff.Store(true)
		if passwords.own != "" {
			last = err
		}
	}
	return last
}

// passwordWorks returns nil if a password opens a session of the account.
func (o sessionOpener) passwordWorks(ctx context.Context, c passwordCandidate) error {
	session, err := o.r.p.cube.CreateSession(ctx, connectycube.Credentials{Email: o.accountEmail(), Password: c.text})
	if err != nil {
		return err
	}
	return o.r.p.cube.EndSession(ctx, session.Token)
}

// accountEmail is the email that ConnectyCube knows the user by.
func (o sessionOpener) accountEmail() string {
	return cmp.Or(o.r.user.Account.Email, o.r.user.Email)
}

func (o sessionOpener) openByTicket(ctx context.Context) error {
	session, err := o.ticketSession(ctx, "")
	if err == nil {
		session, err = o.relinkByTicket(ctx, session)
	}
	return o.set(session, passwordCandidate{}, err)
}

// set makes a session that was just opened the reconciliation's, unless err says that
// there is none.
func (o sessionOpener) set(session connectycube.Session, with passwordCandidate, err error) error {
	if err == nil {
		o.r.session, o.r.openedWith, o.r.sessionUnused = session, with, true
	}
	return err
}

// ticketSession opens a session of the account that carries an external ID, by a
// service ticket. Empty means the user's ID.
func (o sessionOpener) ticketSession(ctx context.Context, externalID string) (connectycube.Session, error) {
	user := o.r.user
	ticket, err := o.r.p.tickets.ServiceTicket(tokens.ServiceGrant{Subject: user.ID, Email: user.Email, ExternalID: externalID})
	if err != nil {
		return connectycube.Session{}, err
	}
	return o.r.p.cube.CreateSession(ctx, connectycube.Credentials{Login: ticket, Password: o.r.p.settings.CIdPPassword})
}

// anySession finds a session for work that is no login: an open one, else a new one.
func (o sessionOpener) anySession(ctx context.Context) error {
	if o.r.session.Token != "" {
		return nil
	}
	if o.r.login.Password == "" {
		if err := o.reuse(ctx); !errors.Is(err, ErrPasswordRequired) {
			return err
		}
	}
	return o.open(ctx)
}

// reuse takes the ConnectyCube session of one of the user's login sessions. The error
// is [ErrPasswordRequired] if none has one.
func (o sessionOpener) reuse(ctx context.Context) error {
	r := o.r
	loginSessions, err := r.p.db.Sessions.OfUser(ctx, r.user.ID)
	if err != nil {
		return err
	}
	for _, loginSession := range loginSessions {
		token, err := r.p.sealer.Open(loginSession.CubeToken, additionalData(loginSession.ID))
		if loginSession.CubeToken == "" || err != nil {
			continue
		}
		session, err := r.p.cube.ExtendSession(ctx, token)
		if errors.Is(err, connectycube.ErrSessionExpired) || err == nil && session.UserID != r.user.CubeID {
			continue
		}
		if err != nil {
			return err
		}
		session.Token = token
		r.session = session
		return nil
	}
	return ErrPasswordRequired
}

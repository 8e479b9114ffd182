package provisioning

import (
	"context"
	"errors"
	"log/slog"
	"time"
	"unicode/utf8"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// Lengths of a password that ConnectyCube takes, in characters (contract 6.2).
const (
	minPassword = 6
	maxPassword = 40
)

// candidate is a password that an account may have.
type candidate struct {
	kind store.PasswordKind
	text string
}

// candidates are the passwords to try, the likeliest first. A crash between
// ConnectyCube's answer and our note of it leaves the note behind, so what it
// says of keys, or of the user's own, is only where to begin.
func (v *visit) candidates() []candidate {
	var own, made []candidate
	if v.means.Password != "" {
		own = []candidate{{store.PasswordShared, v.means.Password}}
	}
	for _, d := range v.k.Keys.DerivedPasswords(v.user.ID) {
		c := candidate{store.PasswordDerived(d.Key), d.Password}
		if c.kind == v.user.Account.PasswordKind { // first of all
			made = append([]candidate{c}, made...)
			continue
		}
		made = append(made, c)
	}
	if v.generated() {
		return append(made, own...)
	}
	return append(own, made...)
}

// first is the password of an account that is made now. One that must go again
// when the answer is lost gets a password that the server knows, and so does one
// that may have been made with such a one before.
func (v *visit) first() candidate {
	if !v.k.MakeLater && !v.k.AdminKey || !v.sharable() || v.generated() {
		return v.current()
	}
	return candidate{store.PasswordShared, v.means.Password}
}

// sharable reports whether the user's own password is at hand and may be the
// account's.
func (v *visit) sharable() bool {
	n := utf8.RuneCountInString(v.means.Password)
	return !v.k.Derived && n >= minPassword && n <= maxPassword
}

// current is the derived password of today's key.
func (v *visit) current() candidate {
	d := v.k.Keys.DerivedPasswords(v.user.ID)[0]
	return candidate{store.PasswordDerived(d.Key), d.Password}
}

// wanted is the password that the account should have, as far as the means
// allow: nobody can give it the user's own without knowing it.
func (v *visit) wanted() candidate {
	if v.k.Derived {
		return v.current()
	}
	if v.sharable() {
		return candidate{store.PasswordShared, v.means.Password}
	}
	if v.generated() {
		return v.current()
	}
	return candidate{kind: v.user.Account.PasswordKind}
}

// generated reports whether the account is known to have a derived password, or
// will have one if a sign-up is to be made or heard of yet.
func (v *visit) generated() bool { return v.user.Account.PasswordKind.IsDerived() }

// adoptable reports whether the account should get another password. An
// account of the original has the user's own and no note of it.
func (v *visit) adoptable() bool {
	has, want := v.user.Account.PasswordKind, v.wanted().kind
	return !v.byTicket() && has != want && !(has == "" && want == store.PasswordShared && v.user.Account.Due.IsZero())
}

// adopt gives the account the password that it should have.
func (v *visit) adopt(ctx context.Context) error {
	if !v.adoptable() || v.means.Password == "" && !v.generated() {
		return nil // the next login brings what this takes
	}
	if err := v.become(ctx); err != nil {
		return err
	}
	err := v.replacePassword(ctx, v.wanted())
	if errors.Is(err, connectycube.ErrRefused) { // the one that it has is as good
		v.warn(ctx, "password at ConnectyCube not replaced", err)
		v.user.Account.PasswordKind = v.opener.kind
		return v.record(ctx)
	}
	return err
}

// replacePassword gives the account another password in place of the one that
// opened the session. That ConnectyCube does not know the old one has two
// reasons, and the new one tells them apart: it was replaced already, by a
// request that arrived twice; or ConnectyCube asks us about passwords, and
// nobody needs any.
func (v *visit) replacePassword(ctx context.Context, want candidate) error {
	if v.opener.kind == "" {
		return nil
	}
	if v.opener.kind != want.kind {
		if want.kind == store.PasswordShared && v.generated() {
			v.user.Account.PasswordKind = store.PasswordUnknown
			if err := v.record(ctx); err != nil {
				return err
			}
		}
		err := v.k.Self.UpdateUser(ctx, v.session, connectycube.UserUpdate{Password: want.text, OldPassword: v.opener.text})
		if errors.Is(err, connectycube.ErrBadCredentials) {
			err = v.opens(ctx, want)
		}
		if errors.Is(err, connectycube.ErrIdentityProvider) {
			v.k.cidp.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
	}
	v.user.Account.PasswordKind, v.opener = want.kind, want
	return v.record(ctx)
}

// opens finds out whether a password opens the account.
func (v *visit) opens(ctx context.Context, c candidate) error {
	session, err := v.k.Cube.CreateSession(ctx, connectycube.Credentials{Email: v.address(), Password: c.text})
	if err != nil {
		return err
	}
	return v.k.Cube.EndSession(ctx, session.Token)
}

// byTicket reports whether sessions are to be opened by ticket.
func (v *visit) byTicket() bool { return v.means.ViaIdentityProvider || v.k.cidp.Load() }

// become opens a session of the user, the way the application wants it: by
// password, or by ticket where ConnectyCube asks us about passwords (contract
// 8.4). It remembers the way that worked. Nothing that the verify route needs
// may be held here.
func (v *visit) become(ctx context.Context) error {
	if v.session.Token != "" {
		return nil
	}
	if v.byTicket() {
		err := v.becomeByTicket(ctx)
		if v.means.ViaIdentityProvider || !refused(err) {
			return err
		}
		v.k.cidp.Store(false) // the application knows no tickets any more
	}
	// Most applications make an account for an address that they do not know
	// (contract 5.2, row 13), so it must be the right one.
	if v.moving() || v.user.Account.Attempts > 0 {
		if err := v.ask(ctx); err != nil {
			return err
		}
	}
	if v.means.Password == "" && v.user.Account.PasswordKind == store.PasswordShared && v.k.direct.Load() {
		return ErrPasswordRequired
	}
	last := error(ErrPasswordRequired)
	for _, c := range v.candidates() {
		session, err := v.k.Cube.CreateSession(ctx, connectycube.Credentials{Email: v.address(), Password: c.text})
		switch {
		case err == nil:
			if v.user.CubeID != 0 && session.UserID != v.user.CubeID {
				session, err = v.reuniteByPassword(ctx, session, c)
			}
			if err != nil {
				return err
			}
			v.session, v.opener, v.spare = session, c, true
			return nil
		case errors.Is(err, connectycube.ErrIdentityProvider):
			err := v.becomeByTicket(ctx)
			v.k.cidp.Store(err == nil)
			return err
		case !errors.Is(err, connectycube.ErrBadCredentials):
			return err
		}
		v.k.direct.Store(true)
		if v.means.Password != "" {
			last = err
		}
	}
	return last
}

// refused tells that ConnectyCube does not know what it was shown.
func refused(err error) bool {
	for _, is := range []error{connectycube.ErrBadCredentials, connectycube.ErrNotFound, connectycube.ErrTaken, connectycube.ErrRefused} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

func (v *visit) becomeByTicket(ctx context.Context) error {
	session, err := v.ticketSession(ctx, "")
	if err == nil && v.user.CubeID != 0 && session.UserID != v.user.CubeID {
		session, err = v.reunite(ctx, session)
	}
	if err != nil {
		return err
	}
	v.session, v.opener, v.spare = session, candidate{}, true
	return nil
}

// ticketSession opens a session of the account that carries an external id, by a
// service ticket; empty means the user's id.
func (v *visit) ticketSession(ctx context.Context, externalID string) (connectycube.Session, error) {
	ticket, err := v.k.Tickets.ServiceTicket(tokens.ServiceGrant{Subject: v.user.ID, Email: v.user.Email, ExternalID: externalID})
	if err != nil {
		return connectycube.Session{}, err
	}
	return v.k.Cube.CreateSession(ctx, connectycube.Credentials{Login: ticket, Password: v.k.CIdPPassword})
}

// act finds any session of the user, for what is no login: one that is there
// already, else a new one.
func (v *visit) act(ctx context.Context) error {
	if v.session.Token != "" {
		return nil
	}
	if v.means.Password == "" {
		if err := v.borrow(ctx); !errors.Is(err, ErrPasswordRequired) {
			return err
		}
	}
	return v.become(ctx)
}

// borrow takes the ConnectyCube session of one of the user's login sessions.
func (v *visit) borrow(ctx context.Context) error {
	logins, err := v.k.Sessions.OfUser(ctx, v.user.ID)
	if err != nil {
		return err
	}
	for _, login := range logins {
		token, err := v.k.Keys.Open(login.CubeToken, about(login.ID))
		if login.CubeToken == "" || err != nil {
			continue
		}
		session, err := v.k.Cube.ExtendSession(ctx, token)
		if errors.Is(err, connectycube.ErrSessionExpired) || err == nil && session.UserID != v.user.CubeID {
			continue
		}
		if err != nil {
			return err
		}
		session.Token = token
		v.session = session
		return nil
	}
	return ErrPasswordRequired
}

// close ends a session that was opened for the visit alone, and gives back a token that
// no sign-up took.
func (v *visit) close(ctx context.Context) {
	v.refund()
	if !v.spare || v.user.Deleting { // with the account goes every session
		return
	}
	v.spare = false
	v.k.discard(ctx, v.user.ID, v.session.Token)
}

// discard ends a ConnectyCube session whose token nobody has got.
func (k *Provisioner) discard(ctx context.Context, userID, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := k.Cube.EndSession(ctx, token); err != nil {
		k.Log.LogAttrs(ctx, slog.LevelInfo, "spare ConnectyCube session left to expire", slog.String("user_id", userID), slog.Any("err", err))
	}
}

// address is the one that ConnectyCube knows the user by.
func (v *visit) address() string {
	if v.user.Account.Email != "" {
		return v.user.Account.Email
	}
	return v.user.Email
}

// about ties a sealed token to its login session.
func about(sessionID string) string { return "connectycube session of " + sessionID }

// prolong asks ConnectyCube for the session that a login session has, which
// prolongs it (contract 4.2). The error is [connectycube.ErrSessionExpired]
// when there is none any more.
func (k *Provisioner) prolong(ctx context.Context, login store.Session) (CubeSession, error) {
	if login.CubeToken == "" {
		return CubeSession{}, connectycube.ErrSessionExpired
	}
	token, err := k.Keys.Open(login.CubeToken, about(login.ID))
	if errors.Is(err, tokens.ErrSealed) { // by a secret that is no longer ours
		return CubeSession{}, connectycube.ErrSessionExpired
	}
	if err != nil {
		return CubeSession{}, err
	}
	session, err := k.Cube.ExtendSession(ctx, token)
	if errors.Is(err, connectycube.ErrUnavailable) && ctx.Err() == nil {
		session, err = k.Cube.ExtendSession(ctx, token) // the question changes nothing but the time
	}
	if errors.Is(err, connectycube.ErrUnavailable) && login.CubeExpires.After(time.Now()) {
		return CubeSession{UserID: login.CubeID, Token: token, Expires: login.CubeExpires}, nil // as good as it was
	}
	if err != nil {
		return CubeSession{UserID: login.CubeID}, err
	}
	if session.UserID != login.CubeID {
		return CubeSession{}, connectycube.ErrSessionExpired
	}
	session.Token = token
	chat, err := k.keep(ctx, login, session)
	if err != nil && !errors.Is(err, ErrLoginSessionEnded) { // only its time is not on record
		k.Log.LogAttrs(ctx, slog.LevelWarn, "prolonged ConnectyCube session not noted", slog.String("user_id", login.UserID), slog.Any("err", err))
		return CubeSession{UserID: login.CubeID, Token: token, Expires: session.ExpiresAt}, nil
	}
	return chat, err
}

// keep seals a ConnectyCube session into its login session. When another one
// got there meanwhile, that one counts and this one ends; so it does when the
// login session is over. When nobody can say, it stays, for the record may have
// it, and only the user could open another one where the password is shared.
func (k *Provisioner) keep(ctx context.Context, login store.Session, session connectycube.Session) (CubeSession, error) {
	sealed, err := k.Keys.Seal(session.Token, about(login.ID))
	if err != nil {
		return CubeSession{}, err
	}
	var kept CubeSession
	_, err = k.Sessions.Update(ctx, login.ID, func(s *store.Session) error {
		if s.CubeToken != login.CubeToken {
			if other, err := k.Keys.Open(s.CubeToken, about(s.ID)); err == nil && s.CubeExpires.After(time.Now()) {
				kept = CubeSession{UserID: s.CubeID, Token: other, Expires: s.CubeExpires}
				return nil
			}
		}
		s.CubeToken, s.CubeID, s.CubeExpires = sealed, session.UserID, session.ExpiresAt
		kept = CubeSession{UserID: session.UserID, Token: session.Token, Expires: session.ExpiresAt}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrLoginSessionEnded
	}
	if errors.Is(err, ErrLoginSessionEnded) || err == nil && kept.Token != session.Token {
		k.discard(ctx, login.UserID, session.Token)
	}
	if err != nil {
		return CubeSession{}, err
	}
	return kept, nil
}

package provisioning

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"cubegate/connectycube"
	"cubegate/store"
)

// OpenCubeSession gives a login session its ConnectyCube session: the one that it has,
// extended, else a new one. Before that, it reconciles the account if this is needed.
func (p *Provisioner) OpenCubeSession(ctx context.Context, user store.User, session store.Session, login LoginMethod) (CubeSession, error) {
	if login.Extension != nil {
		if extended, err := login.Extension.finish(ctx, nil); !errors.Is(err, connectycube.ErrSessionExpired) {
			return extended, err
		}
	}
	r := p.begin(user, login)
	defer r.cleanUp(ctx)
	s := sessionStep{r, session}
	reconcileErr := s.reconcileBeforeSession(ctx)
	if login.Extension == nil || login.Extension.had.CubeToken != session.CubeToken { // else it is known to have expired
		if extended, err := s.extendSession(ctx); err == nil || !errors.Is(err, connectycube.ErrSessionExpired) {
			return extended, err
		}
	}
	if reconcileErr != nil {
		return CubeSession{UserID: r.user.CubeID}, reconcileErr
	}
	if !r.sessionUnused { // another login session has it, and would end it
		r.session = connectycube.Session{}
	}
	if err := (sessionOpener{r}).open(ctx); err != nil {
		if errors.Is(err, connectycube.ErrNotFound) && !login.ViaIdentityProvider {
			err = s.recreate(ctx)
		}
		if err != nil {
			return CubeSession{UserID: r.user.CubeID}, err
		}
	}
	if err := s.checkStillAuthorized(ctx); err != nil {
		return CubeSession{}, err
	}
	s.link(ctx)
	r.sessionUnused = false
	return s.saveSession(ctx, r.session)
}

// sessionStep opens a ConnectyCube session for a login session.
type sessionStep struct {
	r            *reconciliation
	loginSession store.Session
}

// hasWork reports whether the account needs a reconciliation that the login allows.
func (s sessionStep) hasWork() bool {
	r := s.r
	return r.user.CubeID == 0 || !r.user.Account.Due.IsZero() || r.differs() || r.login.Password != "" && r.needsRotation()
}

// reconcileBeforeSession reconciles the account. A lease in the document may be that of
// another reconciliation, so it acquires one first.
func (s sessionStep) reconcileBeforeSession(ctx context.Context) error {
	if !s.hasWork() {
		return nil
	}
	r := s.r
	leased, err := r.p.queues.Accounts.Acquire(ctx, r.user.ID, r.p.newLease())
	switch {
	case err == nil:
		r.user = leased
	case errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrNotFound): // another reconciliation is running
		if r.user.CubeID == 0 || r.emailDiffers() {
			return pending(err)
		}
		return nil
	default:
		return err
	}
	if r.user.Deleting { // since the caller read the user
		r.abort(ctx)
		return ErrLoginSessionEnded
	}
	err = r.returnLease(ctx, r.reconcile(ctx))
	if err != nil && r.user.CubeID != 0 && !r.emailDiffers() {
		r.logWarning(ctx, "account not reconciled", err)
		return nil // a chat does not need the rest
	}
	return err
}

// recreate signs up the account that ConnectyCube no longer has, and opens a session.
func (s sessionStep) recreate(ctx context.Context) error {
	r := s.r
	leased, err := r.p.queues.Accounts.Acquire(ctx, r.user.ID, r.p.newLease())
	if err != nil {
		return pending(err)
	}
	r.user = leased
	r.user.CubeID, r.searched = 0, false
	if err := r.returnLease(ctx, r.ensureAccount(ctx)); err != nil {
		return err
	}
	return sessionOpener{r}.open(ctx)
}

// checkStillAuthorized checks that the login session has not ended, and the user was not
// deleted, while the session was opened. ConnectyCube may just have created the account
// of a deleted user again, as most applications do at the login of an unknown user; then
// it is deleted again.
func (s sessionStep) checkStillAuthorized(ctx context.Context) error {
	r := s.r
	user, err := r.p.db.Accounts.ByID(ctx, r.user.ID)
	if err == nil && !user.Deleting {
		if slices.Contains(user.Sessions, s.loginSession.ID) {
			return nil
		}
		// The sweep after the end may have run before the record existed.
		if _, err := r.p.db.Sessions.End(ctx, s.loginSession.ID, endedWithOthers); err != nil {
			return err
		}
		return ErrLoginSessionEnded
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if r.sessionUnused {
		r.sessionUnused = false
		if err := r.p.userAPI.DeleteUser(ctx, r.session); err != nil {
			r.logWarning(ctx, "ConnectyCube account of a deleted user not deleted", err)
		}
	}
	return ErrLoginSessionEnded
}

// link makes both sides know each other after a session was opened: the account's ID
// here, the user's ID, name and email there. A session is worth more than either, so a
// failure is only logged; the next login tries again.
func (s sessionStep) link(ctx context.Context) {
	r := s.r
	account := r.session.User
	account.ID = r.session.UserID
	linked := account.ID == r.user.CubeID
	if linked && !r.known().told(account).lacksAnything(r.wanted()) {
		return
	}
	if !linked && r.user.CubeID != 0 {
		r.p.log.LogAttrs(ctx, slog.LevelWarn, "ConnectyCube account changed", slog.String("user_id", r.user.ID),
			slog.Int64("from", r.user.CubeID), slog.Int64("to", account.ID))
	}
	if err := s.linkAccount(ctx, account); err != nil {
		r.logWarning(ctx, "ConnectyCube account not linked or not complete", err)
	}
}

// linkAccount saves the account of the session as the user's, and completes it. The
// linked account gets its external ID back if the user has changed it. Any other account
// keeps the ID of another user; an administrator must find out whose it is.
func (s sessionStep) linkAccount(ctx context.Context, account connectycube.User) error {
	r := s.r
	leased, err := r.p.queues.Accounts.Acquire(ctx, r.user.ID, r.p.newLease())
	if err != nil {
		return err
	}
	r.user = leased
	switch {
	case r.user.Deleting: // since the login session was checked
		r.abort(ctx)
		return nil
	case r.user.CubeID == account.ID:
		r.account.learn(account, &r.user.Account)
	default:
		r.account.completed = account.ExternalID != "" && account.ExternalID != r.user.ID
		err = r.setAccount(ctx, account, r.openedWith.kind)
	}
	if err == nil {
		err = r.reconcileUntil(ctx, stepComplete)
	}
	if err != nil {
		return r.returnLease(ctx, err)
	}
	r.abort(ctx) // other work that is due stays due
	return nil
}

// extendSession extends the ConnectyCube session that the login session has. The error is
// [connectycube.ErrSessionExpired] if there is none.
func (s sessionStep) extendSession(ctx context.Context) (CubeSession, error) {
	x := &Extension{p: s.r.p, had: s.loginSession}
	x.extend(ctx)
	if x.sealed == "" {
		return x.finish(ctx, nil)
	}
	saved, err := x.save(ctx)
	if err != nil && !errors.Is(err, ErrLoginSessionEnded) { // only the new time is not saved
		s.r.p.log.LogAttrs(ctx, slog.LevelWarn, "extended ConnectyCube session not saved", slog.String("user_id", x.had.UserID), slog.Any("err", err))
		return CubeSession{UserID: x.session.UserID, Token: x.session.Token, Expires: x.session.ExpiresAt}, nil
	}
	return saved, err
}

// saveSession writes a new ConnectyCube session into the record of the login session.
func (s sessionStep) saveSession(ctx context.Context, session connectycube.Session) (CubeSession, error) {
	x := &Extension{p: s.r.p, had: s.loginSession}
	if err := x.seal(session); err != nil {
		return CubeSession{}, err
	}
	return x.save(ctx)
}

// endSession ends a ConnectyCube session that no client has.
func (p *Provisioner) endSession(ctx context.Context, userID, token string) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := p.cube.EndSession(ctx, token); err != nil {
		p.log.LogAttrs(ctx, slog.LevelInfo, "unused ConnectyCube session left to expire", slog.String("user_id", userID), slog.Any("err", err))
	}
}

// additionalData ties a sealed token to its login session. Stored tokens depend on it.
func additionalData(loginSessionID string) string { return "connectycube session of " + loginSessionID }

package provisioning

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// reconciliation brings the account of one user closer to what it should be, under a
// lease. The types of the steps share it.
type reconciliation struct {
	p     *Provisioner
	user  store.User // the document as it was read, and the facts learned since
	login LoginMethod

	firstAttempt      bool // no earlier attempt exists, so ConnectyCube need not be asked first
	searched          bool // ConnectyCube was asked for the result of earlier attempts
	waitedForDeletion bool // of another account with the user's email
	rotated           bool // stepRotate has run
	removed           bool // stepDelete has removed the document

	account accountFacts

	claimed   bool        // by the worker, which counted an attempt
	token     signUpToken // of the budget of sign-ups
	notBefore time.Time   // earliest time of the next attempt; zero = any

	session       connectycube.Session // of the user; zero until a step opens one
	openedWith    passwordCandidate    // password that opened the session; zero for a ticket or a saved token
	sessionUnused bool                 // the session was opened here, and no client has it
}

// accountFacts are what was learned of the account and is not saved.
type accountFacts struct {
	confirmed  bool   // ConnectyCube has told the email, the name and the external ID
	externalID string // as ConnectyCube has told it
	completed  bool   // stepComplete has run
}

// learn takes over what ConnectyCube has told of the account.
func (f *accountFacts) learn(told connectycube.User, saved *store.Account) {
	saved.Email, saved.Name = told.Email, told.FullName
	f.externalID, f.confirmed = told.ExternalID, true
}

// begin begins a reconciliation. The caller must call cleanUp at its end.
func (p *Provisioner) begin(user store.User, login LoginMethod) *reconciliation {
	return &reconciliation{p: p, user: user, login: login, token: signUpToken{budget: p.signUps}}
}

// newLease returns a lease for a reconciliation that starts now.
func (p *Provisioner) newLease() store.Lease {
	return store.Lease{ID: rand.Text(), Until: time.Now().Add(p.settings.UpstreamTimeout + p.settings.ClockSkew)}
}

// renewed is the lease that the reconciliation holds, from now on.
func (r *reconciliation) renewed() store.Lease {
	return store.Lease{ID: r.user.Account.Lease, Until: r.p.newLease().Until}
}

// maxSteps is more steps than any reconciliation needs.
const maxSteps = 12

// reconcile performs steps until nothing differs.
func (r *reconciliation) reconcile(ctx context.Context) error {
	return r.reconcileUntil(ctx, stepDelete)
}

// ensureAccount performs the steps without which there is no account, and no others.
func (r *reconciliation) ensureAccount(ctx context.Context) error {
	if r.user.CubeID != 0 {
		return nil
	}
	return r.reconcileUntil(ctx, stepSignUp)
}

// reconcileUntil performs steps until nothing differs or the next step comes after last.
func (r *reconciliation) reconcileUntil(ctx context.Context, last step) error {
	for range maxSteps {
		s := next(r.known(), r.wanted())
		if s == stepNone || s > last {
			return nil
		}
		if err := r.perform(ctx, s); err != nil {
			return err
		}
	}
	return pending(fmt.Errorf("the account still differs after %d steps", maxSteps))
}

func (r *reconciliation) perform(ctx context.Context, s step) error {
	switch s {
	case stepFind:
		return r.findLostResult(ctx)
	case stepSignUp:
		return signUpStep{r}.run(ctx)
	case stepUpdate:
		return updateStep{r}.run(ctx)
	case stepComplete:
		return completionStep{r}.run(ctx)
	case stepRotate:
		r.rotated = true
		return passwordStep{r}.run(ctx)
	default:
		return deletionStep{r}.run(ctx)
	}
}

func (r *reconciliation) known() known {
	a := r.user.Account
	changedUnseen := a.Email == "" && a.Version > 0
	uncertain := a.Attempts > 0 || !a.Turn.IsZero() || changedUnseen
	if r.user.CubeID == 0 { // a login by ticket finds the account or creates it
		uncertain = !r.firstAttempt && !r.login.ViaIdentityProvider
	}
	return known{
		removed: r.removed, uncertain: uncertain && !r.searched, cubeID: r.user.CubeID,
		hasBaseline: a.Email != "" || a.Version > 0, email: a.Email, name: a.Name,
		confirmed: r.account.confirmed, externalID: r.account.externalID, completed: r.account.completed, password: a.PasswordKind, rotated: r.rotated,
	}
}

func (r *reconciliation) wanted() wanted {
	w := wanted{deleted: r.user.Deleting, id: r.user.ID, email: r.user.Email, name: r.user.FullName()}
	if r.needsRotation() && (r.login.Password != "" || r.user.Account.PasswordKind.IsDerived()) { // else the next login brings the password
		w.password = r.passwords().desired().kind
	}
	return w
}

// emailDiffers reports whether ConnectyCube is known to have another email.
func (r *reconciliation) emailDiffers() bool { return r.known().emailDiffers(r.user.Email) }

// differs reports whether ConnectyCube is known to have another email or name.
func (r *reconciliation) differs() bool {
	return r.emailDiffers() || r.known().nameDiffers(r.user.FullName())
}

// usesTickets reports whether sessions are opened by ticket.
func (r *reconciliation) usesTickets() bool {
	return r.login.ViaIdentityProvider || r.p.seenProviderOn.Load()
}

// findLostResult asks ConnectyCube for the result of an earlier attempt whose reply was
// lost. An account that waits in line to be signed up again may have come back since.
func (r *reconciliation) findLostResult(ctx context.Context) error {
	if r.user.CubeID != 0 {
		err := r.confirmAccount(ctx)
		if errors.Is(err, connectycube.ErrNotFound) && !r.user.Account.Turn.IsZero() {
			r.user.CubeID = 0
			return nil // next searches for an account that carries the user's ID
		}
		r.searched = true
		if errors.Is(err, connectycube.ErrNotFound) {
			return signUpStep{r}.findSuccessor(ctx)
		}
		return err
	}
	account, err := r.findOwn(ctx)
	if errors.Is(err, connectycube.ErrNotFound) {
		r.searched = true
		return nil
	}
	if err != nil {
		return pendingUnlessPermanent(err)
	}
	kind := r.user.Account.PasswordKind
	if kind == "" {
		kind = store.PasswordUnknown
	}
	return r.setAccount(ctx, account, kind)
}

// confirmAccount learns the email, name and external ID of the account, once. It asks for the ID of
// the account, because users can change its external ID. The error is
// [connectycube.ErrNotFound] if the account is gone.
func (r *reconciliation) confirmAccount(ctx context.Context) error {
	if r.account.confirmed || r.user.CubeID == 0 {
		return nil
	}
	account, err := r.p.cubeUsers.UserByID(ctx, r.user.CubeID)
	if errors.Is(err, connectycube.ErrNotFound) {
		return err
	}
	if err != nil {
		return pending(err)
	}
	r.account.learn(account, &r.user.Account)
	return nil
}

func unlessNotFound(err error) error {
	if errors.Is(err, connectycube.ErrNotFound) {
		return nil
	}
	return err
}

// findOwn finds the account that carries the user's ID and belongs to the user.
func (r *reconciliation) findOwn(ctx context.Context) (connectycube.User, error) {
	account, err := r.p.cubeUsers.UserByExternalID(ctx, r.user.ID)
	if err != nil {
		return connectycube.User{}, err
	}
	own, err := r.belongsToUser(ctx, account)
	if err == nil && !own {
		err = otherEmailError(account.ID, r.user.ID)
	}
	if err != nil {
		return connectycube.User{}, err
	}
	return account, nil
}

func otherEmailError(account int64, userID string) error {
	return fmt.Errorf("account %d has the ID of user %s and another email: %w", account, userID, connectycube.ErrTaken)
}

// belongsToUser reports whether an account that carries the user's ID belongs to the
// user. Each copy of an app contains the application's key, so anyone can sign up with
// any external ID; the email must agree, too. An account that ConnectyCube created for
// a login by ticket has no email; a ticket shows whose it is.
func (r *reconciliation) belongsToUser(ctx context.Context, account connectycube.User) (bool, error) {
	if account.Email != "" {
		return r.hasEmail(account.Email), nil
	}
	switch err := (sessionOpener{r}).openByTicket(ctx); {
	case isRejection(err):
		return false, nil
	case err != nil:
		return false, err
	}
	if r.session.UserID != account.ID {
		return false, nil
	}
	r.p.seenProviderOn.Store(true)
	return true, nil
}

// hasEmail reports whether an account's email is the user's, or the one that
// ConnectyCube was last known to have. An account that ConnectyCube created for a login
// by ticket has none.
func (r *reconciliation) hasEmail(email string) bool {
	key := store.EmailKey(email)
	return email == "" || key == store.EmailKey(r.user.Email) || r.user.Account.Email != "" && key == store.EmailKey(r.user.Account.Email)
}

// setAccount saves the user's account. An empty kind means that nothing is known about
// its password.
func (r *reconciliation) setAccount(ctx context.Context, account connectycube.User, kind store.PasswordKind) error {
	r.user.CubeID, r.searched = account.ID, true
	r.account.learn(account, &r.user.Account)
	r.user.Account.PasswordKind = kind
	return r.save(ctx)
}

// save saves what was learned, as long as the lease is held.
func (r *reconciliation) save(ctx context.Context) error {
	return r.p.db.Accounts.Save(ctx, r.user.Account.Held(), r.user)
}

func (r *reconciliation) logWarning(ctx context.Context, message string, err error) {
	r.p.log.LogAttrs(ctx, slog.LevelWarn, message, slog.String("user_id", r.user.ID), slog.Any("err", err))
}

// cleanUp ends a session that no client has, and returns a token of the budget that no
// sign-up used.
func (r *reconciliation) cleanUp(ctx context.Context) {
	r.token.returnUnused()
	if !r.sessionUnused || r.user.Deleting { // the sessions end with the account
		return
	}
	r.sessionUnused = false
	r.p.endSession(ctx, r.user.ID, r.session.Token)
}

// isBeingDeleted reports whether an account carries the ID of a user who is being
// deleted.
func (p *Provisioner) isBeingDeleted(ctx context.Context, externalID string) (bool, error) {
	if externalID == "" {
		return false, nil
	}
	user, err := p.db.Accounts.ByID(ctx, externalID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return user.Deleting, err
}

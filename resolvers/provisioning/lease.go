package provisioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// maxRetryAfter bounds the delay that ConnectyCube can demand.
const maxRetryAfter = time.Hour

// acquireTries is how often acquire tries to get the lease.
const acquireTries = 40

// errLeaseHeld means that another reconciliation of the account takes too long.
var errLeaseHeld = fmt.Errorf("%w: another reconciliation of the account is running: %w", ErrPending, connectycube.ErrUnavailable)

// acquire starts a reconciliation, and waits a moment for the end of a running one.
// The error is [store.ErrChanged] if the user has another password hash than the
// caller knows, or is being deleted.
func (p *Provisioner) acquire(ctx context.Context, user store.User, login LoginMethod) (*reconciliation, error) {
	for range acquireTries {
		leased, err := p.queues.Accounts.Acquire(ctx, user.ID, p.newLease())
		if err == nil {
			r := p.begin(leased, login)
			if leased.PasswordHash != user.PasswordHash || leased.Deleting {
				r.abort(ctx)
				return nil, store.ErrChanged
			}
			return r, nil
		}
		if !errors.Is(err, store.ErrChanged) && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		current, err := p.db.Accounts.ByID(ctx, user.ID)
		if err != nil {
			return nil, err
		}
		if current.PasswordHash != user.PasswordHash || current.Deleting {
			return nil, store.ErrChanged
		}
		select {
		case <-ctx.Done():
			return nil, errLeaseHeld
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, errLeaseHeld
}

// returnLease ends a reconciliation: it returns the lease, sets when the next attempt
// is due, and returns the reconciliation's error.
func (r *reconciliation) returnLease(ctx context.Context, err error) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	var returned error
	queue, a := r.p.queues.Accounts, r.user.Account
	switch {
	case err == nil && r.user.Deleting: // the document is gone, and the lease with it
	case err == nil:
		returned = queue.Complete(ctx, r.user.ID, a.Held(), a.Version)
		r.user.Account.Due, r.user.Account.Lease, r.user.Account.Attempts, r.user.Account.LastError = time.Time{}, "", 0, ""
		r.user.Account.Turn = time.Time{}
	case !r.user.Deleting && isOverBudget(err):
		returned = r.waitInLine(ctx)
	case !r.user.Deleting && (isPermanent(err) || errors.Is(err, ErrPasswordRequired)):
		returned = queue.Retry(ctx, r.user.ID, a.Held(), time.Time{}, errorClass(err))
	default:
		due := time.Now().Add(backOff(a.Attempts, err))
		if due.Before(r.notBefore) {
			due = r.notBefore
		}
		returned = queue.Retry(ctx, r.user.ID, a.Held(), due, errorClass(err))
	}
	r.logUnreturned(ctx, returned)
	return err
}

// abort ends a reconciliation that changed nothing: work that was due stays due.
func (r *reconciliation) abort(ctx context.Context) {
	if !r.user.Deleting && r.user.CubeID != 0 && !r.differs() && r.user.Account.Attempts == 0 {
		_ = r.returnLease(ctx, nil)
		return
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	r.logUnreturned(ctx, r.p.queues.Accounts.Retry(ctx, r.user.ID, r.user.Account.Held(), time.Now(), r.user.Account.LastError))
}

// logUnreturned logs why a lease was not returned. It ends by itself, and a lost one
// needs no return.
func (r *reconciliation) logUnreturned(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, store.ErrChanged) {
		r.logWarning(ctx, "lease not returned", err)
	}
}

// detached returns a context for a last call that must be made after the client has
// gone or its time is used up.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// backOff is how long to wait after a failure. It is never less than ConnectyCube
// demands.
func backOff(attempts int, err error) time.Duration {
	var least time.Duration
	if api, ok := errors.AsType[*connectycube.APIError](err); ok {
		least = min(api.RetryAfter, maxRetryAfter)
	}
	return store.BackOff(attempts, least)
}

// errorClass is the class of an error, for administrators to read.
func errorClass(err error) string {
	for _, row := range []struct {
		is   error
		name string
	}{
		{ErrCannotDelete, "needs the administration key"},
		{ErrPasswordRequired, "waits for the user's next login"},
		{ErrForeignAccount, "the email belongs to another ConnectyCube account"},
		{connectycube.ErrTaken, "the email belongs to another ConnectyCube account"},
		{connectycube.ErrMisconfigured, "ConnectyCube does not accept this server"},
		{connectycube.ErrIdentityProvider, "ConnectyCube did not get an answer from this server"},
		{connectycube.ErrUnavailable, "ConnectyCube does not answer"},
		{connectycube.ErrRefused, "ConnectyCube refused it"},
	} {
		if errors.Is(err, row.is) {
			return row.name
		}
	}
	return "internal error; see the log"
}

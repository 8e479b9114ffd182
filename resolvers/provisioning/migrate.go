package provisioning

import (
	"context"
	"errors"

	"cubegate/store"
)

// UserPager lists users by ID. A page starts after the cursor of the page before.
type UserPager interface {
	All(ctx context.Context, after string, limit int) (store.Page[store.User], error)
}

// MigrationReport counts accounts by the outcome for their passwords.
type MigrationReport struct {
	Unchanged int // the account needs no other password
	Migrated  int // the account has the wanted password now
	Waiting   int // the account gets the user's own password at the next login
	Failed    int // the log has the reason; the same command tries again
}

// migrationPage is how many users are read at once.
const migrationPage = 100

// MigratePasswords gives the accounts the passwords of the configured mode: where the
// server can open the account, at once, and otherwise at the user's next login. It is
// safe to interrupt and to repeat, and a server may run meanwhile. It ends with the error of
// a database that does not answer.
func (p *Provisioner) MigratePasswords(ctx context.Context, pager UserPager) (MigrationReport, error) {
	var report MigrationReport
	after := ""
	for {
		page, err := pager.All(ctx, after, migrationPage)
		if err != nil {
			return report, err
		}
		for _, user := range page.Items {
			if err := ctx.Err(); err != nil {
				return report, err
			}
			counter, err := p.migrate(ctx, user, &report)
			*counter++
			if err != nil {
				return report, err
			}
		}
		if after = page.Next; after == "" {
			return report, nil
		}
	}
}

// migrate gives one account the wanted password, and returns the counter of the
// outcome, with an error only if the database does not answer.
func (p *Provisioner) migrate(ctx context.Context, user store.User, report *MigrationReport) (*int, error) {
	ctx, cancel := context.WithTimeout(ctx, p.settings.UpstreamTimeout)
	defer cancel()
	r := p.begin(user, LoginMethod{})
	kind, derives := user.Account.PasswordKind, p.settings.PasswordMode == DerivedPasswords
	switch {
	case user.Deleting || user.CubeID == 0 || r.usesTickets(): // no password, or not yet
		return &report.Unchanged, nil
	case !r.needsRotation() && (derives || kind.IsOwn() || kind == ""): // accounts of the original have the users' own
		return &report.Unchanged, nil
	case !r.needsRotation() || !kind.IsDerived():
		return &report.Waiting, nil
	}
	leased, err := p.queues.Accounts.Acquire(ctx, user.ID, p.newLease())
	if err == nil {
		r.user = leased
		defer r.cleanUp(ctx)
		err = r.returnLease(ctx, r.reconcile(ctx))
	}
	switch {
	case err == nil && (derives || r.usesTickets()):
		return &report.Migrated, nil
	case err == nil, errors.Is(err, ErrPasswordRequired):
		return &report.Waiting, nil
	case errors.Is(err, store.ErrUnavailable):
		return &report.Failed, err
	}
	r.logWarning(ctx, "password at ConnectyCube not replaced", err)
	return &report.Failed, nil
}

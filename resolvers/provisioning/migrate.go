package provisioning

import (
	"context"
	"errors"

	"cubegate/store"
)

// UserPager lists users by id, after one of them.
type UserPager interface {
	All(ctx context.Context, after string, limit int) ([]store.User, error)
}

// MigrationReport counts accounts by the outcome for their passwords.
type MigrationReport struct {
	Unchanged int // the account has the wanted password already
	Migrated  int // the account has the wanted password now
	Waiting   int // the account gets it at the user's next login, which brings the user's own
	Failed    int // the log has the reason; the same command tries again
}

// pageSize is how many users are read at once.
const pageSize = 100

// MigratePasswords brings the password of every account to what the settings want:
// from an old key to the current one wherever the server can open the account,
// and the rest at the users' next logins. It may be interrupted at any time and
// repeated, and a server may run meanwhile.
func (k *Provisioner) MigratePasswords(ctx context.Context, pages UserPager) (MigrationReport, error) {
	var done MigrationReport
	after := ""
	for {
		users, err := pages.All(ctx, after, pageSize)
		if err != nil || len(users) == 0 {
			return done, err
		}
		for _, user := range users {
			if err := ctx.Err(); err != nil {
				return done, err
			}
			k.move(ctx, user, &done)
		}
		after = users[len(users)-1].ID
	}
}

func (k *Provisioner) move(ctx context.Context, user store.User, done *MigrationReport) {
	ctx, cancel := context.WithTimeout(ctx, k.Patience)
	defer cancel()
	v := k.visit(user, LoginMethod{})
	if user.Deleting || user.CubeID == 0 || v.byTicket() { // made or gone by another way, or without passwords
		done.Unchanged++
		return
	}
	if !v.adoptable() {
		if has := user.Account.PasswordKind; k.Derived || has == store.PasswordShared || has == "" { // the original's are the users' own
			done.Unchanged++
		} else {
			done.Waiting++
		}
		return
	}
	if !v.generated() {
		done.Waiting++
		return
	}
	touched, err := k.Work.Accounts.Acquire(ctx, user.ID, k.newLease())
	if err == nil {
		v.user = touched
		defer v.close(ctx)
		err = v.handBack(ctx, v.settle(ctx))
	}
	switch {
	case err == nil && (k.Derived || v.byTicket()):
		done.Migrated++
	case err == nil, errors.Is(err, ErrPasswordRequired):
		done.Waiting++
	default:
		done.Failed++
		v.warn(ctx, "password at ConnectyCube not replaced", err)
	}
}

package provisioning

import (
	"context"
	"errors"

	"cubegate/store"
)

// Pages lists users by id, after one of them.
type Pages interface {
	All(ctx context.Context, after string, limit int) ([]store.User, error)
}

// Moved counts accounts by what became of their passwords.
type Moved struct {
	InStep  int // nothing was to be done
	Moved   int // they have the wanted password now
	Waiting int // they get it at their user's next login: it takes the user's own
	Failed  int // the log says why; the same command tries again
}

// pageSize is how many users are read at once.
const pageSize = 100

// MovePasswords brings the password of every account to what the settings want:
// from an old key to the current one wherever the server can open the account,
// and the rest at the users' next logins. It may be interrupted at any time and
// repeated, and a server may run meanwhile.
func (k *Keeper) MovePasswords(ctx context.Context, pages Pages) (Moved, error) {
	var done Moved
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

func (k *Keeper) move(ctx context.Context, user store.User, done *Moved) {
	ctx, cancel := context.WithTimeout(ctx, k.Patience)
	defer cancel()
	v := k.visit(user, Means{})
	if user.Deleting || user.CubeID == 0 || v.byTicket() { // made or gone by another way, or without passwords
		done.InStep++
		return
	}
	if !v.adoptable() {
		if has := user.Account.PasswordKind; k.Derived || has == store.PasswordShared || has == "" { // the original's are the users' own
			done.InStep++
		} else {
			done.Waiting++
		}
		return
	}
	if !v.generated() {
		done.Waiting++
		return
	}
	touched, err := k.Work.Accounts.Acquire(ctx, user.ID, k.Lease())
	if err == nil {
		v.user = touched
		defer v.close(ctx)
		err = v.handBack(ctx, v.settle(ctx))
	}
	switch {
	case err == nil && (k.Derived || v.byTicket()):
		done.Moved++
	case err == nil, errors.Is(err, ErrNeedsPassword):
		done.Waiting++
	default:
		done.Failed++
		v.warn(ctx, "password at ConnectyCube not replaced", err)
	}
}

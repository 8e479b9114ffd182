package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The files in DATA_DIR belong together. A server that starts on half of them would make the
// other half anew, and with it a service without users, or one in which every session has
// ended.

// checkLostDatabase refuses a database that is empty or gone beside a kept secret: the
// secret is made after the database, so there was one.
func (p *program) checkLostDatabase() error {
	if _, err := os.Lstat(p.cfg.SecretFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	info, err := os.Stat(p.databaseFile())
	state := "empty"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		state = "missing"
	case err != nil || info.Size() > 0:
		return nil // the database knows better what is wrong with it
	}
	return fmt.Errorf("%s is %s, and %s shows that there was one: restore it from a copy, or delete %s as well to begin anew, without any users",
		p.databaseFile(), state, p.cfg.SecretFile(), p.cfg.SecretFile())
}

// openSecret makes sure that there is a secret. One is made only for a database without
// users.
func (p *program) openSecret(ctx context.Context) error {
	p.madeSecret = p.cfg.JWT.Secret.IsZero()
	isNew := false
	if p.madeSecret && p.cfg.HasEmbeddedDatabase() {
		var err error
		if isNew, err = p.store.Empty(ctx); err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
	}
	return p.cfg.EnsureSecret(isNew)
}

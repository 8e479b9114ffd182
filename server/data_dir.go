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
func (s *Server) checkLostDatabase() error {
	if _, err := os.Lstat(s.cfg.SecretFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	info, err := os.Stat(s.databaseFile())
	state := "empty"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		state = "missing"
	case err != nil || info.Size() > 0:
		return nil // the database knows better what is wrong with it
	}
	return fmt.Errorf("%s is %s, and %s shows that there was one: restore it from a copy, or delete %s as well to begin anew, without any users",
		s.databaseFile(), state, s.cfg.SecretFile(), s.cfg.SecretFile())
}

// openSecret makes sure that there is a secret. One is made only for a database without
// users.
func (s *Server) openSecret(ctx context.Context) error {
	s.secretGenerated = s.cfg.JWT.Secret.IsZero()
	isNew := false
	if s.secretGenerated && s.cfg.HasEmbeddedDatabase() {
		var err error
		if isNew, err = s.store.Empty(ctx); err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
	}
	return s.cfg.EnsureSecret(isNew)
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"cubegate/server/config"
	"cubegate/store"
	"cubegate/store/embedded"
)

// check prints the damage of the embedded database's file, unless a server uses it, and
// then the malformed documents of any database. MongoDB has its own tools for damage.
func check(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	s := newCommandSetup(cfg, log)
	defer func() { err = errors.Join(err, s.Close()) }()
	o, name := storeOptions(cfg, log), "The database"
	if cfg.HasEmbeddedDatabase() {
		if err := hasDatabase(cfg); err != nil {
			return err
		}
		err := s.takeTurns(ctx, func() error {
			o, name = s.runningOptions(), "Each document in "+databaseFile(cfg)
			fmt.Fprintln(stdout, "A server runs, so that only the documents are checked; stop it to check the file as well.")
			return nil
		}, func() (err error) {
			name = databaseFile(cfg)
			o, err = s.openChecked(ctx, stdout)
			return err
		})
		if err != nil {
			return err
		}
	}
	malformed := 0
	err = store.Check(ctx, o, func(m *store.MalformedError) {
		malformed++
		fmt.Fprintln(stdout, m)
	})
	if err != nil {
		return fmt.Errorf("checking the documents: %w", s.explainLoss(ctx, err))
	}
	if malformed > 0 {
		return fmt.Errorf("malformed documents: %d; the server skips them, so correct or remove them with mongosh", malformed)
	}
	fmt.Fprintf(stdout, "%s is in order.\n", name)
	return nil
}

// openChecked checks the file of the embedded database and starts the database.
func (s *commandSetup) openChecked(ctx context.Context, stdout io.Writer) (store.Options, error) {
	if err := checkFile(ctx, databaseFile(s.cfg), stdout); err != nil {
		return store.Options{}, err
	}
	return s.openFile()
}

// openFile starts the embedded database without a server.
func (s *commandSetup) openFile() (store.Options, error) {
	db, err := embedded.Start(embedded.Options{File: databaseFile(s.cfg), Log: s.log})
	if err != nil {
		return store.Options{}, fmt.Errorf("the database in DATA_DIR: %w", err)
	}
	s.onClose(func(context.Context) error { return db.Close() })
	o := storeOptions(s.cfg, s.log)
	o.URI, o.Exchange = db.URI(), db.Exchange
	return o, nil
}

// checkFile checks the embedded database's file.
func checkFile(ctx context.Context, file string, stdout io.Writer) error {
	found, err := embedded.Check(ctx, file)
	for _, line := range found {
		fmt.Fprintln(stdout, line)
	}
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%s is damaged; keep it, and restore an earlier copy in its place", file)
	}
	return nil
}

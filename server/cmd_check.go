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

// check prints the damage of the embedded database's file, which no server may have open, and
// then the malformed documents of any database. MongoDB has its own tools for damage.
func check(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	o := storeOptions(cfg, log)
	name := "The database"
	if cfg.HasEmbeddedDatabase() {
		name = databaseFile(cfg)
		if err := checkFile(ctx, name, stdout); err != nil {
			return err
		}
		db, err := embedded.Start(embedded.Options{File: name, Log: log})
		if err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		o.URI, o.Dial = db.URI(), db.DialContext
	}
	malformed := 0
	err = store.Check(ctx, o, func(m *store.MalformedError) {
		malformed++
		fmt.Fprintln(stdout, m)
	})
	if err != nil {
		return fmt.Errorf("checking the documents: %w", err)
	}
	if malformed > 0 {
		return fmt.Errorf("%d malformed documents, which the server skips them; correct or remove them with mongosh", malformed)
	}
	fmt.Fprintf(stdout, "%s is in order.\n", name)
	return nil
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

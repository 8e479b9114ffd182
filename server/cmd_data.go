package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"cubegate/server/config"
)

// export writes the users of the embedded database. MongoDB has its own tools for
// that.
func export(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	if !cfg.HasEmbeddedDatabase() {
		return errors.New("export reads the embedded database only, and MONGO_URI selects another one: use mongoexport")
	}
	return onStore(func(ctx context.Context, s *commandSetup, stdout io.Writer) error {
		return s.store.Export(ctx, stdout)
	})(ctx, cfg, stdout, log)
}

// passwords migrates the accounts' passwords at ConnectyCube to the configured mode.
func passwords(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) error {
	cfg.HTTP.Port, cfg.HTTP.OpsAddr = 0, "" // only our own sandbox calls back here
	return onStore(func(ctx context.Context, s *commandSetup, stdout io.Writer) (err error) {
		if s.running != nil {
			if err := s.wireAccounts(ctx); err != nil {
				return err
			}
			return migratePasswords(ctx, s, stdout)
		}
		if err := s.openParts(ctx); err != nil {
			return err
		}
		s.releaseLeases(ctx)
		serving, stop := context.WithCancel(ctx)
		served := make(chan error, 1)
		go func() { served <- serveUntil(serving, s.api, s.sandbox) }()
		defer func() {
			stop()
			err = errors.Join(err, <-served)
		}()
		return migratePasswords(ctx, s, stdout)
	})(ctx, cfg, stdout, log)
}

func migratePasswords(ctx context.Context, s *commandSetup, stdout io.Writer) error {
	report, err := s.accounts.MigratePasswords(ctx, s.store.Users())
	fmt.Fprintf(stdout, "%d accounts were in step, %d have a new password, %d get it at their user's next login, %d failed.\n",
		report.Unchanged, report.Migrated, report.Waiting, report.Failed)
	if err == nil && report.Failed > 0 {
		err = errors.New("some accounts failed: run the command again")
	}
	return err
}

// onStore returns a command that works on the database of the settings, beside a running
// server or without one.
func onStore(do func(ctx context.Context, s *commandSetup, stdout io.Writer) error) commandFunc {
	return func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
		s := newCommandSetup(cfg, log)
		defer func() { err = errors.Join(err, s.Close()) }()
		if err := s.openShared(ctx); err != nil {
			return err
		}
		return s.explainLoss(ctx, do(ctx, s, stdout))
	}
}

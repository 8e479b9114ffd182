package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"cubegate/resolvers/identity"
	"cubegate/server/config"
	"cubegate/store"

	"github.com/spf13/cobra"
)

func (p process) grantCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "grant EMAIL ROLE",
		Short:   "gives a user a role; admin is the one that the server itself knows",
		Example: "  cubegate grant jo@example.org admin",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("want an email and a role, as in: cubegate grant jo@example.org admin")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), grant(args[0], args[1]))
		},
	}
}

// grant gives a user a role. The first administrator needs it, because only an
// administrator can appoint others.
func grant(email, role string) commandFunc {
	return func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
		s := newSetup(cfg, log)
		defer func() { err = errors.Join(err, s.Close()) }()
		if err := s.openStore(ctx); err != nil {
			return err
		}
		user, err := s.store.Users().ByEmail(ctx, email)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("no user has the email %s", email)
		}
		if err != nil {
			return err
		}
		if err := identity.CheckRole(role); err != nil {
			return err
		}
		if !slices.Contains(user.Roles, role) {
			if _, err := s.store.Users().SetRoles(ctx, user.ID, append(user.Roles, role)); err != nil {
				return err
			}
		}
		fmt.Fprintf(stdout, "%s is %s.\n", user.Email, role)
		return s.store.Audit().Record(ctx, store.Event{Kind: store.AuditRoles, Outcome: store.OutcomeOK, UserID: user.ID, Actor: "command", Detail: "granted " + role})
	}
}

// export writes the users of the embedded database. MongoDB has its own tools for
// that.
func export(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	if !cfg.HasEmbeddedDatabase() {
		return errors.New("export reads the embedded database only, and MONGO_URI selects another one: use mongoexport")
	}
	s := newSetup(cfg, log)
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := os.Stat(databaseFile(cfg)); err != nil { // opening would create an empty file
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	if err := s.openStore(ctx); err != nil {
		return err
	}
	return s.store.Export(ctx, stdout)
}

// passwords migrates the accounts' passwords at ConnectyCube to the configured mode.
func passwords(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	cfg.HTTP.Port = 0 // a running server may use the port, and only our own sandbox calls back here
	s, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- serveUntil(serving, s.api, s.sandbox) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served, s.Close())
	}()
	report, err := s.accounts.MigratePasswords(ctx, s.store.Users())
	fmt.Fprintf(stdout, "%d accounts were in step, %d have a new password, %d get it at their user's next login, %d failed.\n",
		report.Unchanged, report.Migrated, report.Waiting, report.Failed)
	if err == nil && report.Failed > 0 {
		err = errors.New("some accounts failed: run the command again")
	}
	return err
}

package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"cubegate/resolvers"
	"cubegate/server/config"
	"cubegate/store"
)

// grant gives a user a role: the way to the first administrator, since only an
// administrator can make others.
func grant(flags *flag.FlagSet) commandFunc {
	return func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
		if flags.NArg() != 2 {
			return errors.New("want an e-mail address and a role: cubegate grant jo@example.org admin")
		}
		s := &Server{cfg: cfg, log: log}
		defer func() { err = errors.Join(err, s.Close()) }()
		if err := s.openStore(ctx); err != nil {
			return err
		}
		address, role := flags.Arg(0), flags.Arg(1)
		user, err := s.store.Users().ByEmail(ctx, address)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("nobody has registered as %s", address)
		}
		if err != nil {
			return err
		}
		if err := resolvers.CheckRole(role); err != nil {
			return err
		}
		if !slices.Contains(user.Roles, role) {
			if _, err := s.store.Users().SetRoles(ctx, user.ID, append(user.Roles, role)); err != nil {
				return err
			}
		}
		fmt.Fprintf(stdout, "%s is %s.\n", user.Email, role)
		return s.store.Audit().Record(ctx, store.Event{Kind: "roles", Outcome: "ok", UserID: user.ID, Actor: "command", Detail: "granted " + role})
	}
}

// export writes the users of the embedded database. MongoDB has tools of its
// own for that.
func export(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	if !cfg.HasEmbeddedDatabase() {
		return errors.New("export reads the embedded database, and MONGO_URI names another: use mongoexport")
	}
	s := &Server{cfg: cfg, log: log}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := os.Stat(s.databaseFile()); err != nil { // opening would make an empty one
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	if err := s.openStore(ctx); err != nil {
		return err
	}
	return s.store.Export(ctx, stdout)
}

// passwords brings the accounts' passwords at ConnectyCube to what the settings
// want.
func passwords(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	cfg.Port = 0 // a server may be running, and only a sandbox of our own asks here
	s, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	go func() { _ = s.api.Serve(s.apiListener) }()
	if s.sandbox != nil {
		go func() { _ = s.serveSandbox() }()
	}
	moved, err := s.accounts.MovePasswords(ctx, s.store.Users())
	fmt.Fprintf(stdout, "%d accounts were in step, %d have a new password, %d get it at their user's next login, %d failed.\n",
		moved.InStep, moved.Moved, moved.Waiting, moved.Failed)
	if err == nil && moved.Failed > 0 {
		err = errors.New("some accounts could not be reached: run the same again")
	}
	return err
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"cubegate/server/config"
	"cubegate/store"
	"cubegate/store/embedded"
)

// openStore connects to MongoDB. Without a MONGO_URI, it starts the embedded database
// and connects to that.
func (s *setup) openStore(ctx context.Context) error {
	o := storeOptions(s.cfg, s.log)
	if s.cfg.HasEmbeddedDatabase() {
		if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
			return explainFolder(s.cfg, err)
		}
		if err := s.checkLostDatabase(); err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
		db, err := embedded.Start(embedded.Options{
			File:   databaseFile(s.cfg),
			Listen: s.cfg.Mongo.EmbeddedListen,
			Log:    s.log,
		})
		if err != nil {
			return explainDatabase(s.cfg, err)
		}
		s.database = db
		s.onClose(func(context.Context) error { return db.Close() })
		if addr := db.Addr(); addr != nil { // the setting may leave the port to the system
			s.log.LogAttrs(ctx, slog.LevelInfo, "embedded database listens", slog.String("addr", addr.String()))
		}
		o.URI, o.Exchange = db.URI(), db.Exchange
	}
	if s.cfg.HTTP.OpsAddr != "" { // the driver allocates an event for each command
		o.Observe = s.metrics.command
	}
	return connectStore(ctx, s, o)
}

// connectStore opens the store with the given options.
func connectStore(ctx context.Context, s *setup, o store.Options) error {
	opened, err := store.Open(ctx, o)
	if err != nil && s.cfg.HasEmbeddedDatabase() {
		return fmt.Errorf("the database in DATA_DIR: %w", err)
	}
	if err != nil {
		return fmt.Errorf("MONGO_URI: %w", err)
	}
	s.store = opened
	s.onClose(opened.Close)
	return nil
}

// storeOptions returns the options for the database that MONGO_URI selects.
func storeOptions(cfg config.Config, log *slog.Logger) store.Options {
	return store.Options{
		URI:       cfg.Mongo.URI.Reveal(),
		Database:  cfg.Mongo.Database,
		Timeout:   cfg.Mongo.Timeout,
		AuditKeep: cfg.Audit.Keep,
		AuditMax:  cfg.Audit.Max,
		Log:       log,

		AuditMaxChanges:  cfg.Audit.MaxChanges,
		AuditMaxRefusals: cfg.Audit.MaxRefusals,
		AuditPerUser:     cfg.Audit.PerUser,
	}
}

// databaseFile returns the path of the embedded database.
func databaseFile(cfg config.Config) string { return filepath.Join(cfg.DataDir, "cubegate.db") }

// checkLostDatabase returns an error if the secret is in DATA_DIR and the database is
// missing or empty. The database is always older than the secret, so it is lost. A new
// one would be a service without users.
func (s *setup) checkLostDatabase() error {
	if _, err := os.Lstat(s.cfg.SecretFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	info, err := os.Stat(databaseFile(s.cfg))
	state := "empty"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		state = "missing"
	case err != nil || info.Size() > 0:
		return nil // opening it reports a better error
	}
	return fmt.Errorf("%s is %s, but %s shows that a database existed: restore it from a copy, or delete %s as well to start without users",
		databaseFile(s.cfg), state, s.cfg.SecretFile(), s.cfg.SecretFile())
}

// openSecret makes sure that there is a secret. It generates one only for a database
// without users, because a new secret ends every login session.
func (s *setup) openSecret(ctx context.Context) error {
	s.notes.secretGenerated = s.cfg.JWT.Secret.IsZero()
	isNew := false
	if s.notes.secretGenerated && s.cfg.HasEmbeddedDatabase() {
		var err error
		if isNew, err = s.store.Empty(ctx); err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
	}
	return s.cfg.EnsureSecret(isNew)
}

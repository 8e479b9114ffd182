package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"cubegate/server/config"
	"cubegate/store/embedded"
)

// check reads the embedded database's file while no server runs, and prints its
// damage. MongoDB has its own tools for that.
func check(ctx context.Context, cfg config.Config, stdout io.Writer, _ *slog.Logger) error {
	if !cfg.HasEmbeddedDatabase() {
		return errors.New("check reads the embedded database only, and MONGO_URI selects another one")
	}
	file := databaseFile(cfg)
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
	fmt.Fprintf(stdout, "%s is in order.\n", file)
	return nil
}

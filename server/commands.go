package server

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"cubegate/server/config"
)

// commandFunc does the work of a command until ctx ends.
type commandFunc func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) error

// command is what the program does, by its first argument. prepare names the
// command's own flags.
type command struct {
	flags   string // for people
	args    int    // beside the flags, at most; the flags of a subcommand count, and so do their values
	about   string
	prepare func(flags *flag.FlagSet) commandFunc
}

var commands = map[string]command{
	"serve":     {"", 0, "runs the server; this is what happens without a command", withoutFlags(serve)},
	"sandbox":   {"[--tls] [--data FILE]", 0, "runs the ConnectyCube sandbox alone: no database, no server beside it", sandboxAlone},
	"health":    {"", 0, "asks a running server whether it is alive; exit status 0 or 1", withoutFlags(health)},
	"export":    {"", 0, "writes the embedded database's users as extended JSON, one a line, for mongoimport", withoutFlags(export)},
	"check":     {"", 0, "checks the embedded database's file while no server runs; exit status 0 or 1", withoutFlags(check)},
	"grant":     {"EMAIL ROLE", 2, "gives a user a role; admin is the one that the server itself knows", grant},
	"passwords": {"", 0, "brings the accounts' passwords at ConnectyCube to what the settings want; may be cut off and repeated", withoutFlags(passwords)},
	"keys":      {"new [--alg ES256] [--in 1m] | list | retire KID", 5, "makes, lists and retires the keys in JWT_KEYS that sign tokens", keys},
	"licenses":  {"", 0, "prints the licenses of all third-party code in the program", withoutFlags(licenses)},
}

// withoutFlags is a command without flags.
func withoutFlags(run commandFunc) func(*flag.FlagSet) commandFunc {
	return func(*flag.FlagSet) commandFunc { return run }
}

// usage prints what can be said to the program. Values are never shown, only
// names and defaults.
func usage(w io.Writer, configYAML []byte) {
	fmt.Fprint(w, "usage: cubegate [command]\n\nCommands:\n")
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, name := range []string{"serve", "sandbox", "health", "export", "check", "grant", "passwords", "keys", "licenses"} {
		fmt.Fprintf(table, "  %s\t%s\n", strings.TrimSpace(name+" "+commands[name].flags), commands[name].about)
	}
	fmt.Fprint(table, "\nSettings come from the environment, .env, the YAML file named by CONFIG_FILE, and these defaults:\n\n")
	for _, s := range config.Settings(configYAML) {
		value := s.Default
		if s.Secret {
			value = "(secret; also as " + s.Env + "_FILE)"
		}
		fmt.Fprintf(table, "  %s\t%s\n", s.Env, value)
	}
	table.Flush()
	fmt.Fprint(w, "\nconfig.yaml explains each of them.\n")
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) error {
	limitGoMemory(ctx, os.DirFS("/"), log)
	s, err := Open(ctx, cfg, log)
	if err != nil && ctx.Err() != nil {
		return nil // told to stop while it still waited for the database, which is no failure
	}
	if err != nil {
		return err
	}
	s.banner(stdout)
	return s.Run(ctx)
}

// licensesText is written by .ci/notices.
//
//go:embed licenses.txt
var licensesText string

// licenses prints the notices that third-party licenses demand of a binary.
func licenses(_ context.Context, _ config.Config, stdout io.Writer, _ *slog.Logger) error {
	_, err := io.WriteString(stdout, licensesText)
	return err
}

// Main is the program with its surroundings as arguments, config.yaml among
// them. It returns the exit status.
func Main(ctx context.Context, configYAML []byte, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) int {
	name := "serve"
	if len(args) > 0 {
		name = args[0]
	}
	if name == "help" || name == "--help" || name == "-h" {
		usage(stdout, configYAML)
		return 0
	}
	c, known := commands[name]
	if !known {
		usage(stderr, configYAML)
		return 1
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // usage says more
	start := c.prepare(flags)
	err := flags.Parse(args[min(1, len(args)):])
	if errors.Is(err, flag.ErrHelp) {
		usage(stdout, configYAML)
		return 0
	}
	if err != nil || flags.NArg() > c.args {
		usage(stderr, configYAML)
		return 1
	}
	cfg, err := config.Load(configYAML, getenv, ".")
	if err == nil {
		err = start(ctx, cfg, stdout, NewLogger(cfg, stderr))
	}
	if err != nil {
		fmt.Fprintf(stderr, "cubegate: %v\n", err)
		return 1
	}
	return 0
}

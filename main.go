// Command cubegate is the server side of an app built on ConnectyCube: it
// knows the app's users and opens their ConnectyCube sessions. Without any
// settings it runs whole, on an embedded database and a ConnectyCube sandbox
// in this process.
//
// This package is wiring and nothing else. Start reading at run; program.go
// says what is started in which order, routes.go what answers where, and
// config.yaml what can be set.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"cubegate/middleware"
)

// configYAML documents every setting and has its default.
//
//go:embed config.yaml
var configYAML []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, configYAML, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program with its surroundings as arguments, config.yaml among
// them. It returns the exit status.
func run(ctx context.Context, configYAML []byte, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) int {
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
	cfg, err := loadConfig(configYAML, getenv, ".")
	if err == nil {
		err = start(ctx, cfg, stdout, newLogger(cfg, stderr))
	}
	if err != nil {
		fmt.Fprintf(stderr, "cubegate: %v\n", err)
		return 1
	}
	return 0
}

// newLogger writes lines for people on a terminal, and JSON elsewhere, unless
// the settings say otherwise.
func newLogger(cfg Config, stderr io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // checked with the other settings
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: withUnits}
	var h slog.Handler = slog.NewJSONHandler(stderr, opts)
	if cfg.Log.Format == "text" || cfg.Log.Format == "auto" && isTerminal(stderr) {
		h = slog.NewTextHandler(stderr, opts)
	}
	return slog.New(middleware.WithRequestID(h))
}

// withUnits writes durations as 1.5ms, in JSON too, where they would be bare
// nanoseconds.
func withUnits(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

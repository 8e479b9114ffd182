package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"cubegate/server/config"
	"cubegate/tokens"
)

// keysLead is how long a new key is known before it signs, unless said
// otherwise: every replica has read it by then.
const keysLead = time.Minute

// keys makes, lists and retires the keys that sign tokens. A running server
// sees what changes by itself.
func keys(flags *flag.FlagSet) commandFunc {
	return func(_ context.Context, cfg config.Config, stdout io.Writer, _ *slog.Logger) error {
		if cfg.JWT.Keys == "" {
			return errors.New("JWT_KEYS is not set: set it to a folder for the keys, here and for the server")
		}
		args := flags.Args()
		if len(args) == 0 {
			return errors.New("want: cubegate keys new, list or retire")
		}
		switch args[0] {
		case "new":
			return newKey(cfg.JWT.Keys, args[1:], stdout)
		case "list":
			if len(args) > 1 {
				return errors.New("want: cubegate keys list")
			}
			return listKeys(cfg.JWT.Keys, stdout)
		case "retire":
			if len(args) != 2 {
				return errors.New("want the id of a key: cubegate keys retire KID")
			}
			if err := tokens.RetireKey(cfg.JWT.Keys, args[1], time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s is retired: what it signed is refused from now on.\n", args[1])
			return nil
		}
		return fmt.Errorf("want new, list or retire, not %q", args[0])
	}
}

func newKey(path string, args []string, stdout io.Writer) error {
	own := flag.NewFlagSet("keys new", flag.ContinueOnError)
	own.SetOutput(io.Discard)
	alg := own.String("alg", "EdDSA", "EdDSA or ES256")
	lead := own.Duration("in", keysLead, "when it begins to sign")
	if err := own.Parse(args); err != nil || own.NArg() > 0 || *lead < 0 {
		return errors.New("want: cubegate keys new [--alg EdDSA|ES256] [--in 1m]")
	}
	from := time.Now().Add(*lead)
	id, err := tokens.NewKey(path, *alg, from)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s signs from %s on.\n", id, from.UTC().Format(time.RFC3339))
	return nil
}

func listKeys(path string, stdout io.Writer) error {
	list, err := tokens.ListKeys(path)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "KID\tALGORITHM\tFROM\tSTATE")
	for _, k := range list {
		state := "verifies"
		switch {
		case k.Signs:
			state = "signs"
		case !k.Retired.IsZero() && !time.Now().Before(k.Retired):
			state = "retired " + k.Retired.Format(time.RFC3339)
		case k.From.After(time.Now()):
			state = "waits"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", k.ID, k.Alg, k.From.Format(time.RFC3339), state)
	}
	return table.Flush()
}

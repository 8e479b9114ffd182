package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"cubegate/server/config"
	"cubegate/tokens"

	"github.com/spf13/cobra"
)

// keysLead is the default time until a new key signs. Every replica has read the key
// by then.
const keysLead = time.Minute

// keysCommand returns the commands for the keys that sign tokens. A running server
// reads the changes by itself.
func (p process) keysCommand() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys new|list|retire",
		Short: "makes, lists and retires the keys in JWT_KEYS that sign tokens",
	}
	keys.AddCommand(p.newKeyCommand(), p.retireKeyCommand(), p.newCommand("list", "lists the keys and their states", withKeys(listKeys)))
	return keys
}

// withKeys returns a command that calls do with the folder in JWT_KEYS.
func withKeys(do func(folder string, stdout io.Writer) error) commandFunc {
	return func(_ context.Context, cfg config.Config, stdout io.Writer, _ *slog.Logger) error {
		if cfg.JWT.Keys == "" {
			return errors.New("JWT_KEYS is not set: set it to a folder for the keys, here and for the server")
		}
		return do(cfg.JWT.Keys, stdout)
	}
}

func (p process) newKeyCommand() *cobra.Command {
	var alg string
	var lead time.Duration
	cmd := &cobra.Command{
		Use:     "new [--alg EdDSA|ES256] [--in 1m]",
		Short:   "makes a key",
		Example: "  cubegate keys new --alg ES256 --in 10m",
	}
	cmd.Flags().StringVar(&alg, "alg", "EdDSA", "`algorithm` of the key: EdDSA or ES256")
	cmd.Flags().DurationVar(&lead, "in", keysLead, "`time` until the key begins to sign; every replica must have read it by then")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if lead < 0 {
			return usageError{fmt.Errorf("--in is %s, want 0s or more", lead)}
		}
		return p.run(cmd.Context(), withKeys(newKey(alg, lead)))
	}
	return cmd
}

// newKey returns the function that makes a key, which signs after lead.
func newKey(alg string, lead time.Duration) func(folder string, stdout io.Writer) error {
	return func(folder string, stdout io.Writer) error {
		from := time.Now().Add(lead)
		id, err := tokens.NewKey(folder, alg, from)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s signs from %s on.\n", id, from.UTC().Format(time.RFC3339))
		return nil
	}
}

func (p process) retireKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retire KID",
		Short: "retires a key; the server then refuses the tokens that it signed",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("want the ID of one key, as \"cubegate keys list\" shows it")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), withKeys(retireKey(args[0])))
		},
	}
}

func retireKey(id string) func(folder string, stdout io.Writer) error {
	return func(folder string, stdout io.Writer) error {
		if err := tokens.RetireKey(folder, id, time.Now()); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s is retired: the server refuses the tokens that it signed.\n", id)
		return nil
	}
}

func listKeys(folder string, stdout io.Writer) error {
	list, err := tokens.ListKeys(folder)
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

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"cubegate/server/config"

	"github.com/spf13/cobra"
)

// process is the surroundings of the commands.
type process struct {
	configYAML     []byte // the settings with their meanings and defaults
	lan, tls       bool   // --lan, --tls
	getenv         func(string) (string, bool)
	stdout, stderr io.Writer
}

// commandFunc does the work of a command until ctx ends.
type commandFunc func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) error

// onLAN returns a copy of p in which both listeners are open to the network.
func (p process) onLAN() process {
	getenv := p.getenv
	p.lan = true
	p.getenv = func(name string) (string, bool) {
		if name == "HOST" || name == "SANDBOX_HOST" {
			return "0.0.0.0", true
		}
		return getenv(name)
	}
	return p
}

// addListenerFlags gives cmd the flags --lan and --tls. The returned function is p with them.
func (p process) addListenerFlags(cmd *cobra.Command) (with func() process) {
	lan := cmd.Flags().Bool("lan", false, "listen on all interfaces, so that phones and other machines reach the server and the sandbox")
	secure := cmd.Flags().Bool("tls", false, "serve HTTPS and WSS, with certificates from an authority in DATA_DIR")
	return func() process {
		out := p
		if *lan {
			out = p.onLAN()
		}
		out.tls = *secure
		return out
	}
}

// run loads the settings and calls do with them.
func (p process) run(ctx context.Context, do commandFunc) error {
	cfg, err := config.Load(p.configYAML, p.getenv, ".")
	if err != nil {
		return explained(err, noticesOf(cfg))
	}
	cfg.LAN, cfg.TLS = p.lan, p.tls
	return do(ctx, cfg, p.stdout, NewLogger(cfg, p.stderr))
}

// newCommand returns a command that has neither arguments nor flags and needs the settings.
func (p process) newCommand(name, short string, do commandFunc) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context(), do) },
	}
}

// serveCommand returns a command that runs the server.
func (p process) serveCommand(name, short string) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short}
	with := p.addListenerFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return with().run(cmd.Context(), serve) }
	return cmd
}

// newRootCommand builds the command tree. Each call builds its own, because
// cobra stores the values of flags in the tree.
func newRootCommand(p process) *cobra.Command {
	root := p.serveCommand("cubegate", "")
	root.Long = "cubegate is the server side of an app built on ConnectyCube. Without a command it runs the server."
	root.Version = versionText(debug.ReadBuildInfo())
	root.Args = unknownCommand
	root.SilenceErrors, root.SilenceUsage = true, true // Main reports errors
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(flagError)

	serveCommand := p.serveCommand("serve", "runs the server; this is what happens without a command")
	serveCommand.SuggestFor = []string{"run", "start"}
	root.AddCommand(
		serveCommand,
		p.sandboxCommand(),
		p.healthCommand(),
		p.newCommand("export", "writes the embedded database's users as extended JSON, one a line, for mongoimport", export),
		p.newCommand("check", "lists malformed documents, and damage of the embedded database's file while no server runs; exit status 0 or 1", check),
		p.grantCommand(),
		p.newCommand("passwords", "brings the accounts' passwords at ConnectyCube to what the settings want; may be cut off and repeated", passwords),
		p.keysCommand(),
		p.licensesCommand(),
		p.hashCommand(),
	)
	addStandardCommands(root)
	checkArguments(root)

	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		if cmd == root {
			printSettings(p.stdout, p.configYAML)
		}
	})
	return root
}

// addStandardCommands adds cobra's help and completion. Cobra itself adds them only
// after checkArguments has run.
func addStandardCommands(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Short = "explains a command; without one, lists commands and settings"
			cmd.Args = func(_ *cobra.Command, args []string) error {
				about, rest, _ := root.Find(args)
				return unknownCommand(about, rest)
			}
		case "completion":
			cmd.Use = "completion bash|zsh|fish|powershell"
			cmd.Short = "prints a script that makes the shell complete commands and flags"
		}
	}
}

// checkArguments makes cmd and the commands below it report wrong arguments as usage
// errors. A command without Args accepts none. A command that only groups others
// cannot run.
func checkArguments(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	cmd.SuggestionsMinimumDistance = 2 // letters; cobra sets it only in its own check
	for _, sub := range cmd.Commands() {
		checkArguments(sub)
	}
	if !cmd.Runnable() {
		cmd.Args, cmd.RunE = cobra.ArbitraryArgs, chooseCommand
		return
	}
	check := cmd.Args
	if check == nil {
		check = noArguments
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// usageError is an error in the command line.
type usageError struct{ error }

// flagError reports an unknown command before the flags that belong to it.
func flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		err = unknownCommand(cmd, cmd.Flags().Args())
	}
	return usageError{err}
}

// noArguments is the Args of a command that takes none.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

// unknownCommand is the Args of a command that has commands below it. Cobra passes
// an argument to it only if that names none of them.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	similar := cmd.SuggestionsFor(args[0])
	if len(similar) == 0 || args[0] == "" { // every name begins with ""
		return fmt.Errorf("unknown command %q", args[0])
	}
	return fmt.Errorf("unknown command %q; did you mean %s?", args[0], strings.Join(similar, " or "))
}

// chooseCommand is the RunE of a command that only groups others.
func chooseCommand(cmd *cobra.Command, args []string) error {
	if err := unknownCommand(cmd, args); err != nil {
		return usageError{err}
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return usageError{fmt.Errorf("want one of these commands: %s", strings.Join(names, ", "))}
}

// printSettings lists the settings. It shows names and defaults, never values.
func printSettings(w io.Writer, configYAML []byte) {
	fmt.Fprint(w, "\nSettings come from the environment, .env, the YAML file named by CONFIG_FILE, and these defaults:\n\n")
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
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

func noticesOf(cfg config.Config) []config.Notice {
	return append(cfg.Notices, config.MisspelledIn(os.Environ())...)
}

// explained is an error in the settings with the notices, because the setting that is
// missing may be the one whose name is misspelled. There is no log yet.
func explained(err error, notices []config.Notice) error {
	for _, n := range notices {
		err = fmt.Errorf("%w\n%s: %s: %s", err, n.Variable, n.Text, n.Setting)
	}
	return err
}

// logNotices writes what the operator should know about the settings.
func logNotices(ctx context.Context, cfg config.Config, log *slog.Logger) {
	for _, n := range noticesOf(cfg) {
		log.WarnContext(ctx, n.Text, slog.String("variable", n.Variable), slog.String("setting", n.Setting))
	}
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) error {
	logNotices(ctx, cfg, log)
	limitGoMemory(ctx, os.DirFS("/"), log)
	s, err := Open(ctx, cfg, log, hashCommandLine()...)
	if err != nil && ctx.Err() != nil {
		return nil // a signal while the server waits for the database is no failure
	}
	if err != nil {
		return err
	}
	s.banner(stdout)
	return s.Run(ctx)
}

// Main runs the program with its surroundings as arguments. configYAML is the text
// of config.yaml. Main returns the exit status: 0, 1 for a failure, 2 for an error in
// the command line.
func Main(ctx context.Context, configYAML []byte, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) int {
	root := newRootCommand(process{configYAML: configYAML, getenv: getenv, stdout: stdout, stderr: stderr})
	root.SetArgs(append([]string{}, args...)) // cobra reads os.Args instead of a nil slice
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "cubegate: %v\n", err)
	if _, ok := errors.AsType[usageError](err); !ok {
		return 1
	}
	usage := cmd.UseLine()
	if cmd.HasSubCommands() {
		usage = cmd.CommandPath() + " [command]"
	}
	fmt.Fprintf(stderr, "usage: %s\nRun \"%s --help\" for more.\n", usage, cmd.CommandPath())
	return 2
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

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
	lan := cmd.Flags().Bool("lan", false, "listen on all interfaces, so that phones and other machines can connect")
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
	cfg.LAN, cfg.TLS, cfg.Log.NoColor = p.lan, p.tls, noColor(p.getenv)
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
	root.SetFlagErrorFunc(p.flagError)

	serveCommand := p.serveCommand("serve", "runs the server; this is what happens without a command")
	serveCommand.SuggestFor = []string{"run", "start"}
	root.AddCommand(
		serveCommand,
		p.sandboxCommand(),
		p.healthCommand(),
		p.newCommand("export", "writes the embedded database's users, with password hashes, for mongoimport", export),
		p.newCommand("check", "lists malformed documents and, while no server runs, damage of the database file", check),
		p.doctorCommand(),
		p.grantCommand(),
		p.revokeCommand(),
		p.usersCommand(),
		p.newCommand("passwords", "migrates passwords at ConnectyCube to the configured mode; safe to rerun", passwords),
		p.keysCommand(),
		p.licensesCommand(),
		p.hashCommand(),
	)
	p.addStandardCommands(root)
	checkArguments(root)

	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		if cmd == root {
			fmt.Fprint(p.stdout, "\nSettings come from the environment, .env, the YAML file named by CONFIG_FILE, and these defaults:\n")
			printSettings(p.stdout, config.Settings(p.configYAML))
		}
	})
	return root
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
	limitGoMemory(ctx, ownMemoryLimit(), log)
	started := paceCollector(ctx)
	sampleHeap(cfg.HTTP.OpsAddr)
	s, err := Open(ctx, cfg, log, hashCommandLine()...)
	if err != nil && ctx.Err() != nil {
		return nil // a signal while the server waits for the database is no failure
	}
	if err != nil {
		return err
	}
	s.notes.out = stdout
	started()
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
	if _, ok := errors.AsType[usageError](err); !ok {
		fmt.Fprintf(stderr, "cubegate: %v\n", err)
		return 1
	}
	fmt.Fprintf(stderr, "cubegate: %s\n", withHelp(err.Error(), cmd))
	return 2
}

package server

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"cubegate/tokens"

	"github.com/spf13/cobra"
)

// HashCommand names the command of a process that hashes passwords for the server.
const HashCommand = "hash-passwords"

// hashCommandLine returns the command line that runs HashCommand. On Linux it names the
// running program, also after an upgrade has replaced the file.
func hashCommandLine() []string {
	const running = "/proc/self/exe"
	if _, err := os.Stat(running); err == nil {
		return []string{running, HashCommand}
	}
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return []string{program, HashCommand}
}

// hashCommand needs no settings, and ignores signals: one to the whole process group, such
// as Ctrl-C, must not end it before the server.
func (p process) hashCommand() *cobra.Command {
	return &cobra.Command{
		Use:    HashCommand,
		Short:  "hashes passwords for the server, which starts it",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in := cmd.InOrStdin()
			if !isPipe(in) || !isPipe(p.stdout) {
				return usageError{errors.New("the server itself starts this command, to hash passwords")}
			}
			signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
			yieldToShortTasks()
			return tokens.ServeHashes(in, p.stdout)
		},
	}
}

func isPipe(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

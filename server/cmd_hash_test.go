package server

import (
	"os"
	"runtime"
	"testing"
)

// The command is of this program. On Linux it stays so when an upgrade replaces the file.
func TestHashCommandLineNamesTheRunningProgram(t *testing.T) {
	t.Parallel()
	line := hashCommandLine()
	if len(line) != 2 || line[1] != HashCommand {
		t.Fatalf("the command line is %q", line)
	}
	if runtime.GOOS == "linux" && line[0] != "/proc/self/exe" {
		t.Errorf("the program is %s, want the running one", line[0])
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.Stat(line[0]); err != nil || !os.SameFile(got, want) {
		t.Errorf("%s is not %s: %v", line[0], program, err)
	}
}

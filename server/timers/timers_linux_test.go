package timers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asServer makes the test binary print what a server would find at its start.
const asServer = "TIMERS_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "" {
		os.Exit(m.Run())
	}
	fmt.Println(os.Getpid(), os.Args[1:], os.Getenv(mark) != "")
	threads, _ := filepath.Glob("/proc/self/task/[0-9]*")
	for _, thread := range threads {
		if text, err := os.ReadFile("/proc/" + filepath.Base(thread) + "/timerslack_ns"); err == nil { // else it is not ours to read
			fmt.Print(string(text))
		}
	}
}

// All threads have the slack, also those that the runtime has started before any code of the
// program. The process keeps its ID and its arguments.
func TestServerWakesLessOften(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		slack     int64
	}{
		{nil, int64(slack)},
		{[]string{"serve", "--lan"}, int64(slack)},
		{[]string{"users"}, 0},
	} {
		cmd := exec.Command(os.Args[0], test.arguments...)
		cmd.Env = []string{asServer + "=1"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if want := fmt.Sprint(cmd.Process.Pid, " ", test.arguments, " ", false); lines[0] != want {
			t.Errorf("%v: the process starts with %q, want %q", test.arguments, lines[0], want)
		}
		if len(lines) < 3 {
			t.Skip("the system does not tell the slack of other threads")
		}
		with := fmt.Sprint(int64(slack))
		if test.slack != 0 && slices.ContainsFunc(lines[1:], func(l string) bool { return l != with }) ||
			test.slack == 0 && slices.Contains(lines[1:], with) {
			t.Errorf("%v: the threads have the slack %v ns, want %d, or the kernel's for 0", test.arguments, lines[1:], test.slack)
		}
	}
}

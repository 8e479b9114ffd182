package benchserver

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// starter marks the process of the test that starts a server.
const starter = "BENCHSERVER_TEST_STARTS"

// A server ends with the benchmark that has started it, also if that is killed, as by a
// second Ctrl-C.
func TestServersEndWithTheBenchmark(t *testing.T) {
	if os.Getenv(starter) != "" {
		s, err := StartOther(t.TempDir(), []string{"sleep", "600"})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\npid %d\n", s.PID())
		<-s.exited // until the test kills this process
		return
	}
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bench := exec.Command(binary, "-test.run=^TestServersEndWithTheBenchmark$")
	bench.Env = append(os.Environ(), starter+"=1")
	out, err := bench.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bench.Start(); err != nil {
		t.Fatal(err)
	}
	var server string
	for lines := bufio.NewScanner(out); server == "" && lines.Scan(); {
		server, _ = strings.CutPrefix(lines.Text(), "pid ")
		if _, err := strconv.Atoi(server); err != nil {
			server = ""
		}
	}
	_ = bench.Process.Kill()
	_ = bench.Wait()
	if server == "" {
		t.Fatal("no server has started")
	}
	for { // the test's own deadline bounds it
		pid, _ := strconv.Atoi(server)
		if fields, err := stat(pid); err != nil || fields[0] == "Z" {
			return
		}
	}
}

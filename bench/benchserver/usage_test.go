package benchserver

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// The CPU time of a server includes that of its child processes, also after their end: the
// server of this module hashes passwords in some.
func TestUsageHasChildProcesses(t *testing.T) {
	t.Parallel()
	busy := `i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done`
	for name, script := range map[string]string{
		"running": "sh -c '" + busy + "; echo; exec sleep 600' & wait",
		"ended":   "sh -c '" + busy + "'; sleep 600; true",
	} {
		s, err := StartOther(t.TempDir(), []string{"sh", "-c", script})
		if err != nil {
			t.Fatal(err)
		}
		p := Process(s.PID())
		for { // the test's own deadline bounds it
			u, err := p.Usage()
			if err != nil {
				t.Fatal(err)
			}
			if u.CPU >= 5*clockTick && u.Resident > 0 && u.Threads > 0 {
				break
			}
			if err := s.Alive(); err != nil {
				t.Fatal(err)
			}
		}
		if !p.Settle(time.Minute) {
			t.Errorf("%s: the process did not settle", name)
		}
		s.Kill()
		if _, err := p.Usage(); err == nil {
			t.Errorf("%s: a process that has ended has a usage", name)
		}
	}
}

func TestSettleGivesUpOnABusyProcess(t *testing.T) {
	t.Parallel()
	s, err := StartOther(t.TempDir(), []string{"sh", "-c", "while :; do :; done"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	var used Usage
	for deadline := time.Now().Add(time.Minute); used.CPU < 5*clockTick; { // until it is in its loop
		if used, err = Process(s.PID()).Usage(); err != nil || time.Now().After(deadline) {
			t.Fatalf("the process has used %v, %v", used.CPU, err)
		}
	}
	if Process(s.PID()).Settle(200 * time.Millisecond) {
		t.Error("a process in a loop has settled")
	}
}

func TestOnPortFindsTheListener(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if p, err := OnPort(port); err != nil || int(p) != os.Getpid() {
		t.Errorf("OnPort = %d, %v, want this process, %d", p, err, os.Getpid())
	}
	_ = l.Close()
	if p, err := OnPort(port); err == nil && int(p) == os.Getpid() { // another process may listen there by now
		t.Errorf("OnPort = %d, which listens no more", p)
	}
}

func TestAllowedCores(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{"0-1": "0 1", "2,5-7": "2 5", "3": "3", "8-11": "8 9", "0-0,2": "0 2", "": "", "x": "", "1,y": ""} {
		status := "Name:\tbench\nCpus_allowed:\tff\nCpus_allowed_list:\t" + list + "\nMems_allowed_list:\t0\n"
		if got := strings.Join(allowedCores(status), " "); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
	if got := allowedCores("Name:\tbench\n"); got != nil {
		t.Errorf("without a list: %q", got)
	}
}

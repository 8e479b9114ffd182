package shape

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A server that stops still writes to its folder. A script that removed the folder at
// that moment failed with "Directory not empty".
func TestStopWaitsForTheProcess(t *testing.T) {
	t.Parallel()
	const script = `
set -euo pipefail
. .ci/stop.sh
bash -c '
  trap "for i in \$(seq 300); do : >$0/\$i; done; : >$0/last; exit 3" TERM
  : >$0/ready
  while :; do sleep 0.02; done
' "$1" & server=$!
until [ -e "$1/ready" ]; do sleep 0.02; done
status=0
stop "$server" || status=$?
[ "$status" = 3 ] || { echo "status $status"; exit 1; }
[ -e "$1/last" ] || { echo "stop did not wait"; exit 1; }
! kill -0 "$server" 2>/dev/null || { echo "it still runs"; exit 1; }
stop "" || { echo "no process is no failure"; exit 1; }
`
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script, "bash", t.TempDir())
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Scripts end processes with the function stop, which waits, and not with kill.
func TestScriptsEndProcessesWithStop(t *testing.T) {
	t.Parallel()
	const signal0 = "kill -0" // only checks the process
	kill := regexp.MustCompile(`\bkill\b( -0)?|\.kill\(`)
	home := map[string]bool{".ci/stop.sh": true, "e2e/process.mjs": true}
	seen := 0
	look := func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file := path
		path = strings.TrimPrefix(filepath.ToSlash(path), root+"/")
		if entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		script := filepath.Ext(path) == ".mjs" || strings.HasPrefix(path, ".ci/") || path == "bench/crashes"
		if entry.IsDir() || !script {
			return nil
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		seen++
		for i, line := range strings.Split(string(raw), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if found := kill.FindString(code); found != "" && found != signal0 && !home[path] {
				t.Errorf("%s:%d ends a process without waiting for it: %s", path, i+1, line)
			}
		}
		return nil
	}
	for _, folder := range []string{".ci", "bench", "e2e"} {
		if err := filepath.WalkDir(filepath.Join(root, folder), look); err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("%d scripts read, want at least 20", seen)
	}
}

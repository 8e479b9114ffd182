package tokens

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// memoryOf returns the private memory of a process in bytes, today and at its peak.
func memoryOf(t *testing.T, pid int) (now, peak int64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) int64 {
		var kib int64
		_, text, _ := strings.Cut(string(raw), "\n"+name+":")
		if _, err := fmt.Sscan(text, &kib); err != nil {
			t.Fatal(err)
		}
		return kib << 10
	}
	return field("RssAnon"), field("VmHWM") - field("RssFile")
}

// A process needs the memory of one hash, and keeps no more after a costlier one.
func TestProcessHoldsTheMemoryOfOneHash(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "hashprocess")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", program, "./testdata/hashprocess").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	params := Params{}.withDefaults()
	p, _ := startProcesses(t, patient)
	p.command, p.environment = []string{program}, hashProcessEnvironment(params)
	compute := func(params Params) {
		if _, err := p.compute(hashTask{Params: *params.argon2id()}); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		compute(params)
	}
	most := int64(params.Memory)<<10 + processMemory
	pid := p.pids()[0]
	if _, peak := memoryOf(t, pid); peak > most {
		t.Errorf("%d bytes during 10 hashes, want at most %d", peak, most)
	}
	costly := params
	costly.Memory, costly.Iterations = maxMemory, 1
	compute(costly)
	compute(params)
	if now, _ := memoryOf(t, pid); now > most {
		t.Errorf("%d bytes after a costly hash and another one, want at most %d", now, most)
	}
}

package main

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

// fixedVersions lists modules with an advisory, and the first version without it.
// An entry stays, because another module's requirement can lower a version again.
var fixedVersions = map[string]string{
	"github.com/klauspost/compress": "v1.18.7", // GHSA-259r-337f-4rfw, GO-2026-5841: s2.NewDict reads out of bounds
}

func TestModulesWithAdvisoriesAreFixed(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		fixed, listed := fixedVersions[path]
		if !listed {
			continue
		}
		seen++
		if semver.Compare(version, fixed) < 0 {
			t.Errorf("%s is at %s, want at least %s", path, version, fixed)
		}
	}
	if seen != len(fixedVersions) {
		t.Errorf("%d of %d modules found; delete entries of modules that left go.mod", seen, len(fixedVersions))
	}
}

package shape

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

// fixedVersions lists modules with an advisory, and the first version without it. An
// entry stays, because the requirement of another module can lower the version again.
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

// linkedModules returns the versions of the modules in the program by path, for the
// system of the image, as in .ci/notices.
func linkedModules(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", ".")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		linked[path] = version
	}
	return linked
}

// noticeTitle matches the title of a section in licenses.txt and the begin of the text.
// The groups are the module or a package in it, the version, and the name of the license
// or file.
var noticeTitle = regexp.MustCompile(`(?m)^={80}\n(\S+) (v\S+)\n(.+)\n={80}\n\s*\w`)

// licenses.txt has each linked module with its version and license text, and no other
// module.
func TestLicenseNoticesAreUpToDate(t *testing.T) {
	t.Parallel()
	licensesText := licenseNotices(t)
	linked := linkedModules(t)
	if len(linked) < 10 {
		t.Fatalf("%d modules are linked", len(linked))
	}
	noticed := map[string]bool{}
	for _, title := range noticeTitle.FindAllStringSubmatch(licensesText, -1) {
		name, version, license := title[1], title[2], title[3]
		module := name
		for linked[module] == "" && strings.Contains(module, "/") { // a package within the module
			module = module[:strings.LastIndex(module, "/")]
		}
		if linked[module] != version {
			t.Errorf("licenses.txt has %s %s, the program %q; run .ci/notices", name, version, linked[module])
		}
		noticed[module] = noticed[module] || strings.HasPrefix(license, "License: ")
	}
	for module, version := range linked {
		if !noticed[module] {
			t.Errorf("licenses.txt lacks the license of %s %s; run .ci/notices", module, version)
		}
	}
}

// licenses.txt has the npm packages of the pages, the texts of their licenses, and the
// standard library.
func TestLicenseNoticesHaveThePages(t *testing.T) {
	t.Parallel()
	licensesText := licenseNotices(t)
	sums, err := os.ReadFile(filepath.Join(root, ".ci/vendored.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"resolvers/playground/assets", "resolvers/openapi/assets", "connectycube/sandbox/control/page/vendor"} {
		texts, err := os.ReadFile(filepath.Join(root, folder, "LICENSES.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(licensesText, string(texts)) {
			t.Errorf("licenses.txt lacks the licenses in %s; run .ci/notices", folder)
		}
	}
	packages := 0
	for line := range strings.Lines(string(sums)) {
		_, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		packages++
		if name := strings.TrimSuffix(file, ".tgz"); !strings.Contains(licensesText, "\n"+name+"\n") {
			t.Errorf("licenses.txt lacks the npm package %s; run .ci/notices", name)
		}
	}
	if packages == 0 {
		t.Error("vendored.sha256 is empty")
	}
	if !strings.Contains(licensesText, "The Go standard library and runtime\n") {
		t.Error("licenses.txt lacks the standard library; run .ci/notices")
	}
}

func licenseNotices(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "server/licenses.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

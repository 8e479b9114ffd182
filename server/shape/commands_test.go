package shape

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// commandsPage returns docs/commands.md.
func commandsPage(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docs/commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// helpOf returns the help of a command, and the names of the commands below it.
func helpOf(t *testing.T, path string) (help string, names []string) {
	t.Helper()
	got := servertest.Run(t.Context(), nil, append(strings.Fields(path), "--help")...)
	if got.Code != 0 {
		t.Fatalf("%s --help: %+v", path, got)
	}
	_, list, _ := strings.Cut(got.Stdout, "Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		names = append(names, name)
	}
	return got.Stdout, names
}

var (
	usageLine  = regexp.MustCompile(`(?m)^  (cubegate [^\n]*)$`)
	listedFlag = regexp.MustCompile(`(?m)^ +(?:-\w, +|    )(--[a-z-]+)`)
)

// docs/commands.md has the usage and the flags of every command, and no other command. The
// commands of completion, one for each shell, are in its usage.
func TestCommandsPageHasEveryCommand(t *testing.T) {
	page := commandsPage(t)
	known := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		help, below := helpOf(t, path)
		for _, name := range below {
			full := strings.TrimSpace(path + " " + name)
			known[strings.Fields(full)[0]] = true
			if name != "completion" {
				visit(full)
			}
		}
		if len(below) > 0 {
			return
		}
		usage := usageLine.FindStringSubmatch(help)
		if usage == nil || !strings.Contains(page, "`"+strings.ReplaceAll(usage[1], "|", `\|`)) {
			t.Errorf("docs/commands.md lacks the usage %q", usage)
		}
		for _, flag := range listedFlag.FindAllStringSubmatch(help, -1) {
			if flag[1] != "--help" && !strings.Contains(page, flag[1]) {
				t.Errorf("docs/commands.md lacks %s of %s", flag[1], path)
			}
		}
	}
	visit("")
	if len(known) < 12 {
		t.Fatalf("the program lists %v", known)
	}
	for _, found := range regexp.MustCompile("`cubegate ([a-z]+)").FindAllStringSubmatch(page, -1) {
		if !known[found[1]] {
			t.Errorf("docs/commands.md has %q, which is no command", found[1])
		}
	}
}

// docs/commands.md has every check of the doctor in its order, and no other.
func TestCommandsPageHasEveryCheck(t *testing.T) {
	db := servertest.StartDatabase(t)
	got := servertest.Run(t.Context(), servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": t.TempDir(), "MONGO_URI": db.URI(), "JWT_SECRET": servertest.JWTSecret}), "doctor", "--json")
	var report struct{ Checks []struct{ Check string } }
	if err := json.Unmarshal([]byte(got.Stdout), &report); err != nil || len(report.Checks) < 16 {
		t.Fatalf("%+v: %v", got, err)
	}
	var want, listed []string
	for _, c := range report.Checks {
		want = append(want, c.Check)
	}
	_, table, _ := strings.Cut(commandsPage(t), "| check |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|-][^|]*?) \|`).FindAllStringSubmatch(table, -1) {
		listed = append(listed, row[1])
	}
	if strings.Join(listed, "\n") != strings.Join(want, "\n") {
		t.Errorf("docs/commands.md lists the checks\n%q\nwant\n%q", listed, want)
	}
}

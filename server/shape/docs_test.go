package shape

import (
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cubegate/server/config"
	"cubegate/server/servertest"

	"github.com/go-chi/chi/v5"
)

// readText returns a file of the repository by its path from root.
func readText(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// docsPages returns the texts of the pages for users by their paths from root: the pages
// in docs/, and those beside README.md.
func docsPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	add := func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(name, ".md") {
			own := strings.TrimPrefix(filepath.ToSlash(name), root+"/")
			pages[own] = readText(t, own)
		}
		return err
	}
	if err := filepath.WalkDir(filepath.Join(root, "docs"), add); err != nil {
		t.Fatal(err)
	}
	beside, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range beside {
		own := filepath.Base(name)
		pages[own] = readText(t, own)
	}
	if len(pages) < 15 {
		t.Fatalf("%d pages found", len(pages))
	}
	return pages
}

func TestREADMEIsShort(t *testing.T) {
	if size := len(readText(t, "README.md")); size > 9<<10 {
		t.Errorf("README.md has %d bytes, want at most 9 KiB; move text into a page in docs/", size)
	}
}

// The README shows first what a newcomer needs first.
func TestREADMEHasItsOrder(t *testing.T) {
	text := readText(t, "README.md")
	at := 0
	for _, part := range []string{
		dashboardImage, "\n- **", "git clone", "go run .", "go test ./...", "docker run",
		"localhost:3000/api>", "localhost:3000/docs>", "localhost:3001>",
		"curl -s", "node chat.mjs ada", "node chat.mjs bob", "## Status", "## Documentation",
	} {
		next := strings.Index(text[at:], part)
		if next < 0 {
			t.Fatalf("the README lacks %q after %q", part, text[max(0, at-20):at])
		}
		at += next + len(part)
	}
	if bullets := strings.Count(text[:strings.Index(text, "## Start")], "\n- "); bullets != 4 {
		t.Errorf("the README begins with %d bullets, want 4", bullets)
	}
}

// Each page opens with its title and a sentence that says what the page is for.
func TestPagesOpenWithTheirPurpose(t *testing.T) {
	purpose := regexp.MustCompile(`^# [^\n]+\n\n[A-Za-z][^\n]+`)
	for name, text := range docsPages(t) {
		if !purpose.MatchString(text) {
			t.Errorf("%s does not open with a title and a sentence: %.80q", name, text)
		}
	}
}

// The index has a link to every page in docs/.
func TestIndexHasEveryPage(t *testing.T) {
	index := readText(t, "docs/README.md")
	for name := range docsPages(t) {
		own, inDocs := strings.CutPrefix(name, "docs/")
		if inDocs && own != "README.md" && !strings.Contains(index, "]("+own+")") {
			t.Errorf("docs/README.md has no link to %s", own)
		}
	}
}

// terms are explained where they first stand on a page: in their own line or a neighbor
// of it, in words or by a link.
var terms = map[string]*regexp.Regexp{
	"Custom Identity Provider": regexp.MustCompile(`\(identity-provider\.md\)|ConnectyCube (then )?asks|for each .*|Custom\s+Identity Provider\*\*`),
	"JID":                      regexp.MustCompile(`name of a user|user's name|the name in the chat`),
	"udid":                     regexp.MustCompile(`an ID that the app chooses|device\.udid`),
	"verify route":             regexp.MustCompile(`ConnectyCube calls|/auth/verify-connectycube`),
	"chat ticket":              regexp.MustCompile(`(?i)tokens? (that cubegate gives to apps )?for ConnectyCube|ConnectyCube asks`),
	"XMPP":                     regexp.MustCompile(`chat`),
	"stand-in":                 regexp.MustCompile(`embedded database|store/embedded`),
}

// unexplained returns the terms that stand in a page without an explanation.
func unexplained(text string) (missing []string) {
	lines := strings.Split(text, "\n")
	for _, term := range slices.Sorted(maps.Keys(terms)) {
		first := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(prose(line), term) })
		if first >= 0 && !terms[term].MatchString(strings.Join(lines[max(0, first-1):min(len(lines), first+3)], " ")) {
			missing = append(missing, term)
		}
	}
	return missing
}

func TestTermsAreExplained(t *testing.T) {
	t.Parallel()
	for name, text := range docsPages(t) {
		for _, term := range unexplained(text) {
			t.Errorf("%s does not explain %q where it first stands", name, term)
		}
	}
	const page = "# T\n\nA JID, the user's name in the chat.\n\nSend the udid.\n\n\n\nThe udid is an ID that the app chooses.\n"
	if got := unexplained(page); !slices.Equal(got, []string{"udid"}) {
		t.Errorf("unexplained = %q, want udid", got)
	}
}

func TestSettingsPageIsUpToDate(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./server/config/settingspage")
	cmd.Dir = root
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := readText(t, "docs/settings.md")
	if got != string(want) {
		t.Error("docs/settings.md is out of date: go run ./server/config/settingspage >docs/settings.md")
	}
	for _, row := range []string{
		"| `port` | `PORT` | `3000` | TCP port of the API",
		"| `jwt.secret` | `JWT_SECRET` or `JWT_SECRET_FILE` |  | Key that signs",
		"| `log.level` | `LOG_LEVEL` | `info` |",
	} {
		if !strings.Contains(got, row) {
			t.Errorf("docs/settings.md lacks %q", row)
		}
	}
	if rows, want := strings.Count(got, "\n| `"), len(config.Settings(servertest.ConfigYAML)); rows != want {
		t.Errorf("docs/settings.md has %d settings, want %d", rows, want)
	}
}

func TestDocsHaveEveryRoute(t *testing.T) {
	r := servertest.Start(t, nil)
	text := readText(t, "docs/api.md")
	routes, walked := 0, map[string]bool{}
	err := chi.Walk(r.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes++
		walked[method+" "+route] = true
		isAsset := strings.HasSuffix(route, "/*") // of a page
		if !strings.Contains(text, "`"+method+" "+route) && !isAsset {
			t.Errorf("docs/api.md lacks `%s %s`", method, route)
		}
		return nil
	})
	if err != nil || routes < 7 {
		t.Errorf("%d routes, %v", routes, err)
	}
	table, _, _ := strings.Cut(text, "\n## GraphQL")
	for _, m := range regexp.MustCompile("`((?:GET|POST|PUT|DELETE) /[^`?]*)").FindAllStringSubmatch(table, -1) {
		if !walked[m[1]] {
			t.Errorf("docs/api.md has `%s`, which is no route", m[1])
		}
	}
}

// The page of the architecture names every package, except those that contain only tests.
func TestArchitectureHasEveryPackage(t *testing.T) {
	t.Parallel()
	text := readText(t, "docs/architecture.md")
	withCode := map[string]bool{}
	for _, f := range sources(t) {
		withCode[f.pkg] = true
	}
	for pkg := range arrows {
		_, short, _ := strings.Cut(pkg, "connectycube/sandbox/")
		named := strings.Contains(text, "`"+pkg+"`") || short != "" && strings.Contains(text, "`"+short+"`")
		if !named && withCode[pkg] && pkg != "" && !strings.HasPrefix(pkg, "bench/") && !slices.Contains(forTests, pkg) {
			t.Errorf("docs/architecture.md lacks `%s`", pkg)
		}
	}
}

// A block marked from=FILE is a part of FILE, and run-by=FILE is a test that reads the
// page.
func TestQuotedCodeIsTheCodeThatRuns(t *testing.T) {
	mark := regexp.MustCompile("(?m)^```\\S+ (from|run-by)=(\\S+)\n((?s:.*?))^```$")
	seen := 0
	for name, text := range docsPages(t) {
		for _, block := range mark.FindAllStringSubmatch(text, -1) {
			seen++
			file := readText(t, block[2])
			switch {
			case block[1] == "from" && !strings.Contains(file, block[3]):
				t.Errorf("%s quotes %s, which has other lines now:\n%s", name, block[2], block[3])
			case block[1] == "run-by" && !strings.Contains(file, filepath.Base(name)):
				t.Errorf("%s says that %s runs a block of it", name, block[2])
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d quoted blocks", seen)
	}
	if recipe := readText(t, "e2e/recipe.mjs"); !strings.Contains(readText(t, "docs/login-sessions.md"), "```js from=e2e/recipe.mjs\n"+recipe+"```") {
		t.Error("docs/login-sessions.md lacks e2e/recipe.mjs, or has another version of it")
	}
}

// dashboardImage is the only binary file that the repository may contain. It shows the
// dashboard in the README.
const dashboardImage = "docs/dashboard.png"

// compressed lists the folders of the compressed assets of pages, which .ci/vendored.go
// makes.
var compressed = []string{"resolvers/openapi/assets", "resolvers/playground/assets"}

// The repository contains no binary file, except the image and the compressed assets.
func TestOnlyBinaryIsTheDashboard(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("the source is no clone: %v", err)
	}
	files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(files) < 100 {
		t.Fatalf("%d files", len(files))
	}
	for _, name := range files {
		if name == dashboardImage || slices.Contains(compressed, path.Dir(name)) {
			continue
		}
		if raw, err := os.ReadFile(filepath.Join(root, name)); err == nil && strings.Contains(string(raw), "\x00") {
			t.Errorf("%s is a binary file", name)
		}
	}
	image := readText(t, dashboardImage)
	if !strings.HasPrefix(image, "\x89PNG\r\n") || len(image) > 150<<10 {
		t.Errorf("%s has %d bytes, want a PNG of at most 150 KiB", dashboardImage, len(image))
	}
	if !strings.Contains(readText(t, "README.md"), "]("+dashboardImage+")") {
		t.Errorf("the README does not show %s", dashboardImage)
	}
}

// Files that the pages tell users to write lie in a folder that git ignores.
func TestWrittenFilesAreIgnored(t *testing.T) {
	written := regexp.MustCompile(`(?:>|\btee |-o |--archive=|JWT_KEYS=)([\w./-]+)`)
	block := regexp.MustCompile("(?ms)^```(?:sh|bash)[^\n]*\n(.*?)^```$")
	ignored := strings.Fields(readText(t, ".gitignore"))
	seen := 0
	for name, text := range docsPages(t) {
		for _, code := range block.FindAllStringSubmatch(text, -1) {
			for _, file := range written.FindAllStringSubmatch(code[1], -1) {
				seen++
				folder, _, _ := strings.Cut(file[1], "/")
				if !slices.Contains(ignored, "/"+folder+"/") && file[1] != "/dev/null" {
					t.Errorf("%s writes %s, which git does not ignore", name, file[1])
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d written files found", seen)
	}
}

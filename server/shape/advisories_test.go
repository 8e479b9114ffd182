package shape

import (
	"go/ast"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// advisories are the ids that the table in SECURITY.md must have. An advisory that we learn
// of is added here and there, with its test.
var advisories = []string{
	"CVE-2026-31813", "GHSA-3529-5m8x-rpv3", "GHSA-7hgr-xvrr-xpw3", "CVE-2026-41574", "CVE-2026-34969", "CVE-2026-35511", "GHSA-29rf-f4vv-pvq6",
	"CVE-2026-54072", "GHSA-x3f4-v83f-7wp2", "GHSA-jfwg-rxf3-p7r9", "CVE-2024-38351", "CVE-2026-44166", "CVE-2026-33503", "CVE-2024-45042",
	"GHSA-xg6x-h9c9-2m83", "CVE-2025-61928", "GO-2026-5774", "GO-2026-5775", "GO-2026-5777", "CVE-2022-21708", "CVE-2024-28122", "CVE-2024-21664",
	"CVE-2023-49290", "CVE-2026-49998", "CVE-2025-30204",
	"CVE-2025-64101", "GHSA-93m4-mfpg-c3xf", "CVE-2025-64102", "CVE-2026-27840", "CVE-2025-46815", // Zitadel
}

var (
	advisoryID = regexp.MustCompile(`^(?:CVE-\d{4}-\d{4,}|GHSA(?:-[2-9a-z]{4}){3}|GO-\d{4}-\d{4,})$`)
	testName   = regexp.MustCompile("^`([a-z0-9/]+)\\.((?:Test|Fuzz)\\w+)`$")
)

// tableOfAdvisories returns the rows of a table below a heading: the cells without blanks
// around them.
func tableOfAdvisories(text string) (rows [][]string) {
	_, text, _ = strings.Cut(text, "\n| advisory |")
	for i, line := range strings.Split(text, "\n") {
		if i > 0 && !strings.HasPrefix(line, "|") {
			break
		}
		if i < 2 { // the heading and the line below it
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for j, cell := range cells {
			cells[j] = strings.TrimSpace(cell)
		}
		rows = append(rows, cells)
	}
	return rows
}

// mistakesInAdvisories returns what is wrong with the table: an id that is missing, occurs
// twice or has no form of one, a row without a text or a test, and a test that is none of
// tests, which are by package and name.
func mistakesInAdvisories(text string, want []string, tests map[string]bool) (mistakes []string) {
	seen := map[string]int{}
	for _, row := range tableOfAdvisories(text) {
		if len(row) != 4 || slices.Contains(row, "") {
			mistakes = append(mistakes, "row without its four cells: "+strings.Join(row, "|"))
			continue
		}
		for id := range strings.SplitSeq(row[0], ", ") {
			if seen[id]++; !advisoryID.MatchString(id) || seen[id] > 1 {
				mistakes = append(mistakes, "id: "+id)
			}
		}
		for name := range strings.SplitSeq(row[3], ", ") {
			m := testName.FindStringSubmatch(name)
			if m == nil || !tests[m[1]+"."+m[2]] {
				mistakes = append(mistakes, row[0]+" names no test: "+name)
			}
		}
	}
	for _, id := range want {
		if seen[id] == 0 {
			mistakes = append(mistakes, "no row: "+id)
		}
	}
	return mistakes
}

// testsByPackage returns all tests and fuzz tests of the module, such as
// "store.FuzzCursor". A test without a statement is none.
func testsByPackage(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	for _, f := range sourcesWithTests(t) {
		if !f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && len(fn.Body.List) > 0 && regexp.MustCompile(`^(Test|Fuzz)[A-Z0-9]`).MatchString(fn.Name.Name) {
				tests[f.pkg+"."+fn.Name.Name] = true
			}
		}
	}
	return tests
}

func TestEveryAdvisoryHasItsTest(t *testing.T) {
	t.Parallel()
	text := readText(t, "SECURITY.md")
	for _, mistake := range mistakesInAdvisories(text, advisories, testsByPackage(t)) {
		t.Errorf("SECURITY.md, table of advisories: %s", mistake)
	}
	if rows := tableOfAdvisories(text); len(rows) < 20 {
		t.Errorf("%d rows", len(rows))
	}
}

// Each promise of SECURITY.md names the tests that keep it, and every test that the page
// names exists.
func TestPromisesNameTheirTests(t *testing.T) {
	t.Parallel()
	text, tests := readText(t, "SECURITY.md"), testsByPackage(t)
	_, promises, _ := strings.Cut(text, "\n## What cubegate promises\n")
	promises, _, _ = strings.Cut(promises, "\n### ")
	list := strings.Split(promises, "\n- **")[1:]
	if len(list) < 6 {
		t.Errorf("%d promises", len(list))
	}
	named := regexp.MustCompile("`([a-z0-9/]+\\.(?:Test|Fuzz)\\w+)`")
	for _, promise := range list {
		if !named.MatchString(promise) {
			t.Errorf("no test keeps the promise %s", promise)
		}
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		if !tests[m[1]] {
			t.Errorf("SECURITY.md names %s, which is no test", m[1])
		}
	}
}

func TestMistakesInAdvisoriesAreFound(t *testing.T) {
	t.Parallel()
	const good = "\n| advisory | flaw | here | test |\n| --- | --- | --- | --- |\n| CVE-2025-1234 | f | h | `a/b.TestX` |\n"
	for edit, want := range map[string]int{
		"":                            0,
		"CVE-2025-1234>CVE-2025-12x4": 2, // no id, and the wanted one is missing
		"a/b.TestX>a/b.TestY":         1,
		"a/b.TestX>b.TestX":           1,
		"`a/b.TestX`>a/b.TestX":       1,
		"`a/b.TestX`>":                2, // a row without a test is no row
		"| f >| ":                     2,
		"CVE-2025-1234 >CVE-2025-1234, CVE-2025-1234 ": 1,
	} {
		before, after, _ := strings.Cut(edit, ">")
		text := good
		if before != "" {
			text = strings.Replace(good, before, after, 1)
		}
		if got := mistakesInAdvisories(text, []string{"CVE-2025-1234"}, map[string]bool{"a/b.TestX": true}); len(got) != want {
			t.Errorf("%s: %q, want %d mistakes", edit, got, want)
		}
	}
}

// foreignIdentity matches packages that log users in by another service, send mails, or
// make one-time codes. None is in the program. The first one makes the rows of SECURITY.md
// about linked accounts, links in mails and second factors apply: each of them needs the
// test of its scenario then.
var foreignIdentity = regexp.MustCompile(`(?i)(^|[/._-])(oauth2?|oidc|openid|saml2?|sso|goth|smtp|gomail|go-mail|mail|mailgun|sendgrid|ses|otp|totp|webauthn|passkeys?|fido2?)([/._-]|$)`)

func TestNoForeignIdentityAndNoMail(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"golang.org/x/oauth2", "github.com/coreos/go-oidc/v3/oidc", "net/smtp", "github.com/pquerna/otp/totp", "github.com/go-webauthn/webauthn", "github.com/wneessen/go-mail"} {
		if !foreignIdentity.MatchString(path) {
			t.Errorf("the test misses %s", path)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 100 {
		t.Fatalf("%d packages", len(packages))
	}
	for _, path := range packages {
		if foreignIdentity.MatchString(path) {
			t.Errorf("the program contains %s: add the tests that SECURITY.md describes in its rows about providers, mails and second factors", path)
		}
	}
}

// chi's RealIP believes the headers of every client (GO-2026-5774, -5775, -5777).
func TestRealIPIsNotUsed(t *testing.T) {
	t.Parallel()
	selectors := 0
	for _, f := range sourcesWithTests(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if selectors++; s.Sel.Name == "RealIP" {
					t.Errorf("%s uses RealIP", f.place(n))
				}
			}
			return true
		})
	}
	if selectors < 10_000 {
		t.Errorf("only %d selectors seen", selectors)
	}
}

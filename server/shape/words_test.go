package shape

import (
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// vaguePronoun matches pronouns that hide the actor: a sentence names the client, the
	// user or the worker. An email may contain one.
	vaguePronoun = regexp.MustCompile(`(?i)\b(whoever|whom|somebody|nobody|everybody)\b`)
	email        = regexp.MustCompile(`\S+@\S+`)

	// unwantedSpelling matches typographic quotation marks and British spellings.
	unwantedSpelling = regexp.MustCompile(`(?i)[«»\x{2018}\x{2019}\x{201c}\x{201d}]|\b(behaviou|colour|licence|honour|favou?rite|centre|cancelled|labelled|modelled|organis|recognis|realis|normalis|initialis|authoris|whilst|artefact|catalogue|grey\b)`)

	// outsideCitation matches citations of pages that a reader of the repository cannot
	// open. A page in docs/ may have such a name.
	outsideCitation = regexp.MustCompile(`(?i)\b(advisories|anchors|chat|contract|house|mongo|original|renames|stack)\.md\b|\bcontract,?( section)? [0-9]+\b`)
	docsPage        = regexp.MustCompile(`\bdocs/\S+`)
)

func hasVaguePronoun(text string) bool {
	return vaguePronoun.MatchString(email.ReplaceAllString(text, ""))
}

func hasOutsideCitation(text string) bool {
	return outsideCitation.MatchString(docsPage.ReplaceAllString(text, ""))
}

func TestCommentsAndTextsNameTheActor(t *testing.T) {
	t.Parallel()
	for _, f := range sourcesWithTests(t) {
		if f.path == "server/shape/words_test.go" { // its cases contain the words
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && hasVaguePronoun(literal.Value) {
				t.Errorf("%s: name the actor: %s", f.place(n), literal.Value)
			}
			return true
		})
		for _, group := range f.ast.Comments {
			if hasVaguePronoun(group.Text()) {
				t.Errorf("%s: name the actor: %s", f.place(group), group.Text())
			}
		}
	}
}

// The pages, the settings and the files that users copy are in plain international
// English, too.
func TestTextsForUsersNameTheActor(t *testing.T) {
	t.Parallel()
	texts := docsPages(t)
	for _, name := range []string{"config.yaml", ".env.example", "compose.yaml", "Dockerfile", "resolvers/schema.graphql", "e2e/chat.mjs", "e2e/recipe.mjs"} {
		texts[name] = readText(t, name)
	}
	for name, text := range texts {
		for i, line := range strings.Split(text, "\n") {
			if hasVaguePronoun(line) {
				t.Errorf("%s:%d: name the actor: %s", name, i+1, line)
			}
			if found := unwantedSpelling.FindString(line); found != "" {
				t.Errorf("%s:%d: %q: use straight quotation marks and American spelling", name, i+1, found)
			}
		}
	}
}

func TestCommentsCiteNoPageOutsideTheRepository(t *testing.T) {
	t.Parallel()
	for _, f := range sourcesWithTests(t) {
		for _, group := range f.ast.Comments {
			text := strings.Join(strings.Fields(group.Text()), " ") // a citation may span lines
			if hasOutsideCitation(text) {
				t.Errorf("%s cites a page outside the repository: %s", f.place(group), text)
			}
		}
	}
}

func TestDocsAndConfigCiteNoPageOutsideTheRepository(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		own := strings.TrimPrefix(filepath.ToSlash(name), root+"/")
		if entry.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "out", "testdata", "assets"}, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		text := slices.Contains([]string{".graphql", ".html", ".md", ".mjs", ".yaml", ".yml"}, filepath.Ext(own)) ||
			strings.HasPrefix(own, ".ci/") || strings.HasPrefix(own, "bench/") || slices.Contains([]string{".env.example", "Dockerfile"}, own)
		if !text || strings.HasSuffix(own, ".go") {
			return nil
		}
		seen++
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(raw), "\n") {
			if hasOutsideCitation(line) {
				t.Errorf("%s:%d cites a page outside the repository: %s", own, i+1, line)
			}
		}
		return nil
	})
	if err != nil || seen < 30 {
		t.Errorf("%d files read, want at least 30; %v", seen, err)
	}
}

// A test waits for a condition or runs in a synctest bubble, where a sleep costs no
// time. The machine's load decides about any other sleep.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for _, f := range sourcesWithTests(t) {
		if !f.test && !slices.Contains(forTests, f.pkg) {
			continue
		}
		for _, decl := range f.ast.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok || d.Body == nil || strings.HasPrefix(d.Name.Name, "Benchmark") {
				continue
			}
			if countCalls(d, "synctest", "Test") == 0 {
				counts[f.funcName(d)] += countCalls(d, "time", "Sleep")
			}
		}
	}
	sleepingTests.check(t, counts, 0, "sleeps outside a synctest bubble")
}

// countCalls counts the calls of a function of another package.
func countCalls(n ast.Node, pkg, function string) (count int) {
	ast.Inspect(n, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == function {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
					count++
				}
			}
		}
		return true
	})
	return count
}

func TestWordsAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Nobody knows whom to notify": true,
		"the worker retries":          false,
		"nobody@example.org":          false,
		"a bodyguard":                 false,
	} {
		if got := hasVaguePronoun(text); got != want {
			t.Errorf("%q has a vague pronoun: %t, want %t", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"its behaviour":         true,
		"\u201cquoted\u201d":    true,
		"the log is \"quoted\"": false,
		"its behavior":          false,
	} {
		if got := unwantedSpelling.MatchString(text); got != want {
			t.Errorf("%q has an unwanted spelling: %t, want %t", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"see mongo.md 5.4":        true,
		"(contract 4.2)":          true,
		"contract section 2":      true,
		"see docs/chat.md":        false,
		"a contract of 4 clients": false,
	} {
		if got := hasOutsideCitation(text); got != want {
			t.Errorf("%q has a citation: %t, want %t", text, got, want)
		}
	}
}

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
)

// arrows are all imports that may be between our packages. An arrow that is
// not here needs a reason, and a line.
var arrows = map[string]string{
	"":                           "connectycube connectycube/sandbox connectycube/sandbox/certs middleware resolvers resolvers/accounts resolvers/openapi resolvers/playground store store/embedded tokens",
	"bench":                      "", // its tests build a server of their own
	"bench/connections":          "",
	"bench/crowds":               "tokens", // makes device tokens that count
	"bench/load":                 "",
	"bench/timing":               "store store/embedded tokens", // it seeds users with hashes of both kinds
	"connectycube":               "",
	"connectycube/cubetest":      "connectycube",
	"connectycube/sandbox":       "connectycube/sandbox/chat connectycube/xmpp",
	"connectycube/sandbox/chat":  "connectycube/xmpp",
	"connectycube/sandbox/certs": "",
	"connectycube/xmpp":          "", // a client comes to use it, too
	"middleware":                 "",
	"resolvers":                  "connectycube resolvers/accounts resolvers/transport store tokens",
	"resolvers/accounts":         "connectycube store tokens",
	"resolvers/openapi":          "",
	"resolvers/playground":       "",
	"resolvers/transport":        "", // GraphQL over HTTP knows no users
	"store":                      "",
	"store/embedded":             "",
	"store/storetest":            "store",
	"tokens":                     "",
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(strings.TrimPrefix(words[0], "cubegate"), "/")
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("package %q has no line in arrows", pkg)
			continue
		}
		seen++
		for _, imported := range words[1:] {
			ours, ok := strings.CutPrefix(imported, "cubegate/")
			if ok && !slices.Contains(strings.Fields(allowed), ours) {
				t.Errorf("%s imports %s", words[0], imported)
			}
		}
	}
	if seen != len(arrows) {
		t.Errorf("%d packages found, %d in arrows", seen, len(arrows))
	}
}

// Types of libraries that are at their end must not spread: moving on is to be
// a change of one package.
func TestEndedLibrariesStayInOnePackage(t *testing.T) {
	homes := map[string][]string{
		"github.com/lestrrat-go/jwx/v2": {"tokens"},
		"go.mongodb.org/mongo-driver":   {"store", "store/embedded", "store/storetest"},
		// the sandbox, which imports nothing of ours but the chat, keeps passwords of its own in sandbox.json
		"github.com/alexedwards/argon2id": {"tokens", "connectycube/sandbox"},
	}
	ours(t, func(path string, file *ast.File, _ *token.FileSet) {
		for _, spec := range file.Imports {
			for library, home := range homes {
				if strings.HasPrefix(strings.Trim(spec.Path.Value, `"`), library) && !slices.Contains(home, filepath.Dir(path)) {
					t.Errorf("%s imports %s", path, library)
				}
			}
		}
	})
}

// The tails are where elegance is lost first.
func TestTails(t *testing.T) {
	ours(t, func(path string, file *ast.File, set *token.FileSet) {
		if lines := set.File(file.Pos()).LineCount(); lines > 400 {
			t.Errorf("%s has %d lines, want 400 at most", path, lines)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if lines := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1; lines > 60 {
					t.Errorf("%s: %s has %d lines, want 60 at most", path, n.Name.Name, lines)
				}
			case *ast.InterfaceType:
				if methods := n.Methods.NumFields(); methods > 4 {
					t.Errorf("%s: an interface has %d methods, want 4 at most", path, methods)
				}
			}
			return true
		})
	})
}

// ours parses every file that is not a test.
func ours(t *testing.T, look func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || strings.HasPrefix(path, ".git")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err == nil {
			look(path, file, set)
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d files read, %v", seen, err)
	}
}

func readme(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// settingsTable is the README's table of all settings, made from config.yaml.
func settingsTable() string {
	var b strings.Builder
	b.WriteString("| Key | Environment | Default | Meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range settings() {
		env, value := "`"+s.Env+"`", ""
		if s.Secret {
			env += " or `" + s.Env + "_FILE`"
		}
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		comment := strings.NewReplacer("|", `\|`, "*", `\*`).Replace(s.Comment)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Key, env, value, comment)
	}
	return b.String()
}

// The README's table of settings is made from config.yaml; this prints the
// right one when it is not.
func TestREADMEHasEverySetting(t *testing.T) {
	if table := settingsTable(); !strings.Contains(readme(t), table) {
		t.Errorf("the README's table of settings is not this:\n%s", table)
	}
}

func TestREADMEHasEveryRoute(t *testing.T) {
	r := start(t, nil)
	text := readme(t)
	routes := 0
	err := chi.Walk(r.api.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes++
		if route = strings.TrimSuffix(route, "/playground/*"); !strings.Contains(text, "`"+method+" "+route) && route != apiPath {
			t.Errorf("the README does not have `%s %s`", method, route)
		}
		return nil
	})
	if err != nil || routes < 7 {
		t.Errorf("%d routes, %v", routes, err)
	}
}

// The recipe that the README gives is the one that a test runs.
func TestREADMEHasTheRecipe(t *testing.T) {
	recipe, err := os.ReadFile("e2e/recipe.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(readme(t), "```js\n"+string(recipe)+"```") {
		t.Error("the README does not show e2e/recipe.mjs as it is")
	}
}

func TestREADMEHasEveryCommand(t *testing.T) {
	for name := range commands {
		if !strings.Contains(readme(t), "cubegate "+name) && name != "serve" {
			t.Errorf("the README does not have `cubegate %s`", name)
		}
	}
}

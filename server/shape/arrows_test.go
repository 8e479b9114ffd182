// Package shape checks the source of the module: which package imports which,
// and how large functions, files and types are. The README and the license
// notices are checked here as well. It contains tests alone.
package shape

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// arrows lists all imports between our packages. To add one, add it here with
// the reason.
var arrows = map[string]string{
	"":                                  "server",
	"bench":                             "", // its tests build a server of their own
	"bench/connections":                 "",
	"bench/crowds":                      "tokens", // makes device tokens that count
	"bench/load":                        "",
	"bench/timing":                      "store store/embedded tokens", // it seeds users with hashes of both kinds
	"connectycube":                      "",
	"connectycube/cubetest":             "connectycube",
	"connectycube/sandbox":              "connectycube/sandbox/chat connectycube/sandbox/control connectycube/sandbox/core connectycube/sandbox/rest connectycube/xmpp",
	"connectycube/sandbox/certs":        "",
	"connectycube/sandbox/chat":         "connectycube/xmpp",
	"connectycube/sandbox/control":      "connectycube/sandbox/core",
	"connectycube/sandbox/core":         "", // the state knows neither HTTP nor the chat
	"connectycube/sandbox/rest":         "connectycube/sandbox/core",
	"connectycube/xmpp":                 "", // a client comes to use it, too
	"middleware":                        "",
	"resolvers":                         "connectycube resolvers/apierror resolvers/identity resolvers/provisioning resolvers/transport store tokens",
	"resolvers/apierror":                "", // everything that answers a client uses it
	"resolvers/identity":                "resolvers/apierror resolvers/provisioning store tokens",
	"resolvers/identity/identitytest":   "resolvers/provisioning store tokens",
	"resolvers/openapi":                 "",
	"resolvers/playground":              "",
	"resolvers/provisioning":            "connectycube store tokens",
	"resolvers/transport":               "resolvers/apierror", // GraphQL over HTTP knows no users
	"resolvers/transport/transporttest": "",
	// server mounts transport.Bearer, and answers with an apierror where no resolver runs.
	"server":             "connectycube connectycube/sandbox connectycube/sandbox/certs middleware resolvers resolvers/apierror resolvers/identity resolvers/provisioning resolvers/openapi resolvers/playground resolvers/transport server/config store store/embedded tokens",
	"server/config":      "middleware tokens", // they check an origin and a secret
	"server/apicontract": "",
	"server/crashes":     "",
	"server/lifecycle":   "",
	"server/regressions": "",
	"server/security":    "",
	"server/servertest":  "connectycube connectycube/sandbox resolvers server server/config store/embedded",
	"server/shape":       "",
	"store":              "",
	"store/embedded":     "",
	"store/storetest":    "store",
	"tokens":             "",
}

// forTests lists the packages that only tests may import.
var forTests = []string{"connectycube/cubetest", "resolvers/identity/identitytest", "resolvers/transport/transporttest", "server/servertest", "store/storetest"}

// homes lists the packages that may import a library. The types of a library
// with one home do not spread, so that replacing it changes one package.
var homes = map[string][]string{
	"github.com/spf13/cobra":              {".", "server"}, // main sets a variable of cobra, which has no other place
	"github.com/lestrrat-go/jwx":          {"tokens"},
	"go.mongodb.org/mongo-driver":         {"server/servertest", "store", "store/embedded", "store/storetest"},
	"github.com/graph-gophers/graphql-go": {"resolvers/transport"},
	"github.com/vektah/gqlparser":         {"resolvers/transport"},
	// The sandbox imports nothing of ours; it keeps passwords of its own in sandbox.json.
	"github.com/alexedwards/argon2id": {"tokens", "connectycube/sandbox/core"},
}

// without lists packages that do not import a package of the standard library
// themselves.
var without = map[string]string{
	"connectycube/sandbox/core": "net/http", // REST and the control area translate
	"resolvers/identity":        "net/http", // resolvers and transport read requests
}

func TestImports(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
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
			if imported == without[pkg] {
				t.Errorf("%s imports %s", words[0], imported)
			}
			ours, ok := strings.CutPrefix(imported, "cubegate/")
			if !ok {
				continue
			}
			if slices.Contains(forTests, ours) && !slices.Contains(forTests, pkg) {
				t.Errorf("%s imports %s, which is for tests", words[0], imported)
			}
			if !slices.Contains(strings.Fields(allowed), ours) {
				t.Errorf("%s imports %s", words[0], imported)
			}
		}
	}
	if seen != len(arrows) {
		t.Errorf("%d packages found, %d in arrows", seen, len(arrows))
	}
}

func TestLibrariesStayInTheirHomes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range sources(t) {
		for _, spec := range f.ast.Imports {
			for library, home := range homes {
				if !strings.HasPrefix(strings.Trim(spec.Path.Value, `"`), library) {
					continue
				}
				seen[library] = true
				if !slices.Contains(home, path.Dir(f.path)) {
					t.Errorf("%s imports %s", f.path, library)
				}
			}
		}
	}
	if len(seen) != len(homes) {
		t.Errorf("%d of %d libraries are imported; delete the others from homes", len(seen), len(homes))
	}
}

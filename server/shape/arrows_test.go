// Package shape checks the source of the module: the imports between packages, the size
// of functions, files and types, and the words in comments. It also compares the pages
// for users and the license notices with the program. It contains only tests.
package shape

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// arrows lists all imports between the packages of the module. To add an import, add
// it here with the reason.
var arrows = map[string]string{
	"": "server server/timers",
	// bench signs the tokens of users that it has inserted.
	"bench":                             "bench/benchserver bench/connections bench/crowds bench/load bench/peers bench/restart bench/soak bench/timing tokens",
	"bench/benchserver":                 "",
	"bench/connections":                 "bench/benchserver",
	"bench/crowds":                      "bench/benchserver tokens", // makes device tokens
	"bench/load":                        "",                         // knows no server
	"bench/peers":                       "bench/load",
	"bench/restart":                     "bench/benchserver bench/load bench/peers",
	"bench/soak":                        "bench/benchserver bench/load bench/peers",
	"bench/timing":                      "bench/benchserver store store/embedded tokens", // creates users with hashes of both kinds
	"connectycube":                      "",
	"connectycube/cubetest":             "connectycube",
	"connectycube/sandbox":              "connectycube/sandbox/chat connectycube/sandbox/control connectycube/sandbox/core connectycube/sandbox/rest connectycube/xmpp",
	"connectycube/sandbox/certs":        "",
	"connectycube/sandbox/chat":         "connectycube/xmpp",
	"connectycube/sandbox/control":      "connectycube/sandbox/core",
	"connectycube/sandbox/core":         "", // the state knows neither HTTP nor the chat
	"connectycube/sandbox/rest":         "connectycube/sandbox/core",
	"connectycube/xmpp":                 "", // for the sandbox, and later for a client
	"middleware":                        "",
	"resolvers":                         "connectycube resolvers/apierror resolvers/identity resolvers/provisioning resolvers/transport store tokens",
	"resolvers/apierror":                "", // for all packages that reply to clients
	"resolvers/identity":                "resolvers/apierror resolvers/provisioning store tokens",
	"resolvers/identity/identitytest":   "resolvers/provisioning store tokens",
	"resolvers/openapi":                 "resolvers/pages",
	"resolvers/pages":                   "", // serves the pages for browsers, and knows none of them
	"resolvers/playground":              "resolvers/pages",
	"resolvers/provisioning":            "connectycube store tokens",
	"resolvers/transport":               "resolvers/apierror", // GraphQL over HTTP knows no users
	"resolvers/transport/transporttest": "",
	"resolvers/welcome":                 "resolvers/pages",
	// server mounts transport.Bearer, and replies with an apierror where no resolver runs.
	"server":                     "connectycube connectycube/sandbox connectycube/sandbox/certs middleware resolvers resolvers/apierror resolvers/identity resolvers/provisioning resolvers/openapi resolvers/playground resolvers/transport resolvers/welcome server/config store store/embedded tokens",
	"server/config":              "middleware tokens", // these check an origin and a secret
	"server/config/settingspage": "server/config",
	"server/apicontract":         "",
	"server/crashes":             "",
	"server/lifecycle":           "",
	"server/regressions":         "",
	"server/security":            "",
	"server/servertest":          "connectycube connectycube/sandbox resolvers server server/config server/timers store store/embedded", // store: a record is aged
	"server/shape":               "",
	"server/timers":              "", // starts before all others
	"store":                      "",
	"store/embedded":             "",
	"store/storetest":            "store",
	"tokens":                     "",
}

// forTests lists the packages that only tests and other packages of this list import.
var forTests = []string{"connectycube/cubetest", "resolvers/identity/identitytest", "resolvers/transport/transporttest", "server/servertest", "store/storetest"}

// homes lists the packages, or the files, that may import a library. A library with one
// home can be replaced by changing one package.
var homes = map[string][]string{
	"github.com/spf13/cobra":     {".", "server"}, // main sets a global variable of cobra
	"github.com/lestrrat-go/jwx": {"tokens"},
	// servertest writes documents of the original and drops databases of tests.
	// bench inserts users by the thousand.
	"go.mongodb.org/mongo-driver":         {"bench", "server/servertest", "store", "store/embedded", "store/storetest"},
	"github.com/graph-gophers/graphql-go": {"resolvers/transport"},
	"github.com/vektah/gqlparser":         {"resolvers/transport"},
	// The sandbox hashes the passwords in sandbox.json, and imports no other package for it.
	"github.com/alexedwards/argon2id": {"tokens", "connectycube/sandbox/core"},
	// The other packages take functions, which cost nothing if no operator scrapes.
	"github.com/prometheus/client_golang": {"server/metrics.go"},
}

// without lists packages that must not import a package of the standard library.
var without = map[string]string{
	"connectycube/sandbox/core": "net/http", // rest and control translate
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
				t.Errorf("%s imports %s, which only tests may import", words[0], imported)
			}
			if !slices.Contains(strings.Fields(allowed), ours) {
				t.Errorf("%s imports %s", words[0], imported)
			}
		}
	}
	if seen != len(arrows) {
		t.Errorf("the module has %d packages, arrows %d", seen, len(arrows))
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
				if !slices.Contains(home, path.Dir(f.path)) && !slices.Contains(home, f.path) {
					t.Errorf("%s imports %s", f.path, library)
				}
			}
		}
	}
	if len(seen) != len(homes) {
		t.Errorf("%d of %d libraries are imported; delete the others from homes", len(seen), len(homes))
	}
}

package shape

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	maxInterfaceMethods = 4
	maxFields           = 15
	maxMethods          = 25
)

func TestInterfacesAreSmall(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{}
	for _, f := range sources(t) {
		named := map[*ast.InterfaceType]bool{}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if it, ok := n.Type.(*ast.InterfaceType); ok {
					named[it] = true
					sizes[f.pkg+" "+n.Name.Name] = it.Methods.NumFields()
				}
			case *ast.InterfaceType:
				if !named[n] {
					literal := f.path + " interface"
					sizes[literal] = max(sizes[literal], n.Methods.NumFields())
				}
			}
			return true
		})
	}
	largeInterfaces.check(t, sizes, maxInterfaceMethods, "methods")
}

// Two interfaces with the same name have two meanings, or one meaning that belongs in
// one place.
func TestInterfaceNamesAreUnique(t *testing.T) {
	t.Parallel()
	places := map[string][]string{}
	eachType(t, func(f sourceFile, ts *ast.TypeSpec) {
		if _, ok := ts.Type.(*ast.InterfaceType); ok {
			places[ts.Name.Name] = append(places[ts.Name.Name], f.pkg)
		}
	})
	counts := map[string]int{}
	for name, where := range places {
		counts[name] = len(where)
	}
	repeatedInterfaces.check(t, counts, 1, "declarations")
	for _, name := range slices.Sorted(maps.Keys(places)) {
		if len(places[name]) > 1 {
			t.Logf("%s is declared by %s", name, strings.Join(places[name], ", "))
		}
	}
}

func TestStructsAreSmall(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{}
	eachType(t, func(f sourceFile, ts *ast.TypeSpec) {
		if st, ok := ts.Type.(*ast.StructType); ok && !inSandbox(f) {
			sizes[f.pkg+" "+ts.Name.Name] = st.Fields.NumFields()
		}
	})
	largeStructs.check(t, sizes, maxFields, "fields")
}

func TestTypesHaveFewMethods(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{}
	eachFunction(t, func(_ string, f sourceFile, d *ast.FuncDecl) {
		if d.Recv != nil && !inSandbox(f) {
			sizes[f.pkg+" "+receiver(d)]++
		}
	})
	methodHeavyTypes.check(t, sizes, maxMethods, "methods")
}

// inSandbox reports whether a file belongs to the sandbox, whose API is as large as
// ConnectyCube's.
func inSandbox(f sourceFile) bool { return strings.HasPrefix(f.pkg+"/", "connectycube/sandbox/") }

// eachType calls look for each type declared at package level.
func eachType(t *testing.T, look func(f sourceFile, ts *ast.TypeSpec)) {
	t.Helper()
	for _, f := range sources(t) {
		for _, decl := range f.ast.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range d.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok {
					look(f, ts)
				}
			}
		}
	}
}

// parseFunction returns the first function of a source text.
func parseFunction(t *testing.T, src string) *ast.FuncDecl {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file.Decls[0].(*ast.FuncDecl)
}

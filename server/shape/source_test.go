package shape

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the folder of the module. Tests run in the folder of their package.
const root = "../.."

// sourceFile is one Go file of the module.
type sourceFile struct {
	path  string // from root, with slashes
	pkg   string // folder, from root; "main" for root itself
	test  bool   // its name ends in _test.go
	lines int
	set   *token.FileSet
	ast   *ast.File
}

var parseModule = sync.OnceValues(func() (files []sourceFile, err error) {
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			base := entry.Name()
			if name != root && (base == "node_modules" || base == "testdata" || strings.HasPrefix(base, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		own := strings.TrimPrefix(name, root+"/")
		pkg := path.Dir(own)
		if pkg == "." {
			pkg = "main"
		}
		files = append(files, sourceFile{own, pkg, strings.HasSuffix(name, "_test.go"), set.File(parsed.FileStart).LineCount(), set, parsed})
		return nil
	})
	return files, err
})

// sourcesWithTests returns all Go files of the module.
func sourcesWithTests(t *testing.T) []sourceFile {
	t.Helper()
	files, err := parseModule()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("%d files found; the walk misses the source", len(files))
	}
	return files
}

// sources returns all Go files of the module except tests.
func sources(t *testing.T) []sourceFile {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(sourcesWithTests(t)), func(f sourceFile) bool { return f.test })
}

// funcName returns a function's name with its package and, for a method, its type.
func (f sourceFile) funcName(d *ast.FuncDecl) string {
	name := d.Name.Name
	if d.Recv != nil {
		name = receiver(d) + "." + name
	}
	return f.pkg + " " + name
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// place returns the file and the line of a node.
func (f sourceFile) place(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(n.Pos()).Line)
}

// span returns the number of lines of a node.
func (f sourceFile) span(n ast.Node) int {
	return f.set.Position(n.End()).Line - f.set.Position(n.Pos()).Line + 1
}

// exceptions lists names that exceed a bound today, with their present size. An entry
// that is no longer needed and a size that grows fail the test, so the lists only
// shrink.
type exceptions map[string]int

// check compares sizes with a bound. The unit appears in failures.
func (e exceptions) check(t *testing.T, sizes map[string]int, bound int, unit string) {
	t.Helper()
	if len(sizes) == 0 {
		t.Fatalf("no %s counted", unit)
	}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		size, allowed := sizes[name], e[name]
		switch {
		case size > bound && allowed == 0:
			t.Errorf("%q: %d, // %s, want at most %d", name, size, unit, bound)
		case size > bound && size > allowed:
			t.Errorf("%q grew from %d to %d %s; the bound is %d", name, allowed, size, unit, bound)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if sizes[name] <= bound {
			t.Errorf("%q has %d %s; delete the exception", name, sizes[name], unit)
		}
	}
}

package cubetest_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cubegate/connectycube"
)

// The suite makes every call of the client. A call is an exported method with a
// context.
func TestSuiteMakesEveryCall(t *testing.T) {
	made := callsInSuite(t)
	calls := 0
	takesContext := reflect.TypeFor[context.Context]()
	for method := range reflect.TypeFor[*connectycube.Client]().Methods() {
		if method.Type.NumIn() < 2 || method.Type.In(1) != takesContext {
			continue
		}
		calls++
		if !made[method.Name] {
			t.Errorf("the suite never calls %s", method.Name)
		}
		delete(made, method.Name)
	}
	if calls < 12 {
		t.Errorf("the client has %d calls, want at least 12", calls)
	}
	for name := range made {
		t.Errorf("the suite calls %s, which is no call of the client", name)
	}
}

// callsInSuite returns the methods that the suite calls on a client: the field
// cube, a variable named other, or a new client.
func callsInSuite(t *testing.T) map[string]bool {
	t.Helper()
	made := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if method, ok := call.Fun.(*ast.SelectorExpr); ok && isClient(method.X) {
					made[method.Sel.Name] = true
				}
			}
			return true
		})
	}
	return made
}

func isClient(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.SelectorExpr:
		return x.Sel.Name == "cube"
	case *ast.Ident:
		return x.Name == "other"
	case *ast.CallExpr:
		made, ok := x.Fun.(*ast.Ident)
		return ok && made.Name == "client"
	}
	return false
}

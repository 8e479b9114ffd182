package shape

import (
	"go/ast"
	"go/types"
	"slices"
	"testing"
)

const (
	maxFunctionLines = 60
	maxFileLines     = 400
	maxNesting       = 4
	maxSameParams    = 2 // adjacent parameters of one type, which a caller could swap by mistake
)

func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{}
	eachFunction(t, func(name string, f sourceFile, d *ast.FuncDecl) { sizes[name] = max(sizes[name], f.span(d)) })
	longFunctions.check(t, sizes, maxFunctionLines, "lines")
}

func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{}
	for _, f := range sources(t) {
		sizes[f.path] = f.lines
	}
	longFiles.check(t, sizes, maxFileLines, "lines")
}

func TestNestingIsShallow(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{}
	eachFunction(t, func(name string, _ sourceFile, d *ast.FuncDecl) {
		if d.Body != nil {
			sizes[name] = max(sizes[name], nesting(d.Body))
		}
	})
	deepFunctions.check(t, sizes, maxNesting, "levels")
}

func TestParametersCannotBeSwapped(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{}
	for _, f := range sources(t) {
		if slices.Contains(forTests, f.pkg) { // their method, URL and body have the order of net/http
			continue
		}
		for _, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				name := f.funcName(d)
				sizes[name] = max(sizes[name], sameParams(d.Type))
			case *ast.GenDecl:
				methodsOf(d, func(typeName, method string, ft *ast.FuncType) {
					sizes[f.pkg+" "+typeName+"."+method] = sameParams(ft)
				})
			}
		}
	}
	sameParameters.check(t, sizes, maxSameParams, "adjacent parameters of one type")
}

// eachFunction calls look for each declared function. Files for different systems may
// declare the same name.
func eachFunction(t *testing.T, look func(name string, f sourceFile, d *ast.FuncDecl)) {
	t.Helper()
	for _, f := range sources(t) {
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok {
				look(f.funcName(d), f, d)
			}
		}
	}
}

// methodsOf calls look for each method that an interface declares.
func methodsOf(d *ast.GenDecl, look func(typeName, method string, ft *ast.FuncType)) {
	for _, spec := range d.Specs {
		ts, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		it, ok := ts.Type.(*ast.InterfaceType)
		if !ok {
			continue
		}
		for _, m := range it.Methods.List {
			if ft, ok := m.Type.(*ast.FuncType); ok {
				look(ts.Name.Name, m.Names[0].Name, ft)
			}
		}
	}
}

// nesting returns the depth of nested if, for, switch and select statements. An else-if
// adds no depth, and a function literal has the depth of its place.
func nesting(n ast.Node) int {
	deepest := 0
	for child := range children(n) {
		depth := nesting(child)
		switch c := child.(type) {
		case *ast.IfStmt:
			if outer, ok := n.(*ast.IfStmt); !ok || outer.Else != c {
				depth++
			}
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			depth++
		}
		deepest = max(deepest, depth)
	}
	return deepest
}

// children yields the direct children of a node.
func children(n ast.Node) func(yield func(ast.Node) bool) {
	return func(yield func(ast.Node) bool) {
		ast.Inspect(n, func(c ast.Node) bool {
			if c != nil && c != n {
				yield(c)
			}
			return c == n
		})
	}
}

// sameParams returns the longest run of adjacent parameters of one type.
func sameParams(ft *ast.FuncType) int {
	longest, run, before := 0, 0, ""
	for _, field := range ft.Params.List {
		kind := types.ExprString(field.Type)
		if kind != before {
			run, before = 0, kind
		}
		run += max(1, len(field.Names))
		longest = max(longest, run)
	}
	return longest
}

func TestNestingAndParametersAreCounted(t *testing.T) {
	t.Parallel()
	const src = `package p
func f(a, b string, c string, d int, e ...string) {
	if a == "" {
	} else if b == "" {
		for range c {
			switch {
			case d > 0:
				go func() {
					select {}
				}()
			}
		}
	} else {
		if true {
		}
	}
}`
	d := parseFunction(t, src)
	if got := nesting(d.Body); got != 4 {
		t.Errorf("nesting = %d, want 4", got)
	}
	if got := sameParams(d.Type); got != 3 {
		t.Errorf("adjacent parameters = %d, want 3", got)
	}
}

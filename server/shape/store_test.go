package shape

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// eachNodeOfStore calls look with each node of package store.
func eachNodeOfStore(t *testing.T, look func(f sourceFile, n ast.Node)) {
	t.Helper()
	for _, f := range sources(t) {
		if f.pkg == "store" {
			ast.Inspect(f.ast, func(n ast.Node) bool { look(f, n); return true })
		}
	}
}

// A document of another form is a MalformedError only if store/decode.go decodes it.
func TestStoreDecodesInOnePlace(t *testing.T) {
	t.Parallel()
	found := 0
	eachNodeOfStore(t, func(f sourceFile, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		switch s, ok := call.Fun.(*ast.SelectorExpr); {
		case !ok || s.Sel.Name != "Decode" && s.Sel.Name != "All" && !strings.HasPrefix(s.Sel.Name, "UnmarshalWith"):
		case f.path == "store/decode.go":
			found++
		default:
			t.Errorf("%s: %s decodes a document; use collection.decode", f.place(call), s.Sel.Name)
		}
	})
	if found != 1 {
		t.Errorf("store/decode.go decodes in %d places", found)
	}
}

// store/storetest writes each field with each type, if its table has the field.
func TestMalformedFieldsAreComplete(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile(filepath.Join(root, "store/storetest/malformed.go"))
	if err != nil {
		t.Fatal(err)
	}
	tag := regexp.MustCompile("bson:\"([A-Za-z_]+)")
	fields := 0
	eachNodeOfStore(t, func(f sourceFile, n ast.Node) {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil {
			return
		}
		name := tag.FindStringSubmatch(field.Tag.Value)
		if name == nil {
			return
		}
		fields++
		if text := string(table); !strings.Contains(text, `"`+name[1]+`"`) && !strings.Contains(text, "."+name[1]+`"`) {
			t.Errorf("%s: store/storetest/malformed.go does not have the field %s", f.place(field), name[1])
		}
	})
	if fields < 40 {
		t.Errorf("%d fields found; the search misses them", fields)
	}
}

package apierror

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	for code, status := range statuses {
		if status == 200 && strings.HasPrefix(string(code), "PERSISTED_QUERY_") {
			continue // clients expect it
		}
		if status < 400 || status > 599 {
			t.Errorf("%s has status %d", code, status)
		}
	}
}

func TestCodesAreNamedAfterTheirText(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "apierror.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			seen++
			name := strings.ReplaceAll(strings.Trim(literal.Value, `"`), "_", "")
			if !strings.EqualFold(spec.Names[0].Name, name) {
				t.Errorf("%s is called %s", literal.Value, spec.Names[0].Name)
			}
		}
		return true
	})
	if seen != len(statuses) {
		t.Errorf("%d codes, %d statuses", seen, len(statuses))
	}
}

func TestWriteSetsRetryAfter(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, httptest.NewRequest("GET", "/", nil), slog.New(slog.DiscardHandler), &Error{Code: RateLimited, Message: "wait", RetryAfter: 1100 * time.Millisecond})
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || w.Body.String() != `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"wait","code":"RATE_LIMITED"}`+"\n" {
		t.Errorf("%d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
}

func TestDocsHaveEveryCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for code, status := range statuses {
		if row := fmt.Sprintf("| `%s` | %d |", code, status); !strings.Contains(string(page), row) {
			t.Errorf("docs/api.md has no row %s", row)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| [0-9]{3} \\|").FindAllStringSubmatch(string(page), -1) {
		if _, known := statuses[Code(row[1])]; !known {
			t.Errorf("docs/api.md has the row %s of no code", row[0])
		}
	}
}

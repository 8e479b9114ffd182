package apierror

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// Each reason is in the list, is one word for a label, and has one outcome.
func TestReasonsAreListed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == 1 && strings.HasPrefix(spec.Names[0].Name, "Reason") {
			declared = append(declared, strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
		}
		return true
	})
	var listed []string
	for _, r := range Reasons() {
		listed = append(listed, string(r))
		if strings.Trim(string(r), "abcdefghijklmnopqrstuvwxyz_") != "" || r.Outcome() == "" {
			t.Errorf("reason %q has outcome %q", r, r.Outcome())
		}
	}
	if !slices.Equal(declared, listed) {
		t.Errorf("declared %v, listed %v", declared, listed)
	}
}

// A failure of the server, or of a service that it needs, is no refusal, and the reverse.
func TestOutcomeFollowsTheCode(t *testing.T) {
	for _, code := range Codes() {
		want := OutcomeRefused
		switch {
		case code == Canceled:
			want = OutcomeCanceled
		case code.Status() >= 500 || code == MalformedData:
			want = OutcomeFailed
		}
		if got := ReasonOf(&Error{Code: code}); got.Outcome() != want || !slices.Contains(Reasons(), got) {
			t.Errorf("%s: reason %s with outcome %s, want %s", code, got, got.Outcome(), want)
		}
	}
	if r := ReasonOf(nil); r != ReasonNone || r.Outcome() != OutcomeOK {
		t.Errorf("no error: %s, %s", r, r.Outcome())
	}
	if r := ReasonOf(&Error{Code: Unauthenticated, Reason: ReasonWrongPassword}); r != ReasonWrongPassword {
		t.Errorf("an error with a reason: %s", r)
	}
}

package resolvers

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

//go:embed schema.graphql
var schemaText string

// Bounds of a document. What people write by hand stays far below; the
// standard introspection query, 15 deep and 112 fields, fits.
const (
	maxDocument   = 16 << 10 // bytes
	maxTokens     = 2000
	maxDepth      = 16
	maxSelections = 500 // after fragments are spread
	maxFragments  = 50
	maxOperations = 10
	maxDirectives = 50
	maxMutations  = 2  // register and log in; a third is somebody guessing passwords
	maxProblems   = 20 // told at once
)

// guard stands before graphql-go and lets through only documents that it has
// read, bounded, validated and written anew. It is a second parser on purpose:
// graphql-go (v1.11) panics on some literals outside of its own recovery,
// takes time beyond any bound for some small documents, echoes the values of
// variables, and reads some strings and numbers other than the specification
// does. What it is given in the end has none of that.
type guard struct {
	schema        *ast.Schema
	introspection bool
	rules         *rules.Rules
}

// unanswered are introspection fields that the guard's parser knows and
// graphql-go cannot answer.
var unanswered = map[string][]string{
	"__Schema":    {"description"},
	"__Type":      {"isOneOf"},
	"__Directive": {"isRepeatable"},
}

func newGuard(introspection bool) *guard {
	schema := gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: schemaText})
	for name, fields := range unanswered {
		schema.Types[name].Fields = slices.DeleteFunc(schema.Types[name].Fields, func(f *ast.FieldDefinition) bool {
			return slices.Contains(fields, f.Name)
		})
	}
	return &guard{
		schema:        schema,
		introspection: introspection,
		rules:         rules.NewDefaultRules(),
	}
}

// checked is a document that may be executed.
type checked struct {
	document  string
	operation *ast.OperationDefinition
}

// check reads a document and returns what may be executed of it, or what is
// wrong with it.
func (g *guard) check(document, operationName string, variables map[string]any) (checked, []*gqlError) {
	if len(document) > maxDocument {
		return checked{}, refuse(ValidationFailed, nil, "The document has more than %d bytes", maxDocument)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: document}, maxTokens)
	if err != nil {
		return checked{}, parseFailure(err)
	}
	if errs := g.bound(doc); errs != nil {
		return checked{}, errs
	}
	if invalid := validator.ValidateWithRules(g.schema, doc, g.rules); len(invalid) > 0 {
		return checked{}, validationFailures(invalid)
	}
	operation := doc.Operations.ForName(operationName)
	switch {
	case len(doc.Operations) == 0:
		return checked{}, refuse(ValidationFailed, nil, "The document has no operation")
	case operation == nil:
		return checked{}, refuse(ValidationFailed, nil, "operationName must name one of the document's operations")
	}
	if errs := g.coerce(operation, variables); errs != nil {
		return checked{}, errs
	}
	var out strings.Builder
	formatter.NewFormatter(&out, formatter.WithCompacted()).FormatQueryDocument(doc)
	return checked{document: out.String(), operation: operation}, nil
}

// parseFailure tells where the parser stopped, not at what: that may be a
// password in the wrong place.
func parseFailure(err error) []*gqlError {
	if strings.Contains(err.Error(), "token limit") { // the parser has no other sign for it
		return refuse(ValidationFailed, nil, "The document has more than %d tokens", maxTokens)
	}
	var at []gqlerror.Location
	if e, ok := err.(*gqlerror.Error); ok {
		at = e.Locations
	}
	return refuse(ParseFailed, at, "The document is not GraphQL from here on")
}

// validationFailures passes on what the validator says, unless it quotes a
// value.
func validationFailures(invalid gqlerror.List) []*gqlError {
	var errs []*gqlError
	for _, e := range invalid {
		message := e.Message
		if e.Rule == "ValuesOfCorrectType" && !strings.HasPrefix(message, "Field ") {
			message = "A value is not of the type that the schema wants here"
		}
		errs = append(errs, newGQLError(ValidationFailed, e.Locations, bounded(message)))
		if len(errs) == maxProblems {
			break
		}
	}
	return errs
}

// bounded cuts a message that quotes names of the client's.
func bounded(message string) string {
	const most = 300
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "…"
}

// bound refuses documents that are too large for what they can be about, and
// literals that no type of the specification can hold.
func (g *guard) bound(doc *ast.QueryDocument) []*gqlError {
	if len(doc.Operations) > maxOperations || len(doc.Fragments) > maxFragments {
		return refuse(ValidationFailed, nil, "The document has more than %d operations or %d fragments", maxOperations, maxFragments)
	}
	w := walk{guard: g, fragments: map[string]*ast.FragmentDefinition{}, open: map[string]bool{}}
	for _, f := range doc.Fragments {
		w.fragments[f.Name] = f
	}
	for _, f := range doc.Fragments { // one that nothing spreads is read as well
		w.selections = 0
		w.directives(f.Directives)
		w.selectionSet(f.SelectionSet, 1)
	}
	for _, op := range doc.Operations {
		w.selections, w.roots = 0, 0
		for _, v := range op.VariableDefinitions {
			w.value(v.DefaultValue)
			w.directives(v.Directives)
		}
		w.directives(op.Directives)
		w.selectionSet(op.SelectionSet, 1)
		if op.Operation == ast.Mutation && w.roots > maxMutations {
			w.refuse(op.Position, "A document may ask for %d mutations at most", maxMutations)
		}
	}
	return w.errs
}

// walk counts what an operation comes to once its fragments are spread. It
// stops at the first bound that is passed, so its own work is bounded too.
type walk struct {
	guard      *guard
	fragments  map[string]*ast.FragmentDefinition
	open       map[string]bool // fragments being spread: a ring ends here
	selections int
	roots      int // fields at the top
	directive  int
	errs       []*gqlError
}

func (w *walk) refuse(at *ast.Position, format string, args ...any) {
	if w.errs == nil {
		w.errs = refuse(ValidationFailed, locations(at), format, args...)
	}
}

func (w *walk) selectionSet(set ast.SelectionSet, depth int) {
	for _, s := range set {
		if w.errs != nil {
			return
		}
		w.selections++
		if w.selections > maxSelections {
			w.refuse(s.GetPosition(), "The document selects more than %d fields", maxSelections)
			return
		}
		if depth > maxDepth {
			w.refuse(s.GetPosition(), "The document is more than %d levels deep", maxDepth)
			return
		}
		w.selection(s, depth)
	}
}

func (w *walk) selection(s ast.Selection, depth int) {
	switch s := s.(type) {
	case *ast.Field:
		if depth == 1 {
			w.roots++
		}
		if !w.guard.introspection && (s.Name == "__schema" || s.Name == "__type") {
			w.refuse(s.Position, "Introspection is switched off here")
		}
		for _, a := range s.Arguments {
			w.value(a.Value)
		}
		w.directives(s.Directives)
		w.selectionSet(s.SelectionSet, depth+1)
	case *ast.InlineFragment:
		w.directives(s.Directives)
		w.selectionSet(s.SelectionSet, depth)
	case *ast.FragmentSpread:
		w.directives(s.Directives)
		f := w.fragments[s.Name]
		if f == nil || w.open[s.Name] {
			return // the validator says so, with the right words
		}
		w.open[s.Name] = true
		w.selectionSet(f.SelectionSet, depth)
		w.open[s.Name] = false
	}
}

func (w *walk) directives(list ast.DirectiveList) {
	w.directive += len(list)
	for i, d := range list {
		if w.directive > maxDirectives {
			w.refuse(list[i].Position, "The document has more than %d directives", maxDirectives)
			return
		}
		for _, a := range d.Arguments {
			w.value(a.Value)
		}
	}
}

func (w *walk) value(v *ast.Value) {
	if v == nil || w.errs != nil {
		return
	}
	switch v.Kind {
	case ast.IntValue:
		if _, err := strconv.ParseInt(v.Raw, 10, 32); err != nil {
			w.refuse(v.Position, "A number is outside of the 32 bits that Int has")
		}
	case ast.FloatValue:
		if _, err := strconv.ParseFloat(v.Raw, 64); err != nil {
			w.refuse(v.Position, "A number is outside of the 64 bits that Float has")
		}
	}
	for _, child := range v.Children {
		w.value(child.Value)
	}
}

func locations(at *ast.Position) []gqlerror.Location {
	if at == nil {
		return nil
	}
	return []gqlerror.Location{{Line: at.Line, Column: at.Column}}
}

func refuse(code Code, at []gqlerror.Location, format string, args ...any) []*gqlError {
	return []*gqlError{newGQLError(code, at, fmt.Sprintf(format, args...))}
}

package transport

import (
	"fmt"
	"strconv"
	"strings"

	"cubegate/resolvers/apierror"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Bounds of a document. Documents written by hand stay far below. All variants of
// the introspection query of graphql-js fit: 15 levels and about 210 fields.
const (
	maxDocument   = 16 << 10 // bytes
	maxTokens     = 2000
	maxDepth      = 16   // fields and inline fragments inside one another
	maxSelections = 1000 // of one operation or fragment, after fragments are spread
	maxNodes      = 4000 // selections, directives, arguments and values of all operations and fragments, after fragments are spread
	maxFragments  = 50
	maxOperations = 10
	maxDirectives = 50
	maxRootFields = 20
	maxNameChars  = 100 // characters of one name; the longest of the schema has 22
	maxMutations  = 2   // an app may register and log in at once; more would multiply guesses of passwords
	maxErrors     = 20  // in one answer
)

// Bounds of an answer's values: scalars, nulls, objects and lists.
const (
	maxValues              = 5_000  // a page of 100 users or events with 9 fields has about 1,000
	maxIntrospectionValues = 16_000 // the full introspection query has about 2,700
)

// guard checks documents before graphql-go executes them. It parses, bounds and
// validates a document, and writes it anew for graphql-go. The second parser is
// intended: graphql-go (v1.11) panics on some literals outside of its own
// recovery, takes unbounded time for some small documents, echoes the values of
// variables, and reads some strings and numbers differently from the
// specification. The documents that it gets from the guard cause none of this.
//
// The order makes the guard safe, because each step bounds the cost of the next:
// the number of bytes bounds the tokens, the tokens bound the tree, the walk over
// the tree bounds the work of both validators, and only a valid operation is
// merged.
//
// An app has few documents, the same for all its users, so the guard caches valid
// ones; see [documents].
type guard struct {
	schema        *ast.Schema
	introspection bool
	rules         *rules.Rules
	known         *documents
}

func newGuard(schemaText string, introspection bool) (*guard, error) {
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: schemaText})
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	delete(schema.Directives, "defer") // the parser adds it, but graphql-go does not execute it
	if err := checkSchema(schema); err != nil {
		return nil, fmt.Errorf("bounding the schema: %w", err)
	}
	g := &guard{schema: schema, introspection: introspection, rules: rules.NewDefaultRules()}
	// This rule compares fields pairwise without a limit. selections.conflicts
	// does the same in one pass.
	g.rules.RemoveRule(rules.OverlappingFieldsCanBeMergedRule.Name)
	if g.known, err = newDocuments(); err != nil {
		return nil, err
	}
	return g, nil
}

// checked is a document that may be executed.
type checked struct {
	operation *ast.OperationDefinition
	fields    selections     // of the operation, without skipped ones
	schema    selections     // the fields about the schema
	others    selections     // the fields that graphql-go executes
	given     map[string]any // the variables that the client sent
	variables map[string]any // with the defaults of those that the client did not send
	values    int            // the most that the answer can have, without those about the schema
}

// operation returns the operation of a document that a request names.
func (g *guard) operation(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, []*gqlError) {
	operation := doc.Operations.ForName(name)
	switch {
	case len(doc.Operations) == 0:
		return nil, oneError(apierror.GraphQLValidationFailed, nil, "The document has no operation")
	case operation == nil:
		return nil, oneError(apierror.GraphQLValidationFailed, nil, "operationName must name one of the document's operations")
	}
	return operation, nil
}

// check bounds one execution of an operation of a valid document, or returns the errors
// of its variables.
func (g *guard) check(operation *ast.OperationDefinition, variables map[string]any) (checked, []*gqlError) {
	if errs := g.coerce(operation, variables); errs != nil {
		return checked{}, errs
	}
	c := checked{operation: operation, given: variables, variables: withDefaults(operation, variables)}
	c.fields = mergeSet(operation.SelectionSet, includedBy(c.variables))
	c.schema, c.others = c.fields.split()
	if c.values = c.others.maxValues(c.variables); c.values > maxValues {
		return checked{}, oneError(apierror.GraphQLValidationFailed, nil, "The answer could have more than %d values; ask for fewer fields, or for smaller pages", maxValues)
	}
	return c, nil
}

// read parses, bounds and validates a document with a digest, and caches it if it is
// valid.
func (g *guard) read(key digest, document string) (*ast.QueryDocument, []*gqlError) {
	if len(document) > maxDocument {
		return nil, oneError(apierror.GraphQLValidationFailed, nil, "The document has more than %d bytes", maxDocument)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: document}, maxTokens)
	if err != nil {
		return nil, parseFailure(err)
	}
	if errs := g.bound(doc); errs != nil {
		return nil, errs
	}
	if errs := g.validate(doc); errs != nil {
		return nil, errs
	}
	g.known.keep(key, document, doc)
	return doc, nil
}

// validate returns the errors of a document by the rules of the specification. The
// document must be within the bounds.
func (g *guard) validate(doc *ast.QueryDocument) []*gqlError {
	if invalid := validator.ValidateWithRules(g.schema, doc, g.rules); len(invalid) > 0 {
		return validationFailures(invalid)
	}
	var errs []*gqlError
	for _, op := range doc.Operations {
		for _, c := range mergeSet(op.SelectionSet, nil).conflicts() {
			if len(errs) < maxErrors {
				errs = append(errs, newGQLError(apierror.GraphQLValidationFailed, locations(c.Position), bounded(c.Message)))
			}
		}
	}
	return errs
}

// parseFailure returns the place at which the parser stopped. It does not quote the
// text there, which may be a password in the wrong place.
func parseFailure(err error) []*gqlError {
	if strings.Contains(err.Error(), "token limit") { // the parser has no other sign of it
		return oneError(apierror.GraphQLValidationFailed, nil, "The document has more than %d tokens", maxTokens)
	}
	var at []gqlerror.Location
	if e, ok := err.(*gqlerror.Error); ok {
		at = e.Locations
	}
	return oneError(apierror.GraphQLParseFailed, at, "The document is not valid GraphQL from here on")
}

// validationFailures passes on the messages of the validator, except those that
// quote a value.
func validationFailures(invalid gqlerror.List) []*gqlError {
	var errs []*gqlError
	for _, e := range invalid {
		message := e.Message
		if e.Rule == "ValuesOfCorrectType" && !strings.HasPrefix(message, "Field ") {
			message = "A value does not have the type that the schema requires"
		}
		errs = append(errs, newGQLError(apierror.GraphQLValidationFailed, e.Locations, bounded(message)))
		if len(errs) == maxErrors {
			break
		}
	}
	return errs
}

// bounded cuts a message to 300 bytes, because names in it come from the client.
func bounded(message string) string {
	const most = 300
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "…"
}

// bound refuses documents that exceed a bound, and literals that no type of the
// specification can hold.
func (g *guard) bound(doc *ast.QueryDocument) []*gqlError {
	if len(doc.Operations) > maxOperations || len(doc.Fragments) > maxFragments {
		return oneError(apierror.GraphQLValidationFailed, nil, "The document has more than %d operations or %d fragments", maxOperations, maxFragments)
	}
	w := walk{guard: g, fragments: map[string]*ast.FragmentDefinition{}, open: map[string]bool{}}
	for _, f := range doc.Fragments {
		w.fragments[f.Name] = f
	}
	for _, f := range doc.Fragments { // also those that are never spread
		w.selections = 0
		w.names(f.Position, f.Name, f.TypeCondition)
		w.directives(f.Directives)
		w.selectionSet(f.SelectionSet, 1, false)
	}
	for _, op := range doc.Operations {
		w.selections, w.roots = 0, 0
		w.names(op.Position, op.Name)
		for _, v := range op.VariableDefinitions {
			w.node(v.Position)
			w.names(v.Position, v.Variable, v.Type.Name())
			w.value(v.DefaultValue)
			w.directives(v.Directives)
		}
		w.directives(op.Directives)
		w.selectionSet(op.SelectionSet, 1, true)
		switch {
		case op.Operation == ast.Mutation && w.roots > maxMutations:
			w.fail(op.Position, "A document may have at most %d mutations", maxMutations)
		case w.roots > maxRootFields:
			w.fail(op.Position, "An operation may have at most %d top-level fields", maxRootFields)
		}
	}
	return w.errs
}

// walk counts the parts of a document as if its fragments were spread. It stops at
// the first bound that is exceeded, which bounds its own work.
type walk struct {
	guard      *guard
	fragments  map[string]*ast.FragmentDefinition
	open       map[string]bool // fragments being spread; a fragment that spreads itself ends here
	nodes      int             // of the whole document
	selections int             // of one operation or fragment
	roots      int             // fields at the top
	directive  int
	errs       []*gqlError
}

func (w *walk) fail(at *ast.Position, format string, args ...any) {
	if w.errs == nil {
		w.errs = oneError(apierror.GraphQLValidationFailed, locations(at), format, args...)
	}
}

// node counts one node of the tree, once for each time that it is spread, because
// the validator visits it as often.
func (w *walk) node(at *ast.Position) {
	if w.nodes++; w.nodes > maxNodes {
		w.fail(at, "The document has more than %d nodes once its fragments are spread", maxNodes)
	}
}

// names bounds the length of names, because the validator compares an unknown name with
// each known one for its suggestions, and quotes it.
func (w *walk) names(at *ast.Position, names ...string) {
	for _, name := range names {
		if len(name) > maxNameChars {
			w.fail(at, "A name has more than %d characters", maxNameChars)
		}
	}
}

func (w *walk) selectionSet(set ast.SelectionSet, depth int, top bool) {
	for _, s := range set {
		if w.errs != nil {
			return
		}
		w.selections++
		if w.selections > maxSelections {
			w.fail(s.GetPosition(), "The document selects more than %d fields", maxSelections)
			return
		}
		w.node(s.GetPosition())
		if depth > maxDepth {
			w.fail(s.GetPosition(), "The document is more than %d levels deep", maxDepth)
			return
		}
		w.selection(s, depth, top)
	}
}

func (w *walk) selection(s ast.Selection, depth int, top bool) {
	switch s := s.(type) {
	case *ast.Field:
		if top {
			w.roots++
		}
		w.names(s.Position, s.Alias, s.Name)
		if !w.guard.introspection && (s.Name == "__schema" || s.Name == "__type") {
			w.fail(s.Position, "Introspection is disabled")
		}
		w.arguments(s.Arguments)
		w.directives(s.Directives)
		w.selectionSet(s.SelectionSet, depth+1, false)
	case *ast.InlineFragment:
		w.names(s.Position, s.TypeCondition)
		w.directives(s.Directives)
		w.selectionSet(s.SelectionSet, depth+1, top)
	case *ast.FragmentSpread:
		w.names(s.Position, s.Name)
		w.directives(s.Directives)
		f := w.fragments[s.Name]
		if f == nil || w.open[s.Name] {
			return // the validator reports it
		}
		w.open[s.Name] = true
		w.selectionSet(f.SelectionSet, depth, top)
		w.open[s.Name] = false
	}
}

func (w *walk) directives(list ast.DirectiveList) {
	w.directive += len(list)
	for i, d := range list {
		if w.directive > maxDirectives {
			w.fail(list[i].Position, "The document has more than %d directives", maxDirectives)
			return
		}
		w.node(d.Position)
		w.names(d.Position, d.Name)
		w.arguments(d.Arguments)
	}
}

func (w *walk) arguments(list ast.ArgumentList) {
	for _, a := range list {
		w.node(a.Position)
		w.names(a.Position, a.Name)
		w.value(a.Value)
	}
}

func (w *walk) value(v *ast.Value) {
	if v == nil || w.errs != nil {
		return
	}
	w.node(v.Position)
	switch v.Kind {
	case ast.Variable, ast.EnumValue:
		w.names(v.Position, v.Raw)
	case ast.IntValue:
		if _, err := strconv.ParseInt(v.Raw, 10, 32); err != nil {
			w.fail(v.Position, "A number exceeds the 32 bits of Int")
		}
	case ast.FloatValue:
		if _, err := strconv.ParseFloat(v.Raw, 64); err != nil {
			w.fail(v.Position, "A number exceeds the 64 bits of Float")
		}
	}
	for _, child := range v.Children {
		w.names(v.Position, child.Name)
		w.value(child.Value)
	}
}

func locations(at *ast.Position) []gqlerror.Location {
	if at == nil {
		return nil
	}
	return []gqlerror.Location{{Line: at.Line, Column: at.Column}}
}

func oneError(code apierror.Code, at []gqlerror.Location, format string, args ...any) []*gqlError {
	return []*gqlError{newGQLError(code, at, fmt.Sprintf(format, args...))}
}

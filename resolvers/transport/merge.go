package transport

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

// selection is one field of an answer: fragments are spread, and the fields of
// one response name are merged.
type selection struct {
	Key    string       // the response name
	Field  *ast.Field   // the first of the merged fields: its name, arguments and definition
	Fields selections   // its selections, in the order of the answer; nil for a leaf
	Also   []*ast.Field // the other merged fields
}

// selections are the fields of one object of an answer, in its order.
type selections []*selection

// mergeSet spreads the fragments of a selection set and merges its fields, like
// CollectFields of the specification
// (https://spec.graphql.org/September2025/#CollectFields). It omits selections that
// included rejects; a nil included accepts all. The document must be valid: no fragment
// is unknown or spreads itself.
//
// mergeSet visits each field once for each time that it is spread, so the guard has
// counted its work.
func mergeSet(set ast.SelectionSet, included func(ast.DirectiveList) bool) selections {
	return merge([]ast.SelectionSet{set}, included)
}

func merge(sets []ast.SelectionSet, included func(ast.DirectiveList) bool) selections {
	m := merger{included: included, byKey: map[string]*selection{}}
	for _, set := range sets {
		m.add(set)
	}
	for _, s := range m.merged {
		var inner []ast.SelectionSet
		for _, f := range append([]*ast.Field{s.Field}, s.Also...) {
			if len(f.SelectionSet) > 0 {
				inner = append(inner, f.SelectionSet)
			}
		}
		if len(inner) > 0 {
			s.Fields = merge(inner, included)
		}
	}
	return m.merged
}

// merger collects the fields of one object.
type merger struct {
	included func(ast.DirectiveList) bool
	byKey    map[string]*selection
	merged   selections
}

func (m *merger) add(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if m.keeps(s.Directives) {
				m.field(s)
			}
		case *ast.InlineFragment:
			if m.keeps(s.Directives) {
				m.add(s.SelectionSet)
			}
		case *ast.FragmentSpread:
			if m.keeps(s.Directives) && s.Definition != nil {
				m.add(s.Definition.SelectionSet)
			}
		}
	}
}

func (m *merger) keeps(directives ast.DirectiveList) bool {
	return m.included == nil || m.included(directives)
}

func (m *merger) field(f *ast.Field) {
	if s := m.byKey[f.Alias]; s != nil { // the parser sets Alias to Name where there is none
		s.Also = append(s.Also, f)
		return
	}
	s := &selection{Key: f.Alias, Field: f}
	m.byKey[f.Alias] = s
	m.merged = append(m.merged, s)
}

// conflict is one response name that stands for two different fields.
type conflict struct {
	Message  string
	Position *ast.Position // of the second field
}

// conflicts finds the response names under which fields of different names or
// arguments were merged, at most one for each name of each object. It replaces
// the validator's rule OverlappingFieldsCanBeMerged, which compares fields
// pairwise without a limit: equality is transitive, so comparing each field
// with the first one is enough.
//
// This holds for schemas without interfaces and unions alone ([checkSchema]):
// there, two fields of one object in an answer have the same parent type, and
// with it fields of one name have the same type.
func (s selections) conflicts() []conflict {
	var found []conflict
	for _, one := range s {
		for _, other := range one.Also {
			if why := difference(one.Field, other); why != "" {
				found = append(found, conflict{
					Message:  fmt.Sprintf("Fields %q conflict because %s. Use different aliases on the fields to fetch both if this was intentional.", one.Key, why),
					Position: other.Position,
				})
				break
			}
		}
		found = append(found, one.Fields.conflicts()...)
	}
	return found
}

// difference returns the reason why two fields cannot be merged, or "".
func difference(a, b *ast.Field) string {
	if a.Name != b.Name {
		return fmt.Sprintf("%q and %q are different fields", a.Name, b.Name)
	}
	same := len(a.Arguments) == len(b.Arguments)
	for _, arg := range a.Arguments {
		other := b.Arguments.ForName(arg.Name)
		same = same && other != nil && sameValue(arg.Value, other.Value)
	}
	if !same {
		return "they have differing arguments"
	}
	return ""
}

// sameValue compares two literals. The order of an object's members does not
// count.
func sameValue(a, b *ast.Value) bool {
	if a.Kind != b.Kind || a.Raw != b.Raw || len(a.Children) != len(b.Children) {
		return false
	}
	inA, inB := a.Children, b.Children
	if a.Kind == ast.ObjectValue {
		inA, inB = byName(inA), byName(inB)
	}
	for i := range inA {
		if inA[i].Name != inB[i].Name || !sameValue(inA[i].Value, inB[i].Value) {
			return false
		}
	}
	return true
}

func byName(members ast.ChildValueList) ast.ChildValueList {
	return slices.SortedFunc(slices.Values(members), func(a, b *ast.ChildValue) int { return strings.Compare(a.Name, b.Name) })
}

// withDefaults returns the variables of an operation, with the defaults of missing
// ones.
func withDefaults(op *ast.OperationDefinition, variables map[string]any) map[string]any {
	all := maps.Clone(variables)
	for _, v := range op.VariableDefinitions {
		if _, given := all[v.Variable]; given || v.DefaultValue == nil {
			continue
		}
		if all == nil {
			all = map[string]any{}
		}
		all[v.Variable], _ = v.DefaultValue.Value(nil) // the guard has read the literal
	}
	return all
}

// includedBy returns the function for [mergeSet] that evaluates @skip and @include.
// The variables are those of [withDefaults].
func includedBy(variables map[string]any) func(ast.DirectiveList) bool {
	holds := func(d *ast.Directive) bool {
		value, err := d.Arguments.ForName("if").Value.Value(variables)
		return err == nil && value == true
	}
	return func(directives ast.DirectiveList) bool {
		for _, d := range directives {
			if d.Name == "skip" && holds(d) || d.Name == "include" && !holds(d) {
				return false
			}
		}
		return true
	}
}

// document returns an operation that selects only these fields. It has no fragments,
// directives, repeated fields or unused variables, so that graphql-go has nothing to
// expand or compare.
func (s selections) document(op *ast.OperationDefinition) string {
	used := map[string]bool{}
	plain := &ast.OperationDefinition{Operation: op.Operation, Name: op.Name, SelectionSet: s.set(used)}
	for _, v := range op.VariableDefinitions {
		if used[v.Variable] {
			plain.VariableDefinitions = append(plain.VariableDefinitions, v)
		}
	}
	var out strings.Builder
	formatter.NewFormatter(&out, formatter.WithCompacted()).FormatQueryDocument(&ast.QueryDocument{Operations: ast.OperationList{plain}})
	return out.String()
}

// set returns the selections as syntax, and records the variables that they use.
func (s selections) set(used map[string]bool) ast.SelectionSet {
	out := make(ast.SelectionSet, len(s))
	for i, one := range s {
		for _, arg := range one.Field.Arguments {
			noteVariables(arg.Value, used)
		}
		out[i] = &ast.Field{Alias: one.Key, Name: one.Field.Name, Arguments: one.Field.Arguments, SelectionSet: one.Fields.set(used)}
	}
	return out
}

func noteVariables(v *ast.Value, used map[string]bool) {
	if v.Kind == ast.Variable {
		used[v.Raw] = true
	}
	for _, child := range v.Children {
		noteVariables(child.Value, used)
	}
}

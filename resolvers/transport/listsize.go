package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// listSize is the directive of the schema that bounds the length of a field's list. Its
// name and arguments are those of the GraphQL cost directives
// (https://ibm.github.io/graphql-specs/cost-spec.html):
//
//	assumedSize       the longest list, for all arguments
//	slicingArguments  arguments that ask for a shorter list, as paths such as page.limit
//	sizedFields       fields of the result that are these lists; default: the field itself
const listSize = "listSize"

// checkSchema returns an error for a schema that [selections.conflicts] cannot
// judge, or whose answers [selections.maxValues] cannot bound.
func checkSchema(schema *ast.Schema) error {
	sized := map[string]bool{} // Type.field
	for _, def := range schema.Types {
		for _, f := range def.Fields {
			for _, name := range sizedFields(f) {
				sized[f.Type.Name()+"."+name] = true
			}
		}
	}
	for name, def := range schema.Types {
		if def.IsAbstractType() {
			return fmt.Errorf("type %s is abstract: merging fields must compare their types first", name)
		}
		if def.Kind != ast.Object || strings.HasPrefix(name, "__") {
			continue
		}
		for _, f := range def.Fields {
			if f.Type.Elem != nil && assumedSize(f) < 1 && !sized[name+"."+f.Name] {
				return fmt.Errorf("field %s.%s is a list and needs @%s(assumedSize: …)", name, f.Name, listSize)
			}
		}
	}
	return nil
}

// split separates the fields about the schema, which [introspector] answers, from the
// others.
func (s selections) split() (schema, others selections) {
	for _, one := range s {
		if isIntrospection(one.Field) {
			schema = append(schema, one)
		} else {
			others = append(others, one)
		}
	}
	return schema, others
}

// maxValues returns the largest number of values in an answer to the selections,
// multiplied by the lengths of lists. The variables are those of [withDefaults]. The
// result saturates far above any bound.
func (s selections) maxValues(variables map[string]any) int {
	return s.values(variables, 1, nil)
}

// values is maxValues with the length of the lists in the sized fields.
func (s selections) values(variables map[string]any, length int, sized []string) int {
	const saturated = 1 << 30
	total := 0
	for _, one := range s {
		times, inner := 1, 1
		var sizedHere []string
		switch size := assumedSize(one.Field.Definition); {
		case slices.Contains(sized, one.Field.Name):
			times = length
		case size > 0:
			inner = sliced(one.Field, size, variables)
			if sizedHere = sizedFields(one.Field.Definition); len(sizedHere) == 0 {
				times, inner = inner, 1
			}
		}
		total = min(saturated, total+times*(1+one.Fields.values(variables, inner, sizedHere)))
	}
	return total
}

// assumedSize returns the bound of a field's list, or 0 if the schema has none.
func assumedSize(def *ast.FieldDefinition) int {
	if def == nil {
		return 0
	}
	d := def.Directives.ForName(listSize)
	if d == nil {
		return 0
	}
	n, _ := strconv.Atoi(d.Arguments.ForName("assumedSize").Value.Raw)
	return n
}

func sizedFields(def *ast.FieldDefinition) []string { return texts(def, "sizedFields") }

// texts returns the elements of an argument of the directive.
func texts(def *ast.FieldDefinition, argument string) (out []string) {
	d := def.Directives.ForName(listSize)
	if d == nil {
		return nil
	}
	arg := d.Arguments.ForName(argument)
	if arg == nil {
		return nil
	}
	for _, child := range arg.Value.Children {
		out = append(out, child.Value.Raw)
	}
	return out
}

// sliced returns the length of the list that the slicing arguments of a field ask for,
// from 1 to most.
func sliced(f *ast.Field, most int, variables map[string]any) int {
	for _, path := range texts(f.Definition, "slicingArguments") {
		name, member, _ := strings.Cut(path, ".")
		arg := f.Arguments.ForName(name)
		if arg == nil {
			continue
		}
		value, err := arg.Value.Value(variables)
		if object, ok := value.(map[string]any); ok && member != "" {
			value = object[member]
		}
		if err != nil || value == nil {
			continue
		}
		if n, err := strconv.ParseFloat(fmt.Sprint(value), 64); err == nil {
			return int(max(1, min(n, float64(most))))
		}
	}
	return most
}

package transport

import (
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

type schemaNode struct{ schema *ast.Schema }

func (schemaNode) typeName() string { return "__Schema" }

func (n schemaNode) field(name string, _ bool) any {
	switch name {
	case "description":
		return orNull(n.schema.Description)
	case "types":
		return sorted(n.schema.Types, func(def *ast.Definition) any { return typeNode{schema: n.schema, def: def} })
	case "queryType":
		return n.root(n.schema.Query)
	case "mutationType":
		return n.root(n.schema.Mutation)
	case "subscriptionType":
		return n.root(n.schema.Subscription)
	case "directives":
		return sorted(n.schema.Directives, func(def *ast.DirectiveDefinition) any { return directiveNode{n.schema, def} })
	}
	return nil
}

func (n schemaNode) root(def *ast.Definition) any {
	if def == nil {
		return nil
	}
	return typeNode{schema: n.schema, def: def}
}

// typeNode is a named type, or a list or non-null type around another one.
type typeNode struct {
	schema *ast.Schema
	def    *ast.Definition // of a named type
	of     *ast.Type       // the type inside a list or non-null type
	kind   string          // LIST or NON_NULL
}

func (typeNode) typeName() string { return "__Type" }

// reference returns the node of a field's type.
func reference(schema *ast.Schema, t *ast.Type) any {
	switch {
	case t.NonNull:
		nullable := *t
		nullable.NonNull = false
		return typeNode{schema: schema, of: &nullable, kind: "NON_NULL"}
	case t.Elem != nil:
		return typeNode{schema: schema, of: t.Elem, kind: "LIST"}
	}
	return typeNode{schema: schema, def: schema.Types[t.NamedType]}
}

func (n typeNode) field(name string, deprecated bool) any {
	if n.def == nil {
		switch name {
		case "kind":
			return n.kind
		case "ofType":
			return reference(n.schema, n.of)
		}
		return nil
	}
	switch name {
	case "kind":
		return string(n.def.Kind)
	case "name":
		return n.def.Name
	case "description":
		return orNull(n.def.Description)
	case "specifiedByURL":
		return reasonOf(n.def.Directives, "specifiedBy", "url")
	case "isOneOf":
		return n.only(func() any { return n.def.Directives.ForName("oneOf") != nil }, ast.InputObject)
	case "fields":
		return n.only(func() any { return n.fields(deprecated) }, ast.Object, ast.Interface)
	case "inputFields":
		return n.only(func() any { return n.inputFields(deprecated) }, ast.InputObject)
	case "enumValues":
		return n.only(func() any { return n.enumValues(deprecated) }, ast.Enum)
	case "interfaces":
		return n.only(func() any { return n.types(n.def.Interfaces) }, ast.Object, ast.Interface)
	case "possibleTypes":
		return n.only(func() any { return n.possibleTypes() }, ast.Interface, ast.Union)
	}
	return nil
}

// only returns the value if the type is of one of the kinds that have it.
func (n typeNode) only(value func() any, kinds ...ast.DefinitionKind) any {
	if !slices.Contains(kinds, n.def.Kind) {
		return nil
	}
	return value()
}

func (n typeNode) fields(deprecated bool) []any {
	out := []any{}
	for _, f := range n.def.Fields {
		if !strings.HasPrefix(f.Name, "__") && shows(f.Directives, deprecated) {
			out = append(out, fieldNode{n.schema, f})
		}
	}
	return out
}

func (n typeNode) inputFields(deprecated bool) []any {
	out := []any{}
	for _, f := range n.def.Fields {
		if shows(f.Directives, deprecated) {
			out = append(out, inputNode{n.schema, f.Name, f.Description, f.Type, f.DefaultValue, f.Directives})
		}
	}
	return out
}

func (n typeNode) enumValues(deprecated bool) []any {
	out := []any{}
	for _, v := range n.def.EnumValues {
		if shows(v.Directives, deprecated) {
			out = append(out, enumNode{v})
		}
	}
	return out
}

func (n typeNode) types(names []string) []any {
	out := []any{}
	for _, name := range names {
		out = append(out, typeNode{schema: n.schema, def: n.schema.Types[name]})
	}
	return out
}

func (n typeNode) possibleTypes() []any {
	out := []any{}
	for _, def := range n.schema.GetPossibleTypes(n.def) {
		out = append(out, typeNode{schema: n.schema, def: def})
	}
	return out
}

type fieldNode struct {
	schema *ast.Schema
	def    *ast.FieldDefinition
}

func (fieldNode) typeName() string { return "__Field" }

func (n fieldNode) field(name string, deprecated bool) any {
	switch name {
	case "name":
		return n.def.Name
	case "description":
		return orNull(n.def.Description)
	case "args":
		return arguments(n.schema, n.def.Arguments, deprecated)
	case "type":
		return reference(n.schema, n.def.Type)
	}
	return deprecation(n.def.Directives, name)
}

// inputNode is an argument, or a field of an input object.
type inputNode struct {
	schema       *ast.Schema
	name         string
	description  string
	of           *ast.Type
	defaultValue *ast.Value
	directives   ast.DirectiveList
}

func (inputNode) typeName() string { return "__InputValue" }

func (n inputNode) field(name string, _ bool) any {
	switch name {
	case "name":
		return n.name
	case "description":
		return orNull(n.description)
	case "type":
		return reference(n.schema, n.of)
	case "defaultValue":
		if n.defaultValue == nil {
			return nil
		}
		return n.defaultValue.String()
	}
	return deprecation(n.directives, name)
}

func arguments(schema *ast.Schema, list ast.ArgumentDefinitionList, deprecated bool) []any {
	out := []any{}
	for _, a := range list {
		if shows(a.Directives, deprecated) {
			out = append(out, inputNode{schema, a.Name, a.Description, a.Type, a.DefaultValue, a.Directives})
		}
	}
	return out
}

type enumNode struct{ def *ast.EnumValueDefinition }

func (enumNode) typeName() string { return "__EnumValue" }

func (n enumNode) field(name string, _ bool) any {
	switch name {
	case "name":
		return n.def.Name
	case "description":
		return orNull(n.def.Description)
	}
	return deprecation(n.def.Directives, name)
}

type directiveNode struct {
	schema *ast.Schema
	def    *ast.DirectiveDefinition
}

func (directiveNode) typeName() string { return "__Directive" }

func (n directiveNode) field(name string, deprecated bool) any {
	switch name {
	case "name":
		return n.def.Name
	case "description":
		return orNull(n.def.Description)
	case "isRepeatable":
		return n.def.IsRepeatable
	case "locations":
		out := []any{}
		for _, l := range n.def.Locations {
			out = append(out, string(l))
		}
		return out
	case "args":
		return arguments(n.schema, n.def.Arguments, deprecated)
	}
	return nil
}

// deprecation returns the value of the field isDeprecated or deprecationReason.
func deprecation(d ast.DirectiveList, name string) any {
	if name == "isDeprecated" {
		return d.ForName("deprecated") != nil
	}
	return reasonOf(d, "deprecated", "reason")
}

// reasonOf returns an argument of a directive, or its default, or nil without the
// directive.
func reasonOf(list ast.DirectiveList, directive, argument string) any {
	d := list.ForName(directive)
	if d == nil {
		return nil
	}
	if given := d.Arguments.ForName(argument); given != nil {
		return given.Value.Raw
	}
	if d.Definition != nil {
		if def := d.Definition.Arguments.ForName(argument); def != nil && def.DefaultValue != nil {
			return def.DefaultValue.Raw
		}
	}
	return nil
}

func shows(d ast.DirectiveList, deprecated bool) bool {
	return deprecated || d.ForName("deprecated") == nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// sorted returns the values of a map in the order of their names.
func sorted[T any](m map[string]T, wrap func(T) any) []any {
	out := make([]any, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, wrap(m[name]))
	}
	return out
}

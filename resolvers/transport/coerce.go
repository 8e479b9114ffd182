package transport

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cubegate/resolvers/apierror"

	"github.com/vektah/gqlparser/v2/ast"
)

// coerce checks the values of an operation's variables against their types, before
// execution (GraphQL specification, 6.1.2 "Coercing Variable Values"). It reports
// all errors at once and quotes no value, which may be a password. The function of
// gqlparser stops at the first error.
func (g *guard) coerce(op *ast.OperationDefinition, variables map[string]any) []*gqlError {
	c := coercion{schema: g.schema, fields: apierror.FieldErrors{}}
	for _, v := range op.VariableDefinitions {
		value, given := variables[v.Variable]
		switch {
		case !given && v.DefaultValue != nil:
			continue
		case given && value == nil && v.DefaultValue != nil:
			// A variable with a default is allowed where null is not (5.8.5
			// "All Variable Usages Are Allowed"). graphql-go would notice the
			// null only after other mutations of the document have run.
			c.wrong([]string{v.Variable}, "must not be null; omit it for its default")
			continue
		}
		c.value(v.Type, value, given, []string{v.Variable})
	}
	if len(c.fields) == 0 {
		return nil
	}
	e := newGQLError(apierror.BadUserInput, nil, "Variables are not valid: "+bounded(c.fields.String()))
	e.Extensions["fields"] = c.fields
	return []*gqlError{e}
}

type coercion struct {
	schema *ast.Schema
	fields apierror.FieldErrors
}

// wrong notes an error under the path of its field. The path begins below the
// variable, which clients regard as an envelope.
func (c coercion) wrong(path []string, text string) {
	if len(c.fields) >= maxErrors {
		return
	}
	if len(path) > 1 {
		path = path[1:]
	}
	c.fields.Add(bounded(strings.Join(path, ".")), text)
}

func (c coercion) value(t *ast.Type, value any, given bool, path []string) {
	switch {
	case value == nil && !t.NonNull:
		return
	case !given:
		c.wrong(path, "is required")
		return
	case value == nil:
		c.wrong(path, "must not be null")
		return
	}
	if t.Elem != nil {
		list, ok := value.([]any)
		if !ok {
			list = []any{value} // one value is a list of one
		}
		for i, item := range list {
			c.value(t.Elem, item, true, child(path, strconv.Itoa(i)))
		}
		return
	}
	def := c.schema.Types[t.NamedType]
	switch def.Kind {
	case ast.InputObject:
		c.object(def, value, path)
	case ast.Enum:
		name, ok := value.(string)
		if !ok || def.EnumValues.ForName(name) == nil {
			c.wrong(path, "is not one of "+def.Name)
		}
	default:
		if !fitsScalar(def.Name, value) {
			c.wrong(path, fmt.Sprintf("must be of type %s", def.Name))
		}
	}
}

func (c coercion) object(def *ast.Definition, value any, path []string) {
	fields, ok := value.(map[string]any)
	if !ok {
		c.wrong(path, "must be an object of type "+def.Name)
		return
	}
	for _, f := range def.Fields {
		field, given := fields[f.Name]
		if !given && f.DefaultValue != nil {
			continue
		}
		c.value(f.Type, field, given, child(path, f.Name))
	}
	for name := range fields {
		if def.Fields.ForName(name) == nil {
			c.wrong(child(path, quotable(name)), "is not a field of "+def.Name)
		}
	}
}

// quotable returns the name of a field that the client sent, if it has the form of
// a name. Anything else may be a token in the wrong place.
func quotable(name string) string {
	const most = 40
	letter := func(r rune) bool {
		return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	if len(name) > most || strings.ContainsFunc(name, func(r rune) bool { return !letter(r) }) {
		return "(unnamed)"
	}
	return name
}

func child(path []string, name string) []string {
	return append(slices.Clip(path), name)
}

// fitsScalar reports whether a decoded JSON value is one of a built-in scalar.
func fitsScalar(name string, value any) bool {
	switch v := value.(type) {
	case string:
		return name == "String" || name == "ID"
	case bool:
		return name == "Boolean"
	case float64:
		switch name {
		case "Int":
			return v == math.Trunc(v) && math.Abs(v) <= math.MaxInt32
		case "Float":
			return true
		}
	}
	return false
}

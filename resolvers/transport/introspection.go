package transport

import (
	"encoding/json"
	"errors"

	"github.com/vektah/gqlparser/v2/ast"
)

// errTooMuch is the error for an answer that exceeds a bound.
var errTooMuch = errors.New("the answer would be too large")

// isIntrospection reports whether a field asks about the schema. __typename
// does not: it costs nothing, and stays where introspection is off.
func isIntrospection(f *ast.Field) bool { return f.Name == "__schema" || f.Name == "__type" }

// introspector answers __schema and __type
// (https://spec.graphql.org/September2025/#sec-Introspection). It replaces graphql-go
// (v1.11), which lacks __Schema.description, __Type.isOneOf and
// __Directive.isRepeatable and builds answers without a bound.
type introspector struct {
	schema    *ast.Schema
	maxValues int // of one answer: scalars, nulls, objects and lists
	maxBytes  int // of one answer
}

// answer returns the JSON of introspection fields by response name. The fields must be
// valid for the schema; the variables are those of [withDefaults]. It returns
// [errTooMuch] as soon as the answers together exceed a bound.
func (i *introspector) answer(fields selections, variables map[string]any) (map[string]json.RawMessage, error) {
	w := introspection{introspector: i, variables: variables}
	answers := map[string]json.RawMessage{}
	for _, s := range fields {
		from := len(w.out)
		if s.Field.Name == "__schema" {
			w.value(schemaNode{i.schema}, s)
		} else {
			w.value(w.named(w.argument(s.Field, "name")), s)
		}
		if w.stopped {
			return nil, errTooMuch
		}
		answers[s.Key] = w.out[from:len(w.out):len(w.out)]
	}
	return answers, nil
}

// introspection writes one answer.
type introspection struct {
	*introspector
	out       []byte
	variables map[string]any
	values    int
	stopped   bool
}

// node is an object of the introspection schema. field returns the value of
// one of its fields: nil, a bool, a string, a node, or a slice of one of these
// as []any.
type node interface {
	typeName() string
	field(name string, deprecated bool) any
}

func (w *introspection) value(v any, s *selection) {
	w.values++
	if w.values > w.maxValues || len(w.out) > w.maxBytes {
		w.stopped = true
	}
	if w.stopped {
		return
	}
	switch v := v.(type) {
	case node:
		w.object(v, s.Fields)
	case []any:
		w.out = append(w.out, '[')
		for i, item := range v {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.value(item, s)
		}
		w.out = append(w.out, ']')
	default:
		text, _ := json.Marshal(v) // a string, a bool or nil always encodes
		w.out = append(w.out, text...)
	}
}

func (w *introspection) object(n node, fields selections) {
	w.out = append(w.out, '{')
	for i, s := range fields {
		if w.stopped {
			return
		}
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = append(w.out, '"')
		w.out = append(w.out, s.Key...) // a name, which JSON need not escape
		w.out = append(w.out, '"', ':')
		if s.Field.Name == "__typename" {
			w.value(n.typeName(), s)
			continue
		}
		deprecated, _ := w.argument(s.Field, "includeDeprecated").(bool)
		w.value(n.field(s.Field.Name, deprecated), s)
	}
	w.out = append(w.out, '}')
}

// argument returns the value of an argument of a field, or nil.
func (w *introspection) argument(f *ast.Field, name string) any {
	arg := f.Arguments.ForName(name)
	if arg == nil {
		return nil
	}
	v, err := arg.Value.Value(w.variables)
	if err != nil {
		return nil
	}
	return v
}

// named returns the type with a name, or nil.
func (w *introspection) named(name any) any {
	text, _ := name.(string)
	if def := w.schema.Types[text]; def != nil {
		return typeNode{schema: w.schema, def: def}
	}
	return nil
}

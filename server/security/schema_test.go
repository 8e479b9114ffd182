package security

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cubegate/resolvers"
	"cubegate/server/servertest"
)

// typeRef is a type in the result of an introspection.
type typeRef struct {
	Kind, Name string
	OfType     *typeRef
}

// String returns the type as documents spell it.
func (r typeRef) String() string {
	switch r.Kind {
	case "NON_NULL":
		return r.OfType.String() + "!"
	case "LIST":
		return "[" + r.OfType.String() + "]"
	}
	return r.Name
}

// innermost returns the named type.
func (r typeRef) innermost() typeRef {
	for r.OfType != nil {
		r = *r.OfType
	}
	return r
}

type inputField struct {
	Name string
	Type typeRef
}

type schemaField struct {
	Name string
	Type typeRef
	Args []inputField
}

// schemaType is a type of the schema.
type schemaType struct {
	Name        string
	Fields      []schemaField
	InputFields []inputField
}

// schema is what a client learns of the API by introspection.
type schema map[string]schemaType

// readSchema asks a server for its schema, so that a new operation or input cannot be
// missed.
func readSchema(t *testing.T, r *servertest.Server) schema {
	t.Helper()
	const ref = `{ kind name ofType { kind name ofType { kind name ofType { kind name } } } }`
	got := r.SendAs(t, "", `{ __schema { types { name fields(includeDeprecated: true) { name type `+ref+` args { name type `+ref+` } } inputFields { name type `+ref+` } } } }`, nil)
	var answer struct {
		Data struct {
			Schema struct{ Types []schemaType } `json:"__schema"`
		}
	}
	if err := json.Unmarshal([]byte(got.Body), &answer); err != nil {
		t.Fatal(err)
	}
	s := schema{}
	for _, typ := range answer.Data.Schema.Types {
		s[typ.Name] = typ
	}
	if len(s["Query"].Fields)+len(s["Mutation"].Fields) < 20 {
		t.Fatalf("the schema has the queries %v and the mutations %v", s["Query"].Fields, s["Mutation"].Fields)
	}
	return s
}

// call is one operation with its inputs.
type call struct {
	name     string
	rest     string // the twin's method and path, such as "POST /auth/login"; empty without one
	document string // has a variable for each argument
	args     []inputField
	leaves   [][]string // the paths of all inputs in the variables, such as body, email
}

// calls returns each operation of the schema.
func (s schema) calls() []call {
	twins := map[string]string{}
	for _, op := range resolvers.Operations() {
		twins[op.Name] = op.REST
	}
	var list []call
	for _, root := range []string{"Query", "Mutation"} {
		for _, f := range s[root].Fields {
			var declared, passed []string
			c := call{name: f.Name, rest: twins[f.Name], args: f.Args}
			for _, arg := range f.Args {
				declared = append(declared, "$"+arg.Name+": "+arg.Type.String())
				passed = append(passed, arg.Name+": $"+arg.Name)
				c.leaves = append(c.leaves, s.paths(arg)...)
			}
			c.document = strings.ToLower(root)
			if declared != nil {
				c.document += "(" + strings.Join(declared, ", ") + ")"
			}
			c.document += " { " + f.Name
			if passed != nil {
				c.document += "(" + strings.Join(passed, ", ") + ")"
			}
			if len(s[f.Type.innermost().Name].Fields) > 0 {
				c.document += " { __typename }"
			}
			c.document += " }"
			list = append(list, c)
		}
	}
	return list
}

// paths returns the paths of the values in an input.
func (s schema) paths(in inputField) (list [][]string) {
	inner := s[in.Type.innermost().Name].InputFields
	if len(inner) == 0 {
		return [][]string{{in.Name}}
	}
	for _, field := range inner {
		for _, rest := range s.paths(field) {
			list = append(list, append([]string{in.Name}, rest...))
		}
	}
	return list
}

// variables returns valid variables of a call. The values are by the paths of inputs,
// such as "body.email", or by the last part of a path.
func (c call) variables(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, path := range c.leaves {
		value, ok := values[strings.Join(path, ".")]
		if !ok {
			value, ok = values[path[len(path)-1]]
		}
		if !ok {
			t.Fatalf("%s has the input %s, for which this test has no value", c.name, strings.Join(path, "."))
		}
		put(out, path, value)
	}
	return out
}

// put sets the value at a path, and makes the objects on the way.
func put(object map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	object[path[len(path)-1]] = value
}

// sendTwin sends the REST twin of a call with the same inputs, if there is one.
func (c call) sendTwin(t *testing.T, r *servertest.Server, token string, variables map[string]any) (got servertest.Reply, ok bool) {
	t.Helper()
	method, path, ok := strings.Cut(c.rest, " ")
	if !ok {
		return got, false
	}
	body := any(variables)
	if inner, ok := variables["body"]; ok && len(variables) == 1 {
		body = inner
	}
	raw := ""
	if method == "POST" && len(variables) > 0 {
		raw = mustJSON(t, body)
	}
	if id, ok := variables["id"]; ok {
		path = strings.ReplaceAll(path, "{id}", pathSegment(t, id))
	}
	header := []string{"Authorization", "Bearer " + token}
	if token == "" {
		header = nil
	}
	return r.Request(t, method, path, raw, header...), true
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// pathSegment returns a value as a part of a path, an object as its JSON.
func pathSegment(t *testing.T, v any) string {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		text = mustJSON(t, v)
	}
	out := ""
	for _, b := range []byte(text) {
		out += fmt.Sprintf("%%%02X", b)
	}
	return out
}

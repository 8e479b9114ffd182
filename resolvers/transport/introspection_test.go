package transport

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport/transporttest"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// introspectionVariants returns the introspection queries of graphql-js and the tools
// based on it: each of their six options on or off, and the depths of ofType of its
// versions 14 to 17.
func introspectionVariants() []string {
	var all []string
	for options := range 1 << 6 {
		when := func(bit int, text string) string {
			if options&(1<<bit) == 0 {
				return ""
			}
			return text
		}
		ofType := ""
		for range []int{3, 7, 9}[options%3] {
			ofType = "ofType{kind name " + ofType + "}"
		}
		description := when(0, "description")
		deprecated := when(4, "(includeDeprecated:true)")
		all = append(all, fmt.Sprintf(`query IntrospectionQuery{__schema{%s queryType{name kind} mutationType{name kind} subscriptionType{name kind}
			types{...FullType} directives{name %s %s locations args%s{...InputValue}}}}
			fragment FullType on __Type{kind name %s %s %s
				fields(includeDeprecated:true){name %s args%s{...InputValue} type{...TypeRef} isDeprecated deprecationReason}
				inputFields%s{...InputValue} interfaces{...TypeRef}
				enumValues(includeDeprecated:true){name %s isDeprecated deprecationReason} possibleTypes{...TypeRef}}
			fragment InputValue on __InputValue{name %s type{...TypeRef} defaultValue %s}
			fragment TypeRef on __Type{kind name %s}`,
			when(3, "description"), description, when(2, "isRepeatable"), deprecated,
			description, when(1, "specifiedByURL"), when(5, "isOneOf"),
			description, deprecated, deprecated, description,
			description, when(4, "isDeprecated deprecationReason"), ofType))
	}
	return all
}

func TestEveryIntrospectionQueryIsAnsweredAndCached(t *testing.T) {
	_, h := newHandler(t)
	for i, document := range introspectionVariants() {
		first := transporttest.Ask(t, h, document, nil)
		if first.Code() != "" {
			t.Fatalf("variant %d: %.300s", i, first.Text)
		}
		schema := first.Data["__schema"].(map[string]any)
		if len(schema["types"].([]any)) != len(h.guard.schema.Types) || len(schema["directives"].([]any)) != len(h.guard.schema.Directives) {
			t.Errorf("variant %d lacks types or directives", i)
		}
		full := h.introspector.maxValues
		h.introspector.maxValues = 0 // only cached answers work now
		if second := transporttest.Ask(t, h, document, nil); second.Text != first.Text {
			t.Errorf("variant %d is not kept: %.300s", i, second.Text)
		}
		h.introspector.maxValues = full
	}
}

func TestFieldsThatGraphQLGoLacks(t *testing.T) {
	_, h := newHandler(t)
	got := transporttest.Ask(t, h, `query($n:String!){hello __schema{description directives{name isRepeatable}} __type(name:$n){isOneOf name __typename}}`, map[string]any{"n": "PageInput"})
	want := map[string]any{"isOneOf": false, "name": "PageInput", "__typename": "__Type"}
	if !reflect.DeepEqual(got.Data["__type"], want) || got.Data["hello"] != "Hello from API!" {
		t.Errorf("%s", got.Text)
	}
	for _, d := range got.Data["__schema"].(map[string]any)["directives"].([]any) {
		if directive := d.(map[string]any); directive["isRepeatable"] != false || directive["name"] == "defer" {
			t.Errorf("directive %v", directive)
		}
	}
	// The answer has the order of the document.
	if order := transporttest.Ask(t, h, `{b:hello __schema{queryType{name}} a:hello}`, nil); order.Text != `{"data":{"b":"Hello from API!","__schema":{"queryType":{"name":"Query"}},"a":"Hello from API!"}}`+"\n" {
		t.Errorf("%s", order.Text)
	}
}

// Introspection is bounded, far above the requests of tools.
func TestIntrospectionIsBoundedByItsValues(t *testing.T) {
	_, h := newHandler(t)
	full := introspectionVariants()[63]
	if got := valuesIn(transporttest.Ask(t, h, full, nil).Data["__schema"]); 4*got > maxIntrospectionValues {
		t.Errorf("the full query has %d values; the bound of %d must be four times that", got, maxIntrospectionValues)
	}
	_, body, _ := strings.Cut(full, "{")
	body, fragments, _ := strings.Cut(body, "}\n\t\t\tfragment")
	if got := transporttest.Ask(t, h, "{"+transporttest.Aliases(4, body)+"}fragment"+fragments, nil); got.Code() != "" {
		t.Errorf("four times the full query: %.300s", got.Text)
	}
	schema := `__schema{types{kind name description fields{name description args{name description} type{kind name}}}}`
	if got := transporttest.Ask(t, h, "{"+transporttest.Aliases(3, schema)+"}", nil); got.Code() != "" {
		t.Errorf("three schemas: %.300s", got.Text)
	}
	for name, document := range map[string]string{
		"480 descriptions": expensive["480 descriptions"],
		"15 schemas":       "{" + transporttest.Aliases(15, schema) + "}",
	} {
		got := transporttest.Ask(t, h, document, nil)
		if got.Code() != string(apierror.GraphQLValidationFailed) || got.Data != nil {
			t.Errorf("%s: %.300s", name, got.Text)
		}
	}
}

func valuesIn(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			n += valuesIn(inner)
		}
	case []any:
		for _, inner := range v {
			n += valuesIn(inner)
		}
	}
	return n
}

// graphql-go gives equal answers for all fields that it supports, so ours can replace
// it.
func TestIntrospectionAgreesWithTheLibrary(t *testing.T) {
	_, h := newHandler(t)
	document := `{__schema{queryType{name} mutationType{name} types{kind name description
		fields(includeDeprecated:true){name description args{name description type{...t} defaultValue} type{...t} isDeprecated deprecationReason}
		inputFields{name description type{...t} defaultValue} interfaces{name} possibleTypes{name}
		enumValues(includeDeprecated:true){name description isDeprecated}}}} fragment t on __Type{kind name ofType{kind name ofType{kind name ofType{kind name}}}}`
	ours := byTypeName(t, transporttest.Ask(t, h, document, nil).Data)
	var data map[string]any
	if err := json.Unmarshal(h.schema.Exec(t.Context(), document, "", nil).Data, &data); err != nil {
		t.Fatal(err)
	}
	theirs := byTypeName(t, data)
	for _, name := range []string{"Query", "Mutation", "Profile", "Session", "LoginResponse", "PageInput", "UserFilter", "UserRegisterInput", "DeviceInput"} {
		if ours[name] == nil || !reflect.DeepEqual(ours[name], theirs[name]) {
			t.Errorf("%s:\nours   %v\ntheirs %v", name, ours[name], theirs[name])
		}
	}
}

func byTypeName(t *testing.T, data map[string]any) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, one := range data["__schema"].(map[string]any)["types"].([]any) {
		all[one.(map[string]any)["name"].(string)] = one
	}
	return all
}

// The guard merges repeated names in one pass; the validator's own rule, which compares
// all pairs, does not run.
func TestOverlapsAreNotComparedPairwise(t *testing.T) {
	_, h := newHandler(t)
	g := h.guard
	if _, runs := g.rules.GetInner()["OverlappingFieldsCanBeMerged"]; runs {
		t.Error("the validator's overlap rule runs")
	}
	for name, document := range map[string]string{
		"different fields":         `{me{id id:email}}`,
		"in fragments":             `{me{...a ...b}} fragment a on Profile{x:id} fragment b on Profile{x:email}`,
		"differing arguments":      `{users(page:{limit:1}){next} users(page:{limit:2}){next}}`,
		"below equal fields":       `{users{items{id}} users{items{id:email}}}`,
		"in an operation unasked":  `query a{hello} query b{me{id id:email}}`,
		"about the schema":         `{__schema{types{name name:kind}}}`,
		"where a field is skipped": `{me{id id:email@skip(if:true)}}`,
	} {
		_, errs := g.checkDocument(document, "")
		if strings.HasPrefix(name, "in an op") {
			_, errs = g.checkDocument(document, "a")
		}
		if len(errs) != 1 || errs[0].Extensions["code"] != apierror.GraphQLValidationFailed || !strings.Contains(errs[0].Message, "conflict because") || len(errs[0].Locations) != 1 {
			t.Errorf("%s: %v", name, errs)
		}
	}
	for _, document := range []string{
		`{me{id id} me{email}}`,
		`{users(page:{limit:1 after:null}){next} users(page:{after:null limit:1}){next}}`,
		`query($n:Int){users(page:{limit:$n}){next} ...f} fragment f on Query{users(page:{limit:$n}){items{id}}}`,
	} {
		if _, errs := g.checkDocument(document, ""); errs != nil {
			t.Errorf("%s: %v", document, errs[0].Message)
		}
	}
}

func TestConflictsCompareEachFieldOnce(t *testing.T) {
	doc, err := parser.ParseQuery(&ast.Source{Input: "{" + times(400, "a:id") + "}"})
	if err != nil {
		t.Fatal(err)
	}
	merged := mergeSet(doc.Operations[0].SelectionSet, nil)
	if len(merged) != 1 || len(merged[0].Also) != 399 || merged.conflicts() != nil {
		t.Errorf("merged into %d fields", len(merged))
	}
}

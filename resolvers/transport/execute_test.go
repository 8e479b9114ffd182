package transport

import (
	"fmt"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport/transporttest"
)

// Fragments, directives, aliases and introspection change neither the content of an
// answer nor its order.
func TestAnswersFollowTheSpecification(t *testing.T) {
	_, h := newHandler(t)
	const hello = `"Hello from API!"`
	for _, tt := range []struct{ document, variables, want string }{
		{`query($a:Boolean!){x:hello@skip(if:$a) y:hello@include(if:$a)}`, `{"a":true}`, `{"y":` + hello + `}`},
		{`query($a:Boolean!){x:hello@skip(if:$a) y:hello@include(if:$a)}`, `{"a":false}`, `{"x":` + hello + `}`},
		{`query($a:Boolean=true){x:hello@skip(if:$a) y:hello}`, `{}`, `{"y":` + hello + `}`},
		{`query($a:Boolean=true){x:hello@skip(if:$a) y:hello}`, `{"a":false}`, `{"x":` + hello + `,"y":` + hello + `}`},
		{`{x:hello@include(if:true)@skip(if:true) y:hello@skip(if:false)}`, `{}`, `{"y":` + hello + `}`},
		{`query($a:Boolean!){...f@include(if:$a) ...@skip(if:$a){z:hello}} fragment f on Query{y:hello}`, `{"a":true}`, `{"y":` + hello + `}`},
		{`query($a:Boolean!){...f ...f@skip(if:$a)} fragment f on Query{y:hello}`, `{"a":true}`, `{"y":` + hello + `}`},
		{`{b:hello ...f a:hello} fragment f on Query{c:hello b:hello ...g} fragment g on Query{d:hello}`, `{}`, `{"b":` + hello + `,"c":` + hello + `,"d":` + hello + `,"a":` + hello + `}`},
		{`{__typename hello ...on Query{__typename t:__typename}}`, `{}`, `{"__typename":"Query","hello":` + hello + `,"t":"Query"}`},
		{`{hello@skip(if:true)}`, `{}`, `{}`},
		{`{__type(name:"Done"){kind}@skip(if:true) hello}`, `{}`, ``},
		{`query($n:String="Done"){__type(name:$n){kind fields{name}} hello}`, `{}`, `{"__type":{"kind":"OBJECT","fields":[{"name":"message"}]},"hello":` + hello + `}`},
		{`query($n:String!){a:__type(name:$n){name} b:__type(name:"Done"){name}}`, `{"n":"Chat"}`, `{"a":{"name":"Chat"},"b":{"name":"Done"}}`},
		{`query($d:Boolean=false){__type(name:"Query"){fields(includeDeprecated:$d){name}}}`, `{}`, `{"__type":{"fields":[{"name":"hello"},{"name":"me"},{"name":"sessions"},{"name":"users"},{"name":"audit"}]}}`},
		{`{__schema{queryType{name}...on __Schema{queryType{kind}}}}`, `{}`, `{"__schema":{"queryType":{"name":"Query","kind":"OBJECT"}}}`},
	} {
		got := transporttest.Send(t, h, fmt.Sprintf(`{"query":%q,"variables":%s}`, tt.document, tt.variables))
		if tt.want == "" {
			if got.Code() != string(apierror.GraphQLParseFailed) {
				t.Errorf("%s: %s", tt.document, got.Text)
			}
			continue
		}
		if want := `{"data":` + tt.want + "}\n"; got.Text != want {
			t.Errorf("%s with %s:\ngot  %s\nwant %s", tt.document, tt.variables, got.Text, want)
		}
	}
}

// A null that reaches the top also removes introspection.
func TestNullAtTheTopIsTheWholeAnswer(t *testing.T) {
	_, h := newHandler(t)
	got := transporttest.Ask(t, h, `{__schema{queryType{name}} m:me{id}}`, nil)
	if !strings.HasSuffix(got.Text, `,"data":null}`+"\n") || len(got.Errors) != 1 || got.Errors[0].Path[0] != "m" {
		t.Errorf("%s", got.Text)
	}
}

// Each bound works alone, and its error names it.
func TestEachBoundOfADocumentHolds(t *testing.T) {
	_, h := newHandler(t)
	half := inEach(8, 1, "Query", "%s", "me{"+times(maxNodes/9, "id")+"}")
	for want, document := range map[string]string{
		"16384 bytes":         "{hello" + strings.Repeat(" ", 16<<10) + "}",
		"2000 tokens":         "{me{" + times(2000, "id") + "}}",
		"10 operations":       strings.Repeat("query{hello}", 11),
		"50 fragments":        inEach(1, 51, "Query", "%s", "hello"),
		"16 levels":           "{" + nested(16, "", "hello") + "}",
		"1000 fields":         "{" + times(5, "...f") + "}fragment f on Query{me{" + times(200, "id") + "}}",
		"4000 nodes":          half,
		"50 directives":       "{me{" + times(51, "id@skip(if:false)") + "}}",
		"20 top-level fields": "{" + transporttest.Aliases(21, "hello") + "}",
		"2 mutations":         "mutation{" + transporttest.Aliases(3, "logout{message}") + "}",
		"100 characters":      "{" + strings.Repeat("n", 101) + "}",
		"more than 5000 va":   "{" + transporttest.Aliases(3, "users{items{"+transporttest.Aliases(18, "id")+"}}") + "}",
	} {
		got := transporttest.Ask(t, h, document, nil)
		if got.Code() != string(apierror.GraphQLValidationFailed) || !strings.Contains(got.Text, want) {
			t.Errorf("want %q: %.300s", want, got.Text)
		}
	}
	for name, document := range map[string]string{
		"15 levels":      "{" + nested(15, "", "hello") + "}",
		"two tables":     `{a:users(page:{limit:10}){items{id email firstName lastName roles createdAt}next} b:audit(page:{limit:10}){items{id at kind outcome userId}next}}`,
		"a small page":   "{users(page:{limit:1}){items{" + transporttest.Aliases(200, "id") + "}}}",
		"20 root fields": "{" + transporttest.Aliases(20, "hello") + "}",
	} {
		if got := transporttest.Ask(t, h, document, nil); got.Code() == string(apierror.GraphQLValidationFailed) {
			t.Errorf("%s: %.300s", name, got.Text)
		}
	}
	got := transporttest.Ask(t, h, `query($n:Int){users(page:{limit:$n}){items{`+transporttest.Aliases(200, "id")+`}}}`, map[string]any{"n": 100})
	if got.Code() != string(apierror.GraphQLValidationFailed) {
		t.Errorf("a large page by a variable: %.300s", got.Text)
	}
	h.introspector.maxBytes = 1000
	if got := transporttest.Ask(t, h, `{__schema{types{description}}}`, nil); got.Code() != string(apierror.GraphQLValidationFailed) {
		t.Errorf("introspection beyond its bytes: %.300s", got.Text)
	}
}

// A request waits for its turn with its bytes, not with the decoded values.
func TestFewDocumentsAreReadAtOnce(t *testing.T) {
	_, h := newHandler(t)
	for range cap(h.reading) {
		h.reading <- struct{}{}
	}
	done := make(chan transporttest.Result, 1)
	go func() { done <- transporttest.Send(t, h, `{"query":"{hello}"}`) }()
	select {
	case got := <-done:
		t.Errorf("read although all turns are taken: %s", got.Text)
	default:
	}
	for range cap(h.reading) {
		<-h.reading
	}
	if got := <-done; got.Code() != "" {
		t.Errorf("%s", got.Text)
	}
}

func TestValuesOfABodyAreBounded(t *testing.T) {
	_, h := newHandler(t)
	many := strings.TrimSuffix(strings.Repeat("{},", maxBodyValues), ",")
	for _, member := range []string{"variables", "extensions"} {
		got := transporttest.Send(t, h, `{"query":"{hello}","`+member+`":{"x":[`+many+`]}}`)
		if got.Code() != string(apierror.BadUserInput) || !strings.Contains(got.Text, "values") {
			t.Errorf("%s: %.200s", member, got.Text)
		}
	}
}

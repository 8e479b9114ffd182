package transport

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport/transporttest"
)

// hostile lists short documents that would cost the library seconds, megabytes or a
// panic, or that no honest client sends.
var hostile = map[string]string{
	"a number of 20 digits twice":    `{hello(x:99999999999999999999) hello(x:99999999999999999999)}`,
	"a default beyond Float":         `query($v:Float=1e999){hello}`,
	"a default beyond Int":           `query($v:Float=99999999999999999999){hello}`,
	"a default with a separator":     `query($v:Int=1_000){hello}`,
	"a minus before a string":        `{hello(s:-"x") hello(s:-"x")}`,
	"2 700 times hello":              "{" + strings.Repeat("hello ", 2700) + "}",
	"600 times hello":                "{" + strings.Repeat("hello ", 600) + "}",
	"1 500 fragments side by side":   "{" + strings.Repeat("...{hello}", 1500) + "}",
	"300 spreads of 300 fragments":   spreads(300),
	"45 spreads of 45 fragments":     spreads(45),
	"fragments that double":          doubling(25),
	"a fragment ring":                `{...a} fragment a on Query{...b} fragment b on Query{...a}`,
	"a fragment that spreads itself": `{...a} fragment a on Query{hello ...a}`,
	"deep":                           strings.Repeat("{a", 900) + strings.Repeat("}", 900),
	"inline fragments nested 900":    strings.Repeat("{...", 900) + "{hello}" + strings.Repeat("}", 900),
	"a list nested 900":              "{hello(x:" + strings.Repeat("[", 900) + strings.Repeat("]", 900) + ")}",
	"400 directives":                 "{hello" + strings.Repeat("@skip(if:false)", 400) + "}",
	"a schema in circles":            `{__schema{types{fields{type{fields{type{fields{type{fields{type{name}}}}}}}}}}}`,
	"40 schemas":                     "{" + manySchemas(40) + "}",
	"120 logins":                     "mutation{" + transporttest.Aliases(120, `login(body:{email:"a@b.org",password:"x"}){message}`) + "}",
	"3 logins":                       "mutation{" + transporttest.Aliases(3, `login(body:{email:"a@b.org",password:"x"}){message}`) + "}",
	"3 logins by a fragment":         `mutation{...f} fragment f on Mutation{` + transporttest.Aliases(3, `login(body:{email:"a@b.org",password:"x"}){message}`) + "}",
	"400 unknown fields":             "{" + transporttest.Aliases(400, "nope") + "}",
	"an unknown field of 15 KiB":     "{" + strings.Repeat("x", 15<<10) + "}",
	"17 KiB of commas":               "{hello" + strings.Repeat(",", 17<<10) + "}",
	"11 operations":                  strings.Repeat("query{hello}", 11),
	"400 unused variables":           "query(" + variables(400) + "){hello}",
	"a NUL":                          "{hello\x00}",
	"half a surrogate":               `{hello(x:"\ud800")}`,
	"100 times hello":                "{" + strings.Repeat("hello ", 100) + "}",
	"100 schemas":                    "{" + strings.Repeat("__schema{types{name}}", 100) + "}",
	"nothing":                        "",
	"only a comment":                 "# hello",
	"a schema":                       "type Query{hello:String!}",
}

func spreads(n int) string {
	var b strings.Builder
	all := ""
	for i := range n {
		all += fmt.Sprintf("...f%d ", i)
	}
	b.WriteString("{" + all + "}")
	for i := range n {
		fmt.Fprintf(&b, "fragment f%d on Query{hello ...f%d}", i, (i+1)%n)
	}
	return b.String()
}

func doubling(n int) string {
	b := "{...f0}"
	for i := range n {
		b += fmt.Sprintf("fragment f%d on Query{...f%d ...f%d}", i, i+1, i+1)
	}
	return b + fmt.Sprintf("fragment f%d on Query{hello}", n)
}

func manySchemas(n int) string {
	return transporttest.Aliases(n, "__schema{types{name fields{name type{name ofType{name}}} inputFields{name} possibleTypes{name}}}")
}

func variables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "$v%d:Int ", i)
	}
	return b.String()
}

func TestHostileDocumentsAreRefusedBeforeAnythingRuns(t *testing.T) {
	f, h := newHandler(t)
	for name, document := range hostile {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			got := transporttest.Ask(t, h, document, nil)
			if took := time.Since(started); took > 5*time.Second { // seconds without the guard; milliseconds with it
				t.Errorf("took %v", took)
			}
			if code := got.Code(); code != string(apierror.GraphQLParseFailed) && code != string(apierror.GraphQLValidationFailed) {
				t.Errorf("code %q: %.300s", code, got.Text)
			}
			if got.Data != nil || len(got.Text) > 16<<10 {
				t.Errorf("data %v, answer of %d bytes", got.Data, len(got.Text))
			}
		})
	}
	if len(f.passwords) > 0 {
		t.Errorf("%d logins", len(f.passwords))
	}
}

func TestUsualDocumentsPass(t *testing.T) {
	_, h := newHandler(t)
	introspection, err := os.ReadFile("testdata/introspection.graphql")
	if err != nil {
		t.Fatal(err)
	}
	body := `{email: "ada@example.org", password: "correct horse"}`
	for name, document := range map[string]string{
		"shorthand":        `{ hello }`,
		"named":            `query Greet { hello }`,
		"aliases":          `{ a: hello b: hello __typename }`,
		"a fragment":       `{ ...g } fragment g on Query { hello }`,
		"inline fragment":  `{ ... on Query { hello } ... @include(if: true) { b: hello } }`,
		"directives":       `query($no: Boolean = false) { hello @skip(if: $no) c: hello @include(if: $no) }`,
		"comments":         "# a\n{ hello # b\n }",
		"inline input":     `mutation { login(body: ` + body + `) { user { id } } }`,
		"two mutations":    `mutation { a: login(body: ` + body + `) { message } b: login_By_token(body: ` + body + `) { message } }`,
		"block string":     `mutation { login(body: {email: """ada@example.org""", password: "correct horse"}) { message } }`,
		"an escaped slash": `mutation { login(body: {email: "ada@example.org", password: "correct\u0020horse"}) { message } }`,
		"introspection":    string(introspection),
	} {
		t.Run(name, func(t *testing.T) {
			if got := transporttest.Ask(t, h, document, nil); len(got.Errors) > 0 || len(got.Data) == 0 {
				t.Errorf("%.300s", got.Text)
			}
		})
	}
}

// Strings arrive unchanged, although the library gets another spelling of the document.
func TestStringsArriveUnchanged(t *testing.T) {
	f, h := newHandler(t)
	for literal, want := range map[string]string{
		`"plain"`:                          "plain",
		`"a\/b"`:                           "a/b",
		`"quote \" back \\ "`:              `quote " back \ `,
		`"tab\tline\nbell\u0007"`:          "tab\tline\nbell\a",
		`"é 🦀 \u05d0 \ud83e\udd80"`:        "é 🦀 א 🦀",
		`"""block "quoted" \""" x"""`:      `block "quoted" """ x`,
		"\"\"\"\n  two\n    lines\n\"\"\"": "two\n  lines",
		`"$body ${x} %s \\x41"`:            `$body ${x} %s \x41`,
	} {
		f.passwords = nil
		document := `mutation { login(body: {email: "ada@example.org", password: ` + literal + `}) { message } }`
		if got := transporttest.Ask(t, h, document, nil); got.Code() != "" || !slices.Equal(f.passwords, []string{want}) {
			t.Errorf("%s arrived as %q, want %q: %s", literal, f.passwords, want, got.Text)
		}
	}
}

// A variable with a default is allowed where null is not, so the library would notice a
// null only after the first mutation has run.
func TestNothingRunsWithABadVariable(t *testing.T) {
	f, h := newHandler(t)
	document := `mutation($e: String = "a@b.co", $yes: Boolean = true) {
		register(body: {email: "ada@example.org", firstName: "Ada", lastName: "Lovelace", password: "correct horse"}) { message }
		login(body: {email: $e, password: "correct horse"}) @include(if: $yes) { message } }`
	for _, variable := range []string{"e", "yes"} {
		got := transporttest.Ask(t, h, document, map[string]any{variable: nil})
		if got.Code() != string(apierror.BadUserInput) || got.Data != nil || len(f.passwords) > 0 {
			t.Errorf("null for $%s: %s; %d registrations and logins", variable, got.Text, len(f.passwords))
		}
	}
}

// Concurrent requests share the tree of a cached document; the guard checks everything
// that depends on the request again.
func TestCachedDocumentsAreShared(t *testing.T) {
	_, h := newHandler(t)
	const document = `query a($on: Boolean!) { hello @include(if: $on) x: hello @skip(if: $on) } query b { hello }`
	body := func(name, on string) string {
		return `{"query":"` + document + `","operationName":"` + name + `","variables":{"on":` + on + `}}`
	}
	want := map[string]string{}
	for _, in := range []string{body("a", "true"), body("a", "false"), body("b", "true"), body("a", "null"), body("c", "true")} {
		h.guard.known.purge()
		want[in] = transporttest.Send(t, h, in).Text
	}
	if len(want) != 5 {
		t.Fatal(want)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for in, text := range want {
				if got := transporttest.Send(t, h, in).Text; got != text {
					t.Errorf("%s: %s, want %s", in, got, text)
				}
			}
		})
	}
	all.Wait()
}

func TestIntrospectionCanBeDisabled(t *testing.T) {
	_, h := newHandler(t, func(o *Options) { o.Introspection = false })
	for _, document := range []string{`{__schema{types{name}}}`, `{...f} fragment f on Query{__type(name:"User"){name}}`} {
		if got := transporttest.Ask(t, h, document, nil); got.Code() != string(apierror.GraphQLValidationFailed) {
			t.Errorf("%s: %s", document, got.Text)
		}
	}
	if got := transporttest.Ask(t, h, `{__typename hello}`, nil); got.Code() != "" {
		t.Errorf("__typename is disabled, too: %s", got.Text)
	}
}

// FuzzDocuments checks that no document causes a panic, that the guard and the library
// read it equally, and that the counted work stays within the bounds.
//
//	go test -run '^$' -fuzz '^FuzzDocuments$' -fuzztime 2m ./resolvers/transport
//
// testdata/fuzz keeps the findings.
func FuzzDocuments(f *testing.F) {
	for _, document := range corpus(f) {
		if len(document) < 2000 {
			f.Add(document)
		}
	}
	f.Add(transporttest.LoginDocument)
	f.Add(`{ a: hello @skip(if: false) ...f } fragment f on Query { hello }`)
	h, log := crowded(f)
	f.Fuzz(func(t *testing.T, document string) {
		log.Reset()
		if response := checkCost(t, h, document); response.Data != nil {
			checkWork(t, h.guard, document)
		}
		// Both show that the guard and the library read a document differently.
		for _, sign := range []string{"msg=panic", "graphql-go refused a document that the guard accepted"} {
			if strings.Contains(log.String(), sign) {
				t.Errorf("%q: %s", document, log)
			}
		}
	})
}

// checkWork counts the work of the later steps for an executed document.
func checkWork(t *testing.T, g *guard, document string) {
	t.Helper()
	doc, errs := g.checkDocument(document, "")
	if errs != nil {
		t.Fatalf("%q was executed and is refused now: %s", document, errs[0].Message)
	}
	fields, comparisons := fieldsIn(mergeSet(doc.operation.SelectionSet, nil))
	if fields > maxSelections || comparisons > maxSelections {
		t.Errorf("%q: %d fields, %d comparisons", document, fields, comparisons)
	}
	if values := doc.others.maxValues(doc.variables); values > maxValues {
		t.Errorf("%q: %d values", document, values)
	}
}

// checkDocument reads and checks a document without variables.
func (g *guard) checkDocument(document, operationName string) (checked, []*gqlError) {
	doc, errs := g.read(sha256.Sum256([]byte(document)), document)
	if errs != nil {
		return checked{}, errs
	}
	operation, errs := g.operation(doc, operationName)
	if errs != nil {
		return checked{}, errs
	}
	return g.check(operation, nil)
}

func fieldsIn(s selections) (fields, comparisons int) {
	for _, one := range s {
		inner, compared := fieldsIn(one.Fields)
		fields += 1 + inner
		comparisons += len(one.Also) + compared
	}
	return fields, comparisons
}

package transport

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"cubegate/resolvers/transport/transporttest"
)

// corpus returns all hostile documents, and valid ones that request as much as the
// bounds allow. No document may cost more than the bounds below.
func corpus(t testing.TB) map[string]string {
	all := map[string]string{}
	for name, document := range hostile {
		all[name] = document
	}
	for name, document := range expensive {
		all[name] = document
	}
	introspection, err := os.ReadFile("testdata/introspection.graphql")
	if err != nil {
		t.Fatal(err)
	}
	all["full introspection"] = string(introspection)
	for i, variant := range introspectionVariants() {
		if i%16 == 0 {
			all[fmt.Sprintf("introspection variant %d", i)] = variant
		}
	}
	return all
}

// times repeats a text n times.
func times(n int, text string) string { return strings.Repeat(text+" ", n) }

// nested wraps text in n inline fragments, each preceded by before.
func nested(n int, before, text string) string {
	return strings.Repeat("...{"+before, n) + text + strings.Repeat("}", n)
}

// inEach returns a document whose fragments all spread the first one, so that each
// operation and fragment is validated with the whole body.
func inEach(operations, fragments int, on, root, body string) string {
	var b strings.Builder
	for i := range operations {
		fmt.Fprintf(&b, "query q%d{%s}", i, fmt.Sprintf(root, "...f0"))
	}
	fmt.Fprintf(&b, "fragment f0 on %s{%s}", on, body)
	for i := 1; i < fragments; i++ {
		fmt.Fprintf(&b, "fragment f%d on %s{...f0}", i, on)
	}
	return b.String()
}

const conflictingPair = "hello hello:__typename "

// expensive lists documents that were expensive, or are meant to be.
var expensive = map[string]string{
	// The validator's overlap rule compared all of these pairwise, again for each
	// enclosing inline fragment.
	"conflicts in 298 inline fragments":        "{" + nested(298, times(1, conflictingPair), "hello") + "}",
	"100 conflicts under 298 fragments":        "{" + nested(298, "", times(100, conflictingPair)) + "}",
	"100 conflicts under 15 fragments":         "{" + nested(15, "", times(100, conflictingPair)) + "}",
	"conflicts in 15 inline fragments":         "{me{" + nested(14, times(16, "id id:email"), "id") + "}}",
	"249 flat pairs":                           "{" + times(249, "hello hello:__typename") + "}",
	"249 flat pairs in two operations":         "query a{" + times(120, conflictingPair) + "}query b{" + times(120, conflictingPair) + "}",
	"200 pairs below a field":                  "{me{" + times(240, "id id:email") + "}}",
	"200 equal fields below a field":           "{me{" + times(480, "id") + "}}",
	"equal fields in 14 levels of fragments":   "{me{" + nested(14, times(30, "id"), "id") + "}}",
	"equal objects with equal objects":         "{users{" + times(60, "items{id email roles}") + "}}",
	"equal objects, conflicts at the bottom":   "{users{" + times(60, "items{id id:email}") + "}}",
	"conflicts across 40 fragments":            "{me{" + spreadNames(40) + "}}" + fragmentsOf(40, "Profile", "id x:email x:id"),
	"equal fields across 48 fragments":         "{me{" + spreadNames(48) + "}}" + fragmentsOf(48, "Profile", "id email roles"),
	"a name of 14 KB everywhere":               strings.ReplaceAll(inEach(10, 49, "Mutation", "%s", strings.Repeat("n", 14000)), "query", "mutation"),
	"a name of 14 KB below":                    inEach(10, 49, "Event", "audit{items{%s}}", strings.Repeat("n", 14000)),
	"an argument of 14 KB":                     inEach(10, 49, "Query", "%s", "hello("+strings.Repeat("n", 14000)+":1)"),
	"an input field of 14 KB":                  inEach(10, 49, "Query", "%s", "users(filter:{"+strings.Repeat("n", 14000)+":1}){next}"),
	"a type of 14 KB":                          "query($v:" + strings.Repeat("N", 14000) + "){hello}",
	"a condition of 14 KB":                     inEach(10, 49, "Query", "%s", "...on "+strings.Repeat("N", 14000)+"{hello}"),
	"a directive of 14 KB":                     inEach(10, 20, "Query", "%s", "hello@"+strings.Repeat("n", 14000)),
	"names of 100 characters everywhere":       inEach(10, 49, "Query", "%s", times(60, strings.Repeat("n", 99))),
	"long arguments that differ at the end":    "query($v:Int){users{" + times(10, "items{id}") + "} a:users(filter:{text:\"x\"}){next} " + times(10, "a:users(filter:{text:\"y\"}){next}") + "}",
	"deep lists as arguments, repeated":        "{" + times(19, "hello(x:"+strings.Repeat("[", 40)+strings.Repeat("]", 40)+")") + "}",
	"wide objects as arguments, repeated":      "{" + times(9, "hello(x:{"+transporttest.Aliases(100, "1")+"})") + "}",
	"a fragment with 300 arguments 40 times":   "{" + times(40, "...f") + "}fragment f on Query{hello(" + transporttest.Aliases(300, "1") + ")}",
	"a fragment with 300 arguments everywhere": inEach(10, 49, "Query", "%s", "hello("+transporttest.Aliases(300, "1")+")"),
	"400 unknown fields everywhere":            inEach(10, 49, "Query", "%s", transporttest.Aliases(400, "helo")),
	"90 unknown fields everywhere":             inEach(10, 49, "Query", "%s", transporttest.Aliases(60, "helo")),
	"90 unknown fields below everywhere":       inEach(10, 49, "Profile", "me{%s}", transporttest.Aliases(60, "emial")),
	"unknown arguments everywhere":             inEach(10, 49, "Query", "%s", transporttest.Aliases(15, "users(fliter:1 paeg:2){nxet}")),
	"unknown types":                            "query(" + typed(300, "Sting") + "){hello}",
	"unknown types, inline":                    "{" + times(300, "...on Qery{hello}") + "}",
	"unknown fragments":                        "{" + spreadNames(450) + "}",
	"unknown directives":                       "{hello" + strings.Repeat("@skp(if:true)", 49) + "}",
	"unknown input fields":                     "{users(filter:{" + transporttest.Aliases(400, "1") + "}){next}}",
	"wrong enums and numbers":                  "{users(page:{limit:" + strings.Repeat("9", 4000) + "}){next}}",
	"a long unknown name, 30 times":            "{" + times(20, strings.Repeat("n", 700)) + "}",
	"undefined variables":                      "{" + times(20, "users(filter:{text:$v role:$w}){next}") + "}",
	"unused variables in ten operations":       manyOperations(10, func(i int) string { return "($" + strings.Join(strings.Fields(variables(50)), " ")[1:] + "){hello}" }),
	"variables in many fragments":              "query(" + variables(150) + "){" + spreadNames(40) + "}" + fragmentsOf(40, "Query", "users(page:{limit:$v1}){next}"),
	"duplicate variables":                      "query(" + strings.Repeat("$v:Int ", 400) + "){hello}",
	"duplicate arguments":                      "{users(" + strings.Repeat("page:{} ", 300) + "){next}}",
	"duplicate input fields":                   "{users(page:{" + strings.Repeat("limit:1 ", 400) + "}){next}}",
	"duplicate operations":                     strings.Repeat("query a{hello}", 10),
	"duplicate fragments":                      "{...f}" + strings.Repeat("fragment f on Query{hello}", 50),
	"mutations by inline fragments":            "mutation{" + nested(10, "", transporttest.Aliases(3, "logout{message}")) + "}",
	"300 root fields":                          "{" + transporttest.Aliases(300, "sessions{id}") + "}",
	"root fields by fragments":                 "{" + times(30, "...f") + "}fragment f on Query{" + transporttest.Aliases(10, "sessions{id}") + "}",
	"20 times all users":                       "{" + transporttest.Aliases(20, "users{items{id email firstName lastName roles}}") + "}",
	"a page with 480 names":                    "{users{items{" + transporttest.Aliases(480, "email") + "}}}",
	"a page with 90 names":                     "{users{items{" + transporttest.Aliases(90, "email") + "}}}",
	"the audit with 90 names":                  "{audit{items{" + transporttest.Aliases(90, "detail") + "}}}",
	"sessions with 90 names":                   "{sessions{" + transporttest.Aliases(90, "device") + "}}",
	"20 sessions":                              "{" + transporttest.Aliases(20, "sessions{id device}") + "}",
	// Introspection: small requests with large answers.
	"480 descriptions":                 "{__schema{types{fields{type{ofType{fields{" + transporttest.Aliases(480, "description") + "}}}}}}}",
	"480 descriptions of types":        "{__schema{types{" + transporttest.Aliases(480, "description") + "}}}",
	"10 times the types of the fields": "{__schema{" + transporttest.Aliases(10, "types{fields{type{ofType{fields{name description}}}}}") + "}}",
	"20 schemas":                       "{" + transporttest.Aliases(20, "__schema{types{name description fields{name description}}}") + "}",
	"20 schemas, one each":             "{" + transporttest.Aliases(20, "__schema{types{name}}") + "}",
	"20 types":                         "{" + transporttest.Aliases(20, `__type(name:"Query"){name fields{name description args{name description}}}`) + "}",
	"directives with 400 names":        "{__schema{directives{" + transporttest.Aliases(400, "description") + "}}}",
	"types of types of types":          "{__schema{types{fields{args{type{inputFields{type{ofType{inputFields{name}}}}}}}}}}",
	"ofType 12 deep":                   "{__schema{types{fields{type" + strings.Repeat("{ofType", 10) + "{name}" + strings.Repeat("}", 10) + "}}}}",
	"a type that is not there":         `{__type(name:"Nope"){name fields{name}}}`,
	"introspection beside data":        "{hello __schema{queryType{name}} b:hello}",
	"introspection that is skipped":    "query($no:Boolean=true){__schema@skip(if:$no){types{name}} hello}",
	"everything skipped":               "{hello@skip(if:true)}",
	"a fragment skipped":               "{...f@include(if:false) hello}fragment f on Query{me{id}}",
	"16 levels of inline fragments":    "{" + nested(15, "", "hello") + "}",
	"deferred":                         "{...@defer{hello}}",
	"brackets":                         strings.Repeat("{", 2000),
	"strings of 8 KB":                  `{hello(x:"` + strings.Repeat(`\u00e9`, 1300) + `")}`,
	"block strings":                    `{hello(x:"""` + strings.Repeat("\n x", 2000) + `""")}`,
	"numbers":                          "{hello(x:[" + strings.Repeat("1.5e300 ", 900) + "])}",
	"names beyond ASCII":               "{héllo}",
	"5 000 carriage returns":           "{hello" + strings.Repeat("\r\n", 5000) + "}",
	"subscriptions":                    "subscription{" + transporttest.Aliases(300, "hello") + "}",
	"200 typenames":                    "{me{" + transporttest.Aliases(200, "__typename") + "}}",
}

func spreadNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "...f%d ", i)
	}
	return b.String()
}

func fragmentsOf(n int, on, body string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment f%d on %s{%s}", i, on, body)
	}
	return b.String()
}

func typed(n int, name string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "$v%d:%s ", i, name)
	}
	return b.String()
}

func manyOperations(n int, body func(int) string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "query q%d%s", i, body(i))
	}
	return b.String()
}

// withToken returns a context with an access token.
func withToken(ctx context.Context) context.Context {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer good")
	Bearer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).ServeHTTP(nil, r)
	return ctx
}

// sizeOf returns the size of a response, in bytes.
func sizeOf(r gqlResponse) int {
	size := 0
	for _, part := range r.parts() {
		size += len(part)
	}
	return size
}

// exec executes one document.
func (h *Handler) exec(ctx context.Context, document string) (gqlResponse, error) {
	j, err := h.judge(ctx, gqlRequest{Query: &document})
	if err != nil {
		return gqlResponse{}, err
	}
	return h.execute(ctx, j)
}

// Bounds of the cost of one document.
const (
	mostAllocated = 32 << 20 // bytes, in all
	mostAnswered  = 1 << 20  // bytes
)

// checkCost fails the test if a document exceeds the bounds. It returns the answer,
// whose room is released.
func checkCost(t *testing.T, h *Handler, document string) gqlResponse {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	response, err := h.exec(withToken(t.Context()), document)
	runtime.ReadMemStats(&after)
	defer response.room.release()
	if err != nil {
		t.Fatal(err)
	}
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > mostAllocated {
		t.Errorf("%.200q allocates %d KiB", document, bytes>>10)
	}
	if size := sizeOf(response); size > mostAnswered {
		t.Errorf("%.200q is answered with %d bytes", document, size)
	}
	return response
}

func TestCostOfDocuments(t *testing.T) {
	h, _ := crowded(t)
	for name, document := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			checkCost(t, h, document)
		})
	}
}

// BenchmarkCorpus measures the time of each document, which should be less than 50 ms
// of one core.
//
//	go test -run '^$' -bench Corpus -benchtime 3x ./resolvers/transport | sort -k3 -n | tail
func BenchmarkCorpus(b *testing.B) {
	h, _ := crowded(b)
	for name, document := range corpus(b) {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.answered.Purge() // measure the first execution
				response, err := h.exec(withToken(b.Context()), document)
				if err != nil {
					b.Fatal(err)
				}
				response.room.release()
			}
		})
	}
}

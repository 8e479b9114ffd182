package transport

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"cubegate/resolvers/transport/transporttest"

	"github.com/vektah/gqlparser/v2/ast"
)

// purge forgets all documents.
func (d *documents) purge() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known.Purge()
}

// holds reports whether a document is cached.
func (d *documents) holds(document string) bool {
	return d.find(sha256.Sum256([]byte(document))) != nil
}

// The cache keeps valid documents, and no mutation that may contain a password.
func TestCacheKeepsDocumentsWithoutSecrets(t *testing.T) {
	_, h := newHandler(t)
	for _, tt := range []struct {
		name, document string
		kept           bool
	}{
		{"a query", `{ hello }`, true},
		{"a mutation with a variable", `mutation($body: LoginUserDto!) { login(body: $body) { message } }`, true},
		{"a mutation without arguments", `mutation { logout { message } }`, true},
		{"a query with a text", `{ users(filter: {text: "ada"}) { next } }`, true},
		{"a query with an object", `{ users(page: {limit: 3}) { next } }`, true},
		{"a long query", `{ hello }` + strings.Repeat(" ", 10<<10), true},
		{"a mutation with a text", `mutation { login(body: {email: "a@example.org", password: "guess"}) { message } }`, false},
		{"a mutation with a block of text", `mutation { login(body: {email: "a@example.org", password: """guess"""}) { message } }`, false},
		{"a mutation with an object of variables", `mutation($e: String!, $p: String!) { login(body: {email: $e, password: $p}) { message } }`, false},
		{"a text as the default of a variable", `mutation($p: String! = "guess", $e: String!) { login(body: {email: $e, password: $p}) { message } }`, false},
		{"an object as the default of a variable", `mutation($b: LoginUserDto! = {email: "a", password: "guess"}) { login(body: $b) { message } }`, false},
		{"a text as an argument", `mutation { revokeSession(id: "guess") { message } }`, false},
		{"a block of text as an argument", `mutation { revokeSession(id: """guess""") { message } }`, false},
		{"a mutation with a text in a fragment", `mutation { ...f } fragment f on Mutation { revokeSession(id: "guess") { message } }`, false},
		{"a mutation in an inline fragment", `mutation { ... on Mutation { revokeSession(id: "guess") { message } } }`, false},
		{"a mutation with a text beside a query", `query a { hello } mutation b { revokeSession(id: "guess") { message } }`, false},
		{"invalid", `{ nothing }`, false},
		{"invalid arguments", `mutation { login(body: 3) { message } }`, false},
		{"cut off", `{ hello`, false},
		{"past a bound", "{" + transporttest.Aliases(maxRootFields+1, "hello") + "}", false},
		{"too long", `{ hello }` + strings.Repeat(" ", maxDocument), false},
	} {
		h.guard.known.purge()
		first, second := transporttest.Ask(t, h, tt.document, nil), transporttest.Ask(t, h, tt.document, nil)
		if first.Text != second.Text {
			t.Errorf("%s: answered %s, then %s", tt.name, first.Text, second.Text)
		}
		if h.guard.known.holds(tt.document) != tt.kept {
			t.Errorf("%s: kept %v: %s", tt.name, !tt.kept, first.Text)
		}
	}
}

// The cache counts the memory of trees, not the length of texts.
func TestCacheIsBoundedInBytes(t *testing.T) {
	_, h := newHandler(t)
	large := func(n int) string {
		return fmt.Sprintf("query q%d {", n) + transporttest.Aliases(20, "users { items { id email firstName lastName roles disabled createdAt accountStatus } }") + "}"
	}
	const asked = 300
	for n := range asked {
		h.readValid(t, large(n))
		h.checkCache(t)
	}
	if h.guard.known.holds(large(0)) || !h.guard.known.holds(large(asked-1)) {
		t.Error("the cache must forget the oldest document, and keep the newest one")
	}
	for n := range 2 * maxKnown { // small ones
		h.readValid(t, fmt.Sprintf("query q%d { hello }", n))
	}
	h.checkCache(t)
	if kept := h.guard.known.known.Len(); kept < 500 {
		t.Errorf("4 MiB hold %d small documents", kept)
	}
	h.guard.known.purge()
	for range 3 { // as requests do that arrive together
		h.readValid(t, "{ hello }")
	}
	h.checkCache(t)
	h.guard.known.purge()
	if h.guard.known.bytes != 0 {
		t.Errorf("an empty cache counts %d bytes", h.guard.known.bytes)
	}
}

func (h *Handler) readValid(t *testing.T, document string) {
	t.Helper()
	if _, errs := h.guard.read(sha256.Sum256([]byte(document)), document); errs != nil {
		t.Fatalf("%.80q: %s", document, errs[0].Message)
	}
}

func (h *Handler) checkCache(t *testing.T) {
	t.Helper()
	sum := 0
	for _, one := range h.guard.known.known.Values() {
		sum += one.bytes
	}
	if sum != h.guard.known.bytes || sum > maxKnownBytes {
		t.Fatalf("documents of %d bytes; counted %d, bound %d", sum, h.guard.known.bytes, maxKnownBytes)
	}
}

// The count of a document's memory is that of the heap.
func TestDocumentsAreMeasuredLikeTheHeap(t *testing.T) {
	_, h := newHandler(t)
	introspection, err := os.ReadFile("testdata/introspection.graphql")
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]string{
		"hello":         "{ hello }",
		"introspection": string(introspection),
		"variables":     `query($a: Int = 3) { users(page: {limit: $a}) { next } x: users(filter: {text: "\u00e9t\u00e9"}) { next } ...f @skip(if: true) } fragment f on Query { y: __type(name: "Query") { name } }`,
		"spaces":        "{ hello }" + strings.Repeat(" ", 8<<10),
		"comments":      "{ hello }" + strings.Repeat("# x\n", 1<<10),
		"block":         `{ users(filter: {text: """` + strings.Repeat("x\n", 1<<10) + `"""}) { next } }`,
	} {
		trees, texts := make([]*ast.QueryDocument, 100), make([]string, 100)
		h.guard.known.purge()
		before := heap()
		for i := range trees {
			texts[i] = strings.Clone(document)
			doc, errs := h.guard.read(digest{byte(i)}, texts[i])
			if errs != nil {
				t.Fatalf("%s: %s", name, errs[0].Message)
			}
			trees[i] = doc
			h.guard.known.purge()
		}
		held := int(heap()-before) / len(trees)
		counted := measureDocument(texts[0], trees[0]).bytes
		runtime.KeepAlive(trees)
		if counted < held*9/10 || counted > held*3/2 {
			t.Errorf("%s: counted %d bytes, the heap holds %d", name, counted, held)
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

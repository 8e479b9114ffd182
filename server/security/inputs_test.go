package security

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cubegate/resolvers"
	"cubegate/resolvers/identity"
	"cubegate/server/servertest"

	"github.com/go-chi/chi/v5"
)

// inputClass says what an input can do. SECURITY.md has the advisories behind the
// classes that are not used yet.
type inputClass string

const (
	plainText   inputClass = "text that is stored or compared, and is followed nowhere"
	ownID       inputClass = "an ID, which works only with the caller's rights"
	credential  inputClass = "a password or a token"
	listControl inputClass = "selects or orders a list"

	// An input of one of these classes needs a guard: a test that shows that the server
	// follows no foreign URL, believes no foreign issuer, links no account by an
	// unverified email, and bounds the guesses of a code.
	takesURL     inputClass = "a URL"
	namesIssuer  inputClass = "an issuer, a provider or a token of one"
	secondFactor inputClass = "a second factor, a confirmation or a code"
)

// inputs classifies each input of each operation, by its name, which has one meaning in
// all operations.
var inputs = map[string]struct {
	class inputClass
	guard string // the test; required for the classes that need one
}{
	"email": {class: plainText}, "firstName": {class: plainText}, "lastName": {class: plainText}, "name": {class: plainText},
	"roles": {class: plainText}, "role": {class: listControl}, "kind": {class: listControl}, "text": {class: listControl},
	"disabled": {class: listControl}, "after": {class: listControl}, "limit": {class: listControl},
	"id": {class: ownID}, "userId": {class: ownID},
	"password": {class: credential}, "current": {class: credential}, "new": {class: credential},
	"refreshToken": {class: credential}, "token": {class: credential}, "X-CIdP-Secret": {class: credential},
}

// needGuard are the classes of inputs that other servers of this kind believed.
var needGuard = []inputClass{takesURL, namesIssuer, secondFactor}

// description is openapi.json, as far as inputs are concerned.
type description struct {
	Paths map[string]map[string]struct {
		Parameters  []struct{ Name string }
		RequestBody struct {
			Content map[string]struct{ Schema any }
		}
	}
	Components struct{ Schemas map[string]any }
}

// members returns the names of all members of the objects that fit a JSON schema.
func (d description) members(node any) (names []string) {
	switch n := node.(type) {
	case []any:
		for _, one := range n {
			names = append(names, d.members(one)...)
		}
	case map[string]any:
		if ref, ok := n["$ref"].(string); ok {
			return d.members(d.Components.Schemas[ref[strings.LastIndex(ref, "/")+1:]])
		}
		properties, _ := n["properties"].(map[string]any)
		for name, inner := range properties {
			if below := d.members(inner); len(below) > 0 {
				names = append(names, below...) // an object, whose own members count
			} else {
				names = append(names, name)
			}
		}
		for _, key := range []string{"allOf", "anyOf", "oneOf", "items"} {
			names = append(names, d.members(n[key])...)
		}
	}
	return names
}

// restInputs returns the inputs that openapi.json describes, by "METHOD path".
func restInputs(t *testing.T, r *servertest.Server) map[string][]string {
	t.Helper()
	var d description
	if err := json.Unmarshal([]byte(r.Request(t, http.MethodGet, "/openapi.json", "").Body), &d); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for path, methods := range d.Paths {
		for method, endpoint := range methods {
			at := strings.ToUpper(method) + " " + path
			for _, p := range endpoint.Parameters {
				found[at] = append(found[at], p.Name)
			}
			for _, body := range endpoint.RequestBody.Content {
				found[at] = append(found[at], d.members(body.Schema)...)
			}
		}
	}
	return found
}

// Each input of each operation and route is classified. A new input fails this test until
// it has a class, and a URL, an issuer or a second factor until it also has a guard.
// authorizer checked the URL of a redirect in all handlers except one (CVE-2026-54072,
// GHSA-x3f4-v83f-7wp2).
func TestEveryInputIsClassified(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	seen := map[string]string{} // by name: a place
	for _, c := range readSchema(t, r).calls() {
		for _, path := range c.leaves {
			seen[path[len(path)-1]] = c.name + "(" + strings.Join(path, ".") + ")"
		}
	}
	rest := restInputs(t, r)
	for at, names := range rest {
		for _, name := range names {
			seen[name] = at + ", " + name
		}
	}
	if len(rest["POST /auth/login"]) < 3 || len(rest["GET /auth/verify-connectycube"]) == 0 {
		t.Fatalf("the test misses inputs of REST: %v", rest)
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if _, ok := inputs[name]; !ok {
			t.Errorf("%s is a new input: classify it in inputs; see the table in SECURITY.md", seen[name])
		}
	}
	for name, in := range inputs {
		if _, ok := seen[name]; !ok {
			t.Errorf("no operation has the input %s", name)
		}
		if slices.Contains(needGuard, in.class) && in.guard == "" {
			t.Errorf("%s is %s: name the test that guards it", name, in.class)
		}
	}
}

// routesWithoutInput are the routes that read nothing but their path and headers for the
// form of a response.
var routesWithoutInput = []string{
	"GET /", "GET /healthz", "GET /readyz", "GET /docs", "GET /openapi.json", "GET /.well-known/jwks.json", "/api/playground/*",
	"/docs/reference/*", "/welcome/*",
}

// Each mounted route is GraphQL, the twin of an operation, or listed as one that takes no
// input. So no handler beside them can take a URL, an issuer or a code.
func TestEveryRouteIsClassified(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"GET /api": true, "POST /api": true}
	for _, op := range resolvers.Operations() {
		methods, path, _ := strings.Cut(op.REST, " ")
		for method := range strings.SplitSeq(methods, ",") {
			known[method+" "+path] = true
		}
	}
	routes := 0
	err := chi.Walk(servertest.Start(t, nil).Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes++
		if !known[method+" "+route] && !slices.Contains(routesWithoutInput, method+" "+route) && !slices.Contains(routesWithoutInput, route) {
			t.Errorf("%s %s is a new route: make it a row of resolvers.Operations, or classify it here", method, route)
		}
		return nil
	})
	if err != nil || routes < 15 {
		t.Errorf("%d routes, %v", routes, err)
	}
}

// proofs says which proof an operation that logs a user in needs. Each has one step: no
// login is half done, so none can be used before a second factor (GHSA-xg6x-h9c9-2m83),
// and there is no level of assurance to skip (CVE-2024-45042). A second factor comes with
// rows here, and with a test of each combination.
var proofs = map[string]string{
	"register": "password", "login": "password", "login_By_token": "password", "refresh": "refresh token",
}

// Only the operations in proofs return tokens, and there are no callers between a stranger
// and a user: identity knows three roles.
func TestOnlyListedOperationsLogIn(t *testing.T) {
	t.Parallel()
	s := readSchema(t, servertest.Start(t, nil))
	credentials := []string{"token", "refreshToken", "chatTicket", "connectySession", "deviceToken"}
	issues := map[string]bool{}
	for _, root := range []string{"Query", "Mutation"} {
		for _, f := range s[root].Fields {
			for _, field := range s[f.Type.innermost().Name].Fields {
				issues[f.Name] = issues[f.Name] || slices.Contains(credentials, field.Name)
			}
			if issues[f.Name] != (proofs[f.Name] != "") {
				t.Errorf("%s returns credentials: %t, and its proof is %q", f.Name, issues[f.Name], proofs[f.Name])
			}
		}
	}
	for _, op := range resolvers.Operations() {
		if !slices.Contains([]identity.Role{identity.RoleAnyone, identity.RoleUser, identity.RoleAdmin}, op.Role) {
			t.Errorf("%s has the new role %v: try it with each kind of login", op.Name, op.Role)
		}
		if issues[op.Name] && len(op.Costs) == 0 {
			t.Errorf("%s logs in and its guesses cost nothing", op.Name)
		}
	}
}

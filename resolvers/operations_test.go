package resolvers

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cubegate/middleware"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/transport/transporttest"
	"cubegate/store"

	"github.com/go-chi/chi/v5"
)

// twins returns the REST routes of a row, such as "GET /auth/me".
func (op Operation) twins() (list []string) {
	methods, path, ok := strings.Cut(op.REST, " ")
	if !ok {
		return nil
	}
	for method := range strings.SplitSeq(methods, ",") {
		list = append(list, method+" "+path)
	}
	return list
}

// schemaOperations returns the type of each operation's response, by name.
func schemaOperations(t *testing.T) map[string]string {
	t.Helper()
	_, h := newAPI(t)
	got := transporttest.Ask(t, h, `{__schema{queryType{...f} mutationType{...f}}} fragment f on __Type{fields(includeDeprecated:true){name type{name ofType{name}}}}`, nil)
	out := map[string]string{}
	for _, root := range got.Data["__schema"].(map[string]any) {
		for _, f := range root.(map[string]any)["fields"].([]any) {
			field := f.(map[string]any)
			inner, _ := field["type"].(map[string]any)["ofType"].(map[string]any)
			name, _ := inner["name"].(string)
			out[field["name"].(string)] = name
		}
	}
	return out
}

func TestEveryOperationOfTheSchemaHasOneRow(t *testing.T) {
	schema := schemaOperations(t)
	seen := map[string]bool{}
	for _, op := range Operations() {
		if seen[op.Name] {
			t.Errorf("%s has two rows", op.Name)
		}
		seen[op.Name] = true
		result, ok := schema[op.Name]
		if !ok && op.Name != opVerify.Name {
			t.Errorf("%s is not in the schema", op.Name)
		}
		tells := slices.Contains([]string{"Done", "LoginResponse", "UserResgisterResponse"}, result)
		if tells != (op.Message != "") {
			t.Errorf("%s returns %q, and its message is %q", op.Name, result, op.Message)
		}
	}
	for name := range schema {
		if !seen[name] {
			t.Errorf("%s has no row", name)
		}
	}
}

// A row that Operations does not list is compared with nothing.
func TestOperationsListsEveryRow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "operations.go", nil, 0)
	must(t, err)
	rows := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "op") {
			rows++
		}
		return true
	})
	if rows != len(Operations()) {
		t.Errorf("operations.go has %d rows, Operations lists %d", rows, len(Operations()))
	}
}

func TestRoutesAreThoseOfTheRows(t *testing.T) {
	r := chi.NewRouter()
	newFakes(t).Mount(r, r)
	var mounted, rows []string
	must(t, chi.Walk(r, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		mounted = append(mounted, method+" "+route)
		return nil
	}))
	for _, op := range Operations() {
		rows = append(rows, op.twins()...)
	}
	slices.Sort(mounted)
	slices.Sort(rows)
	if !slices.Equal(mounted, rows) {
		t.Errorf("mounted %q, the rows have %q", mounted, rows)
	}
}

// openapi.json says of each twin which token it needs.
func TestOpenAPIHasTheRoles(t *testing.T) {
	raw, err := os.ReadFile("openapi/openapi.json")
	must(t, err)
	var described struct {
		Paths map[string]map[string]struct{ Security []map[string]any }
	}
	must(t, json.Unmarshal(raw, &described))
	twins := 0
	for _, op := range Operations() {
		for _, twin := range op.twins() {
			twins++
			method, path, _ := strings.Cut(twin, " ")
			endpoint, ok := described.Paths[path][strings.ToLower(method)]
			needs := len(endpoint.Security) == 1 && endpoint.Security[0]["accessToken"] != nil
			if !ok || needs != (op.Role == identity.RoleUser) {
				t.Errorf("%s is described as %+v, and its role is %d", twin, endpoint, op.Role)
			}
		}
	}
	for path, endpoints := range described.Paths {
		if strings.HasPrefix(path, "/auth/") {
			twins -= len(endpoints)
		}
	}
	if twins != 0 {
		t.Errorf("openapi.json lacks %d endpoints of the rows", twins)
	}
}

// openapi.json has the codes of each row, with a sentence and an example for each one.
func TestOpenAPIHasTheCodes(t *testing.T) {
	raw, err := os.ReadFile("openapi/openapi.json")
	must(t, err)
	type response struct {
		Description string
		Content     map[string]struct{ Examples map[string]any }
	}
	var described struct {
		Paths map[string]map[string]struct{ Responses map[string]response }
	}
	must(t, json.Unmarshal(raw, &described))
	sentence := regexp.MustCompile("(?m)^`([A-Z_]+)`: [A-Za-z].*\\.$")
	for _, op := range Operations() {
		got := map[apierror.Code]bool{}
		for _, twin := range op.twins() {
			method, path, _ := strings.Cut(twin, " ")
			for status, r := range described.Paths[path][strings.ToLower(method)].Responses {
				sentences := sentence.FindAllStringSubmatch(r.Description, -1)
				examples := r.Content["application/problem+json"].Examples
				if len(sentences) != len(examples) {
					t.Errorf("%s %s: %d sentences, %d examples", twin, status, len(sentences), len(examples))
				}
				for _, s := range sentences {
					code := apierror.Code(s[1])
					if got[code] = true; strconv.Itoa(code.Status()) != status || examples[s[1]] == nil {
						t.Errorf("%s: %s is at %s, with the example %v", twin, code, status, examples[s[1]])
					}
				}
			}
		}
		want := map[apierror.Code]bool{}
		for _, code := range op.Refusals() {
			want[code] = true
		}
		if op.REST != "" && !maps.Equal(got, want) {
			t.Errorf("%s: openapi.json has %v, the row %v", op.Name, got, want)
		}
	}
}

// The schema names no other codes than the row. It leaves out those that go without saying.
func TestSchemaNamesTheCodesOfTheRow(t *testing.T) {
	field := regexp.MustCompile(`(?s)"""(.*?)"""\s+(\w+)`)
	code := regexp.MustCompile(`\b[A-Z]+_[A-Z_]+\b|\bFORBIDDEN\b|\bCONFLICT\b|\bUNAUTHENTICATED\b`)
	descriptions := map[string]string{}
	for _, f := range field.FindAllStringSubmatch(schemaText, -1) {
		descriptions[f[2]] += f[1]
	}
	named := 0
	for _, op := range Operations() {
		text, _, _ := strings.Cut(descriptions[op.Name], "Errors of every operation")
		for _, c := range code.FindAllString(text, -1) {
			named++
			if !slices.Contains(op.Refusals(), apierror.Code(c)) {
				t.Errorf("%s: the schema names %s, the row has %v", op.Name, c, op.Refusals())
			}
		}
	}
	if named < 20 {
		t.Errorf("the schema names %d codes; the test misses them", named)
	}
}

// A page of another origin may call each twin.
func TestCORSAllowsTheMethodsOfTheRows(t *testing.T) {
	const origin = "https://app.example.org"
	cors, err := middleware.CORS([]string{origin})
	must(t, err)
	h := cors(http.NotFoundHandler())
	for _, op := range Operations() {
		for _, twin := range op.twins() {
			method, path, _ := strings.Cut(twin, " ")
			r := httptest.NewRequest(http.MethodOptions, path, nil)
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", method)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Header().Get("Access-Control-Allow-Methods") != method {
				t.Errorf("%s: %v", twin, w.Header())
			}
		}
	}
}

// Two kinds belong to no operation: a login evicts the oldest login session, and every
// operation can be forbidden.
func TestEveryAuditKindHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../store/audit.go", nil, 0)
	must(t, err)
	kinds := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "AuditKind" {
			kinds[strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)] = true
		}
		return true
	})
	delete(kinds, string(store.AuditEvict))
	delete(kinds, string(store.AuditForbidden))
	if len(kinds) < 10 {
		t.Fatalf("%d kinds found; the test misses the constants", len(kinds))
	}
	used := map[string]bool{}
	for _, op := range Operations() {
		if op.Audit != "" {
			used[string(op.Audit)] = true
		}
		if op.Audit != "" && !kinds[string(op.Audit)] {
			t.Errorf("%s records the unknown kind %q", op.Name, op.Audit)
		}
	}
	for kind := range kinds {
		if !used[kind] {
			t.Errorf("no operation records the kind %q", kind)
		}
	}
}

// If run refuses a caller, the operation does not run.
func TestRunRefusesByTheRole(t *testing.T) {
	f := newFakes(t)
	ran := 0
	do := func(_ context.Context, c identity.Caller, _ none) (none, error) {
		ran++
		return none{}, nil
	}
	stranger, ada := asked(t), asked(t, "Bearer good "+adaID)
	for _, tt := range []struct {
		role          identity.Role
		stranger, ada apierror.Code
	}{
		{0, apierror.Unauthenticated, apierror.Forbidden},
		{identity.RoleAnyone, "", ""},
		{identity.RoleUser, apierror.Unauthenticated, ""},
		{identity.RoleAdmin, apierror.Unauthenticated, apierror.Forbidden},
	} {
		for name, check := range map[string]struct {
			ctx  context.Context
			want apierror.Code
		}{"stranger": {stranger, tt.stranger}, "ada": {ada, tt.ada}} {
			ran = 0
			_, err := run(check.ctx, f.API, Operation{Name: "test", Role: tt.role}, none{}, do)
			if (err == nil) != (check.want == "") || err != nil && Outward(err).Code != check.want || (ran == 1) != (err == nil) {
				t.Errorf("role %d, %s: %v, want %q; ran %d times", tt.role, name, err, check.want, ran)
			}
		}
	}
}

// A client must be able to log in while it still sends an expired token.
func TestRunIgnoresTheTokenOfAnyone(t *testing.T) {
	f := newFakes(t)
	for _, header := range []string{"Bearer old", "Basic good", "Bearer"} {
		if _, err := run(asked(t, header), f.API, opLogin, credentials, f.API.sessions.login); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestRunPassesTheCallerAndTheRow(t *testing.T) {
	f := newFakes(t)
	op := Operation{Name: "test", Role: identity.RoleUser, Costs: []identity.Cost{identity.CostGuess}, Audit: store.AuditEmail}
	_, err := run(asked(t, "Bearer good "+adaID), f.API, op, none{}, func(_ context.Context, c identity.Caller, _ none) (none, error) {
		if c.User.ID != adaID || c.SessionID != "s1" || c.Client.IP != "192.0.2.1" || !slices.Equal(c.Costs, op.Costs) || c.Audit != op.Audit {
			t.Errorf("caller %+v", c)
		}
		return none{}, nil
	})
	must(t, err)
}

package security

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cubegate/server"
	"cubegate/server/servertest"
	"cubegate/store"
)

// operators are values that a query of MongoDB reads as an operator, a list or a regular
// expression.
var operators = []any{
	map[string]any{"$ne": nil}, map[string]any{"$gt": ""}, map[string]any{"$regex": ".*"}, map[string]any{"$where": "1"}, map[string]any{"$in": []any{"a", "b"}},
	map[string]any{"$oid": "507f1f77bcf86cd799439011"}, map[string]any{"_id": "a"}, map[string]any{}, []any{"a", "b"}, []any{map[string]any{"$ne": 1}},
	map[string]any{"$regularExpression": map[string]any{"pattern": ".*", "options": "i"}},
}

// operatorTexts are the same as texts, which are only texts.
var operatorTexts = []string{`{"$ne":null}`, `{"$gt":""}`, "$ne", "$where", ".*", "^", "/.*/i", "[$ne]", "a' || '1'=='1", `";sleep(1000);"`, "*", "507f1f77bcf86cd799439011"}

// everyUser returns the documents of all users.
func everyUser(t *testing.T, r *servertest.Server) []store.User {
	t.Helper()
	page, err := r.Store.Users().Page(t.Context(), store.UserFilter{}, "", store.MaxPage)
	if err != nil || page.Next != "" {
		t.Fatalf("%d users and %q, %v", len(page.Items), page.Next, err)
	}
	return page.Items
}

// refusedInput reports whether a reply refuses the form of the input.
func refusedInput(got servertest.Reply) bool {
	return servertest.CodeOf(got.Body) == "BAD_USER_INPUT" && !strings.Contains(got.Body, `"data"`)
}

// operatorActors starts a server without budgets for wrong guesses.
func operatorActors(t *testing.T) servertest.Actors {
	t.Helper()
	return servertest.NewActors(t, servertest.Start(t, servertest.OnDatabase(t, map[string]string{"LOGIN_FAILURES": "0", "LIMITS": "observe", "LOG_LEVEL": "error"})), 0)
}

// inputValues are valid values of all inputs, with the IDs and the refresh token of a login.
func inputValues(in servertest.LoginReply) map[string]any {
	return map[string]any{
		"email": in.User.Email, "firstName": "Ada", "lastName": "Lovelace", "password": "correct horse", "current": "correct horse", "new": "correct horse",
		"name": "phone", "token": in.RefreshToken, "refreshToken": in.RefreshToken, "userId": in.User.ID, "id": in.User.ID,
		"roles": []any{"editor"}, "role": "editor", "kind": "login", "text": "a", "disabled": false, "after": "", "limit": 10,
	}
}

// An object, a list or a regular expression in place of any input of any operation and
// REST twin is refused before the operation runs, and no document changes. authorizer
// built its filters from texts (GHSA-jfwg-rxf3-p7r9).
func TestOperatorsAreNoInput(t *testing.T) {
	t.Parallel()
	c := operatorActors(t)
	before := everyUser(t, c.Server)
	tried := 0
	for _, op := range readSchema(t, c.Server).calls() {
		for _, path := range op.leaves {
			for _, operator := range operators {
				if list, ok := operator.([]any); ok && path[len(path)-1] == "roles" && reflect.DeepEqual(list, []any{"a", "b"}) {
					continue // a list of texts is what roles are
				}
				variables := op.variables(t, inputValues(c.Ada))
				put(variables, path, operator)
				if got := c.SendAs(t, c.Root.Token, op.document, variables); !refusedInput(got) {
					t.Errorf("%s with %s = %v: %d %s", op.name, strings.Join(path, "."), operator, got.Status, got.Body)
				}
				tried++
				got, isTwin := op.sendTwin(t, c.Server, c.Root.Token, variables)
				if inPath := strings.Contains(op.rest, "{id}"); isTwin && !inPath && !refusedInput(got) || inPath && got.Status != http.StatusNotFound {
					t.Errorf("%s with %s = %v: %d %s", op.rest, strings.Join(path, "."), operator, got.Status, got.Body)
				}
			}
		}
	}
	for _, operator := range operators {
		for _, body := range []map[string]any{{"token": operator}, {"email": operator, "password": "correct horse"}, {"email": c.Ada.User.Email, "password": operator}} {
			if got := c.Request(t, http.MethodPost, server.VerifyPath, mustJSON(t, body)); !refusedInput(got) {
				t.Errorf("the verify route with %v: %d %s", body, got.Status, got.Body)
			}
		}
	}
	for _, form := range []string{"email[$ne]=&password[$ne]=", "token[$ne]=x", "email=a&password[]=b", "email[$regex]=.*&password=correct+horse"} {
		for _, got := range []servertest.Reply{
			c.Request(t, http.MethodPost, server.VerifyPath, form, "Content-Type", "application/x-www-form-urlencoded"),
			c.Request(t, http.MethodGet, server.VerifyPath+"?"+form, ""),
		} {
			if got.Status/100 != 4 {
				t.Errorf("the verify route with %s: %d %s", form, got.Status, got.Body)
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d inputs tried", tried)
	}
	if after := everyUser(t, c.Server); !reflect.DeepEqual(after, before) {
		t.Errorf("the users have changed: %+v, before %+v", after, before)
	}
}

// An operator as a text is that text: it finds no user, no login session and no event, and
// where it may be stored, it is stored as it was sent.
func TestOperatorsAsTextsFindNothing(t *testing.T) {
	t.Parallel()
	c := operatorActors(t)
	stored := []string{"firstName", "lastName", "roles", "new", "body.device.id", "body.device.name", "body.device.token"}
	tried := 0
	for _, op := range readSchema(t, c.Server).calls() {
		for _, path := range op.leaves {
			leaf, whole := path[len(path)-1], strings.Join(path, ".")
			if leaf == "disabled" || leaf == "limit" || slices.Contains(stored, leaf) || slices.Contains(stored, whole) || op.name == "register" && leaf == "password" {
				continue // no text, or one that may be stored
			}
			for _, text := range operatorTexts {
				tried++
				if !findsNothing(t, c, op, path, text) {
					t.Errorf("%s with %s = %q succeeds", op.name, whole, text)
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d texts tried", tried)
	}
	for _, token := range []string{c.Ada.Token, c.Bob.Token, c.Root.Token} {
		c.MustDo(t, token, `{ me { id } }`)
	}
	for _, text := range operatorTexts {
		got := c.SendAs(t, c.Ada.Token, `mutation($name: String!) { updateProfile(firstName: $name, lastName: $name) { firstName } }`, map[string]any{"name": text})
		if want := `"firstName":` + mustJSON(t, text); !strings.Contains(got.Body, want) {
			t.Errorf("a name becomes %s, want %s", got.Body, want)
		}
		if got := c.Request(t, http.MethodGet, server.VerifyPath+"?token="+url.QueryEscape(text), ""); got.Status != http.StatusUnauthorized {
			t.Errorf("the verify route with %q: %d %s", text, got.Status, got.Body)
		}
	}
}

// findsNothing sends a call with a text in place of one input, and reports whether it finds
// nothing: it fails, or returns an empty page. A logout with an unknown refresh token
// succeeds (RFC 7009), so the caller has no token that it could end.
func findsNothing(t *testing.T, c servertest.Actors, op call, path []string, text string) bool {
	t.Helper()
	variables, document, token := op.variables(t, inputValues(c.Ada)), op.document, c.Root.Token
	switch op.name {
	case "users", "audit":
		variables, document = map[string]any{}, strings.Replace(document, "__typename", "items { __typename }", 1)
	case "logout":
		token = ""
	}
	put(variables, path, text)
	got := c.SendAs(t, token, document, variables)
	if id := "507f1f77bcf86cd799439011"; text == id && path[len(path)-1] == "after" {
		return servertest.CodeOf(got.Body) == "" // a cursor may be any ID
	}
	return op.name == "logout" || servertest.CodeOf(got.Body) != "" || strings.Contains(got.Body, `"items":[]`)
}

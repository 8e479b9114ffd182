package security

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// claimedIDs are names by which other servers took the user from the request itself.
var claimedIDs = []string{"id", "userId", "user", "sub", "ownerId", "actor", "sessionId", "roles"}

// claimedHeaders are headers by which a proxy in front of other servers names the user.
var claimedHeaders = []string{"X-User-Id", "X-User", "X-Forwarded-User", "X-Forwarded-Email", "X-Auth-Request-User", "Remote-User", "X-Remote-User", "X-WebAuth-User", "X-Original-User", "Cookie", "X-Roles", "X-Admin"}

// stateOf returns the document of a user and the records of the user's login sessions.
func stateOf(t *testing.T, c servertest.Actors, in servertest.LoginReply) []any {
	t.Helper()
	user, err := c.Store.Users().ByID(t.Context(), in.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	state := []any{user}
	for _, id := range user.Sessions {
		session, err := c.Store.Sessions().ByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		state = append(state, session)
	}
	return state
}

// No operation and no REST twin changes Ada for an anonymous client or for Bob, who send
// her IDs in each input, in members that the operation does not have, and in headers
// (better-auth made API keys for the user in the request, CVE-2025-61928). Neither gets
// any of her data.
func TestForeignIDsChangeNothing(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.OnDatabase(t, map[string]string{"LOGIN_FAILURES": "0", "LIMITS": "observe", "LOG_LEVEL": "error"}))
	n := 0
	for _, op := range readSchema(t, r).calls() {
		for _, anonymous := range []bool{true, false} {
			n++
			c := servertest.NewActors(t, r, n)
			ada := stateOf(t, c, c.Ada)
			token := c.Bob.Token
			if anonymous {
				token = ""
			}
			values := inputValues(c.Bob) // Bob's own proofs, and all IDs of Ada
			values["id"], values["userId"] = c.Ada.User.ID, c.Ada.User.ID
			if op.name == "revokeSession" {
				values["id"] = c.Ada.SessionID
			}
			variables := op.variables(t, values)
			for _, reply := range sendForeign(t, c, op, token, variables) {
				if strings.Contains(reply.Body, c.Ada.User.Email) || strings.Contains(reply.Body, c.Ada.SessionID) {
					t.Errorf("%s, anonymous %t, shows data of Ada: %s", op.name, anonymous, reply.Body)
				}
			}
			if got := stateOf(t, c, c.Ada); !reflect.DeepEqual(got, ada) {
				t.Errorf("%s, anonymous %t, has changed Ada: %+v, before %+v", op.name, anonymous, got, ada)
			}
			if bob, err := r.Store.Users().ByID(t.Context(), c.Bob.User.ID); err == nil && slices.Contains(bob.Roles, "admin") {
				t.Errorf("%s, anonymous %t, makes Bob an administrator", op.name, anonymous)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d calls", n)
	}
}

// sendForeign sends a call and its twin with claims to be Ada: as more variables, as more
// arguments, as more members of the input, in the query string and in headers.
func sendForeign(t *testing.T, c servertest.Actors, op call, token string, variables map[string]any) (replies []servertest.Reply) {
	t.Helper()
	headers := []string{"Content-Type", "application/json"}
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	for _, name := range claimedHeaders {
		headers = append(headers, name, c.Ada.User.ID)
	}
	send := func(method, path string, body any) {
		raw := ""
		if method == http.MethodPost {
			raw = mustJSON(t, body)
		}
		replies = append(replies, c.Request(t, method, path, raw, headers...))
	}
	method, path, hasTwin := strings.Cut(op.rest, " ")
	query := url.Values{}
	body := variables
	if inner, ok := variables["body"].(map[string]any); ok {
		body = inner
	}
	for _, name := range claimedIDs {
		claim := map[string]any{name: c.Ada.User.ID}
		query.Set(name, c.Ada.User.ID)
		send(http.MethodPost, "/api", map[string]any{"query": op.document, "variables": servertest.Merge(claim, variables), name: c.Ada.User.ID, "extensions": claim})
		if !strings.Contains(op.document, name+":") {
			send(http.MethodPost, "/api", map[string]any{"query": op.withArgument(name, c.Ada.User.ID), "variables": variables})
		}
		if inner, ok := variables["body"].(map[string]any); ok {
			send(http.MethodPost, "/api", map[string]any{"query": op.document, "variables": map[string]any{"body": servertest.Merge(claim, inner)}})
		}
		if hasTwin {
			send(method, strings.ReplaceAll(path, "{id}", c.Ada.SessionID), servertest.Merge(claim, body))
		}
	}
	if hasTwin {
		send(method, strings.ReplaceAll(path, "{id}", c.Ada.SessionID)+"?"+query.Encode(), body)
	}
	return replies
}

// withArgument returns the document of a call with one more argument.
func (c call) withArgument(name, value string) string {
	at := strings.Index(c.document, "{ "+c.name) + len("{ "+c.name)
	inserted := fmt.Sprintf("(%s: %q", name, value)
	if len(c.args) == 0 {
		return c.document[:at] + inserted + ")" + c.document[at:]
	}
	return c.document[:at] + inserted + ", " + c.document[at+1:]
}

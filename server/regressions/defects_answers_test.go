package regressions

import (
	"bufio"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/server"
	"cubegate/server/servertest"
	"cubegate/store"
)

// The defects_*_test.go files have the 41 numbered defects of the NestJS original.
// Each comment describes the defect, and the test shows that the server does not have
// it, with the whole program over real sockets.

// 1. After an unknown route, a wrong method, malformed JSON or a JSON scalar, the
// original's global filter caught the exception and sent no response. 2000 such
// requests held 2000 connections without a time limit.
func TestDefect01UnknownRoutesAreAnswered(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/nope", "", 404, "NOT_FOUND"},
		{"GET", "/favicon.ico", "", 404, "NOT_FOUND"},
		{"PATCH", "/nope", "{", 404, "NOT_FOUND"},
		{"POST", "/", "{}", 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", server.VerifyPath, "", 405, "METHOD_NOT_ALLOWED"},
		{"PUT", "/api", "{}", 405, "METHOD_NOT_ALLOWED"},
		{"GET", "/api", "", 400, "BAD_USER_INPUT"},
		{"BREW", "/", "", 405, "METHOD_NOT_ALLOWED"},
		{"POST", "/api", `{"query": `, 400, "BAD_USER_INPUT"},
		{"POST", "/api", "null", 400, "BAD_USER_INPUT"},
		{"POST", "/api", "1", 400, "BAD_USER_INPUT"},
		{"POST", "/api", `"x"`, 400, "BAD_USER_INPUT"},
		{"POST", "/api", "true", 400, "BAD_USER_INPUT"},
		{"POST", "/api", "[]", 400, "BAD_USER_INPUT"},
		{"POST", server.VerifyPath, `{"token": `, 400, "BAD_USER_INPUT"},
		{"POST", server.VerifyPath, "null", 400, "BAD_USER_INPUT"},
	} {
		t.Run(tt.method+" "+tt.path+" "+tt.body, func(t *testing.T) {
			got := r.Request(t, tt.method, tt.path, tt.body)
			if got.Status != tt.status || servertest.CodeOf(got.Body) != tt.code {
				t.Errorf("%d %s, want %d %s", got.Status, got.Body, tt.status, tt.code)
			}
			if (got.Header.Get("Allow") != "") != (tt.status == 405) {
				t.Errorf("Allow: %q with status %d", got.Header.Get("Allow"), got.Status)
			}
		})
	}
	t.Run("300 sockets at once", func(t *testing.T) {
		var sockets []net.Conn
		for range 300 {
			sockets = append(sockets, dialAndSend(t, r, "GET /favicon.ico HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		}
		for _, c := range sockets {
			if raw, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(raw), "HTTP/1.1 404 ") {
				t.Fatalf("%q, %v", raw, err)
			}
		}
	})
	t.Run("a request that never ends", func(t *testing.T) {
		c := dialAndSend(t, r, "GET /nope HTTP/1.1\r\nHost: x\r\n")
		if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
	})
}

// dialAndSend opens a socket and sends a text on it. Reading from the socket fails
// after a minute.
func dialAndSend(t *testing.T, r *servertest.Server, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// 2. A wrong password and bad input got "Internal server error", status 500, the same
// as an outage. A client could not distinguish a typo from a breakdown.
func TestDefect02MistakesAndOutagesHaveCodes(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.AllOrNothing)
	r.Register(t, "ada@example.org")
	r.InjectFault(t, `{"method":"POST","path":"/users","kind":"status","status":503}`)
	for _, tt := range []struct {
		name, document string
		body           map[string]string
		code, message  string
		fields         []string
	}{
		{"wrong password", servertest.LoginDocument, map[string]string{"email": "ada@example.org", "password": "wrong horse"}, "UNAUTHENTICATED", "Invalid email or password", nil},
		{"unknown email", servertest.LoginDocument, servertest.Credentials("bob@example.org"), "UNAUTHENTICATED", "Invalid email or password", nil},
		{"login without an email", servertest.LoginDocument, servertest.Credentials("ada"), "BAD_USER_INPUT", "email must be an email", []string{"email"}},
		{"login without a password", servertest.ByTokenDocument, map[string]string{"email": "ada@example.org", "password": ""}, "BAD_USER_INPUT", "password is required", []string{"password"}},
		{"bad email", servertest.RegisterDocument, servertest.NewUser("ada@example."), "BAD_USER_INPUT", "email must be an email", []string{"email"}},
		{"short password", servertest.RegisterDocument, servertest.Merge(servertest.NewUser("bob@example.org"), map[string]string{"password": "12345"}), "BAD_USER_INPUT", "6 to 40 characters", []string{"password"}},
		{"all wrong at once", servertest.RegisterDocument, map[string]string{"email": "", "firstName": "", "lastName": "", "password": ""}, "BAD_USER_INPUT", "is required", []string{"email", "firstName", "lastName", "password"}},
		{"outage", servertest.RegisterDocument, servertest.NewUser("bob@example.org"), "UPSTREAM_UNAVAILABLE", "chat service is unavailable", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := r.GraphQL(t, tt.document, tt.body)
			if got.Code() != tt.code || !strings.Contains(got.Errors[0].Message, tt.message) {
				t.Fatalf("%s, want %s %q", got.Body, tt.code, tt.message)
			}
			for _, field := range tt.fields {
				if got.Errors[0].Extensions.Fields[field] == "" {
					t.Errorf("the field errors lack %s: %s", field, got.Body)
				}
			}
		})
	}
}

// 3. Each bad token at the verify route got status 500 and a stack trace in the log,
// so any client could fill the log.
func TestDefect03BadTokensAre401(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"JWT_SECRET": servertest.JWTSecret})
	user := r.ClaimsOf(t, r.Register(t, "ada@example.org").ID)
	good := servertest.SignToken(sha256.New, servertest.AccessHeader, user...)
	r.RequireAccepted(t, good)
	body := strings.Split(good, ".")[1]
	past := append(slices.Clone(user), "iat", "1000", "exp", "4600")
	for name, token := range map[string]string{
		"garbage":            "garbage",
		"expired":            servertest.SignToken(sha256.New, servertest.AccessHeader, past...),
		"alg none":           "eyJhbGciOiJub25lIn0." + body + ".",
		"alg None":           servertest.SignHMAC(sha256.New, servertest.JWTSecret, `{"alg":"None","typ":"at+jwt"}`, "{}"),
		"signature stripped": good[:strings.LastIndexByte(good, '.')+1],
		"other secret":       servertest.SignHMAC(sha256.New, "another secret, of thirty-two bytes or more", servertest.AccessHeader, "{}"),
		"RS256":              servertest.SignToken(sha256.New, `{"alg":"RS256","typ":"at+jwt"}`, user...),
		"tampered":           strings.Replace(good, body, body[:len(body)-4]+"AAAA", 1),
		"nbf in the future":  servertest.SignToken(sha256.New, servertest.AccessHeader, append(slices.Clone(user), "nbf", "99999999999")...),
		"exp not a number":   servertest.SignToken(sha256.New, servertest.AccessHeader, append(slices.Clone(user), "exp", `"soon"`)...),
		"Bearer before it":   "Bearer " + good,
		"space after it":     good + " ",
		"newline after it":   good + "\n",
		"padding":            good + "=",
		"too long":           strings.Repeat("a", 9<<10),
	} {
		t.Run(name, func(t *testing.T) { r.RequireRefused(t, token) })
	}
	for _, query := range []string{"", "?token=", "?token[a]=" + good, "?token=" + good + "&token=" + good} {
		if got := r.Request(t, http.MethodGet, server.VerifyPath+query, ""); got.Status != 400 || servertest.CodeOf(got.Body) != "BAD_USER_INPUT" {
			t.Errorf("%.20q: %d %s, want 400", query, got.Status, got.Body)
		}
	}
}

// 4. The verify route accepted a token whose claims named no user, or whose payload
// was a string or a list: it replied {"user":{}} with status 200.
func TestDefect04ClaimsWithoutUserAreRefused(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"JWT_SECRET": servertest.JWTSecret})
	id := r.Register(t, "ada@example.org").ID
	r.RequireAccepted(t, servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id)...))
	for name, token := range map[string]string{
		"no id":            servertest.SignToken(sha256.New, servertest.AccessHeader, "id", "", "sub", ""),
		"id without sub":   servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id, "sub", "")...),
		"id null":          servertest.SignToken(sha256.New, servertest.AccessHeader, "id", "null", "sub", "null"),
		"id a number":      servertest.SignToken(sha256.New, servertest.AccessHeader, "id", "42", "sub", "42"),
		"email an object":  servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id, "email", `{"a":1}`)...),
		"no email":         servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id, "email", "")...),
		"payload a string": servertest.SignHMAC(sha256.New, servertest.JWTSecret, servertest.AccessHeader, `"x"`),
		"payload a list":   servertest.SignHMAC(sha256.New, servertest.JWTSecret, servertest.AccessHeader, `[1]`),
		"payload null":     servertest.SignHMAC(sha256.New, servertest.JWTSecret, servertest.AccessHeader, `null`),
	} {
		t.Run(name, func(t *testing.T) { r.RequireRefused(t, token) })
	}
}

// 5. The verify route accepted the token of a deleted or unknown user, so
// ConnectyCube opened sessions with it for up to an hour.
func TestDefect05TokensOfDeletedUsersAreRefused(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"JWT_SECRET": servertest.JWTSecret})
	got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")).Data.Register
	access, ticket := got.Token, got.ChatTicket
	r.RequireAccepted(t, access)
	r.RequireAccepted(t, ticket)
	if _, err := r.Store.Accounts().MarkDeleting(t.Context(), got.User.ID, "", store.Lease{ID: "x", Until: time.Now()}); err != nil {
		t.Fatal(err)
	}
	r.RequireRefused(t, access)
	r.RequireRefused(t, ticket)
	r.RequireRefused(t, servertest.SignToken(sha256.New, servertest.AccessHeader)) // of a user who never existed
}

// 6. The original accepted tokens with HS384 and HS512, tokens that never expire, and
// tokens from the future.
func TestDefect06OnlyOurOwnKindOfTokenPasses(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"JWT_SECRET": servertest.JWTSecret})
	id := r.Register(t, "ada@example.org").ID
	r.RequireAccepted(t, servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id)...))
	soon := time.Now().Add(30 * time.Minute).Unix()
	for name, token := range map[string]string{
		"HS384":             servertest.SignToken(sha512.New384, `{"alg":"HS384","typ":"at+jwt"}`, r.ClaimsOf(t, id)...),
		"HS512":             servertest.SignToken(sha512.New, `{"alg":"HS512","typ":"at+jwt"}`, r.ClaimsOf(t, id)...),
		"no exp":            servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id, "exp", "")...),
		"exp null":          servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id, "exp", "null")...),
		"iat in the future": servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id, "iat", fmt.Sprint(soon), "exp", fmt.Sprint(soon+600))...),
		"lives for years":   servertest.SignToken(sha256.New, servertest.AccessHeader, r.ClaimsOf(t, id, "exp", fmt.Sprint(soon+365*86400))...),
	} {
		t.Run(name, func(t *testing.T) { r.RequireRefused(t, token) })
	}
}

// 7. For a taken email, the reply depended on the selected fields: with user, data was
// null and the status 500; without user, "Email already exists" was a success.
func TestDefect07TakenEmailIsOneError(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	r.Register(t, "ada@example.org")
	for _, document := range []string{
		servertest.RegisterDocument,
		`mutation($body: UserRegisterInput!) { register(body: $body) { message } }`,
		`mutation($body: UserRegisterInput!) { register(body: $body) { user { id } } }`,
	} {
		for _, email := range []string{"ada@example.org", " ADA@Example.ORG"} {
			other := servertest.NewUser(email) // with the same password, it would be the same registration
			other["password"] = "another horse"
			got := r.GraphQL(t, document, other)
			if got.Code() != "CONFLICT" || got.Errors[0].Message != "Email already exists" || got.Data.Register != nil {
				t.Errorf("%s: %s", document, got.Body)
			}
		}
	}
}

// 8. Other failures of a registration were data with the message "Failed to register
// user", and no error.
func TestDefect08FailedRegistrationIsAnError(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.AllOrNothing)
	for i, fault := range []string{
		`"kind":"status","status":500`, `"kind":"status","status":503`, `"kind":"status","status":429`,
		`"kind":"status","status":401`, `"kind":"status","status":403`, `"kind":"status","status":422`,
		`"kind":"reset"`, `"kind":"empty"`, `"kind":"html"`, `"kind":"html","status":200`,
	} {
		t.Run(fault, func(t *testing.T) {
			email := fmt.Sprintf("ada%d@example.org", i)
			r.InjectFault(t, `{"method":"POST","path":"/users",`+fault+`}`)
			defer r.ClearFaults(t)
			got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(email))
			if got.Code() != "UPSTREAM_UNAVAILABLE" || got.Data.Register != nil {
				t.Errorf("%s, want UPSTREAM_UNAVAILABLE", got.Body)
			}
			r.ClearFaults(t)
			r.Register(t, email)
			if found := r.CubeUsers(t, email); len(found) != 1 {
				t.Errorf("after trying again ConnectyCube has %+v", found)
			}
		})
	}
}

// 9. Of 20 simultaneous registrations of one email, one succeeded and 19 got "Failed
// to register user", because the original did not recognize the error of the unique
// index.
func TestDefect09ParallelRegistrationsHaveOneWinner(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	servertest.RaceRegistrations(t, r, servertest.NewClient(t, 20), 20, "ada@example.org")
	if found := r.CubeUsers(t, "ada@example.org"); len(found) != 1 {
		t.Errorf("ConnectyCube has %+v", found)
	}
}

// 10. If ConnectyCube replied {} or null with status 200, the login failed, although
// it tolerated all other failures.
func TestDefect10EmptyRepliesAreFailuresLikeOthers(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	user := r.Register(t, "ada@example.org")
	cubeID := r.Login(t, servertest.LoginDocument, user.Email).CcUserID
	for _, text := range []string{"{}", "null", "", "[]", `{"session":null}`, `{"session":{}}`, `{"session":[]}`, `{"session":{"tok`, "<html>"} {
		u.Respond("POST", "/session", 201, text)
		r.RequireNoChat(t, text, user, *cubeID)
	}
}

// 11. A user_id of null became ccUserId 0, and a user_id that is no number caused a
// partial reply with status 500.
func TestDefect11UnusableUserIDIsAFailure(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	user := r.Register(t, "ada@example.org")
	cubeID := r.Login(t, servertest.LoginDocument, user.Email).CcUserID
	for _, id := range []string{"null", `"abc"`, `""`, "0", "-1", "1.5", "true", "{}", "[7]", "1e400", "99999999999999999999"} {
		u.Respond("POST", "/session", 201, `{"session":{"token":"`+strings.Repeat("a", 40)+`","user_id":`+id+`,"user":{}}}`)
		r.RequireNoChat(t, "user_id "+id, user, *cubeID)
	}
}

// 12. For users without names, from the time before names were required, a login
// returned a valid token, but user was null and the status 500.
func TestDefect12UserWithoutNamesLogsIn(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	old := servertest.OriginalUser(t, "old@example.org", "correct horse")
	delete(old, "firstName")
	delete(old, "lastName")
	null := servertest.OriginalUser(t, "null@example.org", "correct horse")
	null["firstName"], null["lastName"] = nil, nil
	servertest.InsertUsers(t, db, old, null)
	r := servertest.Start(t, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": servertest.JWTSecret})
	for _, email := range []string{"old@example.org", "null@example.org"} {
		got := r.Login(t, servertest.LoginDocument, email)
		if got.Token == "" || got.User.Email != email || got.User.ID == "" || got.User.FirstName != "" || got.User.LastName != "" {
			t.Errorf("%s: %+v", email, got)
		}
	}
}

// 13. Persisted queries were on, but the original masked the error that asks clients
// for the whole query, so these clients never sent it.
func TestDefect13PersistedQueriesFallBack(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	const extension = `"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"}}`
	got := r.Request(t, http.MethodPost, "/api", `{`+extension+`}`)
	if got.Status != 200 || servertest.CodeOf(got.Body) != "PERSISTED_QUERY_NOT_FOUND" || !strings.Contains(got.Body, `"PersistedQueryNotFound"`) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := r.Request(t, http.MethodPost, "/api", `{"query":"{__typename}",`+extension+`}`); !strings.Contains(got.Body, `"Query"`) {
		t.Errorf("the whole query: %d %s", got.Status, got.Body)
	}
}

// 14. Errors had no path, locations and extensions. Their members code and error are
// not in the specification: https://spec.graphql.org/October2021/#sec-Errors
func TestDefect14ErrorsHaveTheSpecifiedShape(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	for _, tt := range []struct{ body, code, has string }{
		{`{"query":"{"}`, "GRAPHQL_PARSE_FAILED", "locations"},
		{`{"query":"{nope}"}`, "GRAPHQL_VALIDATION_FAILED", "locations"},
		{`{"query":"mutation { login(body: {email: \"a@b.org\", password: \"wrong horse\"}) { token } }"}`, "UNAUTHENTICATED", "path"},
		{`{"query":"mutation { a: login(body: {email: \"a@b.org\", password: \"\"}) { token } }"}`, "BAD_USER_INPUT", "path"},
		{`{"query":"mutation($b: LoginUserDto!) { login(body: $b) { token } }","variables":{"b":{"email":1}}}`, "BAD_USER_INPUT", "message"},
		{`{}`, "BAD_USER_INPUT", "message"},
		{`nonsense`, "BAD_USER_INPUT", "message"},
	} {
		var got struct{ Errors []map[string]json.RawMessage }
		answered := r.Request(t, http.MethodPost, "/api", tt.body)
		if err := json.Unmarshal([]byte(answered.Body), &got); err != nil || len(got.Errors) == 0 || servertest.CodeOf(answered.Body) != tt.code {
			t.Errorf("%s: %d %s, want %s", tt.body, answered.Status, answered.Body, tt.code)
			continue
		}
		for _, e := range got.Errors {
			if e[tt.has] == nil || e["message"] == nil {
				t.Errorf("%s: %s lacks %s", tt.body, answered.Body, tt.has)
			}
			for key := range e {
				if !slices.Contains([]string{"message", "locations", "path", "extensions"}, key) {
					t.Errorf("%s: %s has %s", tt.body, answered.Body, key)
				}
			}
		}
	}
}

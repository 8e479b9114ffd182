package server

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

	"cubegate/store"
)

// The faults_*_test.go are the faults of the NestJS original, numbered as in
// the record of its behaviour. Each test tells what went wrong there, and shows
// that it goes right here, with the whole program over real sockets.

// 1. An unknown route, a wrong method, a favicon, malformed JSON, a JSON
// scalar: the original's global filter caught the exception and answered
// nobody. 2000 such requests kept 2000 connections for as long as anyone
// watched, and no time limit ended them.
func TestFault01UnknownRoutesAreAnswered(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/nope", "", 404, "NOT_FOUND"},
		{"GET", "/favicon.ico", "", 404, "NOT_FOUND"},
		{"PATCH", "/nope", "{", 404, "NOT_FOUND"},
		{"POST", "/", "{}", 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", verifyPath, "", 405, "METHOD_NOT_ALLOWED"},
		{"PUT", "/api", "{}", 405, "METHOD_NOT_ALLOWED"},
		{"GET", "/api", "", 405, "METHOD_NOT_ALLOWED"},
		{"BREW", "/", "", 405, "METHOD_NOT_ALLOWED"},
		{"POST", "/api", `{"query": `, 400, "BAD_USER_INPUT"},
		{"POST", "/api", "null", 400, "BAD_USER_INPUT"},
		{"POST", "/api", "1", 400, "BAD_USER_INPUT"},
		{"POST", "/api", `"x"`, 400, "BAD_USER_INPUT"},
		{"POST", "/api", "true", 400, "BAD_USER_INPUT"},
		{"POST", "/api", "[]", 400, "BAD_USER_INPUT"},
		{"POST", verifyPath, `{"token": `, 400, "BAD_USER_INPUT"},
		{"POST", verifyPath, "null", 400, "BAD_USER_INPUT"},
	} {
		t.Run(tt.method+" "+tt.path+" "+tt.body, func(t *testing.T) {
			got := r.request(t, tt.method, tt.path, tt.body)
			if got.status != tt.status || codeOf(got.body) != tt.code {
				t.Errorf("%d %s, want %d %s", got.status, got.body, tt.status, tt.code)
			}
			if (got.header.Get("Allow") != "") != (tt.status == 405) {
				t.Errorf("Allow: %q with status %d", got.header.Get("Allow"), got.status)
			}
		})
	}
	t.Run("300 sockets at once", func(t *testing.T) {
		var sockets []net.Conn
		for range 300 {
			sockets = append(sockets, dialed(t, r, "GET /favicon.ico HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		}
		for _, c := range sockets {
			if raw, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(raw), "HTTP/1.1 404 ") {
				t.Fatalf("%q, %v", raw, err)
			}
		}
	})
	t.Run("a request that never ends", func(t *testing.T) {
		c := dialed(t, r, "GET /nope HTTP/1.1\r\nHost: x\r\n")
		if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
	})
}

// dialed is a socket on which so much has been sent; reading from it fails
// after a minute.
func dialed(t *testing.T, r *running, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
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

// 2. A wrong password and bad input were «Internal server error», 500, exactly
// as an outage was: a client could not tell a typo from a breakdown.
func TestFault02MistakesAndOutagesHaveCodes(t *testing.T) {
	t.Parallel()
	r := start(t, allOrNothing)
	r.register(t, "ada@example.org")
	r.fault(t, `{"method":"POST","path":"/users","kind":"status","status":503}`)
	for _, tt := range []struct {
		name, document string
		body           map[string]string
		code, message  string
		fields         []string
	}{
		{"wrong password", loginDocument, map[string]string{"email": "ada@example.org", "password": "wrong horse"}, "UNAUTHENTICATED", "Invalid email or password", nil},
		{"unknown address", loginDocument, credentials("bob@example.org"), "UNAUTHENTICATED", "Invalid email or password", nil},
		{"login without an address", loginDocument, credentials("ada"), "BAD_USER_INPUT", "email is not an e-mail address", []string{"email"}},
		{"login without a password", byTokenDocument, map[string]string{"email": "ada@example.org", "password": ""}, "BAD_USER_INPUT", "password is required", []string{"password"}},
		{"bad address", registerDocument, ada("ada@example"), "BAD_USER_INPUT", "email is not an e-mail address", []string{"email"}},
		{"short password", registerDocument, with(ada("bob@example.org"), map[string]string{"password": "12345"}), "BAD_USER_INPUT", "6 to 40 characters", []string{"password"}},
		{"all wrong at once", registerDocument, map[string]string{"email": "", "firstName": "", "lastName": "", "password": ""}, "BAD_USER_INPUT", "is required", []string{"email", "firstName", "lastName", "password"}},
		{"outage", registerDocument, ada("bob@example.org"), "UPSTREAM_UNAVAILABLE", "chat service is unavailable", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := r.graphql(t, tt.document, tt.body)
			if got.code() != tt.code || !strings.Contains(got.Errors[0].Message, tt.message) {
				t.Fatalf("%s, want %s %q", got.text, tt.code, tt.message)
			}
			for _, field := range tt.fields {
				if got.Errors[0].Extensions.Fields[field] == "" {
					t.Errorf("%s is not among the failing fields: %s", field, got.text)
				}
			}
		})
	}
}

// 3. A bad token at the verify route, of whatever kind, was a 500 with a stack
// trace in the log, which anybody could fill that way.
func TestFault03BadTokensAre401(t *testing.T) {
	t.Parallel()
	r := start(t, map[string]string{"JWT_SECRET": strongSecret})
	user := r.forUser(t, r.register(t, "ada@example.org").ID)
	good := forge(sha256.New, accessHeader, user...)
	r.accepts(t, good)
	body := strings.Split(good, ".")[1]
	past := append(slices.Clone(user), "iat", "1000", "exp", "4600")
	for name, token := range map[string]string{
		"garbage":            "garbage",
		"expired":            forge(sha256.New, accessHeader, past...),
		"alg none":           "eyJhbGciOiJub25lIn0." + body + ".",
		"alg None":           sign(sha256.New, strongSecret, `{"alg":"None","typ":"at+jwt"}`, "{}"),
		"signature stripped": good[:strings.LastIndexByte(good, '.')+1],
		"other secret":       sign(sha256.New, "another secret, of thirty-two bytes or more", accessHeader, "{}"),
		"RS256":              forge(sha256.New, `{"alg":"RS256","typ":"at+jwt"}`, user...),
		"tampered":           strings.Replace(good, body, body[:len(body)-4]+"AAAA", 1),
		"nbf in the future":  forge(sha256.New, accessHeader, append(slices.Clone(user), "nbf", "99999999999")...),
		"exp not a number":   forge(sha256.New, accessHeader, append(slices.Clone(user), "exp", `"soon"`)...),
		"Bearer before it":   "Bearer " + good,
		"space after it":     good + " ",
		"newline after it":   good + "\n",
		"padding":            good + "=",
		"too long":           strings.Repeat("a", 9<<10),
	} {
		t.Run(name, func(t *testing.T) { r.refuses(t, token) })
	}
	for _, query := range []string{"", "?token=", "?token[a]=" + good, "?token=" + good + "&token=" + good} {
		if got := r.request(t, http.MethodGet, verifyPath+query, ""); got.status != 400 || codeOf(got.body) != "BAD_USER_INPUT" {
			t.Errorf("%.20q: %d %s, want 400", query, got.status, got.body)
		}
	}
}

// 4. A token whose claims named nobody verified as {"user":{}} with 200, and so
// did one whose payload was a string or a list.
func TestFault04ClaimsWithoutUserAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, map[string]string{"JWT_SECRET": strongSecret})
	id := r.register(t, "ada@example.org").ID
	r.accepts(t, forge(sha256.New, accessHeader, r.forUser(t, id)...))
	for name, token := range map[string]string{
		"no id":            forge(sha256.New, accessHeader, "id", "", "sub", ""),
		"id without sub":   forge(sha256.New, accessHeader, r.forUser(t, id, "sub", "")...),
		"id null":          forge(sha256.New, accessHeader, "id", "null", "sub", "null"),
		"id a number":      forge(sha256.New, accessHeader, "id", "42", "sub", "42"),
		"email an object":  forge(sha256.New, accessHeader, r.forUser(t, id, "email", `{"a":1}`)...),
		"no email":         forge(sha256.New, accessHeader, r.forUser(t, id, "email", "")...),
		"payload a string": sign(sha256.New, strongSecret, accessHeader, `"x"`),
		"payload a list":   sign(sha256.New, strongSecret, accessHeader, `[1]`),
		"payload null":     sign(sha256.New, strongSecret, accessHeader, `null`),
	} {
		t.Run(name, func(t *testing.T) { r.refuses(t, token) })
	}
}

// 5. The token of a deleted or unknown user went on verifying, so ConnectyCube
// gave sessions to nobody's token for up to an hour.
func TestFault05TokensOfGoneUsersAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, map[string]string{"JWT_SECRET": strongSecret})
	got := r.graphql(t, registerDocument, ada("ada@example.org")).Data.Register
	access, ticket := got.Token, got.ChatTicket
	r.accepts(t, access)
	r.accepts(t, ticket)
	if _, err := r.Store.Users().Leave(t.Context(), got.User.ID, "", store.Lease{ID: "x", Until: time.Now()}); err != nil {
		t.Fatal(err)
	}
	r.refuses(t, access)
	r.refuses(t, ticket)
	r.refuses(t, forge(sha256.New, accessHeader)) // of a user who never was
}

// 6. HS384 and HS512 with the right secret passed, as did tokens that never
// expire and tokens from the future.
func TestFault06OnlyOurOwnKindOfTokenPasses(t *testing.T) {
	t.Parallel()
	r := start(t, map[string]string{"JWT_SECRET": strongSecret})
	id := r.register(t, "ada@example.org").ID
	r.accepts(t, forge(sha256.New, accessHeader, r.forUser(t, id)...))
	soon := time.Now().Add(30 * time.Minute).Unix()
	for name, token := range map[string]string{
		"HS384":             forge(sha512.New384, `{"alg":"HS384","typ":"at+jwt"}`, r.forUser(t, id)...),
		"HS512":             forge(sha512.New, `{"alg":"HS512","typ":"at+jwt"}`, r.forUser(t, id)...),
		"no exp":            forge(sha256.New, accessHeader, r.forUser(t, id, "exp", "")...),
		"exp null":          forge(sha256.New, accessHeader, r.forUser(t, id, "exp", "null")...),
		"iat in the future": forge(sha256.New, accessHeader, r.forUser(t, id, "iat", fmt.Sprint(soon), "exp", fmt.Sprint(soon+600))...),
		"lives for years":   forge(sha256.New, accessHeader, r.forUser(t, id, "exp", fmt.Sprint(soon+365*86400))...),
	} {
		t.Run(name, func(t *testing.T) { r.refuses(t, token) })
	}
}

// 7. For an address that was there the answer hung on the selection: with user
// in it, data null and a 500; without, «Email already exists» as a success.
func TestFault07TakenAddressIsOneError(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.register(t, "ada@example.org")
	for _, document := range []string{
		registerDocument,
		`mutation($body: UserRegisterInput!) { register(body: $body) { message } }`,
		`mutation($body: UserRegisterInput!) { register(body: $body) { user { id } } }`,
	} {
		for _, address := range []string{"ada@example.org", " ADA@Example.ORG"} {
			got := r.graphql(t, document, ada(address))
			if got.code() != "CONFLICT" || got.Errors[0].Message != "Email already exists" || got.Data.Register != nil {
				t.Errorf("%s: %s", document, got.text)
			}
		}
	}
}

// 8. Whatever else went wrong in a registration came back as data, with
// message «Failed to register user» and without an error.
func TestFault08FailedRegistrationIsAnError(t *testing.T) {
	t.Parallel()
	r := start(t, allOrNothing)
	for i, fault := range []string{
		`"kind":"status","status":500`, `"kind":"status","status":503`, `"kind":"status","status":429`,
		`"kind":"status","status":401`, `"kind":"status","status":403`, `"kind":"status","status":422`,
		`"kind":"reset"`, `"kind":"empty"`, `"kind":"html"`, `"kind":"html","status":200`,
	} {
		t.Run(fault, func(t *testing.T) {
			address := fmt.Sprintf("ada%d@example.org", i)
			r.fault(t, `{"method":"POST","path":"/users",`+fault+`}`)
			defer r.healed(t)
			got := r.graphql(t, registerDocument, ada(address))
			if got.code() != "UPSTREAM_UNAVAILABLE" || got.Data.Register != nil {
				t.Errorf("%s, want UPSTREAM_UNAVAILABLE", got.text)
			}
			r.healed(t)
			r.register(t, address)
			if found := r.cubeUsers(t, address); len(found) != 1 {
				t.Errorf("after trying again ConnectyCube has %+v", found)
			}
		})
	}
}

// 9. Of 20 registrations of one address at once, one succeeded and 19 got
// «Failed to register user»: the unique index's error was not understood.
func TestFault09ParallelRegistrationsHaveOneWinner(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	race(t, r, alone(t, 20), 20, "ada@example.org")
	if found := r.cubeUsers(t, "ada@example.org"); len(found) != 1 {
		t.Errorf("ConnectyCube has %+v", found)
	}
}

// 10. When ConnectyCube answered 200 with {} or null, login failed altogether,
// though it tolerated every other failure.
func TestFault10EmptyAnswersAreFailuresLikeOthers(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := u.startWith(t, false, nil)
	user := r.register(t, "ada@example.org")
	cubeID := r.login(t, loginDocument, user.Email).CcUserID
	for _, text := range []string{"{}", "null", "", "[]", `{"session":null}`, `{"session":{}}`, `{"session":[]}`, `{"session":{"tok`, "<html>"} {
		u.says("POST", "/session", 201, text)
		r.withoutChat(t, text, user, *cubeID)
	}
}

// 11. A user_id of null became ccUserId 0, and one that is no number gave half
// an answer with a 500.
func TestFault11UnusableUserIDIsAFailure(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := u.startWith(t, false, nil)
	user := r.register(t, "ada@example.org")
	cubeID := r.login(t, loginDocument, user.Email).CcUserID
	for _, id := range []string{"null", `"abc"`, `""`, "0", "-1", "1.5", "true", "{}", "[7]", "1e400", "99999999999999999999"} {
		u.says("POST", "/session", 201, `{"session":{"token":"`+strings.Repeat("a", 40)+`","user_id":`+id+`,"user":{}}}`)
		r.withoutChat(t, "user_id "+id, user, *cubeID)
	}
}

// 12. Users stored without names, from before names were asked for, logged in
// to data with user null and a 500 beside a token that was good.
func TestFault12UserWithoutNamesLogsIn(t *testing.T) {
	t.Parallel()
	db := startDatabase(t)
	old := original(t, "old@example.org", "correct horse")
	delete(old, "firstName")
	delete(old, "lastName")
	null := original(t, "null@example.org", "correct horse")
	null["firstName"], null["lastName"] = nil, nil
	insert(t, db, old, null)
	r := start(t, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": strongSecret})
	for _, address := range []string{"old@example.org", "null@example.org"} {
		got := r.login(t, loginDocument, address)
		if got.Token == "" || got.User.Email != address || got.User.ID == "" || got.User.FirstName != "" || got.User.LastName != "" {
			t.Errorf("%s: %+v", address, got)
		}
	}
}

// 13. Persisted queries were on, but the error that tells clients to send the
// whole query was masked, so those clients never did.
func TestFault13PersistedQueriesFallBack(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const extension = `"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"}}`
	got := r.request(t, http.MethodPost, "/api", `{`+extension+`}`)
	if codeOf(got.body) != "PERSISTED_QUERY_NOT_SUPPORTED" || !strings.Contains(got.body, `"PersistedQueryNotSupported"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.request(t, http.MethodPost, "/api", `{"query":"{hello}",`+extension+`}`); !strings.Contains(got.body, "Hello from API!") {
		t.Errorf("the whole query: %d %s", got.status, got.body)
	}
}

// 14. Errors had neither path nor locations nor extensions; code and error
// stood where the specification has no place for them.
func TestFault14ErrorsHaveTheSpecifiedShape(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
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
		answered := r.request(t, http.MethodPost, "/api", tt.body)
		if err := json.Unmarshal([]byte(answered.body), &got); err != nil || len(got.Errors) == 0 || codeOf(answered.body) != tt.code {
			t.Errorf("%s: %d %s, want %s", tt.body, answered.status, answered.body, tt.code)
			continue
		}
		for _, e := range got.Errors {
			if e[tt.has] == nil || e["message"] == nil {
				t.Errorf("%s: %s lacks %s", tt.body, answered.body, tt.has)
			}
			for key := range e {
				if !slices.Contains([]string{"message", "locations", "path", "extensions"}, key) {
					t.Errorf("%s: %s has %s", tt.body, answered.body, key)
				}
			}
		}
	}
}

package regressions

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"cubegate/server"
	"cubegate/server/servertest"
)

// 24. Without JWT_SECRET, the original silently used default_value. This value is in
// its public source, so a reader could sign tokens of all users.
func TestDefect24GuessableJWTSecretIsRefused(t *testing.T) {
	t.Parallel()
	real := []map[string]string{
		{"APP_ID": "1", "AUTH_KEY": "key"},
		{"MONGO_URI": "mongodb://127.0.0.1:1"},
	}
	for _, secret := range []string{"", "default_value", "defaultSecret", "your_jwt_secret", "secret", "changeme", "0f8a1c5e7b92d34460fe18c7a3b5d92"} {
		for _, settings := range real {
			got := runToEnd(t, servertest.Merge(settings, map[string]string{"JWT_SECRET": secret}))
			if got.Code != 1 || !strings.Contains(got.Stderr, "jwt.secret (JWT_SECRET") {
				t.Errorf("%q with %v: %+v", secret, settings, got)
			}
			if len(secret) > 8 && strings.Contains(got.Stdout+got.Stderr, secret) {
				t.Errorf("the output contains the secret: %+v", got)
			}
		}
	}

	cfg := servertest.Configure(t, nil) // with stand-ins, the server makes a random secret
	r, stop := servertest.StartUntil(t, cfg)
	defer stop()
	r.Register(t, "ada@example.org")
	for _, guess := range []string{"default_value", "defaultSecret", "", "your_jwt_secret"} {
		r.RequireRefused(t, servertest.SignHMAC(sha256.New, guess, `{"alg":"HS256","typ":"JWT"}`, `{"id":"1","email":"ada@example.org","exp":99999999999}`))
	}
	kept := filepath.Join(cfg.DataDir, "jwt_secret")
	info, err := os.Stat(kept)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 64 {
		t.Errorf("the file of the secret: %v, %v", info, err)
	}
	if r.RequireAccepted(t, r.Login(t, servertest.LoginDocument, "ada@example.org").Token); strings.Contains(r.Log.String(), readFile(t, kept)) {
		t.Error("the log contains the secret")
	}
}

// runToEnd starts a server whose settings make it end.
func runToEnd(t *testing.T, settings map[string]string) servertest.Outcome {
	t.Helper()
	env := servertest.Merge(servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": t.TempDir()}), settings)
	return servertest.Run(t.Context(), env)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// 25. The original repeated input that did not fit the schema, with the password: "got
// invalid value { ..., password: "secret123" }". Clients wrote it to their logs.
func TestDefect25PasswordsAreNotEchoed(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	const password = "Zebra7Quartz"
	for _, body := range []string{
		`{"query":"mutation($b: UserRegisterInput!) { register(body: $b) { message } }","variables":{"b":{"email":"a@b.org","password":"` + password + `"}}}`,
		`{"query":"mutation($b: UserRegisterInput!) { register(body: $b) { message } }","variables":{"b":{"email":1,"firstName":null,"lastName":[],"password":"` + password + `","more":"` + password + `"}}}`,
		`{"query":"mutation($b: LoginUserDto!) { login(body: $b) { message } }","variables":{"b":"` + password + `"}}`,
		`{"query":"mutation($b: LoginUserDto!) { login(body: $b) { message } }","variables":"` + password + `"}`,
		`{"query":"mutation($b: LoginUserDto!) { login(body: $b) { message } }","variables":{"b":{"email":"a@b.org","password":["` + password + `"]}}}`,
		`{"query":"mutation($b: LoginUserDto!) { login(body: $b) { message } }","variables":{"b":{"email":"a@b.org","password":{"` + password + `":1}}}}`,
		`{"query":"mutation { login(body: {email: \"a@b.org\", password: ` + password + `}) { message } }"}`,
		`{"query":"mutation { login(body: {email: 1, password: \"` + password + `\"}) { message } }"}`,
		`{"query":"mutation { login(body: \"` + password + `\") { message } }"}`,
		`{"query":"mutation { login(body: {email: \"a@b.org\", password: \"` + password + `}) { message } }"}`,
		`{"query":"mutation { login(body: {email: \"a@b.org\", password: \"` + password + `\"}, more: \"` + password + `\") { message } }"}`,
		`{"query":"mutation { login(body: {email: \"a@b.org\", password: \"` + password + `\"}) { message } }"}`,
		`{"query":"mutation($b: String = \"` + password + `\") { login(body: {email: \"a@b.org\", password: $b}) }"}`,
		`{"query":{"email":"a@b.org","password":"` + password + `"}}`,
		`{"email":"a@b.org","password":"` + password + `"}`,
		`{"email":"a@b.org","password":"` + password,
	} {
		got := r.Request(t, http.MethodPost, "/api", body)
		if servertest.CodeOf(got.Body) == "" {
			t.Errorf("%s: no error in %s", body, got.Body)
		}
		if strings.Contains(got.Body, password) {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
	if strings.Contains(r.Log.String(), password) {
		t.Errorf("the log contains the password: %s", r.Log)
	}
}

// 26. The SDK printed each request and response: the auth key, session tokens, names
// and emails, with 28 lines for a login and 35 for a registration. This test also
// bounds the number of lines. TestSecretsStayInside in server/security searches for
// secrets in all output.
func TestDefect26LogHasNoPersonalData(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, true, nil)
	r.Request(t, http.MethodGet, "/healthz", "")
	before := strings.Count(r.Log.String(), "\n")
	r.Register(t, "ada@example.org")
	got := r.Login(t, servertest.LoginDocument, "ada@example.org")
	log := r.Log.String()
	for _, private := range []string{servertest.OwnAuthKey, got.ConnectySession, got.Token, got.ChatTicket, "Lovelace", "example.org", "correct horse"} {
		if private == "" || strings.Contains(log, private) {
			t.Errorf("the log contains %q", private)
		}
	}
	// One for the registration, one for the login, and one for each callback.
	if lines := strings.Count(log, "\n") - before; lines < 2 || lines > 4 {
		t.Errorf("%d lines for a registration and a login: %s", lines, log)
	}
}

// 27. The original refused an unknown email in 4 ms and a wrong password in 65 ms, so
// a client could find out which emails have accounts. Our server computes one hash for
// both. The test measures the memory of the hash, because times depend on the load of
// the machine. It does not run in parallel, because the memory of other tests counts.
func TestDefect27UnknownEmailCostsAHash(t *testing.T) {
	const memory = 32 << 20 // bytes of one hash, and far more than all else that a login allocates
	r := servertest.Start(t, map[string]string{"PASSWORD_MEMORY": fmt.Sprint(memory >> 10)})
	r.Register(t, "ada@example.org")
	var texts []string
	for _, email := range []string{"ada@example.org", "unknown@example.org"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": email, "password": "wrong horse"})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n < memory || n >= 2*memory {
			t.Errorf("%s: %d bytes allocated, want the memory of one hash", email, n)
		}
		texts = append(texts, got.Body)
	}
	if texts[0] != texts[1] {
		t.Errorf("the replies differ: %s and %s", texts[0], texts[1])
	}
}

// 28. bcrypt uses the first 72 bytes of a password, and the original accepted longer
// ones: a login succeeded with any text after these bytes.
func TestDefect28WholePasswordCounts(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	long := strings.Repeat("🦀", 40) // 160 bytes
	body := servertest.Merge(servertest.NewUser("ada@example.org"), map[string]string{"password": long})
	if got := r.GraphQL(t, servertest.RegisterDocument, body); got.Code() != "" {
		t.Fatal(got.Body)
	}
	for password, code := range map[string]string{
		long:                             "",
		strings.Repeat("🦀", 39) + "🦞":    "UNAUTHENTICATED",
		strings.Repeat("🦀", 39):          "UNAUTHENTICATED",
		long + "x":                       "UNAUTHENTICATED",
		strings.Repeat("🦀", 18) + "more": "UNAUTHENTICATED", // its first 72 bytes are right
	} {
		if got := r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": "ada@example.org", "password": password}); got.Code() != code {
			t.Errorf("%s: %s, want %q", password, got.Body, code)
		}
	}
	body = servertest.Merge(servertest.NewUser("bob@example.org"), map[string]string{"password": long + "x"})
	if got := r.GraphQL(t, servertest.RegisterDocument, body); got.Code() != "BAD_USER_INPUT" {
		t.Errorf("41 characters: %s", got.Body)
	}
}

// 29. Emails were distinguished by letter case: a login in another case failed, and a
// second registration was possible. Two existing users whose emails differ only in
// case can still log in.
func TestDefect29CaseOfEmailDoesNotMatter(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	servertest.InsertUsers(t, db, servertest.OriginalUser(t, "Twin@example.org", "correct horse"), servertest.OriginalUser(t, "twin@example.org", "correct horse"),
		servertest.OriginalUser(t, "Old@Example.org", "correct horse"))
	r := servertest.Start(t, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": servertest.JWTSecret})
	id := r.Register(t, "Ada@Example.org").ID
	for _, email := range []string{"ada@example.org", "ADA@EXAMPLE.ORG", " Ada@Example.org "} {
		if got := r.Login(t, servertest.LoginDocument, email); got.User.ID != id || got.User.Email != "Ada@Example.org" {
			t.Errorf("%s: %+v", email, got)
		}
		other := servertest.NewUser(email)
		other["password"] = "another horse"
		if got := r.GraphQL(t, servertest.RegisterDocument, other); got.Code() != "CONFLICT" {
			t.Errorf("%s: %s", email, got.Body)
		}
		if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(email)); got.Code() != "" || got.Data.Register.User.ID != id {
			t.Errorf("%s, the same registration: %s", email, got.Code())
		}
	}
	if got := r.Login(t, servertest.LoginDocument, "old@example.ORG"); got.User.Email != "Old@Example.org" {
		t.Errorf("a user of the original: %+v", got)
	}
	for _, email := range []string{"Twin@example.org", "twin@example.org"} {
		if got := r.Login(t, servertest.LoginDocument, email); got.User.Email != email {
			t.Errorf("%s: %+v", email, got)
		}
	}
}

// 30. The original bounded neither the work of one request (50 aliases created 50
// accounts and cost 6 s of bcrypt) nor the number of wrong passwords.
func TestDefect30WorkIsBounded(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.Merge(servertest.CallbackSettings, map[string]string{"LOGIN_FAILURES": "3"}))
	var many strings.Builder
	for i := range 50 {
		fmt.Fprintf(&many, `a%d: register(body: {email: "a%d@example.org", firstName: "A", lastName: "B", password: "correct horse"}) { message } `, i, i)
	}
	if got := r.GraphQL(t, "mutation {"+many.String()+"}", nil); got.Code() != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("50 registrations: %.200s", got.Body)
	}
	if found := r.AllCubeUsers(t); len(found) != 0 {
		t.Errorf("ConnectyCube has %+v", found)
	}

	r.Register(t, "ada@example.org")
	r.Register(t, "bob@example.org")
	wrong := map[string]string{"email": "ada@example.org", "password": "wrong horse"}
	for i := range 3 {
		document := []string{servertest.LoginDocument, servertest.ByTokenDocument}[i%2]
		if got := r.GraphQL(t, document, wrong); got.Code() != "UNAUTHENTICATED" {
			t.Fatalf("wrong password %d: %s", i, got.Body)
		}
	}
	for _, body := range []map[string]string{wrong, servertest.Credentials("ADA@example.org")} {
		got := r.Request(t, http.MethodPost, "/api", servertest.RequestBody(t, servertest.LoginDocument, body))
		if servertest.CodeOf(got.Body) != "RATE_LIMITED" || got.Header.Get("Retry-After") == "" {
			t.Errorf("after three: %v %s", got.Header, got.Body)
		}
	}
	// ConnectyCube asks for all users, so its bound is separate and wider. Reaching it
	// locks no user out of the login.
	var got servertest.Reply
	for range 31 {
		got = r.Request(t, http.MethodPost, server.VerifyPath, `{"email":"bob@example.org","password":"wrong horse"}`, servertest.CallbackHeader...)
	}
	if got.Status != 429 || got.Header.Get("Retry-After") == "" {
		t.Errorf("the verify route: %d %s", got.Status, got.Body)
	}
	r.Login(t, servertest.LoginDocument, "bob@example.org")
}

// 31. 100 logins in one request ended at the first wrong password only because the
// field happens to be non-null. Our server does not begin them.
func TestDefect31ManyGuessesInOneRequestDoNotBegin(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"LOGIN_FAILURES": "1"})
	r.Register(t, "ada@example.org")
	var guesses strings.Builder
	for i := range 100 {
		fmt.Fprintf(&guesses, `a%d: login(body: {email: "ada@example.org", password: "guess%d"}) { token } `, i, i)
	}
	few := `a: login(body: {email: "ada@example.org", password: "guess"}) { token } `
	for _, document := range []string{
		"mutation { " + guesses.String() + "}",
		"mutation { ... on Mutation { " + guesses.String() + "} }",
		"mutation { ...F } fragment F on Mutation { " + guesses.String() + "}",
		"mutation { " + few + " ...F ...G } fragment F on Mutation { b" + few + " } fragment G on Mutation { c" + few + " }",
	} {
		if got := r.GraphQL(t, document, nil); got.Code() != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("%.80s: %.200s", document, got.Body)
		}
	}
	r.Login(t, servertest.LoginDocument, "ada@example.org") // one guess would have locked it
}

// 32. CORS allowed all origins, including null, with credentials.
func TestDefect32OnlyListedOriginsMayCall(t *testing.T) {
	t.Parallel()
	const ours, theirs = "https://app.example.org", "https://evil.example"
	for _, tt := range []struct {
		name     string
		settings map[string]string
		allowed  map[string]string
	}{
		{"stand-ins", nil, map[string]string{ours: "*", theirs: "*", "null": "*"}},
		{"a real service", servertest.NewUpstream(t).Settings(), map[string]string{ours: "", theirs: "", "null": ""}},
		{"listed", servertest.Merge(servertest.NewUpstream(t).Settings(), map[string]string{"CORS_ORIGINS": ours}), map[string]string{ours: ours, theirs: "", "null": ""}},
		{"none", map[string]string{"CORS_ORIGINS": "none"}, map[string]string{ours: "", theirs: "", "null": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := servertest.Start(t, tt.settings)
			for origin, want := range tt.allowed {
				for _, got := range []servertest.Reply{
					r.Request(t, http.MethodPost, "/api", `{"query":"{hello}"}`, "Origin", origin),
					r.Request(t, http.MethodGet, server.VerifyPath+"?token=x", "", "Origin", origin),
					r.Request(t, http.MethodGet, "/nope", "", "Origin", origin),
					r.Request(t, http.MethodOptions, "/api", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"),
				} {
					if allowed := got.Header.Get("Access-Control-Allow-Origin"); allowed != want {
						t.Errorf("%s is allowed %q, want %q", origin, allowed, want)
					}
					if got.Header.Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s: credentials are allowed", origin)
					}
				}
			}
		})
	}
}

// 33. Responses of the verify route had an ETag and could be cached, under a URL that
// contains the token.
func TestDefect33VerifyRepliesAreNotCached(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.CallbackSettings)
	r.Register(t, "ada@example.org")
	good := server.VerifyPath + "?token=" + r.Login(t, servertest.LoginDocument, "ada@example.org").Token
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", good, "", 200}, {"HEAD", good, "", 200}, {"GET", server.VerifyPath, "", 400}, {"GET", server.VerifyPath + "?token=x", "", 401},
		{"POST", server.VerifyPath, `{"email":"ada@example.org","password":"correct horse"}`, 200}, {"POST", server.VerifyPath, `{}`, 400},
		{"POST", server.VerifyPath, `{"email":"ada@example.org","password":"wrong horse"}`, 401},
	} {
		got := r.Request(t, tt.method, tt.path, tt.body, append(servertest.CallbackHeader, "If-None-Match", "*")...)
		if got.Status != tt.status || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("ETag") != "" || got.Header.Get("Last-Modified") != "" {
			t.Errorf("%s %.30s: %d %v", tt.method, tt.path, got.Status, got.Header)
		}
	}
}

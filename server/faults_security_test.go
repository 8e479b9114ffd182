package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// 24. Without JWT_SECRET the original started in silence with default_value,
// which is in its public source: whoever had read it could be anybody.
func TestFault24GuessableJWTSecretIsRefused(t *testing.T) {
	t.Parallel()
	real := []map[string]string{
		{"APP_ID": "1", "AUTH_KEY": "key"},
		{"MONGO_URI": "mongodb://127.0.0.1:1"},
	}
	for _, secret := range []string{"", "default_value", "defaultSecret", "your_jwt_secret", "secret", "changeme", "0f8a1c5e7b92d34460fe18c7a3b5d92"} {
		for _, settings := range real {
			code, said := ran(t, with(settings, map[string]string{"JWT_SECRET": secret}))
			if code != 1 || !strings.Contains(said, "jwt.secret (JWT_SECRET") {
				t.Errorf("%q with %v: exit %d, %s", secret, settings, code, said)
			}
			if len(secret) > 8 && strings.Contains(said, secret) {
				t.Errorf("the secret is shown: %s", said)
			}
		}
	}

	cfg := configure(t, nil) // nothing real: a secret is made, and it is nobody's to guess
	r, stop := startUntil(t, cfg)
	defer stop()
	r.register(t, "ada@example.org")
	for _, guess := range []string{"default_value", "defaultSecret", "", "your_jwt_secret"} {
		r.refuses(t, sign(sha256.New, guess, `{"alg":"HS256","typ":"JWT"}`, `{"id":"1","email":"ada@example.org","exp":99999999999}`))
	}
	kept := filepath.Join(cfg.DataDir, "jwt_secret")
	info, err := os.Stat(kept)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 64 {
		t.Errorf("the secret that was made: %v, %v", info, err)
	}
	if r.accepts(t, r.login(t, loginDocument, "ada@example.org").Token); strings.Contains(r.log.String(), readFile(t, kept)) {
		t.Error("the log has the secret")
	}
}

// ran runs the program until it ends by itself, and returns its exit status
// and what it said.
func ran(t *testing.T, settings map[string]string) (int, string) {
	t.Helper()
	env := with(with(quick, map[string]string{"DATA_DIR": t.TempDir()}), settings)
	var out logBuffer
	code := Main(t.Context(), configYAML, nil, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, &out, &out)
	return code, out.String()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// 25. What did not fit the schema was echoed, password and all: «got invalid
// value { …, password: "secret123" }», from where it went into clients' logs.
func TestFault25PasswordsAreNotEchoed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
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
		got := r.request(t, http.MethodPost, "/api", body)
		if codeOf(got.body) == "" {
			t.Errorf("%s: no error in %s", body, got.body)
		}
		if strings.Contains(got.body, password) {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	if strings.Contains(r.log.String(), password) {
		t.Errorf("the log has the password: %s", r.log)
	}
}

// 26. The SDK printed each request and answer: the auth key, session tokens,
// names and addresses, 28 lines a login and 35 a registration. secrets_test.go
// looks for secrets wherever they could come out; this is the original's own
// case, and how much is written.
func TestFault26LogTellsNothingOfPeople(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := u.startWith(t, true, nil)
	r.request(t, http.MethodGet, "/healthz", "")
	before := strings.Count(r.log.String(), "\n")
	r.register(t, "ada@example.org")
	got := r.login(t, loginDocument, "ada@example.org")
	log := r.log.String()
	for _, told := range []string{ownAuthKey, got.ConnectySession, got.Token, got.ChatTicket, "Lovelace", "example.org", "correct horse"} {
		if told == "" || strings.Contains(log, told) {
			t.Errorf("the log has %q", told)
		}
	}
	// one for the registration, one for the login, one for each call-back
	if lines := strings.Count(log, "\n") - before; lines < 2 || lines > 4 {
		t.Errorf("%d lines for a registration and a login: %s", lines, log)
	}
}

// 27. An unknown address was refused in 4 ms and a wrong password in 65, so
// accounts could be listed. Here both cost one hash; what is counted is its
// memory, for the time it takes is no fact on a busy machine. It runs alone: what
// others allocate would be counted.
func TestFault27UnknownAddressCostsAHash(t *testing.T) {
	const memory = 32 << 20 // bytes of one hash, and far more than all else that a login allocates
	r := start(t, map[string]string{"PASSWORD_MEMORY": fmt.Sprint(memory >> 10)})
	r.register(t, "ada@example.org")
	var texts []string
	for _, address := range []string{"ada@example.org", "nobody@example.org"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := r.graphql(t, loginDocument, map[string]string{"email": address, "password": "wrong horse"})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n < memory || n >= 2*memory {
			t.Errorf("%s: %d bytes allocated, want those of one hash", address, n)
		}
		texts = append(texts, got.text)
	}
	if texts[0] != texts[1] {
		t.Errorf("two answers: %s and %s", texts[0], texts[1])
	}
}

// 28. bcrypt sees 72 bytes of a password, and nothing refused longer ones: any
// tail after those logged in.
func TestFault28WholePasswordCounts(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	long := strings.Repeat("🦀", 40) // 160 bytes
	body := with(ada("ada@example.org"), map[string]string{"password": long})
	if got := r.graphql(t, registerDocument, body); got.code() != "" {
		t.Fatal(got.text)
	}
	for password, code := range map[string]string{
		long:                             "",
		strings.Repeat("🦀", 39) + "🦞":    "UNAUTHENTICATED",
		strings.Repeat("🦀", 39):          "UNAUTHENTICATED",
		long + "x":                       "UNAUTHENTICATED",
		strings.Repeat("🦀", 18) + "more": "UNAUTHENTICATED", // its first 72 bytes are right
	} {
		if got := r.graphql(t, loginDocument, map[string]string{"email": "ada@example.org", "password": password}); got.code() != code {
			t.Errorf("%s: %s, want %q", password, got.text, code)
		}
	}
	body = with(ada("bob@example.org"), map[string]string{"password": long + "x"})
	if got := r.graphql(t, registerDocument, body); got.code() != "BAD_USER_INPUT" {
		t.Errorf("41 characters: %s", got.text)
	}
}

// 29. Addresses differed by case: typed in another case one could not log in,
// and a second account was possible. Two that exist keep working as typed.
func TestFault29CaseOfAddressDoesNotMatter(t *testing.T) {
	t.Parallel()
	db := startDatabase(t)
	insert(t, db, original(t, "Twin@example.org", "correct horse"), original(t, "twin@example.org", "correct horse"),
		original(t, "Old@Example.org", "correct horse"))
	r := start(t, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": strongSecret})
	id := r.register(t, "Ada@Example.org").ID
	for _, address := range []string{"ada@example.org", "ADA@EXAMPLE.ORG", " Ada@Example.org "} {
		if got := r.login(t, loginDocument, address); got.User.ID != id || got.User.Email != "Ada@Example.org" {
			t.Errorf("%s: %+v", address, got)
		}
		if got := r.graphql(t, registerDocument, ada(address)); got.code() != "CONFLICT" {
			t.Errorf("%s: %s", address, got.text)
		}
	}
	if got := r.login(t, loginDocument, "old@example.ORG"); got.User.Email != "Old@Example.org" {
		t.Errorf("a user of the original: %+v", got)
	}
	for _, address := range []string{"Twin@example.org", "twin@example.org"} {
		if got := r.login(t, loginDocument, address); got.User.Email != address {
			t.Errorf("%s: %+v", address, got)
		}
	}
}

// 30. Nothing bounded the work of one request (50 aliases made 50 accounts and
// 6 s of bcrypt), and nobody counted wrong passwords.
func TestFault30WorkIsBounded(t *testing.T) {
	t.Parallel()
	r := start(t, with(knownCallback, map[string]string{"LOGIN_FAILURES": "3"}))
	var many strings.Builder
	for i := range 50 {
		fmt.Fprintf(&many, `a%d: register(body: {email: "a%d@example.org", firstName: "A", lastName: "B", password: "correct horse"}) { message } `, i, i)
	}
	if got := r.graphql(t, "mutation {"+many.String()+"}", nil); got.code() != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("50 registrations: %.200s", got.text)
	}
	if found := r.allCubeUsers(t); len(found) != 0 {
		t.Errorf("ConnectyCube has %+v", found)
	}

	r.register(t, "ada@example.org")
	r.register(t, "bob@example.org")
	wrong := map[string]string{"email": "ada@example.org", "password": "wrong horse"}
	for i := range 3 {
		document := []string{loginDocument, byTokenDocument}[i%2]
		if got := r.graphql(t, document, wrong); got.code() != "UNAUTHENTICATED" {
			t.Fatalf("wrong password %d: %s", i, got.text)
		}
	}
	for _, body := range []map[string]string{wrong, credentials("ADA@example.org")} {
		got := r.request(t, http.MethodPost, "/api", asked(t, loginDocument, body))
		if codeOf(got.body) != "RATE_LIMITED" || got.header.Get("Retry-After") == "" {
			t.Errorf("after three: %v %s", got.header, got.body)
		}
	}
	// ConnectyCube asks for everybody, so its bound is its own and wider; and
	// who uses that up has locked nobody out of the login.
	var got reply
	for range 31 {
		got = r.request(t, http.MethodPost, verifyPath, `{"email":"bob@example.org","password":"wrong horse"}`, askedBy...)
	}
	if got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("by the verify route: %d %s", got.status, got.body)
	}
	r.login(t, loginDocument, "bob@example.org")
}

// 31. 100 logins in one request stopped at the first wrong password only
// because the field happens to be non-null. Here they do not begin.
func TestFault31ManyGuessesInOneRequestDoNotBegin(t *testing.T) {
	t.Parallel()
	r := start(t, map[string]string{"LOGIN_FAILURES": "1"})
	r.register(t, "ada@example.org")
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
		if got := r.graphql(t, document, nil); got.code() != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("%.80s: %.200s", document, got.text)
		}
	}
	r.login(t, loginDocument, "ada@example.org") // a single guess would have locked it
}

// 32. CORS answered any origin, null too, and allowed credentials.
func TestFault32OnlyListedOriginsMayCall(t *testing.T) {
	t.Parallel()
	const ours, theirs = "https://app.example.org", "https://evil.example"
	for _, tt := range []struct {
		name     string
		settings map[string]string
		allowed  map[string]string
	}{
		{"stand-ins", nil, map[string]string{ours: "*", theirs: "*", "null": "*"}},
		{"something real", newUpstream(t).settings(), map[string]string{ours: "", theirs: "", "null": ""}},
		{"listed", with(newUpstream(t).settings(), map[string]string{"CORS_ORIGINS": ours}), map[string]string{ours: ours, theirs: "", "null": ""}},
		{"none", map[string]string{"CORS_ORIGINS": "none"}, map[string]string{ours: "", theirs: "", "null": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.settings)
			for origin, want := range tt.allowed {
				for _, got := range []reply{
					r.request(t, http.MethodPost, "/api", `{"query":"{hello}"}`, "Origin", origin),
					r.request(t, http.MethodGet, verifyPath+"?token=x", "", "Origin", origin),
					r.request(t, http.MethodGet, "/nope", "", "Origin", origin),
					r.request(t, http.MethodOptions, "/api", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"),
				} {
					if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != want {
						t.Errorf("%s is allowed %q, want %q", origin, allowed, want)
					}
					if got.header.Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s: credentials are allowed", origin)
					}
				}
			}
		})
	}
}

// 33. Answers of the verify route had an ETag and nothing that forbids to keep
// them, with the token in the address they would be kept under.
func TestFault33VerifyAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	r := start(t, knownCallback)
	r.register(t, "ada@example.org")
	good := verifyPath + "?token=" + r.login(t, loginDocument, "ada@example.org").Token
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", good, "", 200}, {"HEAD", good, "", 200}, {"GET", verifyPath, "", 400}, {"GET", verifyPath + "?token=x", "", 401},
		{"POST", verifyPath, `{"email":"ada@example.org","password":"correct horse"}`, 200}, {"POST", verifyPath, `{}`, 400},
		{"POST", verifyPath, `{"email":"ada@example.org","password":"wrong horse"}`, 401},
	} {
		got := r.request(t, tt.method, tt.path, tt.body, append(askedBy, "If-None-Match", "*")...)
		if got.status != tt.status || got.header.Get("Cache-Control") != "no-store" || got.header.Get("ETag") != "" || got.header.Get("Last-Modified") != "" {
			t.Errorf("%s %.30s: %d %v", tt.method, tt.path, got.status, got.header)
		}
	}
}

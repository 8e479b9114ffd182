package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/server/config"
)

// running is the whole program, listening on ports of its own.
type running struct {
	Parts
	url string // of the API
	box string // of the sandbox; "" without one
	log *logBuffer
}

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// quick are settings that make tests quick and change nothing that they ask.
var quick = map[string]string{
	"HOST": "127.0.0.1", "PORT": "0", "SANDBOX_PORT": "0",
	"REGISTER_PER_NETWORK": "0", "CONNECTYCUBE_SIGN_UPS_PER_MINUTE": "0", "PASSWORD_MEMORY": "64", "PASSWORD_ITERATIONS": "1", "LOG_LEVEL": "debug", "LOG_FORMAT": "json",
}

// allOrNothing are settings without which somebody may register while
// ConnectyCube does not answer.
var allOrNothing = map[string]string{"CONNECTYCUBE_REGISTER_WHILE_AWAY": "false"}

// configure reads the quick settings and more. An empty value takes one away.
func configure(t *testing.T, more map[string]string) config.Config {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{"DATA_DIR": dir}
	for _, m := range []map[string]string{quick, more} {
		for k, v := range m {
			env[k] = v
		}
	}
	cfg, err := config.Load(configYAML, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, dir)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start runs the program until the test ends.
func start(t *testing.T, more map[string]string) *running {
	t.Helper()
	r, stop := startUntil(t, configure(t, more))
	t.Cleanup(stop)
	return r
}

// startUntil runs the program until stop is called, which checks that it ends
// well.
func startUntil(t *testing.T, cfg config.Config) (*running, func()) {
	t.Helper()
	r := &running{log: &logBuffer{}}
	s, err := Open(t.Context(), cfg, newLogger(cfg, r.log))
	if err != nil {
		t.Fatal(err)
	}
	r.Parts = s.Parts()
	r.url = "http://" + r.Listener.Addr().String()
	if r.SandboxListener != nil {
		r.box = "http://" + r.SandboxListener.Addr().String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return r, sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the program ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the program did not end")
		}
		http.DefaultClient.CloseIdleConnections()
	})
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// request sends one request and reads the answer. The header arguments are
// names and values in turn.
func (r *running) request(t *testing.T, method, url, body string, header ...string) reply {
	t.Helper()
	got, err := try(method, r.at(url), body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return got
}

// at makes a path an address of the API.
func (r *running) at(url string) string {
	if strings.HasPrefix(url, "/") {
		return r.url + url
	}
	return url
}

func try(method, url, body string, header ...string) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return reply{}, err
	}
	defer a.Body.Close()
	raw, err := io.ReadAll(a.Body)
	return reply{a.StatusCode, a.Header, string(raw)}, err
}

// The operations that apps send.
const (
	registerDocument = `mutation($body: UserRegisterInput!) { register(body: $body)` + loginFields
	loginFields      = ` { message token refreshToken sessionId connectySession ccUserId chatStatus chatTicket chat { password } user { id email firstName lastName } } }`
	loginDocument    = `mutation($body: LoginUserDto!) { answer: login(body: $body)` + loginFields
	byTokenDocument  = `mutation($body: LoginUserDto!) { answer: login_By_token(body: $body)` + loginFields
)

// answer is what GraphQL says.
type answer struct {
	Data struct {
		Hello    string
		Register *login
		Answer   *login
	}
	Errors []struct {
		Message    string
		Extensions struct {
			Code   string
			Fields map[string]string
		}
	}
	text string
}

type login struct {
	Message, Token, RefreshToken, SessionID, ConnectySession, ChatStatus, ChatTicket string

	CcUserID *float64
	Chat     struct{ Password string }
	User     person
}

type person struct{ ID, Email, FirstName, LastName string }

func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

// graphql asks one document with the body as its variable.
func (r *running) graphql(t *testing.T, document string, body map[string]string) answer {
	t.Helper()
	got := r.request(t, http.MethodPost, "/api", asked(t, document, body))
	a := answer{text: got.body}
	if err := json.Unmarshal([]byte(got.body), &a); err != nil {
		t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	return a
}

// ada is a person who can register.
func ada(address string) map[string]string {
	return map[string]string{"email": address, "firstName": "Ada", "lastName": "Lovelace", "password": "correct horse"}
}

// credentials are what she logs in with.
func credentials(address string) map[string]string {
	return map[string]string{"email": address, "password": "correct horse"}
}

// register makes a user or ends the test.
func (r *running) register(t *testing.T, address string) person {
	t.Helper()
	got := r.graphql(t, registerDocument, ada(address))
	if got.code() != "" {
		t.Fatalf("registering %s: %s", address, got.text)
	}
	return got.Data.Register.User
}

// login logs in or ends the test.
func (r *running) login(t *testing.T, document, address string) login {
	t.Helper()
	got := r.graphql(t, document, credentials(address))
	if got.code() != "" {
		t.Fatalf("logging in %s: %s", address, got.text)
	}
	return *got.Data.Answer
}

// as sends one operation with an access token.
func (r *running) as(t *testing.T, token, document string, variables map[string]any) reply {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	header := []string{"Authorization", "Bearer " + token}
	if token == "" {
		header = nil
	}
	return r.request(t, http.MethodPost, "/api", string(raw), header...)
}

// fault makes the sandbox misbehave.
func (r *running) fault(t *testing.T, fault string) {
	t.Helper()
	if got := r.request(t, http.MethodPost, r.box+"/_sandbox/faults", fault); got.status/100 != 2 {
		t.Fatalf("fault %s: %d %s", fault, got.status, got.body)
	}
}

// healed takes all faults away.
func (r *running) healed(t *testing.T) {
	t.Helper()
	if got := r.request(t, http.MethodDelete, r.box+"/_sandbox/faults", ""); got.status/100 != 2 {
		t.Fatalf("taking faults away: %d %s", got.status, got.body)
	}
}

// cubeUser is a user as the sandbox's state shows it.
type cubeUser struct {
	ID         float64 `json:"id"`
	Email      string  `json:"email"`
	ExternalID string  `json:"external_id"`
	FullName   string  `json:"full_name"`
}

// allCubeUsers are the users at the sandbox.
func (r *running) allCubeUsers(t *testing.T) []cubeUser {
	t.Helper()
	var state struct{ Users []cubeUser }
	got := r.request(t, http.MethodGet, r.box+"/_sandbox/state", "")
	if err := json.Unmarshal([]byte(got.body), &state); err != nil {
		t.Fatalf("state %s: %v", got.body, err)
	}
	return state.Users
}

// cubeUsers are the users at the sandbox who have this address.
func (r *running) cubeUsers(t *testing.T, address string) []cubeUser {
	t.Helper()
	var found []cubeUser
	for _, u := range r.allCubeUsers(t) {
		if strings.EqualFold(u.Email, address) {
			found = append(found, u)
		}
	}
	return found
}

// strongSecret could sign tokens; it is used in tests alone.
const strongSecret = "0f8a1c5e7b92d34460fe18c7a3b5d92e"

// moduleRoot is the folder of go.mod. It is not relative: a process that a test
// spawns has a working directory of its own.
var moduleRoot = func() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}()

// configYAML is what the program embeds.
var configYAML = func() []byte {
	raw, err := os.ReadFile(filepath.Join(moduleRoot, "config.yaml"))
	if err != nil {
		panic(err)
	}
	return raw
}()

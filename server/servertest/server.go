// Package servertest runs the whole server for tests: Start within the test's
// process, Spawn as a process of its own, and Run for one command line. Upstream
// is a ConnectyCube that misbehaves on request, Relay a broken network in front of
// the database, and Conversation a series of requests and replies from a file.
//
// It is the only package that knows the inside of a server. Only tests import it.
// A package whose tests use Spawn calls Main in its TestMain.
package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/server"
	"cubegate/server/config"
	"cubegate/store"
)

// Server is a running server. It listens on free ports.
type Server struct {
	server.Parts
	URL        string // of the API
	SandboxURL string // of the sandbox; empty without one
	OpsURL     string // of the operators' listener; empty without OPS_ADDR
	Log        *LogBuffer
}

// LogBuffer collects output, and tests can read it at the same time.
type LogBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// QuickSettings make tests quick: the cheapest hash and no budgets, on free ports. No time
// passes for a busy machine alone: the timeouts are longer than it needs, and a spent budget
// stays spent. A test that waits for one of them sets it.
var QuickSettings = map[string]string{
	"HOST": "127.0.0.1", "PORT": "0", "SANDBOX_PORT": "0",
	"REGISTER_PER_NETWORK": "0", "CONNECTYCUBE_SIGN_UPS_PER_MINUTE": "0", "PASSWORD_MEMORY": "64", "PASSWORD_ITERATIONS": "1", "LOG_LEVEL": "debug", "LOG_FORMAT": "json",
	"PASSWORD_MAX_WAIT": "1m", "MONGO_TIMEOUT": "20s", "CONNECTYCUBE_TIMEOUT": "20s", "LOGIN_RETRY_EVERY": "24h",
}

// AllOrNothing makes a registration fail while ConnectyCube does not answer.
var AllOrNothing = map[string]string{"CONNECTYCUBE_REGISTER_WHILE_AWAY": "false"}

// Configure loads QuickSettings and more settings. An empty value removes one.
func Configure(t *testing.T, more map[string]string) config.Config {
	t.Helper()
	dir := t.TempDir()
	env := Merge(Merge(QuickSettings, map[string]string{"DATA_DIR": dir}), more)
	cfg, err := config.Load(ConfigYAML, Getenv(env), dir)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Getenv looks up environment variables in a map.
func Getenv(env map[string]string) func(name string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// Start runs the server until the test ends.
func Start(t *testing.T, more map[string]string) *Server {
	t.Helper()
	r, stop := StartUntil(t, Configure(t, more))
	t.Cleanup(stop)
	return r
}

// StartUntil runs the server until the returned function is called, which checks
// that the server stops without an error, and that its log contains no credential.
func StartUntil(t *testing.T, cfg config.Config) (*Server, func()) {
	t.Helper()
	r := &Server{Log: &LogBuffer{}}
	var s *server.Server
	Eventually(t, "the server opens", func() bool { // a busy machine may miss a short MONGO_TIMEOUT
		var err error
		s, err = server.Open(t.Context(), cfg, server.NewLogger(cfg, r.Log))
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	r.Parts = s.Parts()
	r.URL = "http://" + r.Listener.Addr().String()
	if r.SandboxListener != nil {
		r.SandboxURL = "http://" + r.SandboxListener.Addr().String()
	}
	if r.OpsListener != nil {
		r.OpsURL = "http://" + r.OpsListener.Addr().String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return r, sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the server ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the server did not end")
		}
		checkLog(t, r.Log.String())
		http.DefaultClient.CloseIdleConnections()
	})
}

// Outcome is the result of a command line.
type Outcome struct {
	Code           int // exit status
	Stdout, Stderr string
}

// Run runs a command line, with env as the whole environment, until it ends.
func Run(ctx context.Context, env map[string]string, args ...string) Outcome {
	var stdout, stderr LogBuffer
	code := server.Main(ctx, ConfigYAML, args, Getenv(env), &stdout, &stderr)
	return Outcome{code, stdout.String(), stderr.String()}
}

// Reply is a response with its whole body.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Request sends one request and reads the reply. The header arguments are names
// and values in turn. A path is completed with the URL of the API.
func (r *Server) Request(t *testing.T, method, url, body string, header ...string) Reply {
	t.Helper()
	got, err := Try(method, r.ResolveURL(url), body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	checkHeaders(t, method+" "+url, got.Header)
	return got
}

// ResolveURL completes a path with the URL of the API, and returns a URL unchanged.
func (r *Server) ResolveURL(url string) string {
	if strings.HasPrefix(url, "/") {
		return r.URL + url
	}
	return url
}

// Try sends one request like Server.Request, and returns an error if no reply
// arrives.
func Try(method, url, body string, header ...string) (Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return Reply{}, err
	}
	defer a.Body.Close()
	raw, err := io.ReadAll(a.Body)
	return Reply{a.StatusCode, a.Header, string(raw)}, err
}

// The documents that apps send.
const (
	RegisterDocument = `mutation($body: UserRegisterInput!) { register(body: $body)` + loginFields
	loginFields      = ` { message token refreshToken sessionId connectySession ccUserId chatStatus chatTicket chat { password } user { id email firstName lastName } } }`
	LoginDocument    = `mutation($body: LoginUserDto!) { answer: login(body: $body)` + loginFields
	ByTokenDocument  = `mutation($body: LoginUserDto!) { answer: login_By_token(body: $body)` + loginFields
)

// GraphQLReply is the body of a GraphQL response.
type GraphQLReply struct {
	Data struct {
		Hello    string
		Register *LoginReply
		Answer   *LoginReply
	}
	Errors []struct {
		Message    string
		Extensions struct {
			Code   string
			Fields map[string]string
		}
	}
	Body string `json:"-"`
}

// LoginReply is the payload of register, login and refresh.
type LoginReply struct {
	Message, Token, RefreshToken, SessionID, ConnectySession, ChatStatus, ChatTicket string

	CcUserID *float64
	Chat     struct{ Password string }
	User     User
}

// User is the user of a LoginReply.
type User struct{ ID, Email, FirstName, LastName string }

// Code returns the code of the first error, or "" without an error.
func (a GraphQLReply) Code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

// GraphQL sends one document with body as its only variable.
func (r *Server) GraphQL(t *testing.T, document string, body map[string]string) GraphQLReply {
	t.Helper()
	got := r.Request(t, http.MethodPost, "/api", RequestBody(t, document, body))
	a := GraphQLReply{Body: got.Body}
	if err := json.Unmarshal([]byte(got.Body), &a); err != nil {
		t.Fatalf("%d %s: %v", got.Status, got.Body, err)
	}
	return a
}

// NewUser returns the input of a registration.
func NewUser(email string) map[string]string {
	return map[string]string{"email": email, "firstName": "Ada", "lastName": "Lovelace", "password": "correct horse"}
}

// Credentials returns the input of a login of a NewUser.
func Credentials(email string) map[string]string {
	return map[string]string{"email": email, "password": "correct horse"}
}

// Register registers a user, and ends the test if that fails.
func (r *Server) Register(t *testing.T, email string) User {
	t.Helper()
	got := r.GraphQL(t, RegisterDocument, NewUser(email))
	if got.Code() != "" {
		t.Fatalf("registering %s: %s", email, got.Body)
	}
	return got.Data.Register.User
}

// Login logs a user in, and ends the test if that fails.
func (r *Server) Login(t *testing.T, document, email string) LoginReply {
	t.Helper()
	got := r.GraphQL(t, document, Credentials(email))
	if got.Code() != "" {
		t.Fatalf("logging in %s: %s", email, got.Body)
	}
	return *got.Data.Answer
}

// SendAs sends one document with an access token, or without one if it is empty.
func (r *Server) SendAs(t *testing.T, token, document string, variables map[string]any) Reply {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	header := []string{"Authorization", "Bearer " + token}
	if token == "" {
		header = nil
	}
	return r.Request(t, http.MethodPost, "/api", string(raw), header...)
}

// InjectFault adds a fault to the sandbox.
func (r *Server) InjectFault(t *testing.T, fault string) {
	t.Helper()
	if got := r.Request(t, http.MethodPost, r.SandboxURL+"/_sandbox/faults", fault); got.Status/100 != 2 {
		t.Fatalf("fault %s: %d %s", fault, got.Status, got.Body)
	}
}

// WaitFaultsSpent waits until requests have met all faults as often as those act.
func WaitFaultsSpent(t *testing.T, r *Server) {
	t.Helper()
	Eventually(t, "requests have met all faults", func() bool {
		return strings.HasPrefix(r.Request(t, http.MethodGet, r.SandboxURL+"/_sandbox/faults", "").Body, `{"faults":[]`)
	})
}

// ClearFaults removes all faults from the sandbox.
func (r *Server) ClearFaults(t *testing.T) {
	t.Helper()
	if got := r.Request(t, http.MethodDelete, r.SandboxURL+"/_sandbox/faults", ""); got.Status/100 != 2 {
		t.Fatalf("removing faults: %d %s", got.Status, got.Body)
	}
}

// CubeUser is an account in the sandbox's state.
type CubeUser struct {
	ID         float64 `json:"id"`
	Email      string  `json:"email"`
	ExternalID string  `json:"external_id"`
	FullName   string  `json:"full_name"`
}

// AllCubeUsers returns the accounts at the sandbox.
func (r *Server) AllCubeUsers(t *testing.T) []CubeUser {
	t.Helper()
	var state struct{ Users []CubeUser }
	got := r.Request(t, http.MethodGet, r.SandboxURL+"/_sandbox/state", "")
	if err := json.Unmarshal([]byte(got.Body), &state); err != nil {
		t.Fatalf("state %s: %v", got.Body, err)
	}
	return state.Users
}

// CubeUsers returns the accounts at the sandbox that have this email.
func (r *Server) CubeUsers(t *testing.T, email string) []CubeUser {
	t.Helper()
	var found []CubeUser
	for _, u := range r.AllCubeUsers(t) {
		if strings.EqualFold(u.Email, email) {
			found = append(found, u)
		}
	}
	return found
}

// The secrets that sign the tokens of tests. OtherJWTSecret replaces JWTSecret
// where a test changes the secret.
const (
	JWTSecret      = "0f8a1c5e7b92d34460fe18c7a3b5d92e"
	OtherJWTSecret = "another secret that is long enough: Zk3u81hQ"
)

// ModuleRoot is the folder of go.mod. The path is absolute, because a spawned
// process has another working directory.
var ModuleRoot = func() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}()

// ConfigYAML is the config.yaml that the program embeds.
var ConfigYAML = func() []byte {
	raw, err := os.ReadFile(filepath.Join(ModuleRoot, "config.yaml"))
	if err != nil {
		panic(err)
	}
	return raw
}()

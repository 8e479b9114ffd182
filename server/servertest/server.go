// Package servertest runs the whole program for tests: Start within the test's
// process, Spawn as a process of its own. Upstream is a ConnectyCube that
// misbehaves on request, Relay a broken network before the database, and
// Conversation a dialog of requests and replies from a file.
//
// It alone knows the inside of a server. Only tests import it. A package whose
// tests use Spawn calls Main in its TestMain.
package servertest

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

	"cubegate/server"
	"cubegate/server/config"
)

// Server is the whole program, listening on ports of its own.
type Server struct {
	server.Parts
	URL        string // of the API
	SandboxURL string // of the sandbox; "" without one
	Log        *LogBuffer
}

// LogBuffer is a log that tests can read while it is written.
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

// QuickSettings are settings that make tests quick and change nothing that they ask.
var QuickSettings = map[string]string{
	"HOST": "127.0.0.1", "PORT": "0", "SANDBOX_PORT": "0",
	"REGISTER_PER_NETWORK": "0", "CONNECTYCUBE_SIGN_UPS_PER_MINUTE": "0", "PASSWORD_MEMORY": "64", "PASSWORD_ITERATIONS": "1", "LOG_LEVEL": "debug", "LOG_FORMAT": "json",
}

// AllOrNothing are settings without which somebody may register while
// ConnectyCube does not answer.
var AllOrNothing = map[string]string{"CONNECTYCUBE_REGISTER_WHILE_AWAY": "false"}

// Configure reads the quick settings and more. An empty value takes one away.
func Configure(t *testing.T, more map[string]string) config.Config {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{"DATA_DIR": dir}
	for _, m := range []map[string]string{QuickSettings, more} {
		for k, v := range m {
			env[k] = v
		}
	}
	cfg, err := config.Load(ConfigYAML, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, dir)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Start runs the program until the test ends.
func Start(t *testing.T, more map[string]string) *Server {
	t.Helper()
	r, stop := StartUntil(t, Configure(t, more))
	t.Cleanup(stop)
	return r
}

// StartUntil runs the program until stop is called, which checks that it ends
// well.
func StartUntil(t *testing.T, cfg config.Config) (*Server, func()) {
	t.Helper()
	r := &Server{Log: &LogBuffer{}}
	s, err := server.Open(t.Context(), cfg, server.NewLogger(cfg, r.Log))
	if err != nil {
		t.Fatal(err)
	}
	r.Parts = s.Parts()
	r.URL = "http://" + r.Listener.Addr().String()
	if r.SandboxListener != nil {
		r.SandboxURL = "http://" + r.SandboxListener.Addr().String()
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

// Reply is an answer, read whole.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Request sends one request and reads the answer. The header arguments are
// names and values in turn.
func (r *Server) Request(t *testing.T, method, url, body string, header ...string) Reply {
	t.Helper()
	got, err := Try(method, r.At(url), body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return got
}

// At makes a path an address of the API.
func (r *Server) At(url string) string {
	if strings.HasPrefix(url, "/") {
		return r.URL + url
	}
	return url
}

// Try is Request for a server that may not answer.
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

// The operations that apps send.
const (
	RegisterDocument = `mutation($body: UserRegisterInput!) { register(body: $body)` + loginFields
	loginFields      = ` { message token refreshToken sessionId connectySession ccUserId chatStatus chatTicket chat { password } user { id email firstName lastName } } }`
	LoginDocument    = `mutation($body: LoginUserDto!) { answer: login(body: $body)` + loginFields
	ByTokenDocument  = `mutation($body: LoginUserDto!) { answer: login_By_token(body: $body)` + loginFields
)

// GraphQLReply is what GraphQL says.
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

// Code returns the code of the first error; "" without one.
func (a GraphQLReply) Code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

// GraphQL asks one document with the body as its variable.
func (r *Server) GraphQL(t *testing.T, document string, body map[string]string) GraphQLReply {
	t.Helper()
	got := r.Request(t, http.MethodPost, "/api", RequestBody(t, document, body))
	a := GraphQLReply{Body: got.Body}
	if err := json.Unmarshal([]byte(got.Body), &a); err != nil {
		t.Fatalf("%d %s: %v", got.Status, got.Body, err)
	}
	return a
}

// NewUser is a person who can register.
func NewUser(address string) map[string]string {
	return map[string]string{"email": address, "firstName": "Ada", "lastName": "Lovelace", "password": "correct horse"}
}

// Credentials are what she logs in with.
func Credentials(address string) map[string]string {
	return map[string]string{"email": address, "password": "correct horse"}
}

// Register makes a user or ends the test.
func (r *Server) Register(t *testing.T, address string) User {
	t.Helper()
	got := r.GraphQL(t, RegisterDocument, NewUser(address))
	if got.Code() != "" {
		t.Fatalf("registering %s: %s", address, got.Body)
	}
	return got.Data.Register.User
}

// Login logs in or ends the test.
func (r *Server) Login(t *testing.T, document, address string) LoginReply {
	t.Helper()
	got := r.GraphQL(t, document, Credentials(address))
	if got.Code() != "" {
		t.Fatalf("logging in %s: %s", address, got.Body)
	}
	return *got.Data.Answer
}

// As sends one operation with an access token.
func (r *Server) As(t *testing.T, token, document string, variables map[string]any) Reply {
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

// InjectFault makes the sandbox misbehave.
func (r *Server) InjectFault(t *testing.T, fault string) {
	t.Helper()
	if got := r.Request(t, http.MethodPost, r.SandboxURL+"/_sandbox/faults", fault); got.Status/100 != 2 {
		t.Fatalf("fault %s: %d %s", fault, got.Status, got.Body)
	}
}

// ClearFaults takes all faults away.
func (r *Server) ClearFaults(t *testing.T) {
	t.Helper()
	if got := r.Request(t, http.MethodDelete, r.SandboxURL+"/_sandbox/faults", ""); got.Status/100 != 2 {
		t.Fatalf("taking faults away: %d %s", got.Status, got.Body)
	}
}

// CubeUser is a user as the sandbox's state shows it.
type CubeUser struct {
	ID         float64 `json:"id"`
	Email      string  `json:"email"`
	ExternalID string  `json:"external_id"`
	FullName   string  `json:"full_name"`
}

// AllCubeUsers are the users at the sandbox.
func (r *Server) AllCubeUsers(t *testing.T) []CubeUser {
	t.Helper()
	var state struct{ Users []CubeUser }
	got := r.Request(t, http.MethodGet, r.SandboxURL+"/_sandbox/state", "")
	if err := json.Unmarshal([]byte(got.Body), &state); err != nil {
		t.Fatalf("state %s: %v", got.Body, err)
	}
	return state.Users
}

// CubeUsers are the users at the sandbox who have this address.
func (r *Server) CubeUsers(t *testing.T, address string) []CubeUser {
	t.Helper()
	var found []CubeUser
	for _, u := range r.AllCubeUsers(t) {
		if strings.EqualFold(u.Email, address) {
			found = append(found, u)
		}
	}
	return found
}

// JWTSecret could sign tokens; it is used in tests alone.
const JWTSecret = "0f8a1c5e7b92d34460fe18c7a3b5d92e"

// ModuleRoot is the folder of go.mod. It is not relative: a process that a test
// spawns has a working directory of its own.
var ModuleRoot = func() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}()

// ConfigYAML is what the program embeds.
var ConfigYAML = func() []byte {
	raw, err := os.ReadFile(filepath.Join(ModuleRoot, "config.yaml"))
	if err != nil {
		panic(err)
	}
	return raw
}()

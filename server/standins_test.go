package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/resolvers"
	"cubegate/store/embedded"

	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"golang.org/x/crypto/bcrypt"
)

// What the tests' own ConnectyCube application is called.
const (
	ownAppID   = 4242
	ownAuthKey = "Own-Auth-Key-81723"

	// What it shows when it asks about passwords.
	ownCallbackSecret = "Vw3nQ8zT-callback-rL5kYc2mHx9BtG7d"
)

// upstream is a ConnectyCube of the test's own, which outlives the program: the
// sandbox behind a door that writes down what is asked and lies when told to.
type upstream struct {
	*sandbox.Sandbox
	url string

	mu   sync.Mutex
	seen []exchange
	lie  func(w http.ResponseWriter, r *http.Request, honest http.Handler) // nil: none
}

// exchange is one request that came to an upstream.
type exchange struct {
	method, path, body string
	header             http.Header
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{Sandbox: sandbox.New(sandbox.Options{AppID: ownAppID, AuthKey: ownAuthKey})}
	server := httptest.NewServer(http.HandlerFunc(u.serve))
	u.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections() // those that hang on purpose
		server.Close()
	})
	return u
}

func (u *upstream) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
		u.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body) // what was torn off is not JSON either
	r.Body = io.NopCloser(bytes.NewReader(body))
	u.mu.Lock()
	u.seen = append(u.seen, exchange{r.Method, strings.TrimSuffix(r.URL.Path, ".json"), string(body), r.Header.Clone()})
	lie := u.lie
	u.mu.Unlock()
	if lie == nil {
		u.ServeHTTP(w, r)
		return
	}
	lie(w, r, u.Sandbox)
}

// lies makes every request of this kind end as told; others stay honest.
func (u *upstream) lies(method, path string, how func(w http.ResponseWriter, r *http.Request, honest http.Handler)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lie = func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
		if r.Method == method && strings.TrimSuffix(r.URL.Path, ".json") == path {
			how(w, r, honest)
			return
		}
		honest.ServeHTTP(w, r)
	}
}

// says makes every request of this kind answer with the text and do nothing.
func (u *upstream) says(method, path string, status int, text string) {
	u.lies(method, path, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

// honest ends all lies.
func (u *upstream) honest() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lie = nil
}

// asked are the requests of one kind so far.
func (u *upstream) asked(method, path string) []exchange {
	u.mu.Lock()
	defer u.mu.Unlock()
	var found []exchange
	for _, e := range u.seen {
		if e.method == method && e.path == path {
			found = append(found, e)
		}
	}
	return found
}

// settings point the program at this ConnectyCube.
func (u *upstream) settings() map[string]string {
	return map[string]string{
		"APP_ID": strconv.Itoa(ownAppID), "AUTH_KEY": ownAuthKey, "JWT_SECRET": strongSecret, "CONNECTYCUBE_CIDP_SECRET": ownCallbackSecret,
		"CONNECTYCUBE_API_URL": u.url, "CONNECTYCUBE_TIMEOUT": "20s",
	}
}

// knownCallback gives the sandbox beside the server a callback secret that the
// test knows, and askedBy is the header with it.
var (
	knownCallback = map[string]string{"CONNECTYCUBE_CIDP_SECRET": ownCallbackSecret}
	askedBy       = []string{resolvers.CallbackSecretHeader, ownCallbackSecret}
)

// asks makes the application ask the program at url about logins, as the
// README tells to set it up.
func (u *upstream) asks(t *testing.T, url string) {
	t.Helper()
	err := u.SetCIdP(sandbox.CIdP{
		Enabled: true, Method: http.MethodPost, URL: url + verifyPath,
		Headers:        map[string]string{resolvers.CallbackSecretHeader: ownCallbackSecret},
		RequestParams:  map[string]string{"token": "#{login}", "email": "#{email}", "password": "#{password}"},
		ResponseParams: map[string]string{"uid": "#{user.id}"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// startWith runs the program against this ConnectyCube, which asks it about
// logins when cidp is true.
func (u *upstream) startWith(t *testing.T, cidp bool, more map[string]string) *running {
	t.Helper()
	r := start(t, with(u.settings(), more))
	r.box = u.url
	if cidp {
		u.asks(t, r.url)
	}
	return r
}

// with returns settings and more settings, which are stronger.
func with(settings, more map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{settings, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// startDatabase runs a database for programs that believe it is MongoDB.
func startDatabase(t *testing.T) *embedded.Server {
	t.Helper()
	db, err := embedded.Start(embedded.Options{
		File: filepath.Join(t.TempDir(), "test.db"), Listen: "127.0.0.1:0", NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// onDatabase is settings for a MongoDB of the tester's own, TEST_MONGODB_URL, in
// a database that is dropped afterwards; without one they stay as they are.
func onDatabase(t *testing.T, settings map[string]string) map[string]string {
	t.Helper()
	uri := os.Getenv("TEST_MONGODB_URL")
	if uri == "" {
		return settings
	}
	name := "t" + rand.Text()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		client, err := mongo.Connect(ctx, options.Client().ApplyURI(uri))
		if err != nil {
			t.Error(err)
			return
		}
		_ = client.Database(name).Drop(ctx)
		_ = client.Disconnect(ctx)
	})
	return with(settings, map[string]string{"MONGO_URI": uri, "MONGO_DATABASE": name, "JWT_SECRET": strongSecret})
}

// insert writes documents as they are, for what only the original wrote. It is
// the one place outside of store that needs the driver.
func insert(t *testing.T, db *embedded.Server, documents ...map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := mongo.Connect(ctx, options.Client().ApplyURI(db.URI()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(ctx) }()
	for _, d := range documents {
		if _, err := client.Database("test").Collection("users").InsertOne(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
}

// original is a document as the original's Mongoose wrote it.
func original(t *testing.T, address, password string) map[string]any {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"firstName": "Ada", "lastName": "Lovelace", "email": address, "password": string(hash),
		"createdAt": time.Now(), "updatedAt": time.Now(), "__v": 0,
	}
}

// The states of a relay.
const (
	relaying int32 = iota
	cut            // connections are reset, old and new
	mute           // connections are accepted, and nothing passes
)

// relay stands between the program and its database.
type relay struct {
	ln    net.Listener
	to    string
	state atomic.Int32

	mu        sync.Mutex
	conns     map[net.Conn]bool
	swallowed []byte // while mute
}

func newRelay(t *testing.T, to net.Addr) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln, to: to.String(), conns: map[net.Conn]bool{}}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go r.carry(conn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		r.set(cut)
	})
	return r
}

// uri is what the program is told.
func (r *relay) uri() string { return "mongodb://" + r.ln.Addr().String() + "/?directConnection=true" }

// set changes the state for old connections and new ones.
func (r *relay) set(state int32) {
	r.state.Store(state)
	if state != cut {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		reset(conn)
	}
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (r *relay) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer server.Close()
	r.mu.Lock()
	r.conns[client] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, client)
	}()
	if r.state.Load() == cut {
		reset(client)
		return
	}
	go func() {
		defer client.Close()
		r.pump(client, server)
	}()
	r.pump(server, client)
}

// swallows tells whether text was on its way while mute.
func (r *relay) swallows(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.swallowed, []byte(text))
}

// pump carries bytes one way, and swallows them while mute.
func (r *relay) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if r.state.Load() == mute {
			r.mu.Lock()
			r.swallowed = append(r.swallowed, buffer[:n]...)
			r.mu.Unlock()
		} else if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// codeOf is the code in an error's body, be it GraphQL's or REST's.
func codeOf(body string) string {
	var e struct {
		Code   string
		Errors []struct{ Extensions struct{ Code string } }
	}
	_ = json.Unmarshal([]byte(body), &e) // what cannot be read has no code
	if len(e.Errors) > 0 {
		return e.Errors[0].Extensions.Code
	}
	return e.Code
}

package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/resolvers"
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

// liesAlways makes every request end as told.
func (u *upstream) liesAlways(how func(w http.ResponseWriter, r *http.Request, honest http.Handler)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lie = how
}

// atCube tells whether ConnectyCube takes an address and a password.
func (u *upstream) atCube(t *testing.T, email, password string) bool {
	t.Helper()
	body := fmt.Sprintf(`{"application_id":%d,"auth_key":%q,"user":{"email":%q,"password":%q}}`, ownAppID, ownAuthKey, email, password)
	got, err := try(http.MethodPost, u.url+"/session.json", body)
	if err != nil {
		t.Fatal(err)
	}
	return got.status == http.StatusCreated
}

// requests is how many requests have come so far.
func (u *upstream) requests() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

// failures are the ways in which ConnectyCube can be down.
var failures = []string{
	`"kind":"status","status":500`, `"kind":"status","status":503`, `"kind":"status","status":429`,
	`"kind":"reset"`, `"kind":"lost-answer"`, `"kind":"empty"`, `"kind":"html"`, `"kind":"html","status":200`,
}

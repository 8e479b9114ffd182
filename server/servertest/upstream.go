package servertest

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
	"cubegate/server"
)

// What the tests' own ConnectyCube application is called.
const (
	ownAppID   = 4242
	OwnAuthKey = "Own-Auth-Key-81723"

	// What it shows when it asks about passwords.
	OwnCallbackSecret = "Vw3nQ8zT-callback-rL5kYc2mHx9BtG7d"
)

// Upstream is a ConnectyCube of the test's own, which outlives the program: the
// sandbox behind a door that writes down what is asked and lies when told to.
type Upstream struct {
	*sandbox.Sandbox
	URL string

	mu       sync.Mutex
	seen     []Exchange
	override func(w http.ResponseWriter, r *http.Request, honest http.Handler) // nil: none
}

// Exchange is one request that came to an upstream.
type Exchange struct {
	method, path, body string
	Header             http.Header
}

// NewUpstream starts one, which runs until the test ends.
func NewUpstream(t *testing.T) *Upstream {
	t.Helper()
	u := &Upstream{Sandbox: sandbox.New(sandbox.Options{AppID: ownAppID, AuthKey: OwnAuthKey})}
	server := httptest.NewServer(http.HandlerFunc(u.serve))
	u.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections() // those that hang on purpose
		server.Close()
	})
	return u
}

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
		u.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body) // what was torn off is not JSON either
	r.Body = io.NopCloser(bytes.NewReader(body))
	u.mu.Lock()
	u.seen = append(u.seen, Exchange{r.Method, strings.TrimSuffix(r.URL.Path, ".json"), string(body), r.Header.Clone()})
	lie := u.override
	u.mu.Unlock()
	if lie == nil {
		u.ServeHTTP(w, r)
		return
	}
	lie(w, r, u.Sandbox)
}

// Override makes every request of this kind end as told; others stay honest.
func (u *Upstream) Override(method, path string, how func(w http.ResponseWriter, r *http.Request, honest http.Handler)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.override = func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
		if r.Method == method && strings.TrimSuffix(r.URL.Path, ".json") == path {
			how(w, r, honest)
			return
		}
		honest.ServeHTTP(w, r)
	}
}

// Respond makes every request of this kind answer with the text and do nothing.
func (u *Upstream) Respond(method, path string, status int, text string) {
	u.Override(method, path, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

// Restore ends all lies.
func (u *Upstream) Restore() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.override = nil
}

// Received are the requests of one kind so far.
func (u *Upstream) Received(method, path string) []Exchange {
	u.mu.Lock()
	defer u.mu.Unlock()
	var found []Exchange
	for _, e := range u.seen {
		if e.method == method && e.path == path {
			found = append(found, e)
		}
	}
	return found
}

// Settings point the program at this ConnectyCube.
func (u *Upstream) Settings() map[string]string {
	return map[string]string{
		"APP_ID": strconv.Itoa(ownAppID), "AUTH_KEY": OwnAuthKey, "JWT_SECRET": JWTSecret, "CONNECTYCUBE_CIDP_SECRET": OwnCallbackSecret,
		"CONNECTYCUBE_API_URL": u.URL, "CONNECTYCUBE_TIMEOUT": "20s",
	}
}

// CallbackSettings gives the sandbox beside the server a callback secret that the
// test knows, and CallbackHeader is the header with it.
var (
	CallbackSettings = map[string]string{"CONNECTYCUBE_CIDP_SECRET": OwnCallbackSecret}
	CallbackHeader   = []string{resolvers.CallbackSecretHeader, OwnCallbackSecret}
)

// SetCallback makes the application ask the program at url about logins, as the
// README tells to set it up.
func (u *Upstream) SetCallback(t *testing.T, url string) {
	t.Helper()
	err := u.SetCIdP(sandbox.CIdP{
		Enabled: true, Method: http.MethodPost, URL: url + server.VerifyPath,
		Headers:        map[string]string{resolvers.CallbackSecretHeader: OwnCallbackSecret},
		RequestParams:  map[string]string{"token": "#{login}", "email": "#{email}", "password": "#{password}"},
		ResponseParams: map[string]string{"uid": "#{user.id}"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Start runs the program against this ConnectyCube, which asks it about
// logins when cidp is true.
func (u *Upstream) Start(t *testing.T, cidp bool, more map[string]string) *Server {
	t.Helper()
	r := Start(t, Merge(u.Settings(), more))
	r.SandboxURL = u.URL
	if cidp {
		u.SetCallback(t, r.URL)
	}
	return r
}

// Merge returns settings and more settings, which are stronger.
func Merge(settings, more map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{settings, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// CodeOf is the code in an error's body, be it GraphQL's or REST's.
func CodeOf(body string) string {
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

// OverrideAll makes every request end as told.
func (u *Upstream) OverrideAll(how func(w http.ResponseWriter, r *http.Request, honest http.Handler)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.override = how
}

// AcceptsPassword tells whether ConnectyCube takes an address and a password.
func (u *Upstream) AcceptsPassword(t *testing.T, email, password string) bool {
	t.Helper()
	body := fmt.Sprintf(`{"application_id":%d,"auth_key":%q,"user":{"email":%q,"password":%q}}`, ownAppID, OwnAuthKey, email, password)
	got, err := Try(http.MethodPost, u.URL+"/session.json", body)
	if err != nil {
		t.Fatal(err)
	}
	return got.Status == http.StatusCreated
}

// CountRequests is how many requests have come so far.
func (u *Upstream) CountRequests() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

// UpstreamFailures are the ways in which ConnectyCube can be down.
var UpstreamFailures = []string{
	`"kind":"status","status":500`, `"kind":"status","status":503`, `"kind":"status","status":429`,
	`"kind":"reset"`, `"kind":"lost-answer"`, `"kind":"empty"`, `"kind":"html"`, `"kind":"html","status":200`,
}

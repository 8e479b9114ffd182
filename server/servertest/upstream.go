package servertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
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

// The ConnectyCube application of an Upstream.
const (
	ownAppID   = 4242
	OwnAuthKey = "Own-Auth-Key-81723"

	OwnCallbackSecret = "Vw3nQ8zT-callback-rL5kYc2mHx9BtG7d" // CONNECTYCUBE_CIDP_SECRET
)

// Upstream is a ConnectyCube beside the server, which it outlives: a sandbox with a
// handler in front that records all requests and overrides replies on request.
type Upstream struct {
	*sandbox.Sandbox
	URL string

	mu       sync.Mutex
	seen     []Exchange
	override func(w http.ResponseWriter, r *http.Request, next http.Handler) // nil if none
}

// Exchange is one request that an Upstream has received.
type Exchange struct {
	method, path, url, body string
	Header                  http.Header
}

// NewUpstream starts an Upstream. It runs until the test ends.
func NewUpstream(t *testing.T) *Upstream {
	t.Helper()
	u := &Upstream{Sandbox: sandbox.New(sandbox.Options{AppID: ownAppID, AuthKey: OwnAuthKey})}
	server := httptest.NewServer(http.HandlerFunc(u.serve))
	u.URL = server.URL
	t.Cleanup(func() {
		u.checkURLs(t)
		server.CloseClientConnections() // some requests hang on purpose
		server.Close()
	})
	return u
}

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
		u.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body) // the sandbox refuses a truncated body, because it is not JSON
	r.Body = io.NopCloser(bytes.NewReader(body))
	u.mu.Lock()
	u.seen = append(u.seen, Exchange{r.Method, strings.TrimSuffix(r.URL.Path, ".json"), r.URL.String(), string(body), r.Header.Clone()})
	override := u.override
	u.mu.Unlock()
	if override == nil {
		u.ServeHTTP(w, r)
		return
	}
	override(w, r, u.Sandbox)
}

// Override makes handle serve all requests with this method and path. Its next
// handler is the sandbox, which serves all other requests.
func (u *Upstream) Override(method, path string, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	u.OverrideAll(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == method && strings.TrimSuffix(r.URL.Path, ".json") == path {
			handle(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// OverrideAll makes handle serve all requests. Its next handler is the sandbox.
func (u *Upstream) OverrideAll(handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.override = handle
}

// Respond answers all requests with this method and path with a fixed JSON text.
// The sandbox does not see them.
func (u *Upstream) Respond(method, path string, status int, text string) {
	u.Override(method, path, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

// Restore ends the override: the sandbox serves all requests again.
func (u *Upstream) Restore() { u.OverrideAll(nil) }

// Requests returns the received requests with this method and path.
func (u *Upstream) Requests(method, path string) []Exchange {
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

// Settings returns the settings of a server that uses this ConnectyCube.
func (u *Upstream) Settings() map[string]string {
	return map[string]string{
		"APP_ID": strconv.Itoa(ownAppID), "AUTH_KEY": OwnAuthKey, "JWT_SECRET": JWTSecret, "CONNECTYCUBE_CIDP_SECRET": OwnCallbackSecret,
		"CONNECTYCUBE_API_URL": u.URL,
	}
}

// CallbackSettings make the server's own sandbox use a callback secret that the
// tests know. CallbackHeader is the header with the secret.
var (
	CallbackSettings = map[string]string{"CONNECTYCUBE_CIDP_SECRET": OwnCallbackSecret}
	CallbackHeader   = []string{resolvers.CallbackSecretHeader, OwnCallbackSecret}
)

// SetCallback switches the identity provider of the application on, as
// docs/identity-provider.md describes: ConnectyCube asks the server at url about logins.
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

// Start runs a server that uses this ConnectyCube. If cidp is true, the server is
// the identity provider of the application.
func (u *Upstream) Start(t *testing.T, cidp bool, more map[string]string) *Server {
	t.Helper()
	r := Start(t, Merge(u.Settings(), more))
	r.SandboxURL = u.URL
	if cidp {
		u.SetCallback(t, r.URL)
	}
	return r
}

// Merge returns all settings of both maps. The second map takes precedence.
func Merge[V any](settings, more map[string]V) map[string]V {
	all := maps.Clone(settings)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, more)
	return all
}

// CodeOf returns the error code in a body of GraphQL or REST, or "" without one.
func CodeOf(body string) string {
	var e struct {
		Code   string
		Errors []struct{ Extensions struct{ Code string } }
	}
	_ = json.Unmarshal([]byte(body), &e) // a body that is not JSON has no code
	if len(e.Errors) > 0 {
		return e.Errors[0].Extensions.Code
	}
	return e.Code
}

// AcceptsPassword reports whether an email and a password open a session at
// ConnectyCube.
func (u *Upstream) AcceptsPassword(t *testing.T, email, password string) bool {
	t.Helper()
	body := fmt.Sprintf(`{"application_id":%d,"auth_key":%q,"user":{"email":%q,"password":%q}}`, ownAppID, OwnAuthKey, email, password)
	got, err := Try(http.MethodPost, u.URL+"/session.json", body)
	if err != nil {
		t.Fatal(err)
	}
	return got.Status == http.StatusCreated
}

// CountRequests returns the number of received requests.
func (u *Upstream) CountRequests() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

// UpstreamFailures are the faults, as JSON members, of a ConnectyCube that is down.
var UpstreamFailures = []string{
	`"kind":"status","status":500`, `"kind":"status","status":503`, `"kind":"status","status":429`,
	`"kind":"reset"`, `"kind":"lost-answer"`, `"kind":"empty"`, `"kind":"html"`, `"kind":"html","status":200`,
}

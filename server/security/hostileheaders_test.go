package security

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cubegate/server/servertest"

	"github.com/go-chi/chi/v5"
)

// hostileHeaders name another host, scheme, path or method in each way that proxies and
// frameworks know.
var hostileHeaders = map[string]string{
	"X-Forwarded-Host": "evil.example", "X-Forwarded-Server": "evil.example", "X-Forwarded-Proto": "evil", "X-Forwarded-Scheme": "evil", "X-Forwarded-Port": "666",
	"X-Forwarded-Prefix": "/evil", "X-Forwarded-Path": "/evil", "X-Forwarded": "host=evil.example", "Forwarded": "for=evil.example;host=evil.example;proto=evil",
	"X-Host": "evil.example", "X-Original-Host": "evil.example", "X-HTTP-Host-Override": "evil.example", "X-Original-URL": "/evil", "X-Rewrite-URL": "/evil", "X-Script-Name": "/evil",
	"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE", "Base-URL": "https://evil.example", "X-Base-URL": "https://evil.example",
	"Front-End-Https": "on", "Via": "1.1 evil.example", "Referer": "https://evil.example/",
}

// hostileHosts are values of the header Host: a host that is not ours, and texts that are
// no host.
var hostileHosts = []string{"evil.example", "evil.example:666", "evil.example/path", "user@evil.example", "a..evil.example"}

// hostRequest is one request to the API.
type hostRequest struct {
	method, path, body, token string
}

// sendAt sends a request with a header Host, empty for the real one, and other headers.
func sendAt(t *testing.T, r *servertest.Server, q hostRequest, host string, headers map[string]string) servertest.Reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), q.method, r.URL+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	if q.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		request.Header.Set("Authorization", "Bearer "+q.token)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Reply{Status: response.StatusCode, Header: response.Header, Body: string(body)}
}

// everyRequest returns requests to all routes and with all operations. Each can be sent
// again and again.
func everyRequest(t *testing.T, c servertest.Actors) (list []hostRequest) {
	t.Helper()
	err := chi.Walk(c.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method == http.MethodGet || method == http.MethodHead {
			route = strings.NewReplacer("/playground/*", "/playground/none.js", "{id}", "none").Replace(route)
			list = append(list, hostRequest{method: method, path: route, token: c.Root.Token}, hostRequest{method: method, path: route + "/none"})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	values := inputValues(c.Ada)
	for _, op := range readSchema(t, c.Server).calls() {
		body := map[string]any{"query": op.document, "variables": op.variables(t, values)}
		if op.name == "logout" || op.name == "logoutEverywhere" || op.name == "deleteMyAccount" || strings.HasPrefix(op.name, "delete") {
			body["variables"] = op.variables(t, map[string]any{"refreshToken": "none", "password": "wrong", "id": "none"})
		}
		token := c.Bob.Token
		if op.name == "logoutEverywhere" {
			token = "" // refused
		}
		list = append(list, hostRequest{http.MethodPost, "/api", mustJSON(t, body), token})
		if method, path, ok := strings.Cut(op.rest, " "); ok && method == http.MethodPost {
			inner, ok := body["variables"].(map[string]any)["body"]
			if !ok {
				inner = body["variables"]
			}
			list = append(list, hostRequest{http.MethodPost, path, mustJSON(t, inner), ""})
		}
	}
	return list
}

// changing matches what differs between two equal requests.
var changing = regexp.MustCompile(`"[A-Za-z0-9_.+=-]{20,}"|\b20\d\d-\d\d-\d\dT[0-9:.]+Z|("expiresIn":)\d+|"request_?[iI]d":"[^"]*"`)

// No header but Host may name the server, and no header changes a reply: with all of them,
// from a trusted proxy, too, each reply equals the one without them, and contains nothing of
// them. The server of these tests uses a ConnectyCube whose endpoints the settings name, so
// Host changes nothing either; the endpoints of a sandbox follow Host, as docs/phones.md
// says, and TestChatIsAtTheHostThatTheClientUsed checks how. Links in mails followed such
// headers at Supabase (GHSA-3529-5m8x-rpv3) and Zitadel (CVE-2025-64101).
func TestNoHeaderChangesAnAnswer(t *testing.T) {
	t.Parallel()
	for name, proxies := range map[string]string{"untrusted client": "", "trusted proxy": "127.0.0.1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := servertest.NewUpstream(t).Start(t, true, map[string]string{"TRUSTED_PROXIES": proxies, "LOGIN_FAILURES": "0", "LIMITS": "observe", "LOG_LEVEL": "error"})
			c := servertest.NewActors(t, r, 0)
			list := everyRequest(t, c)
			for _, q := range list {
				plain := sendAt(t, r, q, "", nil)
				all := []servertest.Reply{sendAt(t, r, q, "", hostileHeaders)}
				for _, host := range hostileHosts {
					all = append(all, sendAt(t, r, q, host, nil))
				}
				for i, got := range all {
					checkUnchanged(t, q, got, plain, i == 0 || hostileHosts[i-1] == "evil.example")
				}
			}
			if len(list) < 40 {
				t.Errorf("only %d requests", len(list))
			}
		})
	}
}

// checkUnchanged compares a reply to a hostile request with the reply to the plain one. A
// Host that is no host may be refused.
func checkUnchanged(t *testing.T, q hostRequest, got, plain servertest.Reply, same bool) {
	t.Helper()
	if !same && got.Status == http.StatusBadRequest {
		return
	}
	place := q.method + " " + q.path + " " + q.body[:min(len(q.body), 80)]
	if got.Status != plain.Status || changing.ReplaceAllString(got.Body, "$1") != changing.ReplaceAllString(plain.Body, "$1") {
		t.Errorf("%s: %d %s, want %d %s", place, got.Status, got.Body, plain.Status, plain.Body)
	}
	for name, values := range got.Header {
		if strings.Contains(strings.Join(values, " "), "evil") || !slices.Contains([]string{"Date", "Content-Length", "X-Request-Id", "Retry-After", "Etag"}, name) && !slices.Equal(values, plain.Header[name]) {
			t.Errorf("%s: the header %s is %q, want %q", place, name, values, plain.Header[name])
		}
	}
	if strings.Contains(got.Body, "evil") {
		t.Errorf("%s: %s", place, got.Body)
	}
}

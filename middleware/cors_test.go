package middleware_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/middleware"
)

func cors(t *testing.T, origins []string) http.Handler {
	t.Helper()
	mw, err := middleware.CORS(origins)
	if err != nil {
		t.Fatal(err)
	}
	return mw(answer("ok"))
}

// ask sends a request of origin, or a preflight request with the headers of a GraphQL
// client in a browser.
func ask(h http.Handler, origin, preflight string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/api", nil)
	if preflight != "" {
		r = httptest.NewRequest("OPTIONS", "/api", nil)
		r.Header.Set("Access-Control-Request-Method", preflight)
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-request-id,apollo-require-preflight")
	}
	r.Header.Set("Origin", origin)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The original mirrored any origin, even null, and allowed credentials to each.
func TestCORSAnswersListedOriginsOnly(t *testing.T) {
	h := cors(t, []string{"https://app.example.org", "http://localhost:5173", "capacitor://localhost"})
	tests := []struct {
		origin  string
		allowed bool
	}{
		{"https://app.example.org", true},
		{"http://localhost:5173", true},
		{"capacitor://localhost", true},
		{"null", false},
		{"", false},
		{"*", false},
		{"https://evil.test", false},
		{"http://app.example.org", false},
		{"https://app.example.org:443", false},
		{"https://app.example.org:8443", false},
		{"https://app.example.org/", false},
		{"https://app.example.org.", false},
		{"https://app.example.org.evil.test", false},
		{"https://app.example.orgevil.test", false},
		{"https://evil-app.example.org", false},
		{"https://x.app.example.org", false},
		{"https://example.org", false},
		{"https://appXexample.org", false},
		{"https://app.example.org@evil.test", false},
		{"https://app.example.org%00.evil.test", false},
		{"https://app.example.org, https://evil.test", false},
		{"https://evil.test https://app.example.org", false},
		{"HTTPS://APP.EXAMPLE.ORG", false},
		{"https://\u0430pp.example.org", false}, // a Cyrillic a
		{" https://app.example.org", false},
		{"app.example.org", false},
		{"//app.example.org", false},
		{"http://localhost", false},
		{"http://localhost:51730", false},
		{"file://", false},
	}
	for _, tt := range tests {
		for _, preflight := range []string{"", "POST"} {
			w := ask(h, tt.origin, preflight)
			want := ""
			if tt.allowed {
				want = tt.origin
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%q %s: Access-Control-Allow-Origin = %q, want %q", tt.origin, preflight, got, want)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%q %s: credentials allowed", tt.origin, preflight)
			}
			if !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Origin") {
				t.Errorf("%q %s: a cache would mix up origins", tt.origin, preflight)
			}
		}
	}
}

func TestCORSAllowsTheHeadersOfClients(t *testing.T) {
	for _, origins := range [][]string{{"https://app.example.org"}, {"*"}} {
		h := cors(t, origins)
		for method, allowed := range map[string]bool{"POST": true, "GET": true, "HEAD": true, "DELETE": true, "PUT": false} {
			w := ask(h, "https://app.example.org", method)
			if got := w.Header().Get("Access-Control-Allow-Methods"); (got == method) != allowed {
				t.Errorf("%v: methods for %s = %q", origins, method, got)
			}
			if got := strings.ToLower(w.Header().Get("Access-Control-Allow-Headers")); strings.Contains(got, "authorization") != allowed {
				t.Errorf("%v: headers for %s = %q", origins, method, got)
			}
			if w.Body.Len() != 0 || w.Code >= 300 {
				t.Errorf("%v: a preflight reached the handler: %d %s", origins, w.Code, w.Body)
			}
		}
		w := ask(h, "https://app.example.org", "")
		if got := w.Header().Get("Access-Control-Expose-Headers"); got != "X-Request-Id, Retry-After" {
			t.Errorf("%v: exposed headers = %q", origins, got)
		}
	}
}

// Scripts of many makers add headers, and no list can name them all.
func TestCORSAllowsTheRequestedHeaders(t *testing.T) {
	asked := []string{
		"sentry-trace", "baggage", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-datadog-trace-id", "x-amzn-trace-id", "newrelic",
		"apollographql-client-name", "apollographql-client-version", "apollo-require-preflight", "graphql-require-preflight", "x-apollo-operation-name", "x-graphql-client-name", "x-hasura-role",
		"x-requested-with", "cache-control", "pragma", "expires", "if-none-match", "if-modified-since", "range", "accept-language",
		"authorization", "content-type", "x-csrf-token", "x-xsrf-token", "x-api-key", "x-client-info", "ngrok-skip-browser-warning", "bypass-tunnel-reminder", "x-request-id", "x_underscore", "x.dot",
	}
	preflight := func(h http.Handler, origin, headers string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("OPTIONS", "/api", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", headers)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, origins := range [][]string{{"https://app.example.org"}, {"*"}} {
		h := cors(t, origins)
		for _, headers := range append(asked, strings.Join(asked, ","), strings.Join(asked, ", ")) {
			w := preflight(h, "https://app.example.org", headers)
			allowed := strings.ReplaceAll(strings.ToLower(w.Header().Get("Access-Control-Allow-Headers")), ", ", ",")
			if w.Code >= 300 || allowed != strings.ReplaceAll(headers, ", ", ",") || w.Header().Get("Access-Control-Allow-Origin") == "" {
				t.Errorf("%v: %s: %d, allowed %q", origins, headers, w.Code, allowed)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%v: %s: credentials allowed", origins, headers)
			}
			if !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Access-Control-Request-Headers") {
				t.Errorf("%v: a cache would mix up preflights", origins)
			}
		}
		for length, allowed := range map[int]bool{4096: true, 4097: false, 15 << 10: false} {
			w := preflight(h, "https://app.example.org", strings.Repeat("x", length))
			if got := w.Header().Get("Access-Control-Allow-Headers"); (len(got) == length) != allowed || (w.Code == 431) == allowed {
				t.Errorf("%v: %d bytes of names: %d, %d bytes allowed", origins, length, w.Code, len(got))
			}
		}
	}
	w := preflight(cors(t, []string{"https://app.example.org"}), "https://evil.test", "sentry-trace")
	if got := w.Header().Get("Access-Control-Allow-Headers"); got != "" {
		t.Errorf("another origin is allowed %q", got)
	}
	w = preflight(cors(t, []string{"*"}), "https://app.example.org", "x-a\r\nSet-Cookie: a=b, x-b:c")
	if got := w.Header().Get("Access-Control-Allow-Headers"); strings.ContainsAny(got, "\r\n:=") {
		t.Errorf("allowed %q", got)
	}
}

func TestCORSForAnyOriginNeverAllowsCredentials(t *testing.T) {
	h := cors(t, []string{"*"})
	for _, origin := range []string{"https://evil.test", "null", "http://localhost:1"} {
		for _, preflight := range []string{"", "POST"} {
			w := ask(h, origin, preflight)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != "*" {
				t.Errorf("%s: Access-Control-Allow-Origin = %q, want * and no mirror", origin, got)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: credentials allowed", origin)
			}
		}
	}
}

func TestCORSWithoutOriginsSendsNoHeader(t *testing.T) {
	h := cors(t, nil)
	for _, preflight := range []string{"", "POST"} {
		for name := range ask(h, "https://app.example.org", preflight).Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s is sent", name)
			}
		}
	}
}

func TestCORSRefusesBadOrigins(t *testing.T) {
	bad := []string{
		"", "null", "example.org", "https://", "https://example.org/", "https://example.org/path", "https://example.org?x",
		"https://*.example.org", "https://example.*", "HTTPS://example.org", "https://Example.org", "https://user@example.org",
		"https://example.org:443", "http://example.org:80", "https://example.org:", "https://ex\u00e4mple.org",
		"https://a.org,https://b.org", "https://a.org https://b.org", " https://example.org", "https://example.org\n", "file:///", "://x", "https:example.org",
	}
	for _, origin := range bad {
		if _, err := middleware.CORS([]string{origin}); !errors.Is(err, middleware.ErrOrigin) {
			t.Errorf("CORS(%q) error = %v, want ErrOrigin", origin, err)
		}
	}
	if _, err := middleware.CORS([]string{"*", "https://example.org"}); !errors.Is(err, middleware.ErrOrigin) {
		t.Errorf("* beside another: %v, want ErrOrigin", err)
	}
	if _, err := middleware.CORS(bad); err == nil || strings.Count(err.Error(), "\n") < len(bad)-2 {
		t.Errorf("error = %v, want each bad entry", err)
	}
	if _, err := middleware.CORS([]string{"http://[::1]:3000", "https://xn--exmple-cua.org", "http://127.0.0.1:8080"}); err != nil {
		t.Error(err)
	}
}

func TestPrivateCORS(t *testing.T) {
	h := middleware.PrivateCORS()(answer("ok"))
	for origin, allowed := range map[string]bool{
		"http://localhost:5173": true, "capacitor://localhost": true, "http://127.0.0.1:8080": true, "http://[::1]:3000": true, "http://app.localhost": true,
		"http://192.168.1.7:5173": true, "https://10.0.0.2": true, "http://172.16.0.9": true, "http://[fd00::2]:3000": true, "http://169.254.1.1": true,
		"http://devbox:5173": true, "http://devbox.local:5173": true,
		"https://app.example.org": false, "http://8.8.8.8": false, "http://172.32.0.1": false, "http://[2001:db8::1]": false, "null": false, "": false,
		"https://local": true, "https://evil.local.example.org": false, "https://localhost.example.org": false, "http://192.168.1.7.example.org": false,
		"http://192.168.1.7:5173/": false, "http://LOCALHOST": false, "http://user@localhost": false,
	} {
		for _, preflight := range []string{"", "POST"} {
			want := ""
			if allowed {
				want = origin
			}
			w := ask(h, origin, preflight)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%q (preflight %q): allowed origin %q, want %q, and no credentials", origin, preflight, got, want)
			}
		}
	}
}

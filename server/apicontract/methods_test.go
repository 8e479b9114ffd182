package apicontract

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// navigation lists the headers of Chrome when a person opens a URL.
var navigation = []string{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}

func TestGETOfTheAPI(t *testing.T) {
	t.Parallel()
	query := "/api?query=" + url.QueryEscape("{ hello }")
	for playground, servers := range map[string]*servertest.Server{
		"true":  servertest.Start(t, nil),
		"false": servertest.Start(t, map[string]string{"PLAYGROUND": "false"}),
	} {
		page, refused := 200, 403
		if playground == "false" {
			page = refused
		}
		for _, tt := range []struct {
			name, method, path string
			header             []string
			status             int
			want               string // in the body
		}{
			{"query", "GET", query, nil, 200, `{"data":{"hello":`},
			{"query in another spelling", "GET", "//API/?" + strings.TrimPrefix(query, "/api?"), nil, 200, `{"data":{"hello":`},
			{"query from a page's script", "GET", query, []string{"Sec-Fetch-Mode", "cors", "Origin", "https://app.example.org"}, 200, `{"data":{"hello":`},
			{"no query", "GET", "/api", nil, 400, `"BAD_USER_INPUT"`},
			{"mutation", "GET", "/api?query=" + url.QueryEscape("mutation { logout { message } }"), nil, 405, `"METHOD_NOT_ALLOWED"`},
			{"page", "GET", "/api", navigation, page, ""},
			{"page with a query", "GET", query, navigation, page, ""},
			{"image", "GET", query, []string{"Accept", "image/*,*/*;q=0.8", "Sec-Fetch-Mode", "no-cors"}, 403, `"FORBIDDEN"`},
			{"HEAD", "HEAD", query, nil, 200, ""},
			{"HEAD of a mutation", "HEAD", "/api?query=" + url.QueryEscape("mutation { logout { message } }"), nil, 405, ""},
		} {
			got := servers.Request(t, tt.method, tt.path, "", tt.header...)
			if got.Status != tt.status || !strings.Contains(got.Body, tt.want) {
				t.Errorf("PLAYGROUND=%s, %s: %d %.200s, want %d %s", playground, tt.name, got.Status, got.Body, tt.status, tt.want)
			}
			isPage := tt.status == 200 && len(tt.header) == len(navigation)
			if isPage != strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
				t.Errorf("PLAYGROUND=%s, %s: %s", playground, tt.name, got.Header.Get("Content-Type"))
			}
			if vary := strings.Join(got.Header.Values("Vary"), ", "); !strings.Contains(vary, "Authorization, Accept") {
				t.Errorf("PLAYGROUND=%s, %s: Vary: %s", playground, tt.name, vary)
			}
			if !isPage && got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("PLAYGROUND=%s, %s: Cache-Control: %s", playground, tt.name, got.Header.Get("Cache-Control"))
			}
		}
	}
}

func TestOPTIONSListsTheMethods(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	for path, allowed := range map[string]string{
		"/api":                      "GET, POST, HEAD, OPTIONS",
		"/auth/login":               "POST, OPTIONS",
		"//auth//sessions/":         "GET, DELETE, HEAD, OPTIONS",
		"/.well-known/jwks.json":    "GET, HEAD, OPTIONS",
		"/auth/verify-connectycube": "GET, POST, HEAD, OPTIONS",
	} {
		got := r.Request(t, http.MethodOptions, path, "")
		if got.Status != 204 || got.Body != "" || got.Header.Get("Allow") != allowed {
			t.Errorf("%s: %d, Allow: %s", path, got.Status, got.Header.Get("Allow"))
		}
		got = r.Request(t, http.MethodPut, path, "")
		if got.Status != 405 || got.Header.Get("Allow") != allowed {
			t.Errorf("PUT %s: %d, Allow: %s", path, got.Status, got.Header.Get("Allow"))
		}
	}
	if got := r.Request(t, http.MethodOptions, "/nope", ""); got.Status != 404 {
		t.Errorf("an unknown path: %d", got.Status)
	}
}

// A base URL that ends with a slash doubles one.
func TestDoubledSlashesLogIn(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	person := `{"email":"ada@example.org","firstName":"Ada","lastName":"Lovelace","password":"correct horse"}`
	if got := r.Request(t, "POST", "//auth/register", person); got.Status != 201 {
		t.Errorf("register: %d %s", got.Status, got.Body)
	}
	for _, path := range []string{"//auth/login", "/auth//login", "///auth///login///"} {
		if got := r.Request(t, "POST", path, `{"email":"ada@example.org","password":"correct horse"}`); got.Status != 200 || got.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	if got := r.Request(t, "GET", "//evil.test/..//", ""); got.Status != 404 || got.Header.Get("Location") != "" {
		t.Errorf("another host: %d %s", got.Status, got.Header.Get("Location"))
	}
}

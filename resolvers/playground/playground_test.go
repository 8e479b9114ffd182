package playground_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"cubegate/resolvers/playground"
)

// links are what the page gets from the server.
func links(*http.Request) any {
	return struct{ Dashboard string }{"http://localhost:3001"}
}

// routed is the handler under test with the routes of its comment.
var routed = func() http.Handler {
	h := playground.Handler("api", links)
	r := chi.NewRouter()
	r.Get("/api", h.ServeHTTP)
	r.Head("/api", h.ServeHTTP)
	r.Handle("/api/playground/*", h)
	return r
}()

func do(t *testing.T, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	routed.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) []byte {
	t.Helper()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// addresses returns the URLs in the page at /api, by name without the checksum.
func addresses(t *testing.T) map[string]string { return addressesIn(t, "/api") }

// addressesIn returns the URLs in a page, resolved against its path as a browser does.
func addressesIn(t *testing.T, target string) map[string]string {
	t.Helper()
	at, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(string(body(t, do(t, "GET", target))), -1) {
		resolved, err := at.Parse(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(resolved.Path, "/playground/") { // another page
			continue
		}
		name := regexp.MustCompile(`-[0-9a-f]{24}`).ReplaceAllString(path.Base(resolved.Path), "")
		found[name] = resolved.Path
	}
	return found
}

func TestCompressedAssetsMatchTheirChecksums(t *testing.T) {
	sums, err := os.ReadFile("assets/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := filepath.Glob("assets/*.gz")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(sums, []byte("\n")); lines != len(stored) || lines == 0 {
		t.Errorf("%d checksums for %d files", lines, len(stored))
	}
	for _, file := range stored {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%x  %s\n", sha256.Sum256(content), filepath.Base(file))
		if !strings.Contains(string(sums), line) {
			t.Errorf("%s does not match SHA256SUMS; go generate creates both", file)
		}
	}
}

func TestPage(t *testing.T) {
	res := do(t, "GET", "/api")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status = %d", res.StatusCode)
	}
	for header, want := range map[string]string{
		"Content-Type":           "text/html; charset=utf-8",
		"Cache-Control":          "no-cache",
		"X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
			"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	} {
		if got := res.Header.Get(header); got != want {
			t.Errorf("%s = %q, want %q", header, got, want)
		}
	}
	page := string(body(t, res))
	for _, want := range []string{"cubegate playground", "<noscript>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// The page must not contain anything that the policy forbids: browsers would ignore it,
// and only there the playground would fail.
func TestPageHasNothingInline(t *testing.T) {
	page := string(body(t, do(t, "GET", "/api")))
	if inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|javascript:|<script(?: defer)?>`).FindString(page); inline != "" {
		t.Errorf("the page contains %q", inline)
	}
}

func TestAssets(t *testing.T) {
	const (
		script = "text/javascript; charset=utf-8"
		style  = "text/css; charset=utf-8"
	)
	tests := []struct {
		name, contentType string
		contains          string // in the decompressed content
	}{
		{"graphiql.css", style, ".graphiql-container"},
		{"graphiql.js", script, "createFetcher"},
		{"react.js", script, "@license React"},
		{"react-dom.js", script, "createRoot"},
		{"playground.css", style, ".graphiql-container"},
		{"storage.js", script, "graphiql:theme"},
		{"examples.js", script, "login_By_token"},
		{"tokens.js", script, "Authorization"},
		{"repair.js", script, "aria-label"},
		{"playground.js", script, "createRoot"},
		{"icon.svg", "image/svg+xml", "<svg"},
		{"LICENSES.txt", "text/plain; charset=utf-8", "MIT License"},
	}
	linked := addresses(t)
	if len(linked) != len(tests) {
		t.Errorf("the page links to %d assets, want %d: %v", len(linked), len(tests), linked)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := do(t, "GET", linked[tt.name])
			if res.StatusCode != http.StatusOK {
				t.Fatalf("GET %q: status = %d", linked[tt.name], res.StatusCode)
			}
			for header, want := range map[string]string{
				"Content-Type":           tt.contentType,
				"X-Content-Type-Options": "nosniff",
				"Cache-Control":          "public, max-age=31536000, immutable",
				"Content-Encoding":       "",
			} {
				if got := res.Header.Get(header); got != want {
					t.Errorf("%s = %q, want %q", header, got, want)
				}
			}
			content := string(body(t, res))
			if !strings.Contains(content, tt.contains) {
				t.Errorf("content lacks %q", tt.contains)
			}
			for _, unwanted := range []string{"sourceMappingURL", "@font-face", "eval(", "new Function("} {
				if strings.Contains(content, unwanted) {
					t.Errorf("content has %q", unwanted)
				}
			}
		})
	}
}

func TestEncodingIsNegotiated(t *testing.T) {
	tests := []struct {
		accept  string
		gzipped bool
	}{
		{"gzip, deflate, br, zstd", true},
		{"GZIP", true},
		{"br;q=1.0, gzip;q=0.2", true},
		{"*", true},
		{"*;q=0, gzip", true},
		{"gzip;q=0, *", false},
		{"gzip;q=0", false},
		{"gzip; q=0.000", false},
		{"gzip;q=nonsense", false},
		{"*;q=0", false},
		{"identity", false},
		{"br", false},
		{"gzipped", false},
		{"", false},
	}
	address := addresses(t)["graphiql.js"]
	plain := body(t, do(t, "GET", address))
	for _, tt := range tests {
		t.Run(tt.accept, func(t *testing.T) {
			res := do(t, "GET", address, "Accept-Encoding", tt.accept)
			content := body(t, res)
			if got := res.Header.Get("Vary"); got != "Accept-Encoding" {
				t.Errorf("Vary = %q", got)
			}
			if got := res.Header.Get("Content-Length"); got != strconv.Itoa(len(content)) {
				t.Errorf("Content-Length = %q, body is %d bytes", got, len(content))
			}
			if gzipped := res.Header.Get("Content-Encoding") == "gzip"; gzipped != tt.gzipped {
				t.Fatalf("gzipped = %t, want %t", gzipped, tt.gzipped)
			}
			if tt.gzipped {
				r, err := gzip.NewReader(bytes.NewReader(content))
				if err != nil {
					t.Fatal(err)
				}
				if content, err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(content, plain) {
				t.Error("the two encodings differ in content")
			}
		})
	}
}

func TestRevalidation(t *testing.T) {
	linked := addresses(t)
	for _, target := range []string{"/api", linked["graphiql.js"], linked["playground.js"]} {
		for _, accept := range []string{"identity", "gzip"} {
			t.Run(target+" "+accept, func(t *testing.T) {
				tag := do(t, "GET", target, "Accept-Encoding", accept).Header.Get("ETag")
				res := do(t, "GET", target, "Accept-Encoding", accept, "If-None-Match", tag)
				if content := body(t, res); res.StatusCode != http.StatusNotModified || len(content) != 0 {
					t.Errorf("with its own tag: status = %d and %d bytes, want 304 and none", res.StatusCode, len(content))
				}
				if res = do(t, "GET", target, "Accept-Encoding", accept, "If-None-Match", `"other"`); res.StatusCode != http.StatusOK {
					t.Errorf("with another tag: status = %d, want 200", res.StatusCode)
				}
			})
		}
	}
	t.Run("a strong tag names one encoding", func(t *testing.T) {
		packed := do(t, "GET", linked["graphiql.js"], "Accept-Encoding", "gzip").Header.Get("ETag")
		if res := do(t, "GET", linked["graphiql.js"], "If-None-Match", packed); res.StatusCode != http.StatusOK {
			t.Errorf("plain answer to the tag of the compressed one: status = %d, want 200", res.StatusCode)
		}
	})
}

func TestHead(t *testing.T) {
	for _, target := range []string{"/api", addresses(t)["react.js"]} {
		get, head := do(t, "GET", target, "Accept-Encoding", "gzip"), do(t, "HEAD", target, "Accept-Encoding", "gzip")
		if content := body(t, head); head.StatusCode != http.StatusOK || len(content) != 0 {
			t.Errorf("HEAD %s: status = %d and %d bytes, want 200 and none", target, head.StatusCode, len(content))
		}
		for header := range get.Header {
			if got, want := head.Header.Get(header), get.Header.Get(header); got != want {
				t.Errorf("HEAD %s: %s = %q, GET has %q", target, header, got, want)
			}
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		res := do(t, method, addresses(t)["react.js"])
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status = %d, Allow = %q", method, res.StatusCode, res.Header.Get("Allow"))
		}
	}
}

func TestUnknownAssetsAreNotFound(t *testing.T) {
	for _, target := range []string{
		"/api/playground/",
		"/api/playground/react.js", // the checksum is missing
		"/api/playground/react-000000000000000000000000.js",
		"/api/playground/assets/react.js.gz",
		"/api/playground/assets%2Freact.js.gz",
		"/api/playground/..%2Fplayground.go",
		"/api/playground/%2E%2E%2F%2E%2E%2Fgo.mod",
		"/api/playground/..%5Cplayground.go",
		"/api/playground/%00",
		"/api/playground/../playground.go",
		"/api/playground/../../../go.mod",
		"/API/Playground/react.js",
	} {
		w := httptest.NewRecorder() // without a router, which would refuse some of these
		playground.Handler("api", links).ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("GET %s: status = %d, want 404", target, w.Code)
		}
	}
}

// The server routes /API and /api/ like /api, and leaves the path unchanged. A proxy may
// add a prefix to the path that the browser sees. The assets are found in any case.
func TestAssetsAreFoundFromEverySpelling(t *testing.T) {
	h := playground.Handler("api", links)
	for _, target := range []string{"/api", "/API", "/api/", "/Api/", "//api", "/api//", "//api//"} {
		for _, prefix := range []string{"", "/chat", "/v2/chat", "/playground-of-ours"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/", nil)
			r.URL.Path = target // as a proxy sends it without the prefix
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "cubegate playground") {
				t.Fatalf("GET %s: status = %d, body %q", target, w.Code, w.Body)
			}
			at := url.URL{Scheme: "https", Host: "example.org", Path: prefix + target}
			linked := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1)
			if len(linked) < 8 {
				t.Fatalf("%s: %d links", target, len(linked))
			}
			for _, m := range linked {
				resolved, err := at.Parse(m[1])
				if !strings.Contains(m[1], "playground/") { // another page
					continue
				}
				if err != nil || resolved.Host != "example.org" || !strings.HasPrefix(resolved.Path, prefix+"/") {
					t.Errorf("%s links to %s: %v", at.String(), m[1], err)
					continue
				}
				w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
				r.URL.Path = strings.TrimPrefix(resolved.Path, prefix)
				routed := regexp.MustCompile("/+").ReplaceAllString(strings.ToLower(r.URL.Path), "/")
				if !strings.HasPrefix(routed, "/api/playground/") {
					t.Errorf("%s links to %s, which has no route", at.String(), resolved)
				}
				h.ServeHTTP(w, r)
				if w.Code != http.StatusOK || strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
					t.Errorf("%s links to %s: %d %s", at.String(), resolved, w.Code, w.Header().Get("Content-Type"))
				}
			}
		}
	}
}

func TestAssetsAreBelowTheBase(t *testing.T) {
	w := httptest.NewRecorder()
	playground.Handler("graphql", links).ServeHTTP(w, httptest.NewRequest("GET", "/v2/graphql", nil))
	if !strings.Contains(w.Body.String(), `src="graphql/playground/react-`) {
		t.Error("assets are not below the base")
	}
}

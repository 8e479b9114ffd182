package openapi_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"cubegate/resolvers/openapi"
)

// maxEmbedded is the number of bytes that the reference may add to the program.
const maxEmbedded = 1_500_000

// links are what the page gets from the server.
type links struct {
	Playground bool
	Dashboard  string
}

var page http.Handler = openapi.New("", "docs", func(*http.Request) any { return links{true, "http://localhost:3001"} }).Page

func get(t *testing.T, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w
}

// hrefs returns the URLs in the page at a path, resolved as a browser does.
func hrefs(t *testing.T, target string) (list []*url.URL) {
	t.Helper()
	at := url.URL{Scheme: "https", Host: "proxy.example.org", Path: target}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(get(t, target).Body.String(), -1) {
		resolved, err := at.Parse(m[1])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, resolved)
	}
	return list
}

func TestPageHasAStrictPolicy(t *testing.T) {
	t.Parallel()
	w := get(t, "/docs")
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy %s", policy)
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s = %q, want %q", header, got, want)
		}
	}
	if inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|javascript:|<script(?: \w+)?>`).FindString(w.Body.String()); inline != "" {
		t.Errorf("the page contains %q, which its policy blocks", inline)
	}
}

// A proxy may add a path prefix, and a browser resolves URLs against the last slash.
func TestPageUsesRelativeURLs(t *testing.T) {
	t.Parallel()
	for target, root := range map[string]string{"/docs": "/", "/docs/": "/", "//docs": "//", "/DOCS/": "/"} {
		found := map[string]bool{}
		for _, at := range hrefs(t, target) {
			found[at.Path] = true
			if name, isAsset := strings.CutPrefix(at.Path, strings.TrimSuffix(target, "/")+"/reference/"); isAsset {
				if w := get(t, "/docs/reference/"+name); w.Code != 200 || strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
					t.Errorf("%s links to %s: %d %s", target, at, w.Code, w.Header().Get("Content-Type"))
				}
			}
		}
		for _, want := range []string{root, root + "api", root + "openapi.json"} {
			if !found[want] {
				t.Errorf("%s does not link to %s: %v", target, want, found)
			}
		}
		if len(found) < 8 {
			t.Errorf("%s has %d links", target, len(found))
		}
	}
}

func TestAssetsNeedNothingElse(t *testing.T) {
	t.Parallel()
	assets := 0
	for _, at := range hrefs(t, "/docs") {
		if !strings.HasPrefix(at.Path, "/docs/reference/") || strings.Contains(at.Path, "LICENSES") {
			continue
		}
		assets++
		text := get(t, at.Path).Body.String()
		for _, unwanted := range []string{"sourceMappingURL", "@font-face", "@import", "eval(", "new Function("} {
			if strings.Contains(text, unwanted) {
				t.Errorf("%s has %q", at.Path, unwanted)
			}
		}
	}
	if assets < 5 {
		t.Errorf("%d assets", assets)
	}
}

func TestReferenceIsSmall(t *testing.T) {
	t.Parallel()
	total := int64(0)
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".go") {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil || total < 400_000 || total > maxEmbedded {
		t.Errorf("the files have %d bytes, want at most %d; %v", total, maxEmbedded, err)
	}
}

func TestLinksFollowTheServer(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	openapi.New("", "docs", func(*http.Request) any { return links{} }).Page.ServeHTTP(w, httptest.NewRequest("GET", "/docs", nil))
	if body := w.Body.String(); strings.Contains(body, ">Playground<") || strings.Contains(body, ">Dashboard<") {
		t.Error("it links to pages that this server does not have")
	}
}

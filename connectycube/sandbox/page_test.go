package sandbox_test

import (
	"crypto/sha256"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestThePageIsForEveryoneAndRunsNothingButItself(t *testing.T) {
	s := sandbox.New(sandbox.Options{Certificate: []byte("the certificate")})
	tests := []struct{ path, kind, part string }{
		{"/", "text/html; charset=utf-8", "<!doctype html>"},
		{"/_sandbox/page/page.js", "text/javascript; charset=utf-8", "from './vendor/preact.js'"},
		{"/_sandbox/page/vendor/hooks.js", "text/javascript; charset=utf-8", `from"./preact.js"`},
		{"/_sandbox/page/theme.css", "text/css; charset=utf-8", "--accent"},
		{"/_sandbox/page/page.css", "text/css; charset=utf-8", ".panes"},
		{"/_sandbox/ca.pem", "application/x-x509-ca-cert", "the certificate"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", tt.path, nil)
		r.RemoteAddr = "192.0.2.7:5000"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 200 || w.Header().Get("Content-Type") != tt.kind || !strings.Contains(w.Body.String(), tt.part) {
			t.Errorf("%s: %d %s", tt.path, w.Code, w.Header())
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %s", tt.path, policy)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s", tt.path, w.Header())
		}
	}
	c := in(t, s)
	if g := c.send("POST", "/", ""); g.status != 405 {
		t.Errorf("POST /: %d", g.status)
	}
	if n := len(s.Journal(0)); n != 0 {
		t.Errorf("loading the page is in the journal: %d entries", n)
	}
	c = in(t, sandbox.New(sandbox.Options{}))
	c.base = "http://localhost"
	if g := c.send("GET", "/_sandbox/ca.pem", ""); g.status != 404 {
		t.Errorf("without a certificate: %d %s", g.status, g.text)
	}
}

// The scripts must not be able to make HTML from the data that they show. Preact does so
// only for the attribute dangerouslySetInnerHTML. No file says what only a build step
// could resolve, and none is long.
func TestThePageMakesNoHTMLOfData(t *testing.T) {
	scripts, err := filepath.Glob("control/page/*.js")
	if err != nil || len(scripts) < 8 {
		t.Fatal(scripts, err)
	}
	for _, file := range scripts {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script := string(raw)
		for _, way := range []string{"InnerHTML", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "createContextualFragment", "setHTML", "srcdoc", "style="} {
			if strings.Contains(script, way) {
				t.Errorf("%s has %s", file, way)
			}
		}
		if n := strings.Count(script, "\n"); n > 400 {
			t.Errorf("%s has %d lines", file, n)
		}
	}
}

// The committed files of the npm packages are those whose checksums are listed.
func TestThePagesPackagesAreTheListedOnes(t *testing.T) {
	const folder = "control/page/vendor/"
	sums, err := os.ReadFile(folder + "SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := os.ReadFile(folder + name)
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(content)) != sum {
			t.Errorf("%s is not the file with the listed checksum: %v", name, err)
		}
		listed++
	}
	if files, _ := filepath.Glob(folder + "*.js"); len(files) != listed || listed == 0 {
		t.Errorf("%d checksums for %v", listed, files)
	}
}

package sandbox_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestThePageIsForEveryoneAndRunsNothingButItself(t *testing.T) {
	s := sandbox.New(sandbox.Options{Certificate: []byte("the certificate")})
	tests := []struct{ path, kind, part string }{
		{"/", "text/html; charset=utf-8", "<!doctype html>"},
		{"/_sandbox/page/page.js", "text/javascript; charset=utf-8", "'use strict'"},
		{"/_sandbox/page/page.css", "text/css; charset=utf-8", "--accent"},
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

// The script must not be able to make HTML from the data that it shows.
func TestThePageMakesNoHTMLOfData(t *testing.T) {
	script := in(t, sandbox.New(sandbox.Options{})).send("GET", "/_sandbox/page/page.js", "").text
	for _, way := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "createContextualFragment", "setHTML"} {
		if strings.Contains(script, way) {
			t.Errorf("the script has %s", way)
		}
	}
}

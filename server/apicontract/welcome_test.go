package apicontract

import (
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// The greeting of the NestJS original is for all clients that do not ask for HTML.
func TestFirstPageIsForBrowsers(t *testing.T) {
	t.Parallel()
	const chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	r := servertest.Start(t, nil)
	for accept, isPage := range map[string]bool{
		chrome:                              true,
		"text/html":                         true,
		"TEXT/HTML":                         true,
		"text/html;q=0.9, text/plain;q=0.1": true,
		"":                                  false, // many libraries
		"*/*":                               false, // curl
		"text/*":                            false,
		"text/plain":                        false,
		"application/json":                  false,
		"application/json, text/plain, */*": false, // axios
		"text/html;q=0, */*":                false,
		"text/plain, text/html;q=0.5":       false,
	} {
		var header []string
		if accept != "" {
			header = []string{"Accept", accept}
		}
		got := r.Request(t, "GET", "/", "", header...)
		if isPage != strings.HasPrefix(got.Body, "<!doctype html>") || !isPage && got.Body != "Hello World!" || got.Status != 200 {
			t.Errorf("Accept %q: %d %.60s", accept, got.Status, got.Body)
		}
		if !strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Accept") {
			t.Errorf("Accept %q: Vary %v", accept, got.Header.Values("Vary"))
		}
		head := r.Request(t, "HEAD", "/", "", header...)
		if head.Status != 200 || head.Body != "" || head.Header.Get("ETag") != got.Header.Get("ETag") || head.Header.Get("Content-Security-Policy") != got.Header.Get("Content-Security-Policy") {
			t.Errorf("HEAD with Accept %q: %d %v", accept, head.Status, head.Header)
		}
		if isPage != (got.Header.Get("ETag") != "") {
			t.Errorf("Accept %q: ETag %q", accept, got.Header.Get("ETag"))
		}
	}
}

// A page that the browser has is not sent again.
func TestPagesAreRevalidated(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	for _, path := range []string{"/", "/docs", "/api"} {
		got := r.Request(t, "GET", path, "", "Accept", "text/html")
		again := r.Request(t, "GET", path, "", "Accept", "text/html", "If-None-Match", got.Header.Get("ETag"))
		if again.Status != 304 || again.Body != "" {
			t.Errorf("%s: %d %v", path, again.Status, got.Header)
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "X-Frame-Options": "DENY"} {
			if got.Header.Get(header) != want {
				t.Errorf("%s: %s = %q, want %q", path, header, got.Header.Get(header), want)
			}
		}
	}
}

// With PLAYGROUND=false, no page leads to it.
func TestPagesWithoutThePlayground(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"PLAYGROUND": "false"})
	for _, path := range []string{"/", "/docs"} {
		if got := r.Request(t, "GET", path, "", "Accept", "text/html"); strings.Contains(got.Body, ">Playground<") || !strings.Contains(got.Body, "Dashboard") {
			t.Errorf("%s: %s", path, got.Body)
		}
	}
}

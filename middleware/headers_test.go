package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"cubegate/middleware"
)

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	for _, target := range []string{"/", "/nope", "/panic", "/silent"} {
		h, _ := router(t)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		for name, want := range map[string]string{
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
			"X-Powered-By":                 "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", target, name, got, want)
			}
		}
	}
}

func TestPagesMaySetTheirOwnPolicy(t *testing.T) {
	h := middleware.SecurityHeaders(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'self'")
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got := w.Header().Values("Content-Security-Policy"); len(got) != 1 || got[0] != "script-src 'self'" {
		t.Errorf("policies = %q, want the page's only", got)
	}
}

package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"cubegate/middleware"

	"github.com/go-chi/chi/v5"
)

// The original ignored letter case and a trailing slash, and a base URL with a trailing
// slash doubles one. All other paths stay different.
func TestNormalizePath(t *testing.T) {
	tests := []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 200, "root"},
		{"POST", "/api", 200, "api"},
		{"POST", "/api/", 200, "api"},
		{"POST", "/API", 200, "api"},
		{"POST", "/Api/", 200, "api"},
		{"GET", "/Auth/Verify-ConnectyCube/", 200, "verify"},
		{"GET", "/AUTH/VERIFY-CONNECTYCUBE?Token=A/", 200, "verify"},
		{"GET", "/%61uth/verify-connectycube", 404, ""}, // an encoded letter; Express did not decode it either
		{"GET", "/users/ABC", 200, "abc"},
		{"DELETE", "/API/", 405, ""},
		{"POST", "/api//", 200, "api"},
		{"POST", "//api", 200, "api"},
		{"POST", "///API///", 200, "api"},
		{"GET", "//auth/verify-connectycube", 200, "verify"},
		{"GET", "/auth//verify-connectycube?token=a//b", 200, "verify"},
		{"GET", "//Auth//Verify-ConnectyCube//", 200, "verify"},
		{"GET", "//users//ABC", 200, "abc"},
		{"DELETE", "//api", 405, ""},
		{"GET", "//", 200, "root"},
		{"GET", "///", 200, "root"},
		{"POST", "/%2Fapi", 404, ""},
		{"POST", "/a/pi", 404, ""},
		{"POST", "/api/api", 404, ""},
		{"GET", "//evil.test/", 404, ""},
		{"GET", "//evil.test/..", 404, ""},
		{"POST", "/api%2F", 404, ""},
		{"POST", "/api%2f", 404, ""},
		{"GET", "/auth%2Fverify-connectycube", 404, ""},
		{"GET", "/auth/./verify-connectycube", 404, ""},
		{"POST", "/x/../api", 404, ""},
		{"POST", "/api\\", 404, ""},
		{"POST", "/api;x=1", 404, ""},
		{"POST", "/ap\u0131", 404, ""}, // dotless i
		{"GET", "/auth/verify-\u212Annectycube", 404, ""},
		{"POST", "/api\xff", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			u, err := url.ParseRequestURI(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			h, _ := router(t)
			r := httptest.NewRequest(tt.method, "/", nil)
			r.URL = u
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status || tt.body != "" && w.Body.String() != tt.body {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
			}
			if w.Header().Get("Location") != "" {
				t.Errorf("redirects to %s", w.Header().Get("Location"))
			}
		})
	}
}

func TestNormalizePathLeavesTheURLAlone(t *testing.T) {
	r := chi.NewRouter()
	r.Use(middleware.NormalizePath)
	var got url.URL
	r.Get("/users/{id}", func(_ http.ResponseWriter, r *http.Request) { got = *r.URL })
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/Users/AbC/?Q=R", nil))
	if got.Path != "/Users/AbC/" || got.RawQuery != "Q=R" {
		t.Errorf("the handler sees %s", got.String())
	}
}

func TestNormalizePathKeepsMountedRoutersWorking(t *testing.T) {
	inner := chi.NewRouter()
	inner.Use(middleware.NormalizePath)
	inner.Get("/deep", answer("deep"))
	r := chi.NewRouter()
	r.Use(middleware.NormalizePath)
	r.Mount("/sub", inner)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/SUB/Deep/", nil))
	if w.Body.String() != "deep" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, path := range []string{"/", "", "*", "//", "/API/", "/%2F", "/\xff"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		h, _ := router(t)
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = &url.URL{Path: path}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 300 && w.Code < 400 || w.Header().Get("Location") != "" {
			t.Errorf("%q redirects: %d %v", path, w.Code, w.Header())
		}
	})
}

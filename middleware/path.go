package middleware

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// NormalizePath routes /API, /api/ and /Auth/Verify-ConnectyCube like their plain
// spelling. Express did so for the original, and apps and dashboards with such URLs
// must continue to work. It lowers ASCII letters and drops one trailing slash, for
// chi's routing only: r.URL and the query stay unchanged, and nothing is redirected.
// Doubled and encoded slashes stay and match nothing.
//
// Therefore declare routes in lower case. A handler that needs the case of a part of
// its path must read r.URL.Path instead of chi.URLParam.
func NormalizePath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := chi.RouteContext(r.Context()); c != nil && c.RoutePath == "" {
			path := r.URL.RawPath // set if the path contains encoded slashes; chi routes by it, too
			if path == "" {
				path = r.URL.Path
			}
			c.RoutePath = normalizePath(path)
		}
		next.ServeHTTP(w, r)
	})
}

func normalizePath(path string) string {
	if cut := strings.TrimSuffix(path, "/"); cut != "" && !strings.HasSuffix(cut, "/") {
		path = cut
	}
	b := []byte(path)
	for i, c := range b { // not strings.ToLower, which turns the Kelvin sign into a k
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

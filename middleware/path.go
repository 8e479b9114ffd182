package middleware

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// NormalizePath routes /API, /api/, //api and /Auth/Verify-ConnectyCube like their plain
// spelling. Express did so for the original's letter case and trailing slash, and apps
// and dashboards with such URLs must continue to work; a base URL that ends with a slash
// makes the doubled one. It lowers ASCII letters, reads several slashes as one and drops
// a trailing slash, for chi's routing only: r.URL and the query stay unchanged, and
// no redirect is sent, so //evil.test/ cannot become a Location. Encoded slashes stay,
// and such a path matches no route.
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
	b := make([]byte, 0, len(path))
	for i := range len(path) { // not strings.ToLower, which turns the Kelvin sign into a k
		c := path[i]
		if c == '/' && len(b) > 0 && b[len(b)-1] == '/' {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	if cut := strings.TrimSuffix(string(b), "/"); cut != "" {
		return cut
	}
	return string(b)
}

package middleware

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// NormalizePath routes /API, /api/ and /Auth/Verify-ConnectyCube as their plain
// spelling: Express did so for the original, and apps and dashboards that were
// set up with such an address should go on working. ASCII letters are lowered
// and one trailing slash is dropped, for chi's routing only: r.URL stays as the
// client sent it, nothing is redirected, and what stands in the query is not
// looked at. Doubled and encoded slashes are left alone and match nothing.
//
// Routes are therefore declared in lower case, and a handler that cares for the
// case of a part of its path reads r.URL.Path rather than chi.URLParam.
func NormalizePath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := chi.RouteContext(r.Context()); c != nil && c.RoutePath == "" {
			path := r.URL.RawPath // set when the path holds encoded slashes; chi routes by it too
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
	for i, c := range b { // not strings.ToLower: that turns the Kelvin sign into a k
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

package middleware

import "net/http"

// securityHeaders fit an API, whose answers are data and never a page. The names
// are in canonical form.
var securityHeaders = map[string]string{
	"X-Content-Type-Options":  "nosniff",
	"X-Frame-Options":         "DENY", // for browsers that do not know frame-ancestors
	"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	// The verify address has a token in its query; no link from here may tell.
	"Referrer-Policy": "no-referrer",
	// Concerns loads without CORS only (images, scripts): Fetch's check of it is
	// for no-cors requests, so the browsers that CORS lets in are not hindered.
	"Cross-Origin-Resource-Policy": "same-origin",
}

// SecurityHeaders sets the security headers before the handler runs, so that a handler
// which serves a page can set a Content-Security-Policy of its own.
//
// Strict-Transport-Security is missing on purpose: it is about the host's TLS,
// which ends at the proxy and is the proxy's to promise.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

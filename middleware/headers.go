package middleware

import "net/http"

// securityHeaders are the headers of an API, whose answers are data and never a page.
// The names are in canonical form.
var securityHeaders = map[string]string{
	"X-Content-Type-Options":  "nosniff",
	"X-Frame-Options":         "DENY", // for browsers that do not know frame-ancestors
	"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	// The URL of the verify route contains a token, which must not reach another site.
	"Referrer-Policy": "no-referrer",
	// Applies to loads without CORS only (images, scripts): Fetch checks it for no-cors
	// requests, so it does not affect the origins that CORS allows.
	"Cross-Origin-Resource-Policy": "same-origin",
}

// SecurityHeaders sets the security headers before the handler runs, so that a handler
// that serves a page can set its own Content-Security-Policy.
//
// Strict-Transport-Security is missing on purpose: TLS ends at the proxy, which must
// set it.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

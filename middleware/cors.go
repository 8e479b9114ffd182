package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/cors"
)

// ErrOrigin means that an entry of the CORS list is not an origin.
var ErrOrigin = errors.New("not an origin")

// CORS allows pages of the listed origins to call the API from a browser. An entry is
// an origin as browsers send it, such as https://app.example.org or
// http://localhost:5173: scheme and host in lower case, without path, default port or
// pattern. A single "*" allows any origin. With an empty list, no CORS header is sent.
// The error is that of [CheckOrigins].
//
// Credentials are never allowed. We use no cookies, and a page must know the token to
// send it in Authorization. The original mirrored any origin with credentials, even
// null.
//
// A preflight gets every request header that it asks for: tracing and clients of GraphQL
// add headers of their own, and without credentials no header gives a page a right that
// the page did not have.
func CORS(origins []string) (func(http.Handler) http.Handler, error) {
	if err := CheckOrigins(origins); err != nil {
		return nil, err
	}
	switch {
	case len(origins) == 0:
		return func(next http.Handler) http.Handler { return next }, nil
	case origins[0] == "*":
		options := corsOptions()
		options.AllowedOrigins = origins
		return corsHandler(options), nil
	}
	return corsOf(func(origin string) bool { return slices.Contains(origins, origin) }), nil
}

// PrivateCORS is CORS for the pages of this machine and of private networks: their host is
// an address there, localhost, a name under .local, or a name without a dot.
func PrivateCORS() func(http.Handler) http.Handler { return corsOf(isPrivateOrigin) }

// corsOf allows origins by a function, because the library's list ignores case and
// interprets * inside a name.
func corsOf(allows func(origin string) bool) func(http.Handler) http.Handler {
	options := corsOptions()
	options.AllowOriginFunc = func(_ *http.Request, origin string) bool { return allows(origin) }
	return corsHandler(options)
}

func corsHandler(options cors.Options) func(http.Handler) http.Handler {
	allow := cors.Handler(options)
	return func(next http.Handler) http.Handler { return boundRequestedHeaders(allow(next)) }
}

func isPrivateOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || !IsOrigin(origin) {
		return false
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	host := u.Hostname()
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".localhost")
}

func corsOptions() cors.Options {
	return cors.Options{
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{"*"}, // the library names those that the preflight asks for
		ExposedHeaders: []string{requestIDHeader, "Retry-After"},
		MaxAge:         int((10 * time.Minute).Seconds()), // in seconds; a browser notices a changed list after that
	}
}

// maxRequestedHeaders bounds the names of headers in a preflight, in bytes. Browsers
// list those that the page's script sets, which are a few hundred bytes.
const maxRequestedHeaders = 4 << 10

// boundRequestedHeaders refuses a preflight that asks for too many headers, because the
// answer repeats them.
func boundRequestedHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && len(r.Header.Get("Access-Control-Request-Headers")) > maxRequestedHeaders {
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// CheckOrigins checks a list for CORS. Each invalid entry gives an error that wraps
// ErrOrigin and has the entry's number. It quotes none, because any setting may hold a
// secret in the wrong place.
func CheckOrigins(origins []string) error {
	var errs []error
	for i, o := range origins {
		switch {
		case o == "*" && len(origins) > 1:
			errs = append(errs, fmt.Errorf("entry %d: %w: * already means any origin, so it must be the only entry", i+1, ErrOrigin))
		case o != "*" && !IsOrigin(o):
			errs = append(errs, fmt.Errorf("entry %d: %w", i+1, ErrOrigin))
		}
	}
	return errors.Join(errs...)
}

// IsOrigin reports whether a browser can send s as the header Origin. Browsers send
// host names in ASCII, whatever their address bar shows. Apps in a web view have
// schemes of their own, such as capacitor:// or ionic://.
func IsOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || strings.ContainsFunc(s, notInOrigin) {
		return false
	}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || port == 0 || u.Scheme == "http" && port == 80 || u.Scheme == "https" && port == 443 {
			return false
		}
	}
	return s == u.Scheme+"://"+u.Host
}

func notInOrigin(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(":/.-_+[]", r)
}

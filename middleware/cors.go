package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
// Each invalid entry gives an error that wraps ErrOrigin.
//
// Credentials are never allowed. We use no cookies, and a page must know the token to
// send it in Authorization. The original mirrored any origin with credentials, even
// null.
func CORS(origins []string) (func(http.Handler) http.Handler, error) {
	anyone, allowed, err := parseOrigins(origins)
	if err != nil {
		return nil, err
	}
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	options := cors.Options{
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{
			"Accept", "Authorization", "Content-Type", requestIDHeader,
			"Apollo-Require-Preflight", "X-Apollo-Operation-Name", "X-Apollo-Operation-Id", // Apollo's clients send these
			"Traceparent", "Tracestate", // tracing in browsers sends these
		},
		ExposedHeaders: []string{requestIDHeader, "Retry-After"},
		MaxAge:         int((10 * time.Minute).Seconds()), // in seconds; a browser notices a changed list after that
	}
	if anyone {
		options.AllowedOrigins = []string{"*"}
	} else {
		// A function, because the library's list ignores case and interprets * inside a
		// name.
		options.AllowOriginFunc = func(_ *http.Request, origin string) bool { return allowed[origin] }
	}
	return cors.Handler(options), nil
}

func parseOrigins(origins []string) (anyone bool, allowed map[string]bool, err error) {
	var errs []error
	allowed = make(map[string]bool, len(origins))
	for _, o := range origins {
		switch {
		case o == "*" && len(origins) == 1:
			anyone = true
		case o == "*":
			errs = append(errs, fmt.Errorf(`%w: "*" must stand alone`, ErrOrigin))
		case !IsOrigin(o):
			errs = append(errs, fmt.Errorf("%w: %q, want scheme://host[:port] as a browser sends it", ErrOrigin, o))
		default:
			allowed[o] = true
		}
	}
	return anyone, allowed, errors.Join(errs...)
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

package servertest

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// tokenShaped matches what looks like a JWT, one of the opaque tokens, a session token of
// ConnectyCube or a password hash.
var tokenShaped = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{16,}|[A-Za-z0-9_-]{80,}|\b[0-9A-F]{36}\b|\$argon2id\$|\$2[aby]\$\d\d\$`)

// TokenShapes returns the parts of a text that look like credentials. Every test of the
// whole program searches what its servers produce: the log, the headers of replies, and
// the URLs and Referers of their requests to ConnectyCube.
func TokenShapes(text string) []string { return tokenShaped.FindAllString(text, -1) }

// checkLog fails the test if the log of a server contains credentials.
func checkLog(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if found := TokenShapes(line); found != nil {
			t.Errorf("the log contains %.60q in %s", found, line)
		}
	}
}

// checkHeaders fails the test if the headers of a reply contain credentials, such as the
// URL of a redirect.
func checkHeaders(t *testing.T, place string, header http.Header) {
	t.Helper()
	for name, values := range header {
		if found := TokenShapes(strings.Join(values, " ")); found != nil {
			t.Errorf("%s: the header %s of the reply contains %.60q", place, name, found)
		}
	}
}

// checkURLs fails the test if a server has put credentials into a URL or a Referer that it
// sent to ConnectyCube.
func (u *Upstream) checkURLs(t *testing.T) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range u.seen {
		if found := TokenShapes(e.url + " " + e.Header.Get("Referer")); found != nil {
			t.Errorf("%s %s: the URL or the Referer contains %.60q", e.method, e.path, found)
		}
	}
}

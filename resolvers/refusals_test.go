package resolvers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/resolvers/transport/transporttest"
	"cubegate/store"
	"cubegate/tokens"
)

const limitedLogin = `{ login(body: {email: "Ada@Example.org", password: "guess"}) { message } }`

// A request whose every operation is refused by a limit is counted. Every other request
// has log lines.
func TestRefusedRequestsAreCounted(t *testing.T) {
	full := func(reason error) func(*parts) {
		return func(p *parts) { p.flows.Hasher = queueFull{p.flows.Hasher, reason} }
	}
	two := `mutation { a: login(body: {email: "ada@example.org", password: "guess"}) { message } b: refresh(refreshToken: "x") { message } }`
	for _, tt := range []struct {
		name, document string
		edit           func(*parts)
		counted        string // level and code; empty for none
		code           string
	}{
		{"too many wrong passwords", "mutation " + limitedLogin, spentBudgets, "INFO RATE_LIMITED", "RATE_LIMITED"},
		{"a full queue", "mutation " + limitedLogin, full(tokens.ErrBusy), "WARN SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE"},
		{"a full lane", "mutation " + limitedLogin, full(tokens.ErrLaneFull), "INFO RATE_LIMITED", "RATE_LIMITED"},
		{"a wrong password", "mutation " + limitedLogin, func(*parts) {}, "", "UNAUTHENTICATED"},
		{"the database", "mutation " + limitedLogin, func(p *parts) { p.flows.Stores.Users.(*identitytest.Users).Err = store.ErrUnavailable }, "", "SERVICE_UNAVAILABLE"},
		{"one of two", two, spentBudgets, "", "RATE_LIMITED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, h := newAPI(t, tt.edit)
			counted := ""
			counting := apierror.Report(apierror.Reporter{Note: noNote, Count: func(_ context.Context, level slog.Level, code string) bool {
				counted += level.String() + " " + code
				return true
			}})(h)
			got := transporttest.Ask(t, counting, tt.document, nil)
			lines := strings.Count(f.log.String(), "request failed")
			if got.Code() != tt.code || counted != tt.counted || (lines > 0) != (tt.counted == "") {
				t.Errorf("code %s, counted %q, %d lines: %s", got.Code(), counted, lines, f.log)
			}
		})
	}
}

// If the counter does not count a request, it is logged.
func TestRefusalsThatAreNotCountedAreLogged(t *testing.T) {
	f, h := newAPI(t, spentBudgets)
	transporttest.Ask(t, h, "mutation "+limitedLogin, nil)
	not := apierror.Report(apierror.Reporter{Note: noNote, Count: func(context.Context, slog.Level, string) bool { return false }})(f.rest())
	transporttest.Send(t, at(not, "/auth/login"), `{"email": "ada@example.org", "password": "guess"}`)
	if n := strings.Count(f.log.String(), "request failed"); n != 2 {
		t.Errorf("%d lines, want 2: %s", n, f.log)
	}
}

func noNote(context.Context, apierror.Code) {}

// queueFull is a hasher with a full queue.
type queueFull struct {
	identity.PasswordHasher
	reason error
}

func (q queueFull) Compare(context.Context, tokens.Turn, string, string) (bool, error) {
	return false, &tokens.QueueError{Reason: q.reason}
}

// at sends each request to a path.
func at(next http.Handler, path string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = path
		next.ServeHTTP(w, r)
	})
}

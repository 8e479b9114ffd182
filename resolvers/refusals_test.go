package resolvers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport/transporttest"
	"cubegate/store"
	"cubegate/tokens"
)

const limitedLogin = `{ login(body: {email: "Ada@Example.org", password: "guess"}) { message } }`

// A request that a limit refuses whole is counted; any other has its lines.
func TestRefusedRequestsAreCounted(t *testing.T) {
	full := func(reason error) func(*flows) {
		return func(f *flows) { f.Passwords = queueFull{f.passwords, reason} }
	}
	spent := func(f *flows) { f.Budgets = spentBudgets() }
	two := `mutation { a: login(body: {email: "ada@example.org", password: "guess"}) { message } b: refresh(refreshToken: "x") { message } }`
	for _, tt := range []struct {
		name, document string
		edit           func(*flows)
		counted        string // level and code; empty for none
		code           string
	}{
		{"too many wrong passwords", "mutation " + limitedLogin, spent, "INFO RATE_LIMITED", "RATE_LIMITED"},
		{"a full queue", "mutation " + limitedLogin, full(tokens.ErrBusy), "WARN SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE"},
		{"a full lane", "mutation " + limitedLogin, full(tokens.ErrLaneFull), "INFO RATE_LIMITED", "RATE_LIMITED"},
		{"a wrong password", "mutation " + limitedLogin, func(*flows) {}, "", "UNAUTHENTICATED"},
		{"the database", "mutation " + limitedLogin, func(f *flows) { f.users.err = store.ErrUnavailable }, "", "SERVICE_UNAVAILABLE"},
		{"one of two", two, spent, "", "RATE_LIMITED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, h := newAPI(t)
			tt.edit(&f)
			counted := ""
			counting := apierror.CountRefusals(func(_ context.Context, level slog.Level, code string) bool {
				counted += level.String() + " " + code
				return true
			})(h)
			got := transporttest.Ask(t, counting, tt.document, nil)
			lines := strings.Count(f.log.String(), "request failed")
			if got.Code() != tt.code || counted != tt.counted || (lines > 0) != (tt.counted == "") {
				t.Errorf("code %s, counted %q, %d lines: %s", got.Code(), counted, lines, f.log)
			}
		})
	}
}

// What counts nothing gets its lines.
func TestRefusalsThatAreNotCountedAreLogged(t *testing.T) {
	f, h := newAPI(t)
	f.Budgets = spentBudgets()
	transporttest.Ask(t, h, "mutation "+limitedLogin, nil)
	not := apierror.CountRefusals(func(context.Context, slog.Level, string) bool { return false })(http.HandlerFunc(NewREST(f.Auth).Login))
	transporttest.Send(t, not, `{"email": "ada@example.org", "password": "guess"}`)
	if n := strings.Count(f.log.String(), "request failed"); n != 2 {
		t.Errorf("%d lines, want 2: %s", n, f.log)
	}
}

// A refusal by the limit of wrong passwords asks neither the database nor the
// hash.
func TestRefusalComesBeforeDatabaseAndHash(t *testing.T) {
	f := newFlows(t)
	f.Budgets = spentBudgets()
	f.users.err = store.ErrUnavailable
	_, err := f.login(t.Context(), login, false)
	if code := outward(err).Code; code != apierror.RateLimited || len(f.passwords.compared) != 0 {
		t.Errorf("%s after %d hashes", code, len(f.passwords.compared))
	}
}

// queueFull is a hasher without a place in its queue.
type queueFull struct {
	PasswordHasher
	reason error
}

func (q queueFull) Compare(context.Context, tokens.Turn, string, string) (bool, error) {
	return false, &tokens.QueueError{Reason: q.reason}
}

package resolvers

import (
	"context"
	"slices"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/resolvers/transport/transporttest"
	"cubegate/store"
	"cubegate/tokens"
)

// Each operation of a request is observed once with its reason: also one that is refused
// before a resolver runs, and one that panics.
func TestOperationsAreObserved(t *testing.T) {
	login := func(password string) string {
		return `mutation { login(body: {email: "ada@example.org", password: "` + password + `"}) { message } }`
	}
	right := login(identitytest.AdaPassword)
	for _, tt := range []struct {
		name, document string
		variables      map[string]any
		edit           func(*parts)
		want           string // sorted
	}{
		{"success", right, nil, nil, "login none"},
		{"wrong password", login("guess"), nil, nil, "login wrong_password"},
		{"disabled user", right, nil, func(p *parts) { p.flows.Stores.Users.(*identitytest.Users).User.Disabled = true }, "login disabled"},
		{"spent budget", right, nil, spentBudgets, "login budget"},
		{"full queue", right, nil, func(p *parts) { p.flows.Hasher = queueFull{p.flows.Hasher, tokens.ErrBusy} }, "login hash_queue"},
		{"full lane", right, nil, func(p *parts) { p.flows.Hasher = queueFull{p.flows.Hasher, tokens.ErrLaneFull} }, "login hash_queue"},
		{"database away", right, nil, func(p *parts) { p.flows.Stores.Users.(*identitytest.Users).Err = store.ErrUnavailable }, "login database"},
		{"panic", right, nil, func(p *parts) { p.flows.Hasher = panicking{p.flows.Hasher} }, "login internal"},
		{"two of a mutation", `mutation { a: refresh(refreshToken: "x") { message } b: logoutEverywhere { message } }`, nil, nil, "logoutEverywhere no_token, refresh invalid_token"},
		{"three of a query", `{ hello me { id } again: hello }`, nil, nil, "hello none, hello none, me no_token"},
		{"wrong variable", `mutation($b: LoginUserDto!) { login(body: $b) { message } }`, map[string]any{"b": map[string]any{"email": 7}}, nil, "login invalid_input"},
		{"unknown field", `{ zebra }`, nil, nil, ""},
		{"no document", `{`, nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan string, 9) // fields of a query end at the same time
			_, h := newAPI(t, func(p *parts) {
				if tt.edit != nil {
					tt.edit(p)
				}
				p.api.Observe = func(_ context.Context, operation string, reason apierror.Reason) {
					seen <- operation + " " + string(reason)
				}
			})
			got := transporttest.Ask(t, h, tt.document, tt.variables)
			close(seen)
			var list []string
			for one := range seen {
				list = append(list, one)
			}
			slices.Sort(list)
			if strings.Join(list, ", ") != tt.want {
				t.Errorf("observed %q, want %q; the client got %+v", list, tt.want, got)
			}
		})
	}
}

// panicking is a hasher with a defect.
type panicking struct{ identity.PasswordHasher }

func (panicking) Compare(context.Context, tokens.Turn, string, string) (bool, error) {
	panic("a defect")
}

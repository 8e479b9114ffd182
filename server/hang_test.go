package server

import (
	"fmt"
	"net/http"
	"testing"
)

// When ConnectyCube hangs, a login soon gets its answer without a chat, and the
// chat comes back by itself. No request that changes something is sent twice.
func TestLoginsDoNotWaitForAConnectyCubeThatHangs(t *testing.T) {
	t.Parallel()
	for _, cidp := range []bool{false, true} {
		t.Run(fmt.Sprintf("cidp %t", cidp), func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t)
			r := u.startWith(t, cidp, map[string]string{"CONNECTYCUBE_TIMEOUT": "300ms", "LOGIN_FAILURES": "0"})
			document := loginDocument
			if cidp {
				document = byTokenDocument
			}
			r.register(t, "ada@example.org")
			u.liesAlways(func(_ http.ResponseWriter, q *http.Request, _ http.Handler) { <-q.Context().Done() })
			var sent int
			eventually(t, "a login gets its answer and ConnectyCube is not asked", func() bool {
				before := u.requests()
				if in := r.login(t, document, "ada@example.org"); in.ChatStatus != "UNAVAILABLE" || in.Token == "" {
					t.Fatalf("while it hangs: %+v", in)
				}
				sent++
				return u.requests() == before
			})
			if sent > 20 {
				t.Errorf("%d logins asked a ConnectyCube that hangs", sent)
			}
			u.honest()
			eventually(t, "a login has a chat again", func() bool {
				return r.login(t, document, "ada@example.org").ChatStatus == "READY"
			})
			if n := len(u.asked(http.MethodPost, "/users")); n > 1 {
				t.Errorf("%d sign-ups for one user", n)
			}
		})
	}
}

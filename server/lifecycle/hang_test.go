package lifecycle

import (
	"fmt"
	"net/http"
	"testing"

	"cubegate/server/servertest"
)

// While ConnectyCube hangs, logins soon succeed without a ConnectyCube session, and
// afterwards with one. The server sends no sign-up twice.
func TestLoginsDoNotWaitForHangingConnectyCube(t *testing.T) {
	t.Parallel()
	for _, cidp := range []bool{false, true} {
		t.Run(fmt.Sprintf("cidp %t", cidp), func(t *testing.T) {
			t.Parallel()
			u := servertest.NewUpstream(t)
			r := u.Start(t, cidp, map[string]string{"CONNECTYCUBE_TIMEOUT": "300ms", "LOGIN_FAILURES": "0"})
			document := servertest.LoginDocument
			if cidp {
				document = servertest.ByTokenDocument
			}
			r.Register(t, "ada@example.org")
			servertest.Eventually(t, "the user has an account", func() bool { // a busy machine may miss the timeout
				return r.Login(t, document, "ada@example.org").ChatStatus == "READY"
			})
			u.OverrideAll(func(_ http.ResponseWriter, q *http.Request, _ http.Handler) { <-q.Context().Done() })
			var sent int
			servertest.Eventually(t, "a login succeeds without a request to ConnectyCube", func() bool {
				before := u.CountRequests()
				if in := r.Login(t, document, "ada@example.org"); in.ChatStatus != "UNAVAILABLE" || in.Token == "" {
					t.Fatalf("while ConnectyCube hangs: %+v", in)
				}
				sent++
				return u.CountRequests() == before
			})
			if sent > 20 {
				t.Errorf("%d logins sent requests to a ConnectyCube that hangs", sent)
			}
			u.Restore()
			servertest.Eventually(t, "a login gets a ConnectyCube session again", func() bool {
				return r.Login(t, document, "ada@example.org").ChatStatus == "READY"
			})
			if n := len(u.Requests(http.MethodPost, "/users")); n > 1 {
				t.Errorf("%d sign-ups for one user", n)
			}
		})
	}
}

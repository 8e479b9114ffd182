package crashes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// Users register although ConnectyCube fails, in each way in which it can fail. Once
// it works again, a refresh returns a ConnectyCube session: the user does not type
// the password again, and the server has not stored it.
func TestUsersRegisterWhileConnectyCubeIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]http.HandlerFunc{
		"500":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"429":    func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "1"); w.WriteHeader(429) },
		"reset":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"HTML":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); fmt.Fprint(w, "<html>") },
	} {
		for _, password := range []string{"shared", "derived"} {
			t.Run(name+", "+password, func(t *testing.T) {
				t.Parallel()
				u := servertest.NewUpstream(t)
				r := u.Start(t, false, map[string]string{"CONNECTYCUBE_TIMEOUT": "300ms", "CONNECTYCUBE_PASSWORD": password})
				u.OverrideAll(func(w http.ResponseWriter, q *http.Request, _ http.Handler) { away(w, q) })
				got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org"))
				if got.Code() != "" || got.Data.Register.ChatStatus != "PENDING" || got.Data.Register.Token == "" || got.Data.Register.CcUserID != nil {
					t.Fatalf("while ConnectyCube is away: %s %+v", got.Code(), got.Data.Register)
				}
				in := *got.Data.Register
				if again := r.Login(t, servertest.LoginDocument, "ada@example.org"); again.ChatStatus != "PENDING" && again.ChatStatus != "UNAVAILABLE" {
					t.Errorf("a login while ConnectyCube is away: %s", again.ChatStatus)
				}
				u.Restore()
				servertest.Eventually(t, "a refresh returns a ConnectyCube session", func() bool {
					var a struct {
						Data struct{ Refresh servertest.LoginReply }
					}
					body := r.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken chatStatus connectySession } }`, in.RefreshToken), nil).Body
					if err := json.Unmarshal([]byte(body), &a); err != nil || a.Data.Refresh.RefreshToken == "" {
						t.Fatalf("refresh: %s", servertest.CodeOf(body))
					}
					in.RefreshToken = a.Data.Refresh.RefreshToken
					return a.Data.Refresh.ChatStatus == "READY"
				})
				requireOneAccount(t, r, in.User)
				raw, err := r.Store.Users().ByID(t.Context(), in.User.ID)
				if err != nil || strings.Contains(fmt.Sprintf("%+v", raw), "correct horse") {
					t.Errorf("the document is missing or contains the password: %v", err)
				}
				servertest.Eventually(t, "a login afterwards gets one, too", func() bool {
					return r.Login(t, servertest.LoginDocument, "ada@example.org").ChatStatus == "READY"
				})
				if accepted := u.AcceptsPassword(t, "ada@example.org", "correct horse"); accepted != (password == "shared") {
					t.Errorf("afterwards, ConnectyCube accepts the user's own password: %t", accepted)
				}
			})
		}
	}
}

// requireOneAccount checks that ConnectyCube has one account, the user's.
func requireOneAccount(t *testing.T, r *servertest.Server, user servertest.User) {
	t.Helper()
	all := r.AllCubeUsers(t)
	if len(all) != 1 || all[0].ExternalID != user.ID || !strings.EqualFold(all[0].Email, user.Email) {
		t.Errorf("ConnectyCube has %+v for %+v", all, user)
	}
}

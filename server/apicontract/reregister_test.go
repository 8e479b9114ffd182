package apicontract

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cubegate/resolvers/identity"
	"cubegate/server/servertest"
	"cubegate/tokens"
)

// registered is what a reply says of a registration: the user's ID, or the error's code.
func registered(t *testing.T, reply servertest.PendingReply) string {
	t.Helper()
	if reply.Err != nil {
		t.Fatal(reply.Err)
	}
	if code := servertest.CodeOf(reply.Body); code != "" {
		return code
	}
	_, id, _ := strings.Cut(reply.Body, `"user":{"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

// watchedPasswords tells when a password has been compared.
type watchedPasswords struct {
	identity.PasswordHasher
	compared chan struct{}
}

func (w watchedPasswords) Compare(ctx context.Context, turn tokens.Turn, password, hash string) (bool, error) {
	defer close(w.compared)
	return w.PasswordHasher.Compare(ctx, turn, password, hash)
}

// An app sends its registration again, to another replica, while the first one still
// waits for ConnectyCube.
func TestRegistrationSentAgainWhileTheFirstRuns(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		whileAway string
		answer    int // of ConnectyCube; 0 = that of the sandbox
		want      string
	}{
		"made":                      {"true", 0, ""},
		"made, or nothing":          {"false", 0, ""},
		"refused":                   {"true", 422, "UPSTREAM_UNAVAILABLE"},
		"unavailable":               {"true", 503, ""},
		"unavailable, then nothing": {"false", 503, "UPSTREAM_UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := servertest.NewUpstream(t)
			settings := map[string]string{"MONGO_URI": servertest.StartDatabase(t).URI(), "CONNECTYCUBE_REGISTER_WHILE_AWAY": tt.whileAway}
			one, other := u.Start(t, false, settings), u.Start(t, false, settings)
			compared := make(chan struct{})
			other.Flows.Passwords.Hasher = watchedPasswords{other.Flows.Passwords.Hasher, compared}
			asked, answer := make(chan struct{}), make(chan struct{})
			var once sync.Once
			u.Override("POST", "/users", func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
				once.Do(func() { close(asked) })
				<-answer
				if tt.answer != 0 {
					http.Error(w, `{"errors":["no"]}`, tt.answer)
					return
				}
				honest.ServeHTTP(w, r)
			})
			body := servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org"))
			first := one.StartRequest(http.MethodPost, "/api", body)
			<-asked
			second := other.StartRequest(http.MethodPost, "/api", body)
			<-compared
			close(answer)
			got := [2]string{registered(t, <-first), registered(t, <-second)}
			if tt.want == "" && (got[0] != got[1] || len(got[0]) != 24) || tt.want != "" && (got[0] != tt.want || got[1] != tt.want) {
				t.Errorf("answered %q, want %q", got, tt.want)
			}
			if found := one.CubeUsers(t, "ada@example.org"); tt.answer == 0 && len(found) != 1 {
				t.Errorf("ConnectyCube has %+v", found)
			}
		})
	}
}

// A registration that arrives twenty times at once makes one user, and every request is
// answered.
func TestOneRegistrationSentManyTimes(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.OnDatabase(t, map[string]string{"LOG_LEVEL": "error", "LOGIN_FAILURES": "0", "SESSIONS_PER_USER": "100"}))
	body := servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org"))
	var replies []<-chan servertest.PendingReply
	for range 20 {
		replies = append(replies, r.StartRequest(http.MethodPost, "/api", body))
	}
	ids := map[string]int{}
	for _, reply := range replies {
		ids[registered(t, <-reply)]++
	}
	if len(ids) != 1 || ids[r.Login(t, servertest.LoginDocument, "ada@example.org").User.ID] != 20 {
		t.Errorf("answers by user: %v", ids)
	}
	if found := r.CubeUsers(t, "ada@example.org"); len(found) != 1 {
		t.Errorf("ConnectyCube has %+v", found)
	}
	// REST answers the repeated one with the status of the first.
	got := r.Request(t, http.MethodPost, "/auth/register", fmt.Sprintf(`{"email":"ADA@example.org","firstName":"A","lastName":"L","password":%q}`, servertest.NewUser("x")["password"]))
	if got.Status != http.StatusCreated || !strings.Contains(got.Body, `"message":"user register successfully"`) {
		t.Errorf("by REST: %d %s", got.Status, got.Body)
	}
}

package security

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"cubegate/server/servertest"
	"cubegate/store"
)

// events are what must end a login, and which of its credentials survive here.
// At ConnectyCube only the password may.
var events = map[string]struct {
	do       func(t *testing.T, c servertest.Actors, other servertest.LoginReply)
	survives []string
}{
	"nothing": {func(*testing.T, servertest.Actors, servertest.LoginReply) {}, []string{servertest.AccessHere, servertest.AccessThere, servertest.Ticket, servertest.RefreshToken, servertest.PasswordHere}},
	"logout": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		c.MustDo(t, c.Ada.Token, `mutation { logout { message } }`)
	}, []string{servertest.PasswordHere}},
	"logout everywhere, by another": {func(t *testing.T, c servertest.Actors, other servertest.LoginReply) {
		c.MustDo(t, other.Token, `mutation { logoutEverywhere { message } }`)
	}, []string{servertest.PasswordHere}},
	"revoked by another": {func(t *testing.T, c servertest.Actors, other servertest.LoginReply) {
		c.MustDo(t, other.Token, fmt.Sprintf(`mutation { revokeSession(id: %q) { message } }`, c.Ada.SessionID))
	}, []string{servertest.PasswordHere}},
	"pushed out by newer logins": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		for range sessionsPerUser {
			c.Login(t, servertest.LoginDocument, c.Ada.User.Email)
		}
	}, []string{servertest.PasswordHere}},
	"not used for too long": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) { expireSession(t, c.Server, c.Ada) }, []string{servertest.PasswordHere}},
	"password changed by another": {func(t *testing.T, c servertest.Actors, other servertest.LoginReply) {
		c.MustDo(t, other.Token, `mutation { changePassword(current: "correct horse", new: "another horse") { message } }`)
	}, nil},
	"disabled": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		c.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { disableUser(id: %q) { id } }`, c.Ada.User.ID))
	}, nil},
	"deleted by an administrator": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		c.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { deleteUser(id: %q) { message } }`, c.Ada.User.ID))
	}, nil},
	"deleted by the user": {func(t *testing.T, c servertest.Actors, other servertest.LoginReply) {
		c.MustDo(t, other.Token, `mutation { deleteMyAccount(password: "correct horse") { message } }`)
	}, nil},
	"a retired refresh token used": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		renewed := c.Refresh(t, c.Ada.RefreshToken)
		c.Refresh(t, renewed)
		if got := c.As(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, c.Ada.RefreshToken), nil); servertest.CodeOf(got.Body) != "UNAUTHENTICATED" {
			t.Errorf("the replay: %q", servertest.CodeOf(got.Body))
		}
	}, []string{servertest.PasswordHere}},
}

// sessionsPerUser is a setting of these tests.
const sessionsPerUser = 3

// expireSession makes the time of a login session be over. Its access token's is,
// too, when that happens by itself, so what is left of it here is waited for.
func expireSession(t *testing.T, r *servertest.Server, in servertest.LoginReply) {
	t.Helper()
	if _, err := r.Store.Sessions().Update(t.Context(), in.SessionID, func(s *store.Session) error { s.Expires = time.Now(); return nil }); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the login session has left its user", func() bool {
		user, err := r.Store.Users().ByID(t.Context(), in.User.ID)
		return err == nil && !slices.Contains(user.Sessions, in.SessionID)
	})
}

// Every kind of credential and every event that must kill it, with passwords
// shared and derived, and with an identity provider and without.
func TestNoCredentialSurvives(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"shared", "derived"} {
		for _, cidp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, cidp %t", password, cidp), func(t *testing.T) {
				t.Parallel()
				u := servertest.NewUpstream(t)
				r := u.Start(t, cidp, servertest.OnDatabase(t, map[string]string{
					"CONNECTYCUBE_PASSWORD": password, "CONNECTYCUBE_ADMIN_KEY": "sandbox-api-key", "LOGIN_FAILURES": "0", "SESSIONS_PER_USER": fmt.Sprint(sessionsPerUser)}))
				n := 0
				for name, event := range events {
					n++
					c := servertest.NewActors(t, r, n)
					other := r.Login(t, servertest.LoginDocument, c.Ada.User.Email)
					subscribe(t, r, c.Ada, "udid of ada")
					event.do(t, c, other)
					for credential, lives := range r.WorkingCredentials(t, c.Ada) {
						if lives != slices.Contains(event.survives, credential) {
							t.Errorf("after %s: %s lives: %t", name, credential, lives)
						}
					}
					want := map[string]bool{servertest.CubeSession: name == "nothing", servertest.Pushes: name == "nothing"}
					// ConnectyCube has no derived password, and asks us where it can. Nothing
					// reaches a shared one that it checks by itself when the user is shut out.
					want[servertest.PasswordThere] = slices.Contains(event.survives, servertest.PasswordHere) && (cidp || password == "shared") ||
						name == "disabled" && password == "shared" && !cidp
					var got map[string]bool
					for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
						if got = u.WorkingCredentials(t, c.Ada); maps.Equal(got, want) {
							break
						}
					}
					if !maps.Equal(got, want) {
						t.Errorf("after %s lives at ConnectyCube: %v, want %v", name, got, want)
					}
				}
			})
		}
	}
}

// subscribe makes a push subscription with the ConnectyCube session of a login.
func subscribe(t *testing.T, r *servertest.Server, in servertest.LoginReply, udid string) {
	t.Helper()
	body := `{"notification_channel":"gcm","push_token":{"environment":"development","client_identification_sequence":"x"},"device":{"platform":"android","udid":"` + udid + `"}}`
	if got := r.Request(t, http.MethodPost, r.SandboxURL+"/subscriptions", body, "CB-Token", in.ConnectySession); got.Status != 201 {
		t.Fatalf("subscribing: %d %s", got.Status, got.Body)
	}
}

// devices are where a user's pushes go to.
func devices(t *testing.T, r *servertest.Server, in servertest.LoginReply) []string {
	t.Helper()
	got := r.Request(t, http.MethodGet, r.SandboxURL+"/subscriptions", "", "CB-Token", in.ConnectySession)
	var list []struct {
		Subscription struct{ Device struct{ UDID string } }
	}
	if err := json.Unmarshal([]byte(got.Body), &list); err != nil {
		t.Fatalf("%d: %v", got.Status, err)
	}
	var udids []string
	for _, s := range list {
		udids = append(udids, s.Subscription.Device.UDID)
	}
	slices.Sort(udids)
	return udids
}

// A logout ends the pushes to its own device. What is not known to belong to a
// living login goes as well when the app has not said which device it runs on.
func TestLogoutEndsPushes(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	r.Register(t, "ada@example.org")
	on := func(device string) servertest.LoginReply {
		t.Helper()
		body := map[string]any{"email": "ada@example.org", "password": "correct horse"}
		if device != "" {
			body["device"] = map[string]string{"id": device, "name": device}
		}
		var got servertest.GraphQLReply
		if err := json.Unmarshal([]byte(r.As(t, "", servertest.LoginDocument, map[string]any{"body": body}).Body), &got); err != nil || got.Data.Answer == nil {
			t.Fatal("login failed")
		}
		if device == "" {
			device = "unnamed"
		}
		subscribe(t, r, *got.Data.Answer, device)
		return *got.Data.Answer
	}
	oldest := on("tablet") // a login that nobody ended does not keep its device's pushes
	phone, tablet, unnamed := on("phone"), on("tablet"), on("")
	again := on("phone") // which a reinstalled app does, and the old login ends
	for _, step := range []struct {
		out  servertest.LoginReply
		left []string
	}{{phone, []string{"phone", "tablet", "unnamed"}}, {again, []string{"tablet", "unnamed"}}, {unnamed, []string{"tablet"}}} {
		r.MustDo(t, step.out.Token, `mutation { logout { message } }`)
		servertest.Eventually(t, "the logout has reached ConnectyCube", func() bool {
			return r.Request(t, http.MethodGet, r.SandboxURL+"/session", "", "CB-Token", step.out.ConnectySession).Status != 200
		})
		if left := devices(t, r, tablet); !slices.Equal(left, step.left) {
			t.Errorf("pushes go to %v, want %v", left, step.left)
		}
	}
	r.MustDo(t, tablet.Token, `mutation { logout { message } }`)
	servertest.Eventually(t, "the tablet's pushes end, though an older login of it lives", func() bool { return len(devices(t, r, oldest)) == 0 })
}

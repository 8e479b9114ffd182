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

// events lists the events that must end a login, with the credentials at the server
// that may survive. At ConnectyCube only the password may survive.
var events = map[string]struct {
	do       func(t *testing.T, c servertest.Actors, other servertest.LoginReply)
	survives []string
}{
	"nothing": {func(*testing.T, servertest.Actors, servertest.LoginReply) {}, []string{servertest.AccessAtAPI, servertest.AccessAtVerify, servertest.ChatTicket, servertest.RefreshToken, servertest.PasswordAtAPI}},
	"logout": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		c.MustDo(t, c.Ada.Token, `mutation { logout { message } }`)
	}, []string{servertest.PasswordAtAPI}},
	"logout with the refresh token alone": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		c.MustDo(t, "", fmt.Sprintf(`mutation { logout(refreshToken: %q) { message } }`, c.Ada.RefreshToken))
	}, []string{servertest.PasswordAtAPI}},
	"logout everywhere, by another": {func(t *testing.T, c servertest.Actors, other servertest.LoginReply) {
		c.MustDo(t, other.Token, `mutation { logoutEverywhere { message } }`)
	}, []string{servertest.PasswordAtAPI}},
	"revoked by another": {func(t *testing.T, c servertest.Actors, other servertest.LoginReply) {
		c.MustDo(t, other.Token, fmt.Sprintf(`mutation { revokeSession(id: %q) { message } }`, c.Ada.SessionID))
	}, []string{servertest.PasswordAtAPI}},
	"pushed out by newer logins": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) {
		for range sessionsPerUser {
			c.Login(t, servertest.LoginDocument, c.Ada.User.Email)
		}
	}, []string{servertest.PasswordAtAPI}},
	"not used for too long": {func(t *testing.T, c servertest.Actors, _ servertest.LoginReply) { expireSession(t, c.Server, c.Ada) }, []string{servertest.PasswordAtAPI}},
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
		c.AgeRefreshTokens(t, c.Ada.SessionID)
		if got := c.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, c.Ada.RefreshToken), nil); servertest.CodeOf(got.Body) != "UNAUTHENTICATED" {
			t.Errorf("the replay: %q", servertest.CodeOf(got.Body))
		}
	}, []string{servertest.PasswordAtAPI}},
}

// sessionsPerUser is SESSIONS_PER_USER in these tests.
const sessionsPerUser = 3

// expireSession makes a login session expire and waits until the worker has removed
// it from its user. A session's access tokens always expire before the session, so
// without the wait a token of the expired session would still be valid.
func expireSession(t *testing.T, r *servertest.Server, in servertest.LoginReply) {
	t.Helper()
	if _, err := r.Store.Sessions().Update(t.Context(), store.Session{ID: in.SessionID}, func(s *store.Session) error { s.Expires = time.Now(); return nil }); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the login session has left its user", func() bool {
		user, err := r.Store.Users().ByID(t.Context(), in.User.ID)
		return err == nil && !slices.Contains(user.Sessions, in.SessionID)
	})
}

// Each credential ends after each event that must end it, with shared and derived
// passwords, with and without an identity provider.
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
					for credential, works := range r.WorkingCredentials(t, c.Ada) {
						if works != slices.Contains(event.survives, credential) {
							t.Errorf("after %s, the %s works: %t", name, credential, works)
						}
					}
					// Neither an eviction nor an expiry is a logout: evictions_test.go.
					evicted, expired := name == "pushed out by newer logins", name == "not used for too long"
					want := map[string]bool{servertest.CubeSession: name == "nothing" || evicted, servertest.Pushes: name == "nothing" || evicted || expired}
					// ConnectyCube does not accept the user's own password in the mode derived,
					// except through the identity provider. A shared password that it checks
					// without the identity provider survives the disabling of the user.
					want[servertest.PasswordAtCube] = slices.Contains(event.survives, servertest.PasswordAtAPI) && (cidp || password == "shared") ||
						name == "disabled" && password == "shared" && !cidp
					servertest.Eventually(t, fmt.Sprintf("after %s, these credentials work at ConnectyCube: %v", name, want), func() bool {
						return maps.Equal(u.WorkingCredentials(t, c.Ada), want)
					})
				}
			})
		}
	}
}

// subscribe creates a push subscription with the ConnectyCube session of a login.
func subscribe(t *testing.T, r *servertest.Server, in servertest.LoginReply, udid string) {
	t.Helper()
	body := `{"notification_channel":"gcm","push_token":{"environment":"development","client_identification_sequence":"x"},"device":{"platform":"android","udid":"` + udid + `"}}`
	if got := r.Request(t, http.MethodPost, r.SandboxURL+"/subscriptions", body, "CB-Token", in.ConnectySession); got.Status != 201 {
		t.Fatalf("subscribing: %d %s", got.Status, got.Body)
	}
}

// devices returns the devices that get the pushes of a user.
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

// A logout ends the pushes to its device. If the app has not named its device, the
// logout ends the pushes to all devices that belong to no active login session.
func TestLogoutEndsPushes(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	r.Register(t, "ada@example.org")
	logIn := func(device string) servertest.LoginReply {
		t.Helper()
		body := map[string]any{"email": "ada@example.org", "password": "correct horse"}
		if device != "" {
			body["device"] = map[string]string{"id": device, "name": device}
		}
		var got servertest.GraphQLReply
		if err := json.Unmarshal([]byte(r.SendAs(t, "", servertest.LoginDocument, map[string]any{"body": body}).Body), &got); err != nil || got.Data.Answer == nil {
			t.Fatal("login failed")
		}
		if device == "" {
			device = "unnamed"
		}
		subscribe(t, r, *got.Data.Answer, device)
		return *got.Data.Answer
	}
	oldest := logIn("tablet") // never logs out, and does not keep the pushes of its device
	phone, tablet, unnamed := logIn("phone"), logIn("tablet"), logIn("")
	again := logIn("phone") // a reinstalled app logs in again, and the old login session ends
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
	servertest.Eventually(t, "the tablet's pushes end, although an older login on it is active", func() bool { return len(devices(t, r, oldest)) == 0 })
}

// A refresh is one write to the record of the login session, which has the answer of
// ConnectyCube too. A refused refresh writes nothing, and does not ask ConnectyCube.
func TestRefreshWritesOnce(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, nil)
	r.Register(t, "ada@example.org")
	in := r.Login(t, servertest.LoginDocument, "ada@example.org")
	state := func() (version int64, asked int) {
		record, err := r.Store.Sessions().ByID(t.Context(), in.SessionID)
		if err != nil {
			t.Fatal(err)
		}
		return record.Version, len(u.Requests(http.MethodGet, "/session"))
	}
	before, asked := state()
	first := r.Refresh(t, in.RefreshToken)
	second := r.Refresh(t, first)
	r.Refresh(t, second)
	after, then := state()
	if after != before+3 || then != asked+3 {
		t.Errorf("three refreshes made %d writes, and asked ConnectyCube %d times", after-before, then-asked)
	}
	if got := r.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, in.RefreshToken), nil); servertest.CodeOf(got.Body) != "STALE_REFRESH_TOKEN" {
		t.Errorf("a retired token: %s", got.Body)
	}
	if version, asked := state(); version != after || asked != then {
		t.Errorf("a refused refresh made %d writes, and asked ConnectyCube %d times", version-after, asked-then)
	}
}

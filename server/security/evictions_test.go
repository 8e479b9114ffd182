package security

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"cubegate/server/servertest"
)

// apps are the apps of one user, Ada.
type apps struct {
	*servertest.Server
	t *testing.T
}

func startApps(t *testing.T) apps {
	t.Helper()
	a := apps{servertest.Start(t, nil), t}
	a.Register(t, "ada@example.org")
	return a
}

// login logs in as an app on a device, or as an app of the NestJS original, which tells
// no device.
func (a apps) login(device string) servertest.LoginReply {
	a.t.Helper()
	body := map[string]any{"email": "ada@example.org", "password": "correct horse"}
	if device != "" {
		body["device"] = map[string]string{"id": device, "name": device}
	}
	var got servertest.GraphQLReply
	if err := json.Unmarshal([]byte(a.SendAs(a.t, "", servertest.LoginDocument, map[string]any{"body": body}).Body), &got); err != nil || got.Data.Answer == nil {
		a.t.Fatalf("login failed: %v", err)
	}
	return *got.Data.Answer
}

// loginOften logs in so often that the user's earlier login sessions end. It returns the
// last login, after the worker has finished with those that ended: the worker revokes one
// after the other, and the last is a logout, which ends a session at ConnectyCube.
func (a apps) loginOften() servertest.LoginReply {
	a.t.Helper()
	var last servertest.LoginReply
	for range 20 { // the default of SESSIONS_PER_USER
		last = a.login("")
	}
	a.finishRevocations()
	return last
}

func (a apps) finishRevocations() {
	a.t.Helper()
	watch := a.login("watch")
	a.MustDo(a.t, watch.Token, `mutation { logout { message } }`)
	servertest.Eventually(a.t, "the logout has reached ConnectyCube", func() bool { return !a.hasCubeSession(watch) })
}

func (a apps) hasCubeSession(in servertest.LoginReply) bool {
	a.t.Helper()
	return a.Request(a.t, http.MethodGet, a.SandboxURL+"/session", "", "CB-Token", in.ConnectySession).Status == 200
}

func (a apps) requirePushes(in servertest.LoginReply, want ...string) {
	a.t.Helper()
	if got := devices(a.t, a.Server, in); !slices.Equal(got, want) {
		a.t.Errorf("pushes go to %v, want %v", got, want)
	}
}

// The apps of the original log in at every start and tell no device. The 20th login is no
// logout from the first: neither pushes nor the ConnectyCube session of another device
// end.
func TestEvictionIsNoLogout(t *testing.T) {
	t.Parallel()
	a := startApps(t)
	tablet, phone := a.login(""), a.login("")
	subscribe(t, a.Server, tablet, "tablet")
	subscribe(t, a.Server, phone, "phone")
	a.loginOften()
	if got := servertest.CodeOf(a.SendAs(t, tablet.Token, `{ me { id } }`, nil).Body); got != "UNAUTHENTICATED" {
		t.Fatalf("the tablet's login has not ended: %q", got)
	}
	for name, in := range map[string]servertest.LoginReply{"tablet": tablet, "phone": phone} {
		if !a.hasCubeSession(in) {
			t.Errorf("the ConnectyCube session of the %s has ended", name)
		}
	}
	a.requirePushes(tablet, "phone", "tablet")
}

// Pushes to a device that the login has named end with it, unless the device has another
// login session.
func TestEvictionEndsPushesOfNamedDevice(t *testing.T) {
	t.Parallel()
	a := startApps(t)
	tablet, phone, unnamed := a.login("tablet"), a.login("phone"), a.login("")
	for device, in := range map[string]servertest.LoginReply{"tablet": tablet, "phone": phone, "unnamed": unnamed} {
		subscribe(t, a.Server, in, device)
	}
	for range 19 {
		a.login("phone")
	}
	a.finishRevocations()
	a.requirePushes(unnamed, "phone", "unnamed")
	if !a.hasCubeSession(tablet) {
		t.Error("the tablet's ConnectyCube session has ended")
	}
}

// What ends all login sessions also ends the ConnectyCube sessions that evictions have
// left alone.
func TestEvictedSessionEndsWithAllOthers(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"logoutEverywhere": `mutation { logoutEverywhere { message } }`,
		"changePassword":   `mutation { changePassword(current: "correct horse", new: "another horse") { message } }`,
	} {
		a := startApps(t)
		tablet := a.login("")
		subscribe(t, a.Server, tablet, "tablet")
		phone := a.loginOften()
		a.requirePushes(phone, "tablet")
		a.MustDo(t, phone.Token, document)
		servertest.Eventually(t, name+" ends the tablet's ConnectyCube session", func() bool { return !a.hasCubeSession(tablet) })
	}
	a := startApps(t)
	tablet := a.login("")
	phone := a.loginOften()
	if _, err := a.Store.Users().SetDisabled(t.Context(), phone.User.ID, true); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the ban ends the tablet's ConnectyCube session", func() bool { return !a.hasCubeSession(tablet) })
}

// A user may leave a device whose login session has been evicted: a logout ends what the
// eviction has left there, and nothing of another device.
func TestLogoutAfterEviction(t *testing.T) {
	t.Parallel()
	for name, shows := range map[string]func(in servertest.LoginReply) (header, refresh string){
		"the access token":  func(in servertest.LoginReply) (string, string) { return "Bearer " + in.Token, "" },
		"the refresh token": func(in servertest.LoginReply) (string, string) { return "", in.RefreshToken },
	} {
		for way, logOut := range logsOut {
			a := startApps(t)
			tablet := a.login("")
			subscribe(t, a.Server, tablet, "tablet")
			a.loginOften()
			phone := a.login("phone")
			subscribe(t, a.Server, phone, "phone")
			a.requirePushes(phone, "phone", "tablet")
			if lives(t, a.Server, tablet) || !a.hasCubeSession(tablet) {
				t.Fatal("the eviction has not ended the login session alone")
			}
			header, refresh := shows(tablet)
			if code := logOut(t, a.Server, header, refresh); code != "" {
				t.Errorf("%s, %s: %q", way, name, code)
			}
			servertest.Eventually(t, way+", "+name+": the tablet's ConnectyCube session ends", func() bool { return !a.hasCubeSession(tablet) })
			a.requirePushes(phone, "phone")
			if !a.hasCubeSession(phone) || !lives(t, a.Server, phone) {
				t.Errorf("%s, %s: the phone's login has ended", way, name)
			}
		}
	}
}

// On the 31st day the first login session expires, and then one each day. That is no
// logout either, until the last one expires.
func TestExpiryIsNoLogout(t *testing.T) {
	t.Parallel()
	a := startApps(t)
	tablet, phone := a.login(""), a.login("")
	subscribe(t, a.Server, tablet, "tablet")
	subscribe(t, a.Server, phone, "phone")
	expireSession(t, a.Server, tablet)
	a.finishRevocations()
	a.requirePushes(phone, "phone", "tablet")

	user, err := a.Store.Users().ByID(t.Context(), phone.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range user.Sessions {
		expireSession(t, a.Server, servertest.LoginReply{SessionID: id, User: phone.User})
	}
	a.requirePushes(a.login(""))
}

package lifecycle

import (
	"fmt"
	"testing"

	"cubegate/server/servertest"
)

// A change at one replica counts at the other from the next request on, and the
// workers of both respect each other's leases.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	settings := map[string]string{"MONGO_URI": db.URI(), "CONNECTYCUBE_ADMIN_KEY": "sandbox-api-key"}
	one, other := u.Start(t, false, settings), u.Start(t, false, settings)
	c := servertest.NewActors(t, one, 0)
	for event, end := range map[string]func(in servertest.LoginReply){
		"logout": func(in servertest.LoginReply) { one.MustDo(t, in.Token, `mutation { logout { message } }`) },
		"revoke": func(in servertest.LoginReply) {
			one.MustDo(t, c.Ada.Token, fmt.Sprintf(`mutation { revokeSession(id: %q) { message } }`, in.SessionID))
		},
		"replay": func(in servertest.LoginReply) {
			one.Refresh(t, one.Refresh(t, in.RefreshToken))
			one.AgeRefreshTokens(t, in.SessionID)
			one.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { message } }`, in.RefreshToken), nil)
		},
	} {
		in := other.Login(t, servertest.LoginDocument, c.Ada.User.Email)
		if code := servertest.CodeOf(other.SendAs(t, in.Token, `{ me { id } }`, nil).Body); code != "" {
			t.Fatalf("before the %s: %s", event, code)
		}
		end(in)
		if code := servertest.CodeOf(other.SendAs(t, in.Token, `{ me { id } }`, nil).Body); code != "UNAUTHENTICATED" {
			t.Errorf("after the %s at the other replica: %q", event, code)
		}
		if got := other.Verify(t, in.ChatTicket)[0].Status; got != 401 {
			t.Errorf("the chat ticket after the %s at the other replica: %d", event, got)
		}
	}
	one.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: ["admin"]) { id } }`, c.Ada.User.ID))
	other.MustDo(t, c.Ada.Token, `{ users { next } }`)
	other.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: []) { id } }`, c.Ada.User.ID))
	if code := servertest.CodeOf(one.SendAs(t, c.Ada.Token, `{ users { next } }`, nil).Body); code != "FORBIDDEN" {
		t.Errorf("after the other replica has removed the role: %q", code)
	}
	other.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { disableUser(id: %q) { id } }`, c.Ada.User.ID))
	if code := servertest.CodeOf(one.SendAs(t, c.Ada.Token, `{ users { next } }`, nil).Body); code != "UNAUTHENTICATED" {
		t.Errorf("after the other replica has disabled the user: %q", code)
	}
	one.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { deleteUser(id: %q) { message } }`, c.Ada.User.ID))
	servertest.Eventually(t, "neither side has Ada", func() bool {
		_, err := other.Store.Users().ByID(t.Context(), c.Ada.User.ID)
		return err != nil && len(other.CubeUsers(t, c.Ada.User.Email)) == 0
	})
}

package server

import (
	"fmt"
	"testing"
)

// What happens at one replica counts at the other from the next request on, and
// the workers of both leave each other's visits alone.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	db := startDatabase(t)
	settings := map[string]string{"MONGO_URI": db.URI(), "CONNECTYCUBE_ADMIN_KEY": "sandbox-api-key"}
	one, other := u.startWith(t, false, settings), u.startWith(t, false, settings)
	c := newCast(t, one, 0)
	for what, end := range map[string]func(in login){
		"logout": func(in login) { one.does(t, in.Token, `mutation { logout { message } }`) },
		"revoke": func(in login) {
			one.does(t, c.ada.Token, fmt.Sprintf(`mutation { revokeSession(id: %q) { message } }`, in.SessionID))
		},
		"replay": func(in login) {
			one.refreshed(t, one.refreshed(t, in.RefreshToken))
			one.as(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { message } }`, in.RefreshToken), nil)
		},
	} {
		in := other.login(t, loginDocument, c.ada.User.Email)
		if code := codeOf(other.as(t, in.Token, `{ me { id } }`, nil).body); code != "" {
			t.Fatalf("before the %s: %s", what, code)
		}
		end(in)
		if code := codeOf(other.as(t, in.Token, `{ me { id } }`, nil).body); code != "UNAUTHENTICATED" {
			t.Errorf("after the %s at the other replica: %q", what, code)
		}
		if got := other.verified(t, in.ChatTicket)[0].status; got != 401 {
			t.Errorf("after the %s the ticket at the other replica: %d", what, got)
		}
	}
	one.does(t, c.root.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: ["admin"]) { id } }`, c.ada.User.ID))
	other.does(t, c.ada.Token, `{ users { next } }`)
	other.does(t, c.root.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: []) { id } }`, c.ada.User.ID))
	if code := codeOf(one.as(t, c.ada.Token, `{ users { next } }`, nil).body); code != "FORBIDDEN" {
		t.Errorf("dismissed at the other replica: %q", code)
	}
	other.does(t, c.root.Token, fmt.Sprintf(`mutation { disableUser(id: %q) { id } }`, c.ada.User.ID))
	if code := codeOf(one.as(t, c.ada.Token, `{ users { next } }`, nil).body); code != "UNAUTHENTICATED" {
		t.Errorf("banned at the other replica: %q", code)
	}
	one.does(t, c.root.Token, fmt.Sprintf(`mutation { deleteUser(id: %q) { message } }`, c.ada.User.ID))
	eventually(t, "neither side has Ada", func() bool {
		_, err := other.Store.Users().ByID(t.Context(), c.ada.User.ID)
		return err != nil && len(other.cubeUsers(t, c.ada.User.Email)) == 0
	})
}

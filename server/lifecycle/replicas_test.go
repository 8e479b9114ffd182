package lifecycle

import (
	"fmt"
	"regexp"
	"strings"
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
		for kind, token := range map[string]string{"chat ticket": in.ChatTicket, "access token": in.Token} {
			if got := other.Verify(t, token)[0].Status; got != 401 {
				t.Errorf("the %s after the %s at the other replica: %d", kind, event, got)
			}
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

var databaseListens = regexp.MustCompile(`"embedded database listens","addr":"([0-9.:]+)"`)

// A login session that ends at one process has ended at the other at once: no process
// answers from what it has in memory. The database is that of a third process.
func TestProcessesAgree(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	database := servertest.Spawn(t, map[string]string{"MONGO_EMBEDDED_LISTEN": "127.0.0.1:0"}).WaitReady(t)
	database.WaitLog(t)
	listens := databaseListens.FindStringSubmatch(database.Log.String())
	if listens == nil {
		t.Fatalf("the log does not tell where the database listens: %s", database.Log)
	}
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": "mongodb://" + listens[1] + "/?directConnection=true"})
	one, other := servertest.Spawn(t, settings).WaitReady(t), servertest.Spawn(t, settings).WaitReady(t)
	for event, document := range map[string]string{ // of another login session of the user
		"logout":       ``,
		"revocation":   `mutation { revokeSession(id: %q) { message } }`,
		"logouts":      `mutation { logoutEverywhere { message } }`,
		"new password": `mutation { changePassword(current: "correct horse", new: "another horse") { message } }`,
	} {
		email := strings.ReplaceAll(event, " ", ".") + "@example.org"
		one.Register(t, email)
		owner := one.Login(t, servertest.LoginDocument, email)
		in := one.Login(t, servertest.LoginDocument, email)
		for range 2 { // whatever the other process keeps of a session, it has it now
			in.RefreshToken = other.Refresh(t, in.RefreshToken)
			for credential, works := range other.WorkingCredentials(t, in) {
				if !works {
					t.Fatalf("before the %s, the %s does not work", event, credential)
				}
			}
		}
		switch {
		case document == "":
			one.MustDo(t, in.Token, `mutation { logout { message } }`)
		case strings.Contains(document, "%q"):
			one.MustDo(t, owner.Token, fmt.Sprintf(document, in.SessionID))
		default:
			one.MustDo(t, owner.Token, document)
		}
		for credential, works := range other.WorkingCredentials(t, in) {
			if works != (credential == servertest.PasswordAtAPI && event != "new password") {
				t.Errorf("after the %s at the other process, the %s works: %t", event, credential, works)
			}
		}
	}
}

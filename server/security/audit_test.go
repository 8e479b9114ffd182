package security

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cubegate/server/servertest"
	"cubegate/store"
)

// refusedLogins sends wrong passwords.
func refusedLogins(t *testing.T, r *servertest.Server, email string, n int) {
	t.Helper()
	for range n {
		got := r.Request(t, http.MethodPost, "/auth/login", fmt.Sprintf(`{"email":%q,"password":"wrong password"}`, email))
		if got.Status != http.StatusUnauthorized {
			t.Fatalf("a wrong password: %d %s", got.Status, got.Body)
		}
	}
}

// An administrator sees the number of refusals, also the latest. The audit contains no
// unknown email.
func TestAuditCountsRefusals(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	c := servertest.NewActors(t, r, 0)
	refusedLogins(t, r, c.Ada.User.Email, 5)
	refusedLogins(t, r, "unknown@example.org", 3)
	got := r.SendAs(t, c.Root.Token, `{ audit { items { kind outcome userId count detail } } }`, nil).Body
	if want := `{"kind":"login","outcome":"refused","userId":"` + c.Ada.User.ID + `","count":5,"detail":"UNAUTHENTICATED"}`; !strings.Contains(got, want) {
		t.Errorf("the audit lacks %s: %s", want, got)
	}
	if strings.Count(got, `"outcome":"refused"`) != 1 || strings.Contains(got, "unknown") {
		t.Errorf("the audit has other refusals: %s", got)
	}
	if !strings.Contains(got, `"kind":"register","outcome":"ok","userId":"`+c.Ada.User.ID+`","count":null`) {
		t.Errorf("the audit has a count for a success: %s", got)
	}
}

// A shutdown loses no refusal.
func TestShutdownRecordsRefusals(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATA_DIR": t.TempDir()}
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	c := servertest.NewActors(t, r, 0)
	refusedLogins(t, r, c.Ada.User.Email, 2)
	stop()
	r = servertest.Start(t, settings)
	got := r.SendAs(t, c.Root.Token, `{ audit { items { outcome userId count } } }`, nil).Body
	if !strings.Contains(got, `{"outcome":"refused","userId":"`+c.Ada.User.ID+`","count":2}`) {
		t.Errorf("after the restart the audit has %s", got)
	}
}

// Users who log in without end remove no record of others.
func TestFloodOfOwnRecordsRemovesNoOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ accounts, rounds int }{{1, 160}, {5, 32}} { // beyond the bound and the time of the next count
		t.Run(fmt.Sprint(tt.accounts, " accounts"), func(t *testing.T) {
			t.Parallel()
			r := servertest.Start(t, map[string]string{"AUDIT_MAX": "100", "AUDIT_MAX_CHANGES": "100", "AUDIT_MAX_REFUSALS": "100", "AUDIT_PER_USER": "10", "SESSIONS_PER_USER": "1"})
			c := servertest.NewActors(t, r, 0)
			c.MustDo(t, c.Ada.Token, `mutation { changePassword(current: "correct horse", new: "another horse") { message } }`)
			c.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { disableUser(id: %q) { id } }`, c.Ada.User.ID))
			c.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: ["editor"]) { id } }`, c.Bob.User.ID))
			before := auditOf(t, c, c.Ada.User.ID) + auditOf(t, c, c.Bob.User.ID)
			t.Run("flood", func(t *testing.T) {
				for i := range tt.accounts {
					t.Run(fmt.Sprint("account ", i), func(t *testing.T) {
						t.Parallel()
						loginWithoutEnd(t, r, i, tt.rounds)
					})
				}
			})
			if after := auditOf(t, c, c.Ada.User.ID) + auditOf(t, c, c.Bob.User.ID); after != before || strings.Count(before, `"kind"`) != 5 {
				t.Errorf("the audit of two other users was %s and is %s", before, after)
			}
		})
	}
}

// auditOf returns what the audit has about a user.
func auditOf(t *testing.T, c servertest.Actors, id string) string {
	t.Helper()
	return c.SendAs(t, c.Root.Token, `query($id: String!) { audit(page: {limit: 100}, filter: {userId: $id}) { items { id at kind outcome detail } } }`, map[string]any{"id": id}).Body
}

// loginWithoutEnd logs in with an account of its own, which also ends the login session before,
// and sometimes changes all that a user may change.
func loginWithoutEnd(t *testing.T, r *servertest.Server, n, rounds int) {
	t.Helper()
	email := fmt.Sprintf("mallory%d@example.org", n)
	r.Register(t, email)
	for i := range rounds {
		in := r.Login(t, servertest.LoginDocument, email)
		if i%20 > 0 {
			continue
		}
		r.Refresh(t, in.RefreshToken)
		email = fmt.Sprintf("trudy%d.%d@example.org", n, i)
		r.MustDo(t, in.Token, `mutation { updateProfile(firstName: "Mallory", lastName: "M") { id } }`)
		r.MustDo(t, in.Token, `mutation { changePassword(current: "correct horse", new: "correct horse") { message } }`)
		r.MustDo(t, in.Token, fmt.Sprintf(`mutation { changeEmail(email: %q, password: "correct horse") { id } }`, email))
	}
}

// If users have bcrypt hashes, an unknown email costs such a hash as well.
func TestUnknownEmailsCostAsMuchAsUsers(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	s, err := store.Open(t.Context(), store.Options{URI: db.URI()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	user := store.User{Email: "grace@example.org", PasswordHash: "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}
	if _, err := s.Users().Create(t.Context(), user, store.Lease{ID: "test", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r := servertest.Start(t, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": servertest.OtherJWTSecret})
	servertest.Eventually(t, "an unknown email gets a bcrypt hash to compare with", func() bool {
		return strings.HasPrefix(r.Flows.Passwords.Hasher.Decoy("unknown@example.org"), "$2b$10$")
	})
	refusedLogins(t, r, "unknown@example.org", 1)
}

package apicontract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/server/servertest"
	"cubegate/store"
)

// operations has a row for each operation of the schema: a document about Ada, and the
// codes that an anonymous client, Ada, Bob and an administrator get. An empty code is
// success.
var operations = map[string]struct {
	document                   string
	anonymous, ada, bob, admin string
}{
	"Query.hello":    {`{ hello }`, "", "", "", ""},
	"Query.me":       {`{ me { id email roles accountStatus } }`, "UNAUTHENTICATED", "", "", ""},
	"Query.sessions": {`{ sessions { id current } }`, "UNAUTHENTICATED", "", "", ""},
	"Query.users":    {`{ users(filter: {text: "ada"}) { items { id } next } }`, "UNAUTHENTICATED", "FORBIDDEN", "FORBIDDEN", ""},
	"Query.audit":    {`{ audit { items { kind } next } }`, "UNAUTHENTICATED", "FORBIDDEN", "FORBIDDEN", ""},

	"Mutation.register":       {`mutation { register(body: {email: "$NEW_EMAIL", firstName: "A", lastName: "B", password: "secret1"}) { message } }`, "", "", "", ""},
	"Mutation.login":          {`mutation { login(body: {email: "$EMAIL", password: "correct horse"}) { message } }`, "", "", "", ""},
	"Mutation.login_By_token": {`mutation { login_By_token(body: {email: "$EMAIL", password: "correct horse"}) { message } }`, "", "", "", ""},
	"Mutation.refresh":        {`mutation { refresh(refreshToken: "$REFRESH") { message } }`, "", "", "", ""},

	"Mutation.logout":           {`mutation { logout { message } }`, "UNAUTHENTICATED", "", "", ""},
	"Mutation.logoutEverywhere": {`mutation { logoutEverywhere { message } }`, "UNAUTHENTICATED", "", "", ""},
	"Mutation.revokeSession":    {`mutation { revokeSession(id: "$SESSION") { message } }`, "UNAUTHENTICATED", "", "NOT_FOUND", "NOT_FOUND"},
	"Mutation.changePassword":   {`mutation { changePassword(current: "correct horse", new: "another horse") { message } }`, "UNAUTHENTICATED", "", "", ""},
	"Mutation.updateProfile":    {`mutation { updateProfile(firstName: "X", lastName: "Y") { id } }`, "UNAUTHENTICATED", "", "", ""},
	"Mutation.changeEmail":      {`mutation { changeEmail(email: "$NEW_EMAIL", password: "correct horse") { id } }`, "UNAUTHENTICATED", "", "", ""},
	"Mutation.deleteMyAccount":  {`mutation { deleteMyAccount(password: "correct horse") { message } }`, "UNAUTHENTICATED", "", "", ""},

	"Mutation.setRoles":    {`mutation { setRoles(id: "$ID", roles: ["editor"]) { roles } }`, "UNAUTHENTICATED", "FORBIDDEN", "FORBIDDEN", ""},
	"Mutation.disableUser": {`mutation { disableUser(id: "$ID") { disabled } }`, "UNAUTHENTICATED", "FORBIDDEN", "FORBIDDEN", ""},
	"Mutation.enableUser":  {`mutation { enableUser(id: "$ID") { disabled } }`, "UNAUTHENTICATED", "FORBIDDEN", "FORBIDDEN", ""},
	"Mutation.deleteUser":  {`mutation { deleteUser(id: "$ID") { message } }`, "UNAUTHENTICATED", "FORBIDDEN", "FORBIDDEN", ""},
}

func TestOperationsByRole(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.OnDatabase(t, map[string]string{"LOG_LEVEL": "error"}))
	var schema struct {
		Data struct {
			Schema map[string]struct{ Fields []struct{ Name string } } `json:"__schema"`
		}
	}
	got := r.SendAs(t, "", `{ __schema { queryType { fields { name } } mutationType { fields { name } } } }`, nil)
	if err := json.Unmarshal([]byte(got.Body), &schema); err != nil {
		t.Fatal(err)
	}
	var names []string
	for kind, typ := range map[string]string{"queryType": "Query.", "mutationType": "Mutation."} {
		for _, f := range schema.Data.Schema[kind].Fields {
			names = append(names, typ+f.Name)
		}
	}
	slices.Sort(names)
	if len(names) < len(operations) {
		t.Errorf("the schema has %d operations, the table %d", len(names), len(operations))
	}
	n := 0
	for _, name := range names {
		row, ok := operations[name]
		if !ok {
			t.Errorf("%s has no row", name)
			continue
		}
		for caller, want := range map[string]string{"anonymous": row.anonymous, "ada": row.ada, "bob": row.bob, "admin": row.admin} {
			n++
			c := servertest.NewActors(t, r, n)
			token := map[string]string{"ada": c.Ada.Token, "bob": c.Bob.Token, "admin": c.Root.Token}[caller]
			document := strings.NewReplacer("$NEW_EMAIL", fmt.Sprintf("new%d@example.org", n), "$EMAIL", c.Ada.User.Email,
				"$REFRESH", c.Ada.RefreshToken, "$SESSION", c.Ada.SessionID, "$ID", c.Ada.User.ID).Replace(row.document)
			if code := servertest.CodeOf(r.SendAs(t, token, document, nil).Body); code != want {
				t.Errorf("%s as %s: %q, want %q", name, caller, code, want)
			}
		}
	}
}

// Administrators cannot disable, delete or demote themselves, and a deleted user's email
// can be registered again.
func TestAdministration(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	c := servertest.NewActors(t, r, 0)
	other := servertest.NewActors(t, r, 1)
	for document, want := range map[string]string{
		`mutation { disableUser(id: "$ROOT") { id } }`:                            "BAD_USER_INPUT",
		`mutation { deleteUser(id: "$ROOT") { message } }`:                        "BAD_USER_INPUT",
		`mutation { setRoles(id: "$ROOT", roles: []) { id } }`:                    "BAD_USER_INPUT",
		`mutation { setRoles(id: "$ROOT", roles: ["admin", "x"]) { id } }`:        "",
		`mutation { setRoles(id: "$ADA", roles: ["Not A Role"]) { id } }`:         "BAD_USER_INPUT",
		`mutation { setRoles(id: "0123456789abcdef01234567", roles: []) { id } }`: "NOT_FOUND",
		`mutation { disableUser(id: "x") { id } }`:                                "NOT_FOUND",
		`mutation { deleteUser(id: "x") { message } }`:                            "NOT_FOUND",
		`{ users(page: {after: "x"}) { next } }`:                                  "BAD_USER_INPUT",
		`{ audit(page: {after: "x"}) { next } }`:                                  "BAD_USER_INPUT",
		`{ users(filter: {text: "a\u0000"}) { next } }`:                           "BAD_USER_INPUT",
		`mutation { disableUser(id: "$OTHER") { id } }`:                           "BAD_USER_INPUT", // the admin role must be removed first
		`mutation { deleteUser(id: "$OTHER") { message } }`:                       "BAD_USER_INPUT",
	} {
		document = strings.NewReplacer("$ROOT", c.Root.User.ID, "$OTHER", other.Root.User.ID, "$ADA", c.Ada.User.ID).Replace(document)
		if code := servertest.CodeOf(r.SendAs(t, c.Root.Token, document, nil).Body); code != want {
			t.Errorf("%s: %q, want %q", document, code, want)
		}
	}
	r.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: ["editor"]) { id } }`, c.Ada.User.ID))
	r.MustDo(t, c.Root.Token, fmt.Sprintf(`mutation { deleteUser(id: %q) { message } }`, c.Ada.User.ID))
	servertest.Eventually(t, "neither side has Ada", func() bool {
		_, err := r.Store.Users().ByID(t.Context(), c.Ada.User.ID)
		return err != nil && len(r.CubeUsers(t, c.Ada.User.Email)) == 0
	})
	// A new registration with the same email is another user, on both sides.
	again := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(c.Ada.User.Email)).Data.Register
	if again == nil || again.User.ID == c.Ada.User.ID || *again.CcUserID == *c.Ada.CcUserID {
		t.Errorf("registered again: %+v", again)
	}
	events := r.SendAs(t, c.Root.Token, `{ audit(filter: {userId: "`+c.Ada.User.ID+`"}) { items { kind outcome actor address detail } } }`, nil).Body
	for _, want := range []string{
		`"kind":"delete","outcome":"ok","actor":"` + c.Root.User.ID + `","address":"127.0.0.1"`,
		`"kind":"roles","outcome":"ok","actor":"` + c.Root.User.ID + `","address":"127.0.0.1","detail":"roles: editor"`,
	} {
		if !strings.Contains(events, want) {
			t.Errorf("the audit lacks %s: %s", want, events)
		}
	}
}

// If administrators demote each other at the same time, one change is undone, and the
// audit has it.
func TestOneAdministratorRemains(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	admins := []servertest.LoginReply{servertest.NewActors(t, r, 0).Root, servertest.NewActors(t, r, 1).Root, servertest.NewActors(t, r, 2).Root}
	var undone atomic.Int64
	begun := time.Now()
	for round := 0; round < 20 || undone.Load() == 0 && time.Since(begun) < time.Minute; round++ { // until two changes have overlapped
		var all sync.WaitGroup
		for i, admin := range admins {
			all.Go(func() {
				got := r.SendAs(t, admin.Token, fmt.Sprintf(`mutation { setRoles(id: %q, roles: []) { id } }`, admins[(i+1)%len(admins)].User.ID), nil)
				if servertest.CodeOf(got.Body) == "CONFLICT" {
					undone.Add(1)
				}
			})
		}
		all.Wait()
		left := 0
		for _, admin := range admins {
			user, err := r.Store.Users().ByID(t.Context(), admin.User.ID)
			if err != nil {
				t.Fatal(err)
			}
			left += len(user.Roles)
			if _, err := r.Store.Users().SetRoles(t.Context(), admin.User.ID, []string{"admin"}); err != nil {
				t.Fatal(err)
			}
		}
		if left == 0 {
			t.Fatalf("round %d leaves no administrator", round)
		}
	}
	events := r.SendAs(t, admins[0].Token, `{ audit(filter: {kind: "roles"}, page: {limit: 100}) { items { detail } } }`, nil).Body
	if n := strings.Count(events, "; undone"); n != int(undone.Load()) || n == 0 {
		t.Errorf("%d changes were undone, the audit has %d: %s", undone.Load(), n, events)
	}
}

// A changed role and the disabling of a user count from the next request on, also for
// old tokens.
func TestRolesAndDisablingCountAtOnce(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	c := servertest.NewActors(t, r, 0)
	users := `{ users { items { id } } }`
	admin := func(document string) {
		t.Helper()
		if code := servertest.CodeOf(r.SendAs(t, c.Root.Token, document, nil).Body); code != "" {
			t.Fatalf("%s: %s", document, code)
		}
	}
	admin(fmt.Sprintf(`mutation { setRoles(id: %q, roles: ["admin"]) { id } }`, c.Ada.User.ID))
	if code := servertest.CodeOf(r.SendAs(t, c.Ada.Token, users, nil).Body); code != "" {
		t.Errorf("with the role and the old token: %s", code)
	}
	admin(fmt.Sprintf(`mutation { setRoles(id: %q, roles: []) { id } }`, c.Ada.User.ID))
	if code := servertest.CodeOf(r.SendAs(t, c.Ada.Token, users, nil).Body); code != "FORBIDDEN" {
		t.Errorf("without the role again: %q", code)
	}
	admin(fmt.Sprintf(`mutation { disableUser(id: %q) { id } }`, c.Ada.User.ID))
	if code := servertest.CodeOf(r.SendAs(t, c.Ada.Token, `{ me { id } }`, nil).Body); code != "UNAUTHENTICATED" {
		t.Errorf("the disabled user: %q", code)
	}
	if got := r.GraphQL(t, servertest.LoginDocument, servertest.Credentials(c.Ada.User.Email)); got.Code() != "FORBIDDEN" {
		t.Errorf("a login of the disabled user: %q", got.Code())
	}
	admin(fmt.Sprintf(`mutation { enableUser(id: %q) { id } }`, c.Ada.User.ID))
	r.Login(t, servertest.LoginDocument, c.Ada.User.Email)
}

// Of a hundred simultaneous requests for the same thing one succeeds.
func TestHundredfoldRaces(t *testing.T) {
	t.Parallel()
	const racers = 100
	r := servertest.Start(t, servertest.OnDatabase(t, map[string]string{"LOG_LEVEL": "error", "LOGIN_FAILURES": "0", "MONGO_TIMEOUT": "1m"}))
	all := func(document func(i int) string, token string) []string {
		codes := make([]string, racers)
		gate, done := make(chan struct{}), make(chan int, racers)
		client := servertest.NewClient(t, racers)
		for i := range racers {
			raw, err := json.Marshal(map[string]string{"query": document(i)})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer func() { done <- i }()
				<-gate
				q, err := http.NewRequest(http.MethodPost, r.ResolveURL("/api"), strings.NewReader(string(raw)))
				if err != nil {
					codes[i] = err.Error()
					return
				}
				q.Header.Set("Content-Type", "application/json")
				q.Header.Set("Authorization", "Bearer "+token)
				got, err := servertest.ReadReply(client.Do(q))
				if codes[i] = servertest.CodeOf(got.Body); err != nil {
					codes[i] = err.Error()
				}
			}()
		}
		close(gate)
		for range racers {
			<-done
		}
		return codes
	}
	winners := func(codes []string) (n int) {
		for _, code := range codes {
			if code == "" {
				n++
			}
		}
		return n
	}

	t.Run("one refresh token", func(t *testing.T) {
		in := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("refresh@example.org")).Data.Register
		codes := all(func(int) string {
			return fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, in.RefreshToken)
		}, "")
		if n := winners(codes); n != racers { // the parent works until a child is used, because a reply may be lost
			t.Errorf("%d of %d uses of the parent succeeded: %v", n, racers, codes)
		}
		session, err := r.Store.Sessions().ByID(t.Context(), in.SessionID)
		if err != nil || len(session.Children) != 1 { // one client gets one successor
			t.Fatalf("%d children, %v; want 1", len(session.Children), err)
		}
	})
	t.Run("one child and its parent", func(t *testing.T) {
		in := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("stale@example.org")).Data.Register
		child := r.Refresh(t, in.RefreshToken)
		codes := all(func(i int) string { // one app, whose network doubles and reorders
			return fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, []string{in.RefreshToken, child}[i%2])
		}, "")
		for _, code := range codes {
			if code != "" && code != "STALE_REFRESH_TOKEN" {
				t.Errorf("%q", code)
			}
		}
		if code := servertest.CodeOf(r.SendAs(t, in.Token, `{ me { id } }`, nil).Body); code != "" {
			t.Errorf("the session after that: %q", code)
		}
	})
	t.Run("first uses of its children", func(t *testing.T) {
		in := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("children@example.org")).Data.Register
		children := make([]string, racers)
		for i := range children {
			r.AgeRefreshTokens(t, in.SessionID) // else they are one
			children[i] = r.Refresh(t, in.RefreshToken)
		}
		codes := all(func(i int) string {
			return fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, children[i])
		}, "")
		if n := winners(codes); n > 1 {
			t.Errorf("%d children succeeded, want at most 1", n)
		}
		// More children are retired at once than the record remembers.
		if code := servertest.CodeOf(r.SendAs(t, in.Token, `{ me { id } }`, nil).Body); code != "UNAUTHENTICATED" {
			t.Errorf("the session after that: %q; the replays end it", code)
		}
	})
	t.Run("one revoke", func(t *testing.T) {
		in := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("revoke@example.org")).Data.Register
		other := r.Login(t, servertest.LoginDocument, "revoke@example.org")
		codes := all(func(int) string { return fmt.Sprintf(`mutation { revokeSession(id: %q) { message } }`, in.SessionID) }, other.Token)
		if n := winners(codes); n != 1 {
			t.Errorf("%d revokes succeeded: %v", n, codes)
		}
	})
	t.Run("one change of the email", func(t *testing.T) {
		in := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("email@example.org")).Data.Register
		codes := all(func(int) string {
			return `mutation { changeEmail(email: "another@example.org", password: "correct horse") { id } }`
		}, in.Token)
		user, err := r.Store.Users().ByID(t.Context(), in.User.ID)
		if err != nil || user.Email != "another@example.org" || user.Account.Version != 1 {
			t.Errorf("%q after %d changes, %v; want one", user.Email, user.Account.Version, err)
		}
		changed, err := r.Store.Audit().Page(t.Context(), store.EventFilter{UserID: in.User.ID, Kind: "email"}, "", 100)
		won := 0
		for _, e := range changed.Items {
			if e.Outcome == "ok" {
				won++
			}
		}
		if err != nil || won != 1 || winners(codes) == 0 { // a later request with the same email changes nothing and succeeds
			t.Errorf("the audit has %d changes, %v: %v", won, err, codes)
		}
		servertest.Eventually(t, "both sides have one email", func() bool {
			user, err = r.Store.Users().ByID(t.Context(), in.User.ID)
			found := r.CubeUsers(t, user.Email)
			return err == nil && len(found) == 1 && found[0].ExternalID == in.User.ID
		})
	})
}

package apicontract

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// TestMalformedUsers checks a database with documents that another program wrote: the list of users
// goes on behind them, and the users themselves get a code of their own.
func TestMalformedUsers(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	odd := map[string]map[string]any{}
	for email, field := range map[string]map[string]any{
		"id@example.org":     {"_id": "507f1f77bcf86cd799439011"},
		"number@example.org": {"firstName": 5},
		"cube@example.org":   {"connectyCubeId": "51941"},
		"role@example.org":   {"roles": "admin"},
		"list@example.org":   {"sessions": map[string]any{"a": 1}},
	} {
		odd[email] = servertest.OriginalUser(t, email, "correct horse")
		for k, v := range field {
			odd[email][k] = v
		}
		servertest.InsertUsers(t, db, odd[email])
	}
	r := servertest.Start(t, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": servertest.JWTSecret})
	actors := servertest.NewActors(t, r, 2)
	for email := range odd {
		for _, document := range []string{servertest.LoginDocument, servertest.ByTokenDocument} {
			got := r.GraphQL(t, document, servertest.Credentials(email))
			if got.Code() != "MALFORMED_DATA" || strings.Contains(got.Body, "horse") {
				t.Errorf("a login of %s: %s", email, got.Body)
			}
		}
		if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(email)); got.Code() != "CONFLICT" {
			t.Errorf("a registration as %s: %s", email, got.Body)
		}
	}
	var emails []string
	for after := ""; ; {
		var page struct {
			Data struct {
				Users struct {
					Items []struct{ Email string }
					Next  *string
				}
			}
		}
		got := r.SendAs(t, actors.Root.Token, fmt.Sprintf(`{ users(page: {limit: 1, after: %q}) { items { email } next } }`, after), nil)
		if err := json.Unmarshal([]byte(got.Body), &page); err != nil || servertest.CodeOf(got.Body) != "" {
			t.Fatalf("after %q: %s", after, got.Body)
		}
		for _, item := range page.Data.Users.Items {
			emails = append(emails, item.Email)
		}
		if page.Data.Users.Next == nil {
			break
		}
		after = *page.Data.Users.Next
	}
	for _, email := range emails {
		if odd[email] != nil {
			t.Errorf("%s is listed", email)
		}
	}
	if len(emails) != 3 {
		t.Errorf("listed: %v", emails)
	}
	// A document that becomes malformed while its user is logged in.
	servertest.UpdateUser(t, db, actors.Ada.User.ID, map[string]any{"lastName": []string{"Lovelace"}})
	for name, got := range map[string]servertest.Reply{
		"me":      r.SendAs(t, actors.Ada.Token, `{ me { email } }`, nil),
		"refresh": r.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { token } }`, actors.Ada.RefreshToken), nil),
		"disable": r.SendAs(t, actors.Root.Token, fmt.Sprintf(`mutation { disableUser(id: %q) { id } }`, actors.Ada.User.ID), nil),
		"verify":  r.Verify(t, actors.Ada.Token)[0],
	} {
		if servertest.CodeOf(got.Body) != "MALFORMED_DATA" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if log := r.Log.String(); strings.Contains(log, "panic") || !strings.Contains(log, "field lastName is of type array, want string") {
		t.Errorf("the log does not name the field")
	}
}

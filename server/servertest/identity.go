package servertest

import (
	"encoding/json"
	"net/http"
	"testing"
)

// RequireNoChat checks that both logins succeed without a ConnectyCube session,
// with the stored ID of the account. The text why appears in failures.
func (r *Server) RequireNoChat(t *testing.T, why string, user User, cubeID float64) {
	t.Helper()
	for _, document := range []string{LoginDocument, ByTokenDocument} {
		got := r.Login(t, document, user.Email)
		if got.ChatStatus != "UNAVAILABLE" || got.ConnectySession != "" || got.Token == "" || got.User != user {
			t.Errorf("%s: %+v", why, got)
		}
		if got.CcUserID == nil || *got.CcUserID != cubeID {
			t.Errorf("%s: ccUserId is not the stored %.0f", why, cubeID)
		}
	}
}

// WaitRegistered waits until a registration whose client got no reply has ended:
// the user can log in and gets a ConnectyCube session.
func (r *Server) WaitRegistered(t *testing.T, email string) {
	t.Helper()
	Eventually(t, email+" has a ConnectyCube session", func() bool {
		got := r.GraphQL(t, LoginDocument, Credentials(email))
		return got.Code() == "" && got.Data.Answer.ChatStatus == "READY"
	})
}

// RequireOneIdentity checks that both logins of a user succeed with the same
// account at ConnectyCube, and that no other account has the user's ID.
func (r *Server) RequireOneIdentity(t *testing.T, email string) LoginReply {
	t.Helper()
	first := r.Login(t, LoginDocument, email)
	second := r.Login(t, ByTokenDocument, email)
	for _, got := range []LoginReply{first, second} {
		if got.ChatStatus != "READY" || got.ConnectySession == "" || got.CcUserID == nil {
			t.Fatalf("the login lacks a ConnectyCube session: %+v", got)
		}
	}
	if *first.CcUserID != *second.CcUserID || first.User != second.User {
		t.Errorf("two identities: %+v and %+v", first, second)
	}
	var ours []CubeUser
	for _, u := range r.AllCubeUsers(t) {
		if u.ExternalID == first.User.ID {
			ours = append(ours, u)
		}
	}
	if len(ours) != 1 || ours[0].ID != *first.CcUserID {
		t.Errorf("ConnectyCube has %+v for the user %s, ccUserId %.0f", ours, first.User.ID, *first.CcUserID)
	}
	return first
}

// RequestBody returns a GraphQL request with body as its only variable.
func RequestBody(t *testing.T, document string, body map[string]string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"body": body}})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// SignUpAtUpstream creates an account at ConnectyCube without the server, as the
// original did, and returns its ID.
func SignUpAtUpstream(t *testing.T, u *Upstream, user string) int64 {
	t.Helper()
	got, err := Try(http.MethodPost, u.URL+"/users.json", user, "CB-AuthKey", OwnAuthKey)
	if err != nil || got.Status != 201 {
		t.Fatalf("signing up: %d %s, %v", got.Status, got.Body, err)
	}
	var made struct{ User struct{ ID int64 } }
	if err := json.Unmarshal([]byte(got.Body), &made); err != nil {
		t.Fatal(err)
	}
	return made.User.ID
}

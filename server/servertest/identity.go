package servertest

import (
	"encoding/json"
	"net/http"
	"testing"
)

// RequireNoChat checks that both logins are good in what is ours, and say that
// the rest is not.
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

// WaitRegistered waits until a registration that nobody was told the end of has
// ended: the person can log in, and has a chat.
func (r *Server) WaitRegistered(t *testing.T, address string) {
	t.Helper()
	Eventually(t, address+" has a chat", func() bool {
		got := r.GraphQL(t, LoginDocument, Credentials(address))
		return got.Code() == "" && got.Data.Answer.ChatStatus == "READY"
	})
}

// RequireOneIdentity checks that a person can log in both ways, meets one account at
// ConnectyCube, and that this account knows our id and nobody else's does.
func (r *Server) RequireOneIdentity(t *testing.T, address string) LoginReply {
	t.Helper()
	first := r.Login(t, LoginDocument, address)
	second := r.Login(t, ByTokenDocument, address)
	for _, got := range []LoginReply{first, second} {
		if got.ChatStatus != "READY" || got.ConnectySession == "" || got.CcUserID == nil {
			t.Fatalf("the login is not whole: %+v", got)
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

// RequestBody is the body of a GraphQL request whose variable is body.
func RequestBody(t *testing.T, document string, body map[string]string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"body": body}})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// SignUpAtUpstream makes an account at ConnectyCube without the program, as the original
// did, and returns its id.
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

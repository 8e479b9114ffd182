package server

import (
	"encoding/json"
	"net/http"
	"testing"
)

// withoutChat checks that both logins are good in what is ours, and say that
// the rest is not.
func (r *running) withoutChat(t *testing.T, why string, user person, cubeID float64) {
	t.Helper()
	for _, document := range []string{loginDocument, byTokenDocument} {
		got := r.login(t, document, user.Email)
		if got.ChatStatus != "UNAVAILABLE" || got.ConnectySession != "" || got.Token == "" || got.User != user {
			t.Errorf("%s: %+v", why, got)
		}
		if got.CcUserID == nil || *got.CcUserID != cubeID {
			t.Errorf("%s: ccUserId is not the stored %.0f", why, cubeID)
		}
	}
}

// finished waits until a registration that nobody was told the end of has
// ended: the person can log in, and has a chat.
func (r *running) finished(t *testing.T, address string) {
	t.Helper()
	eventually(t, address+" has a chat", func() bool {
		got := r.graphql(t, loginDocument, credentials(address))
		return got.code() == "" && got.Data.Answer.ChatStatus == "READY"
	})
}

// oneIdentity checks that a person can log in both ways, meets one account at
// ConnectyCube, and that this account knows our id and nobody else's does.
func (r *running) oneIdentity(t *testing.T, address string) login {
	t.Helper()
	first := r.login(t, loginDocument, address)
	second := r.login(t, byTokenDocument, address)
	for _, got := range []login{first, second} {
		if got.ChatStatus != "READY" || got.ConnectySession == "" || got.CcUserID == nil {
			t.Fatalf("the login is not whole: %+v", got)
		}
	}
	if *first.CcUserID != *second.CcUserID || first.User != second.User {
		t.Errorf("two identities: %+v and %+v", first, second)
	}
	var ours []cubeUser
	for _, u := range r.allCubeUsers(t) {
		if u.ExternalID == first.User.ID {
			ours = append(ours, u)
		}
	}
	if len(ours) != 1 || ours[0].ID != *first.CcUserID {
		t.Errorf("ConnectyCube has %+v for the user %s, ccUserId %.0f", ours, first.User.ID, *first.CcUserID)
	}
	return first
}

// asked is the body of a GraphQL request whose variable is body.
func asked(t *testing.T, document string, body map[string]string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"body": body}})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// signUp makes an account at ConnectyCube without the program, as the original
// did, and returns its id.
func signUp(t *testing.T, u *upstream, user string) int64 {
	t.Helper()
	got, err := try(http.MethodPost, u.url+"/users.json", user, "CB-AuthKey", ownAuthKey)
	if err != nil || got.status != 201 {
		t.Fatalf("signing up: %d %s, %v", got.status, got.body, err)
	}
	var made struct{ User struct{ ID int64 } }
	if err := json.Unmarshal([]byte(got.body), &made); err != nil {
		t.Fatal(err)
	}
	return made.User.ID
}

package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
)

// The credentials of a login. What ConnectyCube has of it ends within moments,
// the rest at once.
const (
	accessHere    = "access token at the API"
	accessThere   = "access token at the verify route"
	ticket        = "ticket"
	refreshToken  = "refresh token"
	passwordHere  = "password"
	cubeSession   = "ConnectyCube session"
	passwordThere = "password at ConnectyCube itself"
	pushes        = "pushes to the device"
)

// alive tells of each credential of a login whether it still opens anything.
func (r *running) alive(t *testing.T, in login) map[string]bool {
	t.Helper()
	verified := func(token string) bool { return r.verified(t, token)[0].status == 200 }
	return map[string]bool{
		accessHere:   codeOf(r.as(t, in.Token, `{ me { id } }`, nil).body) == "",
		accessThere:  verified(in.Token),
		ticket:       verified(in.ChatTicket),
		refreshToken: codeOf(r.as(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { token } }`, in.RefreshToken), nil).body) == "",
		passwordHere: r.graphql(t, loginDocument, map[string]string{"email": in.User.Email, "password": "correct horse"}).code() == "",
	}
}

// aliveThere is the same at ConnectyCube.
func (u *upstream) aliveThere(t *testing.T, in login) map[string]bool {
	t.Helper()
	cube, err := connectycube.New(connectycube.Options{BaseURL: u.url, AppID: ownAppID, AuthKey: ownAuthKey, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, gone := cube.Session(t.Context(), in.ConnectySession)
	found, wrong := cube.CreateSession(t.Context(), connectycube.Credentials{Email: in.User.Email, Password: "correct horse"})
	return map[string]bool{
		cubeSession: gone == nil,
		// For an address that nobody has ConnectyCube makes an account: somebody else's.
		passwordThere: wrong == nil && found.UserID == int64(*in.CcUserID),
		pushes:        slices.ContainsFunc(u.State().Devices, func(d sandbox.DeviceState) bool { return d.UserID == int64(*in.CcUserID) && d.UDID == "udid of ada" }),
	}
}

// does sends an operation that must succeed.
func (r *running) does(t *testing.T, token, document string) {
	t.Helper()
	if got := r.as(t, token, document, nil); codeOf(got.body) != "" {
		t.Fatalf("%s: %s", document, codeOf(got.body))
	}
}

// refreshed exchanges a refresh token.
func (r *running) refreshed(t *testing.T, token string) string {
	t.Helper()
	var got struct{ Data struct{ Refresh login } }
	answer := r.as(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, token), nil)
	if err := json.Unmarshal([]byte(answer.body), &got); err != nil || got.Data.Refresh.RefreshToken == "" {
		t.Fatalf("refresh: %s, %v", codeOf(answer.body), err)
	}
	return got.Data.Refresh.RefreshToken
}

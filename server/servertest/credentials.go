package servertest

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
	AccessHere    = "access token at the API"
	AccessThere   = "access token at the verify route"
	Ticket        = "ticket"
	RefreshToken  = "refresh token"
	PasswordHere  = "password"
	CubeSession   = "ConnectyCube session"
	PasswordThere = "password at ConnectyCube itself"
	Pushes        = "pushes to the device"
)

// WorkingCredentials tells of each credential of a login whether it still opens anything.
func (r *Server) WorkingCredentials(t *testing.T, in LoginReply) map[string]bool {
	t.Helper()
	verified := func(token string) bool { return r.Verify(t, token)[0].Status == 200 }
	return map[string]bool{
		AccessHere:   CodeOf(r.As(t, in.Token, `{ me { id } }`, nil).Body) == "",
		AccessThere:  verified(in.Token),
		Ticket:       verified(in.ChatTicket),
		RefreshToken: CodeOf(r.As(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { token } }`, in.RefreshToken), nil).Body) == "",
		PasswordHere: r.GraphQL(t, LoginDocument, map[string]string{"email": in.User.Email, "password": "correct horse"}).Code() == "",
	}
}

// WorkingCredentials is the same at ConnectyCube.
func (u *Upstream) WorkingCredentials(t *testing.T, in LoginReply) map[string]bool {
	t.Helper()
	cube, err := connectycube.New(connectycube.Options{BaseURL: u.URL, AppID: ownAppID, AuthKey: OwnAuthKey, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, gone := cube.ExtendSession(t.Context(), in.ConnectySession)
	found, wrong := cube.CreateSession(t.Context(), connectycube.Credentials{Email: in.User.Email, Password: "correct horse"})
	return map[string]bool{
		CubeSession: gone == nil,
		// For an address that nobody has ConnectyCube makes an account: somebody else's.
		PasswordThere: wrong == nil && found.UserID == int64(*in.CcUserID),
		Pushes:        slices.ContainsFunc(u.State().Devices, func(d sandbox.DeviceState) bool { return d.UserID == int64(*in.CcUserID) && d.UDID == "udid of ada" }),
	}
}

// MustDo sends an operation that must succeed.
func (r *Server) MustDo(t *testing.T, token, document string) {
	t.Helper()
	if got := r.As(t, token, document, nil); CodeOf(got.Body) != "" {
		t.Fatalf("%s: %s", document, CodeOf(got.Body))
	}
}

// Refresh exchanges a refresh token.
func (r *Server) Refresh(t *testing.T, token string) string {
	t.Helper()
	var got struct{ Data struct{ Refresh LoginReply } }
	answer := r.As(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, token), nil)
	if err := json.Unmarshal([]byte(answer.Body), &got); err != nil || got.Data.Refresh.RefreshToken == "" {
		t.Fatalf("refresh: %s, %v", CodeOf(answer.Body), err)
	}
	return got.Data.Refresh.RefreshToken
}

package servertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
	"cubegate/store"
)

// The credentials of a login. A revocation ends those at ConnectyCube after a
// moment, because the worker does it, and the others at once.
const (
	AccessAtAPI    = "access token at the API"
	AccessAtVerify = "access token at the verify route"
	ChatTicket     = "ticket"
	RefreshToken   = "refresh token"
	PasswordAtAPI  = "password"
	CubeSession    = "ConnectyCube session"
	PasswordAtCube = "password at ConnectyCube itself"
	Pushes         = "pushes to the device"
)

// WorkingCredentials reports for each credential of a login that the server checks
// whether it still works.
func (r *Server) WorkingCredentials(t *testing.T, in LoginReply) map[string]bool {
	t.Helper()
	verified := func(token string) bool { return r.Verify(t, token)[0].Status == 200 }
	return map[string]bool{
		AccessAtAPI:    CodeOf(r.SendAs(t, in.Token, `{ me { id } }`, nil).Body) == "",
		AccessAtVerify: verified(in.Token),
		ChatTicket:     verified(in.ChatTicket),
		RefreshToken:   CodeOf(r.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { token } }`, in.RefreshToken), nil).Body) == "",
		PasswordAtAPI:  r.GraphQL(t, LoginDocument, map[string]string{"email": in.User.Email, "password": "correct horse"}).Code() == "",
	}
}

// WorkingCredentials reports the same for the credentials that ConnectyCube checks.
func (u *Upstream) WorkingCredentials(t *testing.T, in LoginReply) map[string]bool {
	t.Helper()
	cube, err := connectycube.New(connectycube.Options{BaseURL: u.URL, AppID: ownAppID, AuthKey: OwnAuthKey, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, sessionErr := cube.ExtendSession(t.Context(), in.ConnectySession)
	found, passwordErr := cube.CreateSession(t.Context(), connectycube.Credentials{Email: in.User.Email, Password: "correct horse"})
	return map[string]bool{
		CubeSession: sessionErr == nil,
		// ConnectyCube creates an account for an unknown email. It has another ID.
		PasswordAtCube: passwordErr == nil && found.UserID == int64(*in.CcUserID),
		Pushes:         slices.ContainsFunc(u.State().Devices, func(d sandbox.DeviceState) bool { return d.UserID == int64(*in.CcUserID) && d.UDID == "udid of ada" }),
	}
}

// MustDo sends an operation and ends the test if it fails.
func (r *Server) MustDo(t *testing.T, token, document string) {
	t.Helper()
	if got := r.SendAs(t, token, document, nil); CodeOf(got.Body) != "" {
		t.Fatalf("%s: %s", document, CodeOf(got.Body))
	}
}

// Refresh exchanges a refresh token for its successor.
func (r *Server) Refresh(t *testing.T, token string) string {
	t.Helper()
	var got struct{ Data struct{ Refresh LoginReply } }
	answer := r.SendAs(t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { refreshToken } }`, token), nil)
	if err := json.Unmarshal([]byte(answer.Body), &got); err != nil || got.Data.Refresh.RefreshToken == "" {
		t.Fatalf("refresh: %s, %v", CodeOf(answer.Body), err)
	}
	return got.Data.Refresh.RefreshToken
}

// AgeRefreshTokens makes the last refresh of a login session a minute old: longer ago
// than the time in which a repeated or late request ends nothing.
func (r *Server) AgeRefreshTokens(t *testing.T, sessionID string) {
	t.Helper()
	_, err := r.Store.Sessions().Update(t.Context(), store.Session{ID: sessionID}, func(s *store.Session) error {
		if !s.Exchange.IsZero() {
			s.Exchange.At = s.Exchange.At.Add(-time.Minute)
		}
		for i := range s.Retired {
			s.Retired[i].At = s.Retired[i].At.Add(-time.Minute)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

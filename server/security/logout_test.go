package security

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/server/servertest"
)

// lives reports whether a login session is in its user's list.
func lives(t *testing.T, r *servertest.Server, in servertest.LoginReply) bool {
	t.Helper()
	user, err := r.Store.Users().ByID(t.Context(), in.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(user.Sessions, in.SessionID)
}

// expired returns the claims of an access token of a login session that ended an hour ago.
func expired(in servertest.LoginReply, edits ...string) []string {
	then := time.Now().Add(-2 * time.Hour).Unix()
	return append([]string{
		"id", fmt.Sprintf("%q", in.User.ID), "sub", fmt.Sprintf("%q", in.User.ID), "sid", fmt.Sprintf("%q", in.SessionID),
		"iat", fmt.Sprint(then), "exp", fmt.Sprint(then + 3600),
	}, edits...)
}

// logsOut are the ways to log out, each with the status of success and of refusal.
var logsOut = map[string]func(t *testing.T, r *servertest.Server, header, refresh string) (code string){
	"GraphQL": func(t *testing.T, r *servertest.Server, header, refresh string) string {
		document := `mutation { logout { message } }`
		if refresh != "" {
			document = fmt.Sprintf(`mutation { logout(refreshToken: %q) { message } }`, refresh)
		}
		raw, err := json.Marshal(map[string]string{"query": document})
		if err != nil {
			t.Fatal(err)
		}
		return servertest.CodeOf(r.Request(t, http.MethodPost, "/api", string(raw), authorization(header)...).Body)
	},
	"REST": func(t *testing.T, r *servertest.Server, header, refresh string) string {
		body := ""
		if refresh != "" {
			body = fmt.Sprintf(`{"refreshToken": %q}`, refresh)
		}
		got := r.Request(t, http.MethodPost, "/auth/logout", body, authorization(header)...)
		if (got.Status == http.StatusNoContent) != (servertest.CodeOf(got.Body) == "") {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		return servertest.CodeOf(got.Body)
	},
}

func authorization(header string) []string {
	if header == "" {
		return nil
	}
	return []string{"Authorization", header}
}

// A user who was offline for a day logs out with whatever the app still has.
func TestLogoutAlwaysWorks(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.OnDatabase(t, map[string]string{"LOGIN_FAILURES": "0", "JWT_SECRET": servertest.JWTSecret}))
	n := 0
	for way, logOut := range logsOut {
		for name, tt := range map[string]struct {
			shows func(in servertest.LoginReply) (header, refresh string)
			ends  bool
			code  string
		}{
			"the access token":  {func(in servertest.LoginReply) (string, string) { return "Bearer " + in.Token, "" }, true, ""},
			"the refresh token": {func(in servertest.LoginReply) (string, string) { return "", in.RefreshToken }, true, ""},
			"an expired access token": {func(in servertest.LoginReply) (string, string) {
				return "Bearer " + servertest.SignToken(sha256.New, servertest.AccessHeader, expired(in)...), ""
			}, true, ""},
			"the refresh token, with a header of another kind": {func(in servertest.LoginReply) (string, string) { return "Basic eDp5", in.RefreshToken }, true, ""},
			"an expired access token with another signature": {func(in servertest.LoginReply) (string, string) {
				raw := servertest.SignToken(sha256.New, servertest.AccessHeader, expired(in)...)
				return "Bearer " + raw[:len(raw)-8] + "AAAAAAAA", ""
			}, false, "UNAUTHENTICATED"},
			"an expired access token of another algorithm": {func(in servertest.LoginReply) (string, string) {
				return "Bearer " + servertest.SignToken(sha512.New, `{"alg":"HS512","typ":"at+jwt"}`, expired(in)...), ""
			}, false, "UNAUTHENTICATED"},
			"an expired access token of another issuer": {func(in servertest.LoginReply) (string, string) {
				return "Bearer " + servertest.SignToken(sha256.New, servertest.AccessHeader, expired(in, "iss", `"elsewhere"`)...), ""
			}, false, "UNAUTHENTICATED"},
			"an expired access token of another user": {func(in servertest.LoginReply) (string, string) {
				other := `"0123456789abcdef01234567"`
				return "Bearer " + servertest.SignToken(sha256.New, servertest.AccessHeader, expired(in, "id", other, "sub", other)...), ""
			}, false, ""}, // an unknown session of that user
			"an expired token without a session": {func(in servertest.LoginReply) (string, string) {
				return "Bearer " + servertest.SignToken(sha256.New, servertest.AccessHeader, expired(in, "sid", "")...), ""
			}, false, "UNAUTHENTICATED"},
			"a chat ticket":                   {func(in servertest.LoginReply) (string, string) { return "Bearer " + in.ChatTicket, "" }, false, "UNAUTHENTICATED"},
			"the refresh token in the header": {func(in servertest.LoginReply) (string, string) { return "Bearer " + in.RefreshToken, "" }, false, "UNAUTHENTICATED"},
			"the access token in the body":    {func(in servertest.LoginReply) (string, string) { return "", in.Token }, false, ""}, // an unknown refresh token
			"an unknown refresh token":        {func(servertest.LoginReply) (string, string) { return "", "unknown" }, false, ""},
			"nothing":                         {func(servertest.LoginReply) (string, string) { return "", "" }, false, "UNAUTHENTICATED"},
		} {
			n++
			in := *r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(fmt.Sprintf("ada%d@example.org", n))).Data.Register
			other := r.Login(t, servertest.LoginDocument, in.User.Email)
			header, refresh := tt.shows(in)
			for range 2 { // the second time the session has ended, which is success as well
				if code := logOut(t, r, header, refresh); code != tt.code {
					t.Errorf("%s, %s: %q, want %q", way, name, code, tt.code)
				}
				if lives(t, r, in) == tt.ends {
					t.Errorf("%s, %s: the session lives: %t", way, name, !tt.ends)
				}
			}
			if !lives(t, r, other) {
				t.Errorf("%s, %s: another session has ended", way, name)
			}
		}
	}
}

// Nothing but a logout takes an expired access token.
func TestNothingElseTakesAnExpiredToken(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"JWT_SECRET": servertest.JWTSecret})
	in := *r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")).Data.Register
	raw := servertest.SignToken(sha256.New, servertest.AccessHeader, expired(in)...)
	for _, document := range []string{
		`{ me { id } }`, `{ sessions { id } }`, `{ users { next } }`, `{ audit { next } }`,
		`mutation { logoutEverywhere { message } }`, fmt.Sprintf(`mutation { revokeSession(id: %q) { message } }`, in.SessionID),
		`mutation { updateProfile(firstName: "X", lastName: "Y") { id } }`,
		`mutation { changePassword(current: "correct horse", new: "another horse") { message } }`,
		`mutation { changeEmail(email: "eve@example.org", password: "correct horse") { id } }`,
		`mutation { deleteMyAccount(password: "correct horse") { message } }`,
		fmt.Sprintf(`mutation { disableUser(id: %q) { id } }`, in.User.ID), fmt.Sprintf(`mutation { deleteUser(id: %q) { message } }`, in.User.ID),
	} {
		if code := servertest.CodeOf(r.SendAs(t, raw, document, nil).Body); code != "UNAUTHENTICATED" {
			t.Errorf("%s: %q", document, code)
		}
	}
	for _, route := range []string{"GET /auth/me", "GET /auth/sessions", "DELETE /auth/sessions", "DELETE /auth/sessions/" + in.SessionID} {
		method, path, _ := strings.Cut(route, " ")
		if got := r.Request(t, method, path, "", "Authorization", "Bearer "+raw); got.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", route, got.Status)
		}
	}
	r.RequireRefused(t, raw)
	if !lives(t, r, in) {
		t.Error("the session has ended")
	}
}

package resolvers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/store"
	"cubegate/tokens"
)

// fakeVerifier takes a kind of token and its subject. Of the login sessions s1
// lives, s2 has ended, and the record of s3 has expired.
type fakeVerifier struct{}

func (v fakeVerifier) Verify(raw string) (tokens.Claims, error) {
	claims, err := v.VerifyAny(raw)
	if claims.Ticket {
		return tokens.Claims{}, fmt.Errorf("verifying: %w", tokens.ErrInvalid)
	}
	return claims, err
}

func (fakeVerifier) VerifyAny(raw string) (tokens.Claims, error) {
	for prefix, claims := range map[string]tokens.Claims{
		"good ":    {SessionID: "s1"},
		"ended ":   {SessionID: "s2"},
		"ticket ":  {SessionID: "s1", Ticket: true},
		"late ":    {SessionID: "s3", Ticket: true},
		"service ": {Service: true, Ticket: true},
		"relink ":  {Service: true, Ticket: true, External: "another id"},
	} {
		if subject, ok := strings.CutPrefix(raw, prefix); ok {
			claims.Subject, claims.Email = subject, "as it was signed"
			return claims, nil
		}
	}
	if raw == "old" {
		return tokens.Claims{}, fmt.Errorf("verifying: %w", tokens.ErrExpired)
	}
	return tokens.Claims{}, fmt.Errorf("verifying: %w", tokens.ErrInvalid)
}

func TestVerify(t *testing.T) {
	const (
		asJSON = "application/json"
		asForm = "application/x-www-form-urlencoded"
	)
	password := strings.ReplaceAll(ada.Password, " ", "+")
	tests := []struct {
		name   string
		method string
		query  string
		media  string
		body   string
		status int
		code   Code
	}{
		{"token", "GET", "?token=good+" + adaID, "", "", 200, ""},
		{"of a session that has ended", "GET", "?token=ended+" + adaID, "", "", 401, Unauthenticated},
		{"ticket", "GET", "?token=ticket+" + adaID, "", "", 200, ""},
		{"ticket of an expired session", "GET", "?token=late+" + adaID, "", "", 401, Unauthenticated},
		{"the server's own", "GET", "?token=service+" + adaID, "", "", 200, ""},
		{"the server's own, of nobody", "GET", "?token=service+0123456789abcdef0123456f", "", "", 401, Unauthenticated},
		{"token, HEAD", "HEAD", "?token=good+" + adaID, "", "", 200, ""},
		{"more in the query", "GET", "?x=1&token=good+" + adaID + "&y", "", "", 200, ""},
		{"expired", "GET", "?token=old", "", "", 401, Unauthenticated},
		{"forged", "GET", "?token=bad", "", "", 401, Unauthenticated},
		{"user is gone", "GET", "?token=good+0123456789abcdef0123456f", "", "", 401, Unauthenticated},
		{"subject is no id", "GET", "?token=good+x", "", "", 401, Unauthenticated},
		{"nothing", "GET", "", "", "", 400, BadUserInput},
		{"empty", "GET", "?token=", "", "", 400, BadUserInput},
		{"two", "GET", "?token=old&token=good+" + adaID, "", "", 400, BadUserInput},
		{"as a list", "GET", "?token[]=good+" + adaID, "", "", 400, BadUserInput},
		{"password in the address", "GET", "?email=ada@example.org&password=" + password, "", "", 400, BadUserInput},
		{"JSON token", "POST", "", asJSON, `{"token":"good ` + adaID + `","email":"","password":"fixed"}`, 200, ""},
		{"form token", "POST", "", asForm, "token=good+" + adaID, 200, ""},
		{"JSON password", "POST", "", asJSON, `{"token":"","email":"ADA@example.org","password":"` + ada.Password + `"}`, 200, ""},
		{"form password", "POST", "", asForm, "email=ada@example.org&password=" + password, 200, ""},
		{"placeholder left", "POST", "", asJSON, `{"token":"#{login}","email":"ada@example.org","password":"` + ada.Password + `"}`, 200, ""},
		{"a bad token is not saved by a password", "POST", "", asJSON, `{"token":"bad","email":"ada@example.org","password":"` + ada.Password + `"}`, 401, Unauthenticated},
		{"wrong password", "POST", "", asJSON, `{"email":"ada@example.org","password":"wrong"}`, 401, Unauthenticated},
		{"unknown address", "POST", "", asJSON, `{"email":"eve@example.org","password":"wrong"}`, 401, Unauthenticated},
		{"address alone", "POST", "", asJSON, `{"email":"ada@example.org"}`, 400, BadUserInput},
		{"empty object", "POST", "", asJSON, `{}`, 400, BadUserInput},
		{"query is not read", "POST", "?token=good+" + adaID, asJSON, `{}`, 400, BadUserInput},
		{"numbers", "POST", "", asJSON, `{"token":12}`, 400, BadUserInput},
		{"operators", "POST", "", asJSON, `{"email":{"$ne":null},"password":{"$gt":""}}`, 400, BadUserInput},
		{"not JSON", "POST", "", asJSON, `{"token"`, 400, BadUserInput},
		{"not a form", "POST", "", asForm, "token=%zz", 400, BadUserInput},
		{"two in a form", "POST", "", asForm, "token=old&token=old", 400, BadUserInput},
		{"text", "POST", "", "text/plain", "token=old", 415, UnsupportedMedia},
		{"huge", "POST", "", asForm, "token=" + strings.Repeat("x", maxBody), 413, TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlows(t)
			f.there()
			r := httptest.NewRequest(tt.method, "/auth/verify-connectycube"+tt.query, strings.NewReader(tt.body))
			if tt.media != "" {
				r.Header.Set("Content-Type", tt.media)
			}
			w := httptest.NewRecorder()
			f.VerifyConnectyCube()(w, r)
			var got struct {
				User *map[string]string
				Code Code
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("answer %q: %v", w.Body, err)
			}
			if w.Code != tt.status || got.Code != tt.code || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s, want %d %s (%v)", w.Code, w.Body, tt.status, tt.code, w.Header())
			}
			if tt.status == http.StatusOK && ((*got.User)["id"] != adaID || (*got.User)["email"] != ada.Email || len(*got.User) != 2) {
				t.Errorf("user %v", *got.User)
			}
		})
	}
}

// A service ticket may name the id that the account goes by at ConnectyCube. No
// other token may: anybody can be shown one.
func TestVerifyReportsTheExternalIDOfAServiceTicket(t *testing.T) {
	f := newFlows(t)
	f.there()
	w := httptest.NewRecorder()
	f.VerifyConnectyCube()(w, httptest.NewRequest("GET", "/?token=relink+"+adaID, nil))
	if want := `{"user":{"id":"another id","email":"` + ada.Email + `"}}`; w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	w = httptest.NewRecorder()
	f.VerifyConnectyCube()(w, httptest.NewRequest("GET", "/?token=relink+0123456789abcdef0123456f", nil))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("of nobody: %d %s", w.Code, w.Body)
	}
}

func TestVerifyCountsWrongPasswords(t *testing.T) {
	f := newFlows(t)
	f.there()
	var last int
	for range 4 {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`{"email":"ada@example.org","password":"guess"}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		f.VerifyConnectyCube()(w, r)
		last = w.Code
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the fourth guess got %d, want 429", last)
	}
}

// Who is shut out or deleted is nobody at ConnectyCube either, but for the
// server itself, which may be about to delete the account.
func TestVerifyKnowsWhoIsOut(t *testing.T) {
	for name, out := range map[string]func(*store.User){
		"disabled": func(u *store.User) { u.Disabled = true },
		"leaving":  func(u *store.User) { u.Leaving = true },
	} {
		f := newFlows(t)
		f.there(out)
		for token, want := range map[string]int{"good": 401, "ticket": 401, "service": 200} {
			w := httptest.NewRecorder()
			f.VerifyConnectyCube()(w, httptest.NewRequest("GET", "/?token="+token+"+"+adaID, nil))
			if w.Code != want {
				t.Errorf("%s, %s: %d, want %d", name, token, w.Code, want)
			}
		}
	}
	f := newFlows(t)
	f.there(func(u *store.User) { u.Disabled = true })
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"email":"ada@example.org","password":"`+ada.Password+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	f.VerifyConnectyCube()(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("the password of who is disabled: %d, want 403", w.Code)
	}
}

func TestVerifyCannotLockALogin(t *testing.T) {
	f := newFlows(t)
	f.there()
	for range 5 {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`{"email":"ada@example.org","password":"guess"}`))
		r.Header.Set("Content-Type", "application/json")
		f.VerifyConnectyCube()(httptest.NewRecorder(), r)
	}
	if _, err := f.login(t.Context(), login, false); err != nil {
		t.Errorf("after guesses at verify: %v", err)
	}
}

func TestVerifyTellsTroubleOfOursApart(t *testing.T) {
	f := newFlows(t)
	f.users.err = fmt.Errorf("finding a user: %w", store.ErrUnavailable)
	w := httptest.NewRecorder()
	f.VerifyConnectyCube()(w, httptest.NewRequest("GET", "/?token=good+"+adaID, nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("with the database away: %d, want 503", w.Code)
	}
}

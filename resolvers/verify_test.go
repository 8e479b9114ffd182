package resolvers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport"
	"cubegate/store"
)

// callBack sends a request to the verify route. The header has names and values in turn.
func (f fakes) callBack(method, query, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, VerifyPath+query, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.rest().ServeHTTP(w, r)
	return w
}

// verifyPassword presents a password as ConnectyCube does.
func (f fakes) verifyPassword(email, password string) *httptest.ResponseRecorder {
	body, _ := json.Marshal(map[string]string{"email": email, "password": password}) // strings always encode
	return f.callBack("POST", "", string(body), "Content-Type", "application/json", CallbackSecretHeader, testCallbackSecret)
}

// inParts returns a form of names and values in turn, with the boundary xyz.
func inParts(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "--xyz\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", pairs[i], pairs[i+1])
	}
	return b.String() + "--xyz--\r\n"
}

func TestVerify(t *testing.T) {
	const (
		asJSON = "application/json"
		asForm = "application/x-www-form-urlencoded"
	)
	password := strings.ReplaceAll(credentials.Password, " ", "+")
	tests := []struct {
		name   string
		method string
		query  string
		media  string
		body   string
		status int
		code   apierror.Code
	}{
		{"token", "GET", "?token=good+" + adaID, "", "", 200, ""},
		{"of a session that has ended", "GET", "?token=ended+" + adaID, "", "", 401, apierror.Unauthenticated},
		{"ticket", "GET", "?token=ticket+" + adaID, "", "", 200, ""},
		{"ticket of an expired session", "GET", "?token=late+" + adaID, "", "", 401, apierror.Unauthenticated},
		{"service ticket", "GET", "?token=service+" + adaID, "", "", 200, ""},
		{"service ticket of an unknown user", "GET", "?token=service+0123456789abcdef0123456f", "", "", 401, apierror.Unauthenticated},
		{"token, HEAD", "HEAD", "?token=good+" + adaID, "", "", 200, ""},
		{"more in the query", "GET", "?x=1&token=good+" + adaID + "&y", "", "", 200, ""},
		{"expired", "GET", "?token=old", "", "", 401, apierror.Unauthenticated},
		{"forged", "GET", "?token=bad", "", "", 401, apierror.Unauthenticated},
		{"unknown user", "GET", "?token=good+0123456789abcdef0123456f", "", "", 401, apierror.Unauthenticated},
		{"subject is not an ID", "GET", "?token=good+x", "", "", 401, apierror.Unauthenticated},
		{"nothing", "GET", "", "", "", 400, apierror.BadUserInput},
		{"empty", "GET", "?token=", "", "", 400, apierror.BadUserInput},
		{"two", "GET", "?token=old&token=good+" + adaID, "", "", 400, apierror.BadUserInput},
		{"as a list", "GET", "?token[]=good+" + adaID, "", "", 400, apierror.BadUserInput},
		{"password in the URL", "GET", "?email=ada@example.org&password=" + password, "", "", 400, apierror.BadUserInput},
		{"JSON token", "POST", "", asJSON, `{"token":"good ` + adaID + `","email":"","password":"fixed"}`, 200, ""},
		{"form token", "POST", "", asForm, "token=good+" + adaID, 200, ""},
		{"JSON password", "POST", "", asJSON, `{"token":"","email":"ADA@example.org","password":"` + credentials.Password + `"}`, 200, ""},
		{"form password", "POST", "", asForm, "email=ada@example.org&password=" + password, 200, ""},
		{"placeholder not replaced", "POST", "", asJSON, `{"token":"#{login}","email":"ada@example.org","password":"` + credentials.Password + `"}`, 200, ""},
		{"a bad token beside a valid password", "POST", "", asJSON, `{"token":"bad","email":"ada@example.org","password":"` + credentials.Password + `"}`, 401, apierror.Unauthenticated},
		{"wrong password", "POST", "", asJSON, `{"email":"ada@example.org","password":"wrong"}`, 401, apierror.Unauthenticated},
		{"unknown email", "POST", "", asJSON, `{"email":"eve@example.org","password":"wrong"}`, 401, apierror.Unauthenticated},
		{"email alone", "POST", "", asJSON, `{"email":"ada@example.org"}`, 400, apierror.BadUserInput},
		{"empty object", "POST", "", asJSON, `{}`, 400, apierror.BadUserInput},
		{"query of a POST", "POST", "?token=good+" + adaID, asJSON, `{}`, 200, ""},
		{"query of a POST without a body", "POST", "?token=good+" + adaID, "", "", 200, ""},
		{"query and body", "POST", "?token=good+" + adaID, asJSON, `{"token":"good ` + adaID + `"}`, 200, ""},
		{"query and placeholder", "POST", "?token=good+" + adaID, asJSON, `{"token":"#{login}"}`, 200, ""},
		{"placeholder and body", "POST", "?token=%23%7Blogin%7D", asForm, "token=good+" + adaID, 200, ""},
		{"query and another body", "POST", "?token=good+" + adaID, asJSON, `{"token":"old"}`, 400, apierror.BadUserInput},
		{"two in the query of a POST", "POST", "?token=old&token=old", asJSON, `{}`, 400, apierror.BadUserInput},
		{"a bad token in the query beside a valid password", "POST", "?token=bad", asJSON, `{"email":"ada@example.org","password":"` + credentials.Password + `"}`, 401, apierror.Unauthenticated},
		{"password in the URL of a POST", "POST", "?email=ada@example.org&password=" + password, asJSON, `{}`, 400, apierror.BadUserInput},
		{"JSON as a form", "POST", "", asForm, `{"token":"good ` + adaID + `"}`, 200, ""},
		{"JSON as text", "POST", "", "text/plain; charset=utf-8", ` {"token":"good ` + adaID + `"}`, 200, ""},
		{"JSON without a type", "POST", "", "", `{"token":"good ` + adaID + `"}`, 200, ""},
		{"JSON as utf8", "POST", "", "application/json; charset=utf8", `{"token":"good ` + adaID + `"}`, 200, ""},
		{"JSON as latin1", "POST", "", "application/json; charset=iso-8859-1", `{"token":"good ` + adaID + `"}`, 200, ""},
		{"JSON after a byte order mark", "POST", "", asJSON, "\ufeff" + `{"token":"good ` + adaID + `"}`, 200, ""},
		{"form as JSON", "POST", "", asJSON, "token=good+" + adaID, 200, ""},
		{"form without a type", "POST", "", "", "token=good+" + adaID + "\r\n", 200, ""},
		{"form as an unknown type", "POST", "", "x/y; z", "token=good+" + adaID, 200, ""},
		{"parts", "POST", "", "multipart/form-data; boundary=xyz", inParts("token", "good "+adaID), 200, ""},
		{"parts as JSON", "POST", "", asJSON, inParts("email", "ada@example.org", "password", credentials.Password), 200, ""},
		{"two in parts", "POST", "", "multipart/form-data; boundary=xyz", inParts("token", "old", "token", "old"), 400, apierror.BadUserInput},
		{"half of the parts", "POST", "", "multipart/form-data; boundary=xyz", inParts("token", "old")[:40], 400, apierror.BadUserInput},
		{"no boundary", "POST", "", "multipart/form-data", "--", 400, apierror.BadUserInput},
		{"JSON password as text", "POST", "", "text/plain", `{"email":"ada@example.org","password":"` + credentials.Password + `"}`, 200, ""},
		{"a list", "POST", "", asJSON, `[{"token":"old"}]`, 400, apierror.BadUserInput},
		{"numbers", "POST", "", asJSON, `{"token":12}`, 400, apierror.BadUserInput},
		{"operators", "POST", "", asJSON, `{"email":{"$ne":null},"password":{"$gt":""}}`, 400, apierror.BadUserInput},
		{"not JSON", "POST", "", asJSON, `{"token"`, 400, apierror.BadUserInput},
		{"not a form", "POST", "", asForm, "token=%zz", 400, apierror.BadUserInput},
		{"two in a form", "POST", "", asForm, "token=old&token=old", 400, apierror.BadUserInput},
		{"a bad token as text", "POST", "", "text/plain", "token=old", 401, apierror.Unauthenticated},
		{"a sentence", "POST", "", "text/plain", "who is this?", 400, apierror.BadUserInput},
		{"huge", "POST", "", asForm, "token=" + strings.Repeat("x", transport.MaxBody), 413, apierror.PayloadTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakes(t)
			header := []string{CallbackSecretHeader, testCallbackSecret}
			if tt.media != "" {
				header = append(header, "Content-Type", tt.media)
			}
			w := f.callBack(tt.method, tt.query, tt.body, header...)
			var got struct {
				User *map[string]string
				Code apierror.Code
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("answer %q: %v", w.Body, err)
			}
			if w.Code != tt.status || got.Code != tt.code || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s, want %d %s (%v)", w.Code, w.Body, tt.status, tt.code, w.Header())
			}
			if tt.status == http.StatusOK && ((*got.User)["id"] != adaID || (*got.User)["email"] != credentials.Email || (*got.User)["full_name"] != "Ada Lovelace" || len(*got.User) != 3) {
				t.Errorf("user %v", *got.User)
			}
		})
	}
}

// A service ticket may name the external ID that the account has at ConnectyCube. No
// other token may, because every user gets such tokens.
func TestVerifyReportsTheExternalIDOfAServiceTicket(t *testing.T) {
	f := newFakes(t)
	w := httptest.NewRecorder()
	f.rest().ServeHTTP(w, httptest.NewRequest("GET", VerifyPath+"?token=relink+"+adaID, nil))
	if want := `{"user":{"id":"another id","email":"` + credentials.Email + `","full_name":"Ada Lovelace"}}`; w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	w = httptest.NewRecorder()
	f.rest().ServeHTTP(w, httptest.NewRequest("GET", VerifyPath+"?token=relink+0123456789abcdef0123456f", nil))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("of an unknown user: %d %s", w.Code, w.Body)
	}
}

// A user of the original may have no name, and a tombstone has no email either. The
// answer leaves out what is missing: ConnectyCube would store an empty text or refuse it.
func TestVerifyLeavesOutWhatTheUserDoesNotHave(t *testing.T) {
	for name, tt := range map[string]struct {
		edit  func(*store.User)
		token string
		want  string
	}{
		"no name":       {func(u *store.User) { u.FirstName, u.LastName = "", "" }, "ticket", `{"user":{"id":"` + adaID + `","email":"` + credentials.Email + `"}}`},
		"one name":      {func(u *store.User) { u.LastName = "" }, "good", `{"user":{"id":"` + adaID + `","email":"` + credentials.Email + `","full_name":"Ada"}}`},
		"being deleted": {func(u *store.User) { u.Deleting, u.Email = true, "deleted:"+adaID }, "service", `{"user":{"id":"` + adaID + `"}}`},
	} {
		f := newFakes(t)
		tt.edit(f.users.User)
		if w := f.callBack("GET", "?token="+tt.token+"+"+adaID, ""); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != tt.want {
			t.Errorf("%s: %d %s, want %s", name, w.Code, w.Body, tt.want)
		}
	}
}

func TestVerifyCountsWrongPasswords(t *testing.T) {
	f := newFakes(t)
	var last int
	for range 4 {
		last = f.verifyPassword("ada@example.org", "guess").Code
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the fourth guess got %d, want 429", last)
	}
}

// A disabled or deleted user cannot log in at ConnectyCube either. Only a service ticket
// still works: the server may need it to delete the account.
func TestVerifyRefusesDisabledAndDeletedUsers(t *testing.T) {
	for name, out := range map[string]func(*store.User){
		"disabled": func(u *store.User) { u.Disabled = true },
		"deleting": func(u *store.User) { u.Deleting = true },
	} {
		f := newFakes(t)
		out(f.users.User)
		for token, want := range map[string]int{"good": 401, "ticket": 401, "service": 200} {
			if w := f.callBack("GET", "?token="+token+"+"+adaID, ""); w.Code != want {
				t.Errorf("%s, %s: %d, want %d", name, token, w.Code, want)
			}
		}
	}
	f := newFakes(t)
	f.users.User.Disabled = true
	if w := f.verifyPassword("ada@example.org", credentials.Password); w.Code != http.StatusForbidden {
		t.Errorf("the password of a disabled user: %d, want 403", w.Code)
	}
}

func TestVerifyDoesNotLockLogins(t *testing.T) {
	f := newFakes(t)
	for range 5 {
		f.verifyPassword("ada@example.org", "guess")
	}
	if _, err := run(t.Context(), f.API, opLogin, credentials, f.API.sessions.login); err != nil {
		t.Errorf("after guesses at verify: %v", err)
	}
}

func TestVerifyReportsThatTheDatabaseIsAway(t *testing.T) {
	f := newFakes(t)
	f.users.Err = fmt.Errorf("finding a user: %w", store.ErrUnavailable)
	if w := f.callBack("GET", "?token=good+"+adaID, ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503", w.Code)
	}
}

// A client without the secret learns nothing about passwords, costs no hash and uses up
// no budget. 100 wrong passwords from any network once locked the logins of SDKs.
func TestVerifyAnswersAboutPasswordsOnlyToConnectyCube(t *testing.T) {
	right := `{"email":"ada@example.org","password":"` + credentials.Password + `"}`
	for name, secrets := range map[string][]string{
		"none":          nil,
		"empty":         {""},
		"another":       {"x" + testCallbackSecret[1:]},
		"its prefix":    {testCallbackSecret[:20]},
		"more":          {testCallbackSecret + "x"},
		"in upper case": {strings.ToUpper(testCallbackSecret)},
		"two":           {testCallbackSecret, testCallbackSecret},
	} {
		f := newFakes(t)
		header := []string{"Content-Type", "application/json"}
		for _, secret := range secrets {
			header = append(header, CallbackSecretHeader, secret)
		}
		var last *httptest.ResponseRecorder
		for range 100 {
			f.callBack("POST", "", `{"email":"ada@example.org","password":"guess"}`, header...)
			last = f.callBack("POST", "", right, header...)
		}
		if last.Code != http.StatusForbidden || !strings.Contains(last.Body.String(), `"FORBIDDEN"`) || !strings.Contains(last.Body.String(), CallbackSecretHeader) {
			t.Errorf("%s: %d %s", name, last.Code, last.Body)
		}
		if n := len(f.passwords.Compared) + len(f.events.All); n != 0 {
			t.Errorf("%s: %d hashes and records", name, n)
		}
		if w := f.verifyPassword("ada@example.org", credentials.Password); w.Code != http.StatusOK {
			t.Errorf("%s: ConnectyCube gets %d afterwards", name, w.Code)
		}
		if w := f.callBack("POST", "", `{"token":"good `+adaID+`"}`, header...); w.Code != http.StatusOK {
			t.Errorf("%s: a token got %d", name, w.Code)
		}
	}
}

func TestVerifyWithoutASecretAnswersAboutNoPassword(t *testing.T) {
	f := newFakes(t, func(p *parts) { p.api.CallbackSecret = "" })
	for _, secret := range []string{"", testCallbackSecret} {
		w := f.callBack("POST", "", `{"email":"ada@example.org","password":"`+credentials.Password+`"}`, "Content-Type", "application/json", CallbackSecretHeader, secret)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "CONNECTYCUBE_CIDP_SECRET") || len(f.passwords.Compared) != 0 {
			t.Errorf("%q: %d %s", secret, w.Code, w.Body)
		}
	}
}

// A token may be a bearer token, unless the request has another token.
func TestVerifyReadsBearerTokens(t *testing.T) {
	const asJSON = "application/json"
	good := "Bearer good " + adaID
	for _, tt := range []struct {
		name                       string
		method, query, media, body string
		authorization              string
		status                     int
	}{
		{"GET", "GET", "", "", "", good, 200},
		{"HEAD", "HEAD", "", "", "", good, 200},
		{"GET, parameter empty", "GET", "?token=", "", "", good, 200},
		{"GET, placeholder not replaced", "GET", "?token=%23%7Blogin%7D", "", "", good, 200},
		{"GET, the parameter decides", "GET", "?token=bad", "", "", good, 401},
		{"GET, the parameter decides, valid", "GET", "?token=good+" + adaID, "", "", "Bearer bad", 200},
		{"GET, bad", "GET", "", "", "", "Bearer bad", 401},
		{"GET, placeholder in the header", "GET", "", "", "", "Bearer #{login}", 400},
		{"GET, another scheme", "GET", "", "", "", "Basic good", 400},
		{"GET, empty", "GET", "", "", "", "Bearer ", 400},
		{"POST, no body", "POST", "", "", "", good, 200},
		{"POST, empty object", "POST", "", asJSON, "{}", good, 200},
		{"POST, parts of a password", "POST", "", asJSON, `{"token":"","email":"","password":"anything"}`, good, 200},
		{"POST, a bad token beside a valid password", "POST", "", asJSON, `{"email":"ada@example.org","password":"` + credentials.Password + `"}`, "Bearer bad", 401},
		{"POST, an empty token leaves the password", "POST", "", asJSON, `{"email":"ada@example.org","password":"` + credentials.Password + `"}`, "Bearer ", 200},
		{"POST, the body decides", "POST", "", asJSON, `{"token":"bad"}`, good, 401},
		{"POST, not JSON", "POST", "", asJSON, `{`, good, 400},
		{"POST, no body, nothing", "POST", "", "", "", "Bearer ", 400},
		{"POST, the query decides", "POST", "?token=bad", asJSON, "{}", good, 401},
	} {
		f := newFakes(t)
		header := []string{"Authorization", tt.authorization, CallbackSecretHeader, testCallbackSecret}
		if tt.media != "" {
			header = append(header, "Content-Type", tt.media)
		}
		if w := f.callBack(tt.method, tt.query, tt.body, header...); w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
		}
	}
}

// Callbacks about passwords are recorded like logins, because they are the logins of SDKs.
func TestVerifyIsAudited(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(f fakes)
		want []store.Event
	}{
		{"correct password", func(f fakes) { f.verifyPassword("ada@example.org", credentials.Password) }, []store.Event{{Outcome: store.OutcomeOK}}},
		{"wrong password", func(f fakes) { f.verifyPassword("ada@example.org", "guess") }, []store.Event{{Outcome: store.OutcomeRefused, Detail: "UNAUTHENTICATED"}}},
		{"disabled", func(f fakes) {
			f.users.User.Disabled = true
			f.verifyPassword("ada@example.org", credentials.Password)
		}, []store.Event{{Outcome: store.OutcomeRefused, Detail: "FORBIDDEN"}}},
		{"unknown email", func(f fakes) { f.verifyPassword("eve@example.org", "guess") }, nil},
		{"token", func(f fakes) { f.callBack("GET", "?token=good+"+adaID, "") }, nil},
		{"token of a session that has ended", func(f fakes) { f.callBack("GET", "?token=ended+"+adaID, "") }, []store.Event{{Outcome: store.OutcomeRefused, Detail: "UNAUTHENTICATED"}}},
		{"ticket of an expired session", func(f fakes) { f.callBack("GET", "?token=late+"+adaID, "") }, []store.Event{{Outcome: store.OutcomeRefused, Detail: "UNAUTHENTICATED"}}},
		{"expired token", func(f fakes) { f.callBack("GET", "?token=old", "") }, nil},
		{"forged token", func(f fakes) { f.callBack("GET", "?token=bad", "") }, nil},
	} {
		f := newFakes(t)
		tt.ask(f)
		for i := range tt.want {
			tt.want[i].Kind, tt.want[i].UserID, tt.want[i].ClientIP = "verify", adaID, "192.0.2.1"
			if tt.want[i].Outcome == store.OutcomeRefused {
				tt.want[i].Count = 1
			}
		}
		recorded := f.recorded(t)
		for i := range recorded {
			recorded[i].ID, recorded[i].At = "", time.Time{}
		}
		if !slices.Equal(recorded, tt.want) {
			t.Errorf("%s: recorded %+v, want %+v", tt.name, recorded, tt.want)
		}
	}
}

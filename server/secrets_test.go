package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// secretive carries on a conversation and remembers what of it is secret.
type secretive struct {
	*running
	secrets []string
	refused int // answers that were errors
}

var (
	jwtShaped = regexp.MustCompile(`[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}`) // whole, or its beginning
	hexShaped = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)                                                                 // ConnectyCube's session tokens are
	asQuery   = regexp.MustCompile(`\?[A-Za-z]+=|token=`)
)

// leaks are the parts of a text that nobody may see.
func (s *secretive) leaks(text string) []string {
	found := slices.Concat(jwtShaped.FindAllString(text, -1), hexShaped.FindAllString(text, -1), asQuery.FindAllString(text, -1))
	for _, secret := range s.secrets {
		if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
			found = append(found, secret)
		}
	}
	return found
}

// send is request, and checks the answer: its headers always, its body when it
// is an error. Other bodies are what the client has asked for.
func (s *secretive) send(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	got := s.request(t, method, path, body, header...)
	for name, values := range got.header {
		if found := s.leaks(strings.Join(values, " ")); found != nil {
			t.Errorf("%s %.60s: the header %s has %q", method, path, name, found)
		}
	}
	if codeOf(got.body) != "" || got.status >= 400 {
		s.refused++
		if found := s.leaks(got.body); found != nil {
			t.Errorf("%s %.60s: the answer %s has %q", method, path, got.body, found)
		}
	}
	return got
}

const (
	ownPassword = "Correct Horse 4711"
	badPassword = "Battery Staple 0815"
)

// Passwords, tokens, keys and query strings pass through the program all the
// time. At its most talkative, and with clients and a ConnectyCube that do
// everything wrong, none of it may come out where nobody asked for it: in the
// log, in an error or in a header.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := u.startWith(t, true, map[string]string{"LOG_LEVEL": "debug", "LOGIN_FAILURES": "0"})
	s := &secretive{running: r, secrets: []string{ownPassword, badPassword, ownAuthKey, strongSecret, ownCallbackSecret}}
	body := func(password string) map[string]string {
		return map[string]string{"email": "ada@example.org", "password": password}
	}
	s.send(t, "POST", "/api", asked(t, registerDocument, with(ada("ada@example.org"), body(ownPassword))))
	good := r.graphql(t, loginDocument, body(ownPassword)).Data.Answer
	if good == nil || good.ConnectySession == "" || good.Token == "" || good.ChatTicket == "" {
		t.Fatalf("the conversation does not begin: %+v", good)
	}
	s.secrets = append(s.secrets, good.Token, good.ChatTicket, good.ConnectySession)
	s.send(t, "POST", "/api", asked(t, byTokenDocument, body(ownPassword)))
	s.verifies(t, *good)
	s.mistakes(t, *good)
	for _, lie := range []int{200, 201, 400, 401, 403, 404, 422, 429, 500} {
		u.lies("POST", "/session", repeatRequest(lie, good.Token))
		s.send(t, "POST", "/api", asked(t, loginDocument, body(ownPassword)))
		s.send(t, "POST", "/api", asked(t, byTokenDocument, body(ownPassword)))
		u.lies("POST", "/users", repeatRequest(lie, good.Token))
		s.send(t, "POST", "/api", asked(t, registerDocument, with(ada("bob@example.org"), map[string]string{"password": ownPassword})))
	}
	u.honest()
	for _, fault := range failures {
		s.fault(t, `{"path":"/*",`+fault+`}`)
		s.send(t, "POST", "/api", asked(t, loginDocument, body(ownPassword)))
		s.send(t, "POST", "/api", asked(t, byTokenDocument, body(ownPassword)))
		s.send(t, "POST", "/api", asked(t, registerDocument, with(ada("eve@example.org"), map[string]string{"password": ownPassword})))
		s.healed(t)
	}

	if s.refused < 30 {
		t.Errorf("only %d answers were errors: the conversation is not what it was", s.refused)
	}
	log := s.log.String()
	for _, message := range []string{`"request"`, `"request failed"`, `"login without chat"`} {
		if !strings.Contains(log, message) {
			t.Errorf("the log has no line %s, so it proves little", message)
		}
	}
	for line := range strings.Lines(log) {
		if found := s.leaks(line); found != nil {
			t.Errorf("the log has %q in %s", found, line)
		}
	}
}

// repeatRequest is a ConnectyCube that answers with what it was sent, and a
// token more, as an error text.
func repeatRequest(status int, token string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		sent, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Debug", string(bytes.ReplaceAll(sent, []byte("\n"), nil)))
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors":{"base":["token %s is bad","key %s","cannot do %s"]}}`,
			token, r.Header.Get("CB-AuthKey"), strings.ReplaceAll(string(sent), `"`, `\"`))
	}
}

// verifies asks the verify route everything right and everything wrong.
func (s *secretive) verifies(t *testing.T, good login) {
	t.Helper()
	expired := forge(sha256.New, accessHeader, s.forUser(t, good.User.ID, "iat", "1000", "exp", "4600")...)
	for _, token := range []string{good.Token, good.ChatTicket, good.ConnectySession, expired, good.Token + "x", good.Token[1:], "x." + good.Token} {
		for _, path := range []string{
			verifyPath + "?token=" + token, verifyPath + "?token=" + token + "&token=" + token, verifyPath + "?Token=" + token,
			strings.ToUpper(verifyPath) + "/?token=" + token, "/nope?token=" + token, "/?token=" + token,
			verifyPath + "/" + token, verifyPath + "%3Ftoken=" + token, "/" + token + "/nope",
		} {
			s.send(t, "GET", path, "", "X-Request-Id", token[:min(len(token), 64)]+"!", "Authorization", "Bearer "+token, "Origin", "https://"+token, "Referer", s.url+path)
		}
		s.send(t, "POST", verifyPath, `{"token":"`+token+`"}`)
		s.send(t, "POST", verifyPath, `{"token":"`+token)
		s.send(t, "POST", verifyPath, `{"token":["`+token+`"]}`)
		s.send(t, "POST", verifyPath, "token="+token+"&token="+token, "Content-Type", "application/x-www-form-urlencoded")
		s.send(t, "POST", verifyPath, "token="+token+"%zz", "Content-Type", "application/x-www-form-urlencoded")
	}
	for _, password := range []string{ownPassword, badPassword} {
		for _, secret := range []string{ownCallbackSecret, ownCallbackSecret[1:], badPassword} {
			s.send(t, "POST", verifyPath, `{"email":"ada@example.org","password":"`+password+`"}`, askedBy[0], secret)
		}
		s.send(t, "POST", verifyPath, `{"email":"`+password+`","password":"`+password+`"}`, askedBy...)
		s.send(t, "GET", verifyPath+"?email=ada@example.org&password="+url.QueryEscape(password), "")
		s.send(t, "POST", verifyPath, "email=ada%40example.org&password="+url.QueryEscape(password), append(askedBy, "Content-Type", "application/x-www-form-urlencoded")...)
	}
}

// mistakes sends GraphQL that is wrong in every layer, each with a secret.
func (s *secretive) mistakes(t *testing.T, good login) {
	t.Helper()
	wrong := asked(t, loginDocument, map[string]string{"email": "ada@example.org", "password": badPassword})
	s.send(t, "POST", "/api", wrong)
	s.send(t, "POST", "/api", strings.ReplaceAll(wrong, "login(", "login_By_token("))
	s.send(t, "POST", "/api", wrong[:len(wrong)-3])
	s.send(t, "POST", "/api", wrong+wrong)
	s.send(t, "POST", "/api", "["+wrong+"]")
	s.send(t, "POST", "/api", wrong, "Content-Type", "text/plain")
	s.send(t, "POST", "/api", wrong, "Content-Type", "application/json; charset=latin1")
	s.send(t, "POST", "/api", wrong, "Content-Encoding", "gzip")
	s.send(t, "POST", "/api", wrong, "Content-Encoding", badPassword)
	s.send(t, "POST", "/api", wrong, "Accept", "image/png")
	s.send(t, "POST", "/api", wrong+"\xff")
	s.send(t, "POST", "/api", wrong+strings.Repeat(" ", 70<<10))
	s.send(t, "POST", "/api?query="+url.QueryEscape(badPassword), `{}`)
	s.send(t, "GET", "/api?query="+url.QueryEscape(wrong)+"&token="+good.Token, "")
	s.send(t, "PUT", "/api?token="+good.Token, wrong)
	s.send(t, "POST", "/api", asked(t, registerDocument, map[string]string{"email": badPassword, "password": badPassword, good.Token: badPassword}))
	s.send(t, "POST", "/api", asked(t, registerDocument, map[string]string{"email": "ada@example.org", "firstName": "", "lastName": "", "password": strings.Repeat(badPassword, 3)}))
	s.send(t, "POST", "/api", asked(t, `mutation { login(body: {email: "ada@example.org", password: "`+badPassword+`"}) { nope } }`, nil))
	s.send(t, "POST", "/api", asked(t, `mutation { login(body: {email: "`+badPassword+`", password: "`+good.Token+`"}) { token } }`, nil))
	s.send(t, "POST", "/api", `{"query":"{hello}","operationName":"`+good.Token+`"}`)
	s.send(t, "POST", "/api", `{"query":"{hello}","operationName":["`+badPassword+`"]}`)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, wrong)
	_ = w.Close()
	s.send(t, "POST", "/api", packed.String(), "Content-Encoding", "gzip")
	s.send(t, "POST", "/api", packed.String()[:packed.Len()-9], "Content-Encoding", "gzip")
}

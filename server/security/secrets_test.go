package security

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

	"cubegate/server"
	"cubegate/server/servertest"
)

// leakDetector sends requests and searches the replies for secrets.
type leakDetector struct {
	*servertest.Server
	secrets []string
	refused int // replies that are errors
}

var (
	jwtShaped = regexp.MustCompile(`[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}`) // a whole token, or its beginning
	hexShaped = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)                                                                 // a session token of ConnectyCube
	asQuery   = regexp.MustCompile(`\?[A-Za-z]+=|token=`)
)

// leaks returns the secrets in a text.
func (s *leakDetector) leaks(text string) []string {
	found := slices.Concat(jwtShaped.FindAllString(text, -1), hexShaped.FindAllString(text, -1), asQuery.FindAllString(text, -1))
	for _, secret := range s.secrets {
		if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
			found = append(found, secret)
		}
	}
	return found
}

// send sends a request and checks the headers of the reply, and the body of an error.
// The body of a success may contain secrets that the client has requested.
func (s *leakDetector) send(t *testing.T, method, path, body string, header ...string) servertest.Reply {
	t.Helper()
	got := s.Request(t, method, path, body, header...)
	for name, values := range got.Header {
		if found := s.leaks(strings.Join(values, " ")); found != nil {
			t.Errorf("%s %.60s: the header %s contains %q", method, path, name, found)
		}
	}
	if servertest.CodeOf(got.Body) != "" || got.Status >= 400 {
		s.refused++
		if found := s.leaks(got.Body); found != nil {
			t.Errorf("%s %.60s: the reply %s contains %q", method, path, got.Body, found)
		}
	}
	return got
}

const (
	ownPassword = "Correct Horse 4711"
	badPassword = "Battery Staple 0815"
)

// No log line, error or header may contain a password, token, key or query string, at
// the log level debug, with clients and a ConnectyCube that make all kinds of mistakes.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, true, map[string]string{"LOG_LEVEL": "debug", "LOGIN_FAILURES": "0"})
	s := &leakDetector{Server: r, secrets: []string{ownPassword, badPassword, servertest.OwnAuthKey, servertest.JWTSecret, servertest.OwnCallbackSecret}}
	body := func(password string) map[string]string {
		return map[string]string{"email": "ada@example.org", "password": password}
	}
	s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.Merge(servertest.NewUser("ada@example.org"), body(ownPassword))))
	good := r.GraphQL(t, servertest.LoginDocument, body(ownPassword)).Data.Answer
	if good == nil || good.ConnectySession == "" || good.Token == "" || good.ChatTicket == "" {
		t.Fatalf("the first login: %+v", good)
	}
	s.secrets = append(s.secrets, good.Token, good.ChatTicket, good.ConnectySession)
	s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.ByTokenDocument, body(ownPassword)))
	s.sendCallbacks(t, *good)
	s.sendMistakes(t, *good)
	for _, status := range []int{200, 201, 400, 401, 403, 404, 422, 429, 500} {
		u.Override("POST", "/session", echoRequest(status, good.Token))
		s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.LoginDocument, body(ownPassword)))
		s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.ByTokenDocument, body(ownPassword)))
		u.Override("POST", "/users", echoRequest(status, good.Token))
		s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.Merge(servertest.NewUser("bob@example.org"), map[string]string{"password": ownPassword})))
	}
	u.Restore()
	for _, fault := range servertest.UpstreamFailures {
		s.InjectFault(t, `{"path":"/*",`+fault+`}`)
		s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.LoginDocument, body(ownPassword)))
		s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.ByTokenDocument, body(ownPassword)))
		s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.Merge(servertest.NewUser("eve@example.org"), map[string]string{"password": ownPassword})))
		s.ClearFaults(t)
	}

	if s.refused < 30 {
		t.Errorf("only %d replies are errors, want at least 30", s.refused)
	}
	log := s.Log.String()
	for _, message := range []string{`"request"`, `"request failed"`, `"login without chat"`} {
		if !strings.Contains(log, message) {
			t.Errorf("the log has no line %s, so the test proves little", message)
		}
	}
	for line := range strings.Lines(log) {
		if found := s.leaks(line); found != nil {
			t.Errorf("the log contains %q in %s", found, line)
		}
	}
}

// echoRequest returns a handler for Upstream.Override that replies with the request's
// body, the authorization key and a token as the texts of errors.
func echoRequest(status int, token string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		sent, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Debug", string(bytes.ReplaceAll(sent, []byte("\n"), nil)))
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors":{"base":["token %s is bad","key %s","cannot do %s"]}}`,
			token, r.Header.Get("CB-AuthKey"), strings.ReplaceAll(string(sent), `"`, `\"`))
	}
}

// sendCallbacks sends right and wrong requests to the verify route.
func (s *leakDetector) sendCallbacks(t *testing.T, good servertest.LoginReply) {
	t.Helper()
	expired := servertest.SignToken(sha256.New, servertest.AccessHeader, s.ClaimsOf(t, good.User.ID, "iat", "1000", "exp", "4600")...)
	for _, token := range []string{good.Token, good.ChatTicket, good.ConnectySession, expired, good.Token + "x", good.Token[1:], "x." + good.Token} {
		for _, path := range []string{
			server.VerifyPath + "?token=" + token, server.VerifyPath + "?token=" + token + "&token=" + token, server.VerifyPath + "?Token=" + token,
			strings.ToUpper(server.VerifyPath) + "/?token=" + token, "/nope?token=" + token, "/?token=" + token,
			server.VerifyPath + "/" + token, server.VerifyPath + "%3Ftoken=" + token, "/" + token + "/nope",
		} {
			s.send(t, "GET", path, "", "X-Request-Id", token[:min(len(token), 64)]+"!", "Authorization", "Bearer "+token, "Origin", "https://"+token, "Referer", s.URL+path)
		}
		s.send(t, "POST", server.VerifyPath, `{"token":"`+token+`"}`)
		s.send(t, "POST", server.VerifyPath, `{"token":"`+token)
		s.send(t, "POST", server.VerifyPath, `{"token":["`+token+`"]}`)
		s.send(t, "POST", server.VerifyPath, "token="+token+"&token="+token, "Content-Type", "application/x-www-form-urlencoded")
		s.send(t, "POST", server.VerifyPath, "token="+token+"%zz", "Content-Type", "application/x-www-form-urlencoded")
	}
	for _, password := range []string{ownPassword, badPassword} {
		for _, secret := range []string{servertest.OwnCallbackSecret, servertest.OwnCallbackSecret[1:], badPassword} {
			s.send(t, "POST", server.VerifyPath, `{"email":"ada@example.org","password":"`+password+`"}`, servertest.CallbackHeader[0], secret)
		}
		s.send(t, "POST", server.VerifyPath, `{"email":"`+password+`","password":"`+password+`"}`, servertest.CallbackHeader...)
		s.send(t, "GET", server.VerifyPath+"?email=ada@example.org&password="+url.QueryEscape(password), "")
		s.send(t, "POST", server.VerifyPath, "email=ada%40example.org&password="+url.QueryEscape(password), append(servertest.CallbackHeader, "Content-Type", "application/x-www-form-urlencoded")...)
	}
}

// sendMistakes sends GraphQL requests that are wrong in all layers, each with a secret.
func (s *leakDetector) sendMistakes(t *testing.T, good servertest.LoginReply) {
	t.Helper()
	wrong := servertest.RequestBody(t, servertest.LoginDocument, map[string]string{"email": "ada@example.org", "password": badPassword})
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
	s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.RegisterDocument, map[string]string{"email": badPassword, "password": badPassword, good.Token: badPassword}))
	s.send(t, "POST", "/api", servertest.RequestBody(t, servertest.RegisterDocument, map[string]string{"email": "ada@example.org", "firstName": "", "lastName": "", "password": strings.Repeat(badPassword, 3)}))
	s.send(t, "POST", "/api", servertest.RequestBody(t, `mutation { login(body: {email: "ada@example.org", password: "`+badPassword+`"}) { nope } }`, nil))
	s.send(t, "POST", "/api", servertest.RequestBody(t, `mutation { login(body: {email: "`+badPassword+`", password: "`+good.Token+`"}) { token } }`, nil))
	s.send(t, "POST", "/api", `{"query":"{hello}","operationName":"`+good.Token+`"}`)
	s.send(t, "POST", "/api", `{"query":"{hello}","operationName":["`+badPassword+`"]}`)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, wrong)
	_ = w.Close()
	s.send(t, "POST", "/api", packed.String(), "Content-Encoding", "gzip")
	s.send(t, "POST", "/api", packed.String()[:packed.Len()-9], "Content-Encoding", "gzip")
}

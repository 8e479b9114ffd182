package connectycube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
)

const (
	key      = "the-auth-key"
	password = "the-password"
	token    = "5A0D3E77C2B14F9E8D6A10B7C4E95F2230A1"
)

// script answers requests in turn and records them.
type script struct {
	mu      sync.Mutex
	answers []string // "<status> <body>"; the last one repeats
	seen    []seen
}

type seen struct {
	method, path, query, body string
	header                    http.Header
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header})
	answer := s.answers[min(len(s.seen), len(s.answers))-1]
	var status int
	var rest string
	if _, err := fmt.Sscanf(answer, "%d", &status); err != nil {
		return nil, err
	}
	_, rest, _ = strings.Cut(answer, " ")
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(rest)), Request: r}, nil
}

func scripted(t *testing.T, answers ...string) (*connectycube.Client, *script) {
	t.Helper()
	s := &script{answers: answers}
	return via(t, s), s
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func via(t *testing.T, rt http.RoundTripper) *connectycube.Client {
	t.Helper()
	c, err := connectycube.New(connectycube.Options{
		BaseURL: "https://cube.example/prefix/",
		AppID:   7,
		AuthKey: key,
		HTTP:    &http.Client{Transport: rt},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var byEmail = connectycube.Credentials{Email: "a@example.org", Password: password}

// calls are the client's calls, for tables that run each of them.
var calls = map[string]func(context.Context, *connectycube.Client) error{
	"SignUp": func(ctx context.Context, c *connectycube.Client) error {
		_, err := c.SignUp(ctx, connectycube.NewUser{Email: "a@example.org", Password: password})
		return err
	},
	"CreateSession": func(ctx context.Context, c *connectycube.Client) error {
		_, err := c.CreateSession(ctx, byEmail)
		return err
	},
	"UserByExternalID": func(ctx context.Context, c *connectycube.Client) error {
		_, err := c.UserByExternalID(ctx, "ext-1")
		return err
	},
	"UpdateUser": func(ctx context.Context, c *connectycube.Client) error {
		return c.UpdateUser(ctx, connectycube.Session{Token: token, UserID: 5}, connectycube.UserUpdate{ExternalID: "ext-1"})
	},
}

func TestNewReportsEverythingAndNoKey(t *testing.T) {
	tests := []struct {
		name string
		o    connectycube.Options
		want []string // parts of the error; none = no error
	}{
		{"defaults", connectycube.Options{AppID: 1, AuthKey: key}, nil},
		{"prefix", connectycube.Options{AppID: 1, AuthKey: key, BaseURL: "http://127.0.0.1:3001/cube/"}, nil},
		{"nothing", connectycube.Options{}, []string{"application ID", "auth key"}},
		{"all wrong", connectycube.Options{AppID: -1, AuthKey: "secret key", BaseURL: "cube", Timeout: -1},
			[]string{"application ID", "auth key", "base URL", "timeout"}},
		{"header injection", connectycube.Options{AppID: 1, AuthKey: "secret\r\nX: y"}, []string{"auth key"}},
		{"other scheme", connectycube.Options{AppID: 1, AuthKey: key, BaseURL: "file:///etc"}, []string{"base URL"}},
		{"user in URL", connectycube.Options{AppID: 1, AuthKey: key, BaseURL: "https://u:secret@h"}, []string{"base URL"}},
		{"query in URL", connectycube.Options{AppID: 1, AuthKey: key, BaseURL: "https://h/?a=secret"}, []string{"base URL"}},
		{"no host", connectycube.Options{AppID: 1, AuthKey: key, BaseURL: "https://:443"}, []string{"base URL"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := connectycube.New(tt.o)
			if (err != nil) != (len(tt.want) > 0) {
				t.Fatalf("New error = %v, want %q", err, tt.want)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("New error = %v, want it to name %q", err, part)
				}
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("New error shows a secret: %v", err)
			}
		})
	}
}

func TestSignUpIsMadeWithTheKeyAndNobodysSession(t *testing.T) {
	c, s := scripted(t, `201 {"session":{"token":"somebodys","user_id":5}}`, `201 {"user":{"id":9,"email":"b@example.org"}}`)
	if _, err := c.CreateSession(t.Context(), byEmail); err != nil {
		t.Fatal(err)
	}
	// A defect of the original: after a login, it sent sign-ups with the token of
	// the logged-in user, and they failed once that session had expired.
	u, err := c.SignUp(t.Context(), connectycube.NewUser{
		Email: "b@example.org", Password: password, FullName: "B", ExternalID: "ext-b",
	})
	if err != nil || u.ID != 9 || u.Email != "b@example.org" {
		t.Fatalf("SignUp = %+v, %v", u, err)
	}
	got := s.seen[1]
	if got.method != "POST" || got.path != "/prefix/users.json" || got.query != "" {
		t.Errorf("request was %s %s?%s", got.method, got.path, got.query)
	}
	if got.header.Get("CB-AuthKey") != key || got.header["Cb-Token"] != nil {
		t.Errorf("headers were %v, want the key and no token", got.header)
	}
	wantJSON(t, got.body, `{"user":{"email":"b@example.org","password":"the-password","full_name":"B","external_id":"ext-b"}}`)
}

func TestSignUpLeavesOutWhatIsNotSet(t *testing.T) {
	c, s := scripted(t, `201 {"user":{"id":9}}`)
	if _, err := c.SignUp(t.Context(), connectycube.NewUser{Email: "b@example.org", Password: password}); err != nil {
		t.Fatal(err)
	}
	wantJSON(t, s.seen[0].body, `{"user":{"email":"b@example.org","password":"the-password"}}`)
}

func TestCreateSessionSendsNoToken(t *testing.T) {
	tests := []struct {
		cred connectycube.Credentials
		body string
	}{
		{byEmail, `{"application_id":7,"auth_key":"the-auth-key","user":{"email":"a@example.org","password":"the-password"}}`},
		{connectycube.Credentials{Login: "ticket", Password: "x"},
			`{"application_id":7,"auth_key":"the-auth-key","user":{"login":"ticket","password":"x"}}`},
	}
	c, s := scripted(t, `201 {"session":{"token":"`+token+`","user_id":5,"user":{"id":5,"login":"l","email":"e","full_name":null,"external_id":12}}}`)
	for i, tt := range tests {
		got, err := c.CreateSession(t.Context(), tt.cred)
		if err != nil {
			t.Fatal(err)
		}
		want := connectycube.User{ID: 5, Login: "l", Email: "e", ExternalID: "12"}
		if got.Token != token || got.UserID != 5 || got.User != want {
			t.Errorf("session = %v of %+v, want %+v", got, got.User, want)
		}
		sent := s.seen[i]
		if sent.method != "POST" || sent.path != "/prefix/session.json" {
			t.Errorf("request was %s %s", sent.method, sent.path)
		}
		if sent.header["Cb-Token"] != nil || sent.header["Cb-Authkey"] != nil {
			t.Errorf("headers were %v, want neither token nor key", sent.header)
		}
		wantJSON(t, sent.body, tt.body)
	}
}

func TestCredentialsMustBeClear(t *testing.T) {
	c, s := scripted(t, `201 {}`)
	for _, cred := range []connectycube.Credentials{
		{},
		{Email: "a@example.org"}, // the SDK would open an application session and report success
		{Login: "x"},
		{Password: password},
		{Email: "a@example.org", Login: "x", Password: password},
	} {
		if _, err := c.CreateSession(t.Context(), cred); !errors.Is(err, connectycube.ErrRefused) {
			t.Errorf("CreateSession(%v) error = %v, want ErrRefused", cred, err)
		}
	}
	if len(s.seen) > 0 {
		t.Errorf("%d requests were made", len(s.seen))
	}
}

func TestLookUpUsesASessionOfItsOwn(t *testing.T) {
	c, s := scripted(t,
		`201 {"session":{"token":"application-token","user_id":null}}`,
		`200 {"limit":100,"skip":0,"total_entries":2,"items":[{"id":"12","external_id":"a&b c"},{"id":11,"external_id":"a&b c"}]}`)
	u, err := c.UserByExternalID(t.Context(), "a&b c")
	if err != nil || u.ID != 11 {
		t.Fatalf("UserByExternalID = %+v, %v, want the older user 11", u, err)
	}
	wantJSON(t, s.seen[0].body, `{"application_id":7,"auth_key":"the-auth-key"}`)
	got := s.seen[1]
	if got.method != "GET" || got.path != "/prefix/users/v2.json" || got.query != "external_id=a%26b+c" {
		t.Errorf("request was %s %s?%s", got.method, got.path, got.query)
	}
	if got.header.Get("CB-Token") != "application-token" {
		t.Errorf("token was %q", got.header.Get("CB-Token"))
	}
	if len(s.seen) != 2 {
		t.Errorf("%d requests were made, want 2", len(s.seen))
	}
}

func TestLookUpOfNobody(t *testing.T) {
	for _, answer := range []string{`200 {"items":[]}`, `404 {"errors":["User not found"]}`} {
		c, _ := scripted(t, `201 {"session":{"token":"t"}}`, answer)
		if _, err := c.UserByExternalID(t.Context(), "ext-1"); !errors.Is(err, connectycube.ErrNotFound) {
			t.Errorf("after %s: error = %v, want ErrNotFound", answer, err)
		}
	}
}

func TestUpdateUserUsesTheGivenSession(t *testing.T) {
	c, s := scripted(t, `200 {"user":{"id":5,"external_id":"ext-1"}}`)
	if err := calls["UpdateUser"](t.Context(), c); err != nil {
		t.Fatal(err)
	}
	got := s.seen[0]
	if got.method != "PUT" || got.path != "/prefix/users/5.json" || got.header.Get("CB-Token") != token || got.header["Cb-Authkey"] != nil {
		t.Errorf("request was %s %s with %v", got.method, got.path, got.header)
	}
	wantJSON(t, got.body, `{"user":{"external_id":"ext-1"}}`)
}

func TestIncompleteArgumentsMakeNoRequest(t *testing.T) {
	c, s := scripted(t, `200 {}`)
	_, err := c.UserByExternalID(t.Context(), "")
	errs := []error{
		err,
		c.UpdateUser(t.Context(), connectycube.Session{UserID: 5}, connectycube.UserUpdate{ExternalID: "ext-1"}),
		c.UpdateUser(t.Context(), connectycube.Session{Token: token}, connectycube.UserUpdate{ExternalID: "ext-1"}),
		c.UpdateUser(t.Context(), connectycube.Session{Token: token, UserID: 5}, connectycube.UserUpdate{ExternalID: ""}),
	}
	for i, err := range errs {
		if !errors.Is(err, connectycube.ErrRefused) {
			t.Errorf("error %d = %v, want ErrRefused", i, err)
		}
	}
	if len(s.seen) > 0 {
		t.Errorf("%d requests were made", len(s.seen))
	}
}

func TestExpiryComesFromTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the fake clock starts at midnight UTC of 2000-01-01
		tests := []struct {
			header string
			want   time.Duration
		}{
			{"", 2 * time.Hour},
			{"2000-01-02 00:00:00 UTC", 24 * time.Hour},
			{"2000-01-01 01:00:00 UTC", time.Hour},
			{"1999-12-31 23:00:00 UTC", 2 * time.Hour}, // one of the clocks is wrong
			{"2000-01-01 05:00:00 CET", 2 * time.Hour},
			{"tomorrow", 2 * time.Hour},
		}
		for _, tt := range tests {
			c := via(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: 201,
					Header:     http.Header{"Cb-Token-Expirationdate": {tt.header}},
					Body:       io.NopCloser(strings.NewReader(`{"session":{"token":"t","user_id":5}}`)),
				}, nil
			}))
			s, err := c.CreateSession(t.Context(), byEmail)
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Until(s.ExpiresAt); got != tt.want {
				t.Errorf("with %q the session lives %v, want %v", tt.header, got, tt.want)
			}
		}
	})
}

// TestCallsDoNotMeet: the original kept one session for the whole process, so two
// concurrent requests could get each other's session.
func TestCallsDoNotMeet(t *testing.T) {
	c := via(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		var body struct{ User struct{ Login string } }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, err
		}
		answer := fmt.Sprintf(`{"session":{"token":"token-%s","user_id":%s}}`, body.User.Login, body.User.Login)
		return &http.Response{StatusCode: 201, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}, nil
	}))
	var wg sync.WaitGroup
	for i := 1; i <= 64; i++ {
		wg.Go(func() {
			login := fmt.Sprint(i)
			s, err := c.CreateSession(t.Context(), connectycube.Credentials{Login: login, Password: password})
			if err != nil || s.Token != "token-"+login || s.UserID != int64(i) {
				t.Errorf("login %d got %d, %v", i, s.UserID, err)
			}
		})
	}
	wg.Wait()
}

func TestHealthIsThatOfTheLastExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t,
			`503 `,
			`401 {"errors":["Invalid password"]}`,
			`422 {"errors":{"base":["No application found"]}}`,
			`201 {"session":{"token":"t","user_id":5}}`)
		if h := c.Health(); h.State != connectycube.HealthUnknown || !h.At.IsZero() {
			t.Errorf("health before = %+v", h)
		}
		for _, want := range []string{
			connectycube.HealthFailing,
			connectycube.HealthOK, // a refusal is an answer
			connectycube.HealthFailing,
			connectycube.HealthOK,
		} {
			time.Sleep(time.Second)
			_, _ = c.CreateSession(t.Context(), byEmail)
			if h := c.Health(); h.State != want || !h.At.Equal(time.Now()) {
				t.Errorf("health = %+v, want %s now", h, want)
			}
		}
		before := c.Health()
		time.Sleep(time.Second)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = c.CreateSession(gone, byEmail)
		if h := c.Health(); h != before {
			t.Errorf("health after a caller left = %+v, want %+v", h, before)
		}
	})
}

func wantJSON(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if string(x) != string(y) {
		t.Errorf("body = %s, want %s", x, y)
	}
}
